"""What must be true when a storm is over, looked at from outside."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from pixfleet.config import keys
from pixfleet.config.prices import to_nano
from pixfleet.config.queues import QUEUES
from pixfleet.workers.spend.book import SpendBook
from tests.chaos.aws import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixfleet.config.results import Manifest, VariantResult
    from tests.chaos.storm import Storm

FINAL: Final = {"done", "failed", "quarantined", "cancelled"}
_PILLOW: Final = {"jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "png": "PNG"}
_TTL_S: Final = 8 * 86_400
_CHORD: Final = "celery-taskset-meta-"
_UNDER_WAY: Final = (
    keys.RUNNING,
    keys.PARTS,
    keys.WAITING,
    keys.TURNS,
    keys.QUEUED,
    keys.DELAYED,
    keys.DEADLINES,
    keys.SUMMARIES,
)
"""Keys that are gone when nothing is."""


def is_quiet(storm: Storm) -> bool:
    """Has every job ended, is every summary written, is nothing on the way."""
    client = storm.valkey.client
    pipe = client.pipeline(transaction=False)
    for job in storm.tasks:
        pipe.hget(keys.JOB + job, "state")
    if any(state is None or state.decode() not in FINAL for state in pipe.execute()):
        return False
    if not all(storm.producer.batch(batch).summarized for batch in storm.work.batches):
        return False
    return not any(_on_the_way(storm))


def check(storm: Storm) -> list[str]:
    """Everything that does not hold while the fleet still runs."""
    return [
        *_jobs(storm),
        *_batches(storm),
        *_money(storm),
        *(f"left on the way: {left}" for left in _on_the_way(storm)),
        *_expiry(storm),
        *_files(storm),
        *(f"a worker left by itself: {left}" for left in storm.fleet.left_by_themselves),
        *_parentless(storm),
        *_bugs(storm),
    ]


def check_left(storm: Storm) -> list[str]:
    """Everything that is left after all workers were told to go."""
    deadline = time.monotonic() + 10
    while (left := storm.fleet.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    orphans = [f"a process outlived its worker: {process.pid}" for process in left]
    for process in left:
        process.kill()
    temporary = [path.name for path in (storm.folder / "tmp").rglob("*") if path.is_file()]
    return orphans + [f"a temporary file was left: {name}" for name in temporary]


def endings(storm: Storm) -> tuple[dict[str, int], dict[str, int]]:
    """Jobs by state, and failures by code."""
    states: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for job in storm.tasks:
        states[storm.producer.ledger.status(job).state] += 1
        manifest = storm.producer.ledger.manifest(job)
        codes.update(failure.code for failure in (manifest.failures if manifest else ()))
    return dict(states), dict(codes)


def _jobs(storm: Storm) -> Iterator[str]:
    totals = _integers(storm, keys.TOTALS)
    states: Counter[str] = Counter()
    for job_id, task in storm.tasks.items():
        status = storm.producer.ledger.status(job_id)
        states[status.state] += 1
        manifest = storm.producer.ledger.manifest(job_id)
        what = f"job {job_id} ({task.kind}, name {task.job.name})"
        if status.state not in FINAL:
            yield f"{what} is {status.state} after {status.attempts} attempts"
        elif manifest is None:
            yield f"{what} is {status.state} without a manifest"
        else:
            yield from (f"{what}: {wrong}" for wrong in _ending(storm, task, status, manifest))
    counted = {name: totals.get(name, 0) for name in ("done", "failed")}
    found = {"done": states["done"], "failed": states.total() - states["done"]}
    if counted != found:
        yield f"the totals count {counted}, the jobs are {found}"


def _ending(storm: Storm, task: Any, status: Any, manifest: Manifest) -> Iterator[str]:
    codes = {failure.code for failure in manifest.failures}
    if task.kind == "bad":
        if not codes or not codes <= task.codes:
            yield f"a bad image ended {status.state} with {sorted(codes)}"
    elif not codes <= task.codes:
        messages = "; ".join(failure.message for failure in manifest.failures)
        yield f"ended {status.state} with {sorted(codes)}: {messages}"
    wanted = task.job.recipe.variants
    files = {(spec.name, name) for spec in wanted for name in spec.formats}
    made = [(variant.name, variant.format) for variant in manifest.variants]
    if len(set(made)) != len(made) or not set(made) <= files:
        yield f"variants {made} of {sorted(files)}"
    if manifest.status == "done" and set(made) != files:
        yield f"done, but only {made}"
    for variant in manifest.variants:
        yield from _variant(storm, manifest, variant)
    if not task.job.batch and not codes:
        on_disk = _read(storm, manifest.output, f"{task.job.output_name}/manifest.json")
        if on_disk is None:
            yield "its manifest.json is missing"
        elif json.loads(on_disk) != manifest.model_dump(mode="json"):
            yield "its manifest.json is not the ledger's"


def _variant(storm: Storm, manifest: Manifest, variant: VariantResult) -> Iterator[str]:
    data = _read(storm, manifest.output, variant.path)
    if data is None:
        yield f"{variant.path} is missing"
        return
    if (len(data), hashlib.sha256(data).hexdigest()) != (variant.bytes, variant.sha256):
        yield f"{variant.path} has {len(data)} bytes that are not those of the manifest"
        return
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = (image.format, image.width, image.height)
    if found != (_PILLOW[variant.format], variant.width, variant.height):
        yield f"{variant.path} is {found}"


def _read(storm: Storm, output: str, path: str) -> bytes | None:
    if not output.startswith("s3://"):
        file = Path(output) / path
        return file.read_bytes() if file.is_file() else None
    client = storm.aws.client("s3")
    key = f"{output.removeprefix(f's3://{BUCKET}/')}/{path}"
    try:
        return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None


def _batches(storm: Storm) -> Iterator[str]:
    members: dict[str, Counter[str]] = {batch: Counter() for batch in storm.work.batches}
    for job_id, task in storm.tasks.items():
        if task.job.batch:
            state = storm.producer.ledger.status(job_id).state
            members[task.job.batch]["done" if state == "done" else "failed"] += 1
    for batch, counts in members.items():
        status = storm.producer.batch(batch)
        if not status.summarized or status.problem:
            yield f"{batch} has no summary: {status.problem or 'never written'}"
            continue
        found = (status.submitted, status.done, status.failed)
        if found != (counts.total(), counts["done"], counts["failed"]):
            yield f"{batch} counts {found}, its jobs are {dict(counts)}"
        lines = (Path(storm.work.batches[batch]) / "manifest.jsonl").read_text().splitlines()
        ids = Counter(json.loads(line)["job_id"] for line in lines)
        if len(ids) != counts.total() or set(ids.values()) != {1}:
            yield f"{batch}: manifest.jsonl has {len(lines)} lines for {counts.total()} jobs"


def _money(storm: Storm) -> Iterator[str]:
    client = storm.valkey.client
    receipts = 0
    for job_id in storm.tasks:
        manifest = storm.producer.ledger.manifest(job_id)
        receipts += to_nano(manifest.receipt.cost_usd) if manifest else 0
    book = SpendBook(storm.producer.ledger).entries()
    entries = [e for e in book if e.tenant and not e.line.startswith("#")]
    in_vain = sum(e.amount for e in entries if e.line in ("rework", "retry"))
    in_vain += sum(e.amount for e in book if e.line == "#retry_requests_nano")
    charged = sum(e.amount for e in entries) - in_vain
    total = _integers(storm, keys.TOTALS).get("cost_nano_usd", 0)
    if not receipts == charged == total:
        yield f"receipts {receipts}, spend {charged}, totals {total} nano-dollars"
    months = [_integers(storm, key.decode()) for key in client.scan_iter(f"{keys.OWNED}month:*")]
    for owner in ("fleet", "tenant:", "recipe:"):
        owned = sum(
            amount for sums in months for name, amount in sums.items() if name.startswith(owner)
        )
        if owned != charged + in_vain:
            yield f"{owner} owns {owned}, spend is {charged + in_vain} nano-dollars"


def _on_the_way(storm: Storm) -> Iterator[str]:
    """What is still queued, claimed or unacknowledged."""
    client = storm.valkey.client
    for key in client.scan_iter("*"):
        name = key.decode()
        queue = name.split("\x06")[0]
        if queue in QUEUES or name.startswith(_UNDER_WAY):
            yield f"{name} ({client.type(key).decode()})"
    # A worker whose clock was ahead, and which was cut off from the broker as it had to go, leaves
    # a message that comes back as much later; its job has ended, so that it will be dropped.
    unacknowledged = client.zcount("unacked_index", "-inf", client.time()[0] + 1)
    if unacknowledged or client.hlen("unacked") != client.zcard("unacked_index"):
        yield f"unacked counts {unacknowledged} of {client.hlen('unacked')}"
    for hash_name in (keys.BACKLOG, keys.IN_FLIGHT):
        for field, count in _integers(storm, hash_name).items():
            if count:
                yield f"{hash_name} counts {count} of {field}"
    if storm.broker == "sqs":
        yield from _in_sqs(storm)


def _in_sqs(storm: Storm) -> Iterator[str]:
    sqs = storm.aws.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if any(int(found[name]) for name in names):
            yield f"{url.rpartition('/')[2]} ({', '.join(found[name] for name in names)})"


def _expiry(storm: Storm) -> Iterator[str]:
    client = storm.valkey.client
    # Of a chord whose job was begun again the parts so far are left, and nobody waits for more.
    for pattern in (keys.JOB, keys.TRIALS, _CHORD):
        for key in client.scan_iter(f"{pattern}*"):
            ttl_s = client.ttl(key)
            if not 0 < ttl_s <= _TTL_S and ttl_s != -2:
                yield f"{key.decode()} expires in {ttl_s} s"


def _files(storm: Storm) -> Iterator[str]:
    for path in storm.folder.rglob("*"):
        if path.is_file() and (path.name.endswith(".part") or "#" in path.name):
            yield f"an unfinished file was left: {path}"
    work = storm.state / "store" / "work"
    yield from (f"parked pixels were left: {path}" for path in work.rglob("*") if path.is_file())


def _parentless(storm: Storm) -> Iterator[str]:
    leaders = {worker.process.pid for worker in storm.fleet.workers if worker.alive}
    for process in storm.fleet.processes():
        if process.pid not in leaders and process.ppid() not in leaders:
            yield f"a process without its worker: {process.pid}, parent {process.ppid()}"


def _bugs(storm: Storm) -> Iterator[str]:
    for log in sorted(storm.fleet.logs.glob("*.log")):
        lines = log.read_text("utf-8", "replace").splitlines()
        signs = ('"event": "bug"', "raised unexpected", "sweeper.failed")
        bugs = [line for line in lines if any(sign in line for sign in signs)]
        yield from (f"{log.name}: {line[:600]}" for line in bugs)


def _integers(storm: Storm, key: str) -> dict[str, int]:
    found = storm.valkey.client.hgetall(key).items()
    return {name.decode(): int(value) for name, value in found}
