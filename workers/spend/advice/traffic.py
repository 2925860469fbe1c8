"""What is paid beside the work itself: requests, workers' own CPU, work in vain."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import from_nano
from pixfleet.workers.spend.book import CAPACITY

from .advice import ENOUGH_IMAGES, dollars, gain, percent, too_few_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .advice import Advice
    from .record import Record

_SQS: Final = "sqs_request"
_PUT: Final = "s3_put"
_MUCH: Final = 0.2
"""Of the CPU: workers that take so much for themselves have short tasks, or start too often."""


def requests(record: Record) -> Iterator[Advice]:
    """Requests by the piece: one a file that is stored, and those of queues on SQS."""
    if record.images < ENOUGH_IMAGES:
        yield too_few_images("requests", record.images, "to weigh requests against CPU")
        return
    lines: dict[str, Decimal] = {k: usd for k, usd in record.fleet.items() if k != CAPACITY}
    for work in record.works:
        for kind, usd in work.requests.items():
            lines[kind] = lines.get(kind, Decimal(0)) + usd
    total = sum(lines.values(), Decimal(0))
    share = percent(total / record.bill_usd) if total else "0%"
    evidence = (f"requests are {share} of the bill: {_named(lines)}",) if total else ()
    put, variants = lines.get(_PUT, Decimal(0)), record.count("variants")
    each = Decimal(variants) / record.images
    fewer = max(Decimal(0), 1 - 1 / each) if each else Decimal(0)
    yield gain(
        record,
        "requests",
        "store fewer files an image",
        put * fewer * record.months,
        at_most=True,
        evidence=(*evidence, f"an image has {each:.1f} files, each a request to store it"),
        change='fewer variants, or pick = "best" in place of a file of every format',
        fine="requests cost next to nothing",
    )
    if queue := lines.get(_SQS):
        yield gain(
            record,
            "queue",
            "put the queues on the Redis that keeps the ledger",
            queue * record.months,
            at_most=True,
            evidence=(f"SQS costs {dollars(queue * 1000 / record.images)} per 1,000 images",),
            change="PIXFLEET_BROKER=redis://... (docs/sqs.md says what SQS is for)",
            fine="SQS costs next to nothing",
        )


def overhead(record: Record) -> Iterator[Advice]:
    """CPU that workers take for themselves: starts, messages, the wait for work."""
    tree_s = sum(ran.tree_s for ran in record.ran.values())
    jobs_s = record.count("cpu_ms") / 1000
    if record.images < ENOUGH_IMAGES or not tree_s:
        yield too_few_images("overhead", record.images, "to see what workers take for themselves")
        return
    own_s = max(0.0, tree_s - jobs_s - record.count("rework_ms") / 1000)
    spare_s = max(0.0, own_s - _MUCH * tree_s)
    yield gain(
        record,
        "overhead",
        "keep workers running and their tasks long",
        Decimal(spare_s) * record.core_second_usd * record.months,
        at_most=True,
        evidence=(
            f"workers took {percent(own_s / tree_s)} of their CPU for themselves",
            f"{own_s / record.images:.3f} s an image, {jobs_s / record.images:.3f} s its work",
        ),
        change='workers that stay for many runs (`pixfleet up`); execution = "fused" for short '
        "jobs; `pixfleet tune`",
        fine="workers take little CPU for themselves",
    )


def failures(record: Record) -> Iterator[Advice]:
    """Images that came to nothing, and attempts that had to be made again."""
    if record.images < ENOUGH_IMAGES:
        yield too_few_images("failures", record.images, "to see how many fail")
        return
    failed = from_nano(record.count("failed_nano"))
    retries = sum((work.retry_usd for work in record.works), Decimal(0))
    worst = max(record.works, key=lambda work: work.counts.get("failed", 0))
    yield gain(
        record,
        "failures",
        "see why images fail and attempts are put off",
        (failed + retries) * record.months,
        at_most=True,
        evidence=(
            f"{record.count('failed'):,} of {record.images:,} images did not come out whole",
            f"what came to nothing cost {dollars(failed)}, attempts put off {dollars(retries)}",
            *((f"most of them are of {worst.recipe}",) if record.count("failed") else ()),
        ),
        change="pixfleet jobs --state failed",
        fine="failures and retries cost next to nothing",
    )


def _named(lines: dict[str, Decimal]) -> str:
    found = sorted(lines.items(), key=lambda line: -line[1])
    return ", ".join(f"{kind} {dollars(usd)}" for kind, usd in found if usd)
