"""Do the ledger's sums of money hold every nano-dollar that receipts hold, whatever dies meanwhile?

    python bench/exact.py [--receipts 100000] [--processes 8] [--seed 1] [--json]

Jobs of random tenants, recipes and batches are ended with random receipts, lines of 1 nano-dollar
to 100 USD, through the ledger that workers use. One job in twenty is ended by two processes at
once, of which the first has lost it to the second. Every 3 s a process is killed with SIGKILL
and another one takes its place; half-way the broker is, and starts anew from its append-only file.

The truth is in the manifests that the ledger holds of jobs that have ended. From them every sum is
made again: by hour, tenant, recipe and line, by owner and period, the totals, the batches. An
attempt that was lost is charged by the clock, so its line is held against the totals alone. Every
end that was accepted must be among them, but for those of the moment that the killed broker had
answered and not written yet (``undone``): their jobs were ended, and charged, again.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixfleet.config import keys
from pixfleet.config.contract import ImageJob
from pixfleet.config.prices import from_nano, load_prices, to_nano
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.results import Manifest, Receipt, StageUse
from pixfleet.producer.client import Producer, registration
from pixfleet.producer.connection import connect
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.machine import Machine
from pixfleet.workers.spend.meter import charges

if TYPE_CHECKING:
    from collections.abc import Mapping

TENANTS = ("shop", "press", "a", "b.c", "d_e-f", "T7", "0")
RECIPES = ("web", "archive", "no|such|recipe", "tiny", "Größe")
STAGES = ("fetch", "memo", "inspect", "decode", "features", "resize", "encode", "store")
REQUESTS = ("s3_get", "s3_put", "s3_list")
COUNTED = ("#images", "#saved_nano_usd", "#machine_nano")
LARGEST_NANO = 10**11
LEASE_S = 0.2
UNWRITTEN_S = 2.0
TODO, CONTENDED = "bench:todo", "bench:contended"
_PAGE = 500


def amount(chance: random.Random) -> int:
    """Nano-dollars; often one that a floating-point number is written short for, like 1e+11."""
    if chance.random() < 0.2:
        return chance.choice((1, LARGEST_NANO, 10 ** chance.randrange(12), 2 * 10**8))
    return chance.randrange(1, 10 ** chance.randrange(1, 12))


def random_receipt(chance: random.Random) -> Receipt:
    """A receipt whose lines sum to its cost, as a meter's do."""
    stages = tuple(
        StageUse(stage=name, cpu_s=chance.random(), wall_s=1, gb_s=0.1, cost_usd=from_nano(nano))
        for name in chance.sample(STAGES, chance.randrange(1, len(STAGES) + 1))
        for nano in (amount(chance),)
    )
    lines = {"cpu": sum((stage.cost_usd for stage in stages), Decimal(0))}
    for kind in chance.sample(REQUESTS, chance.randrange(len(REQUESTS) + 1)):
        lines[kind] = from_nano(amount(chance))
    return Receipt(
        stages=stages,
        cpu_s=sum(stage.cpu_s for stage in stages),
        lines_usd=lines,
        cost_usd=sum(lines.values(), Decimal(0)),
        saved_usd=from_nano(amount(chance)),
    )


class Ender:
    """One process that ends jobs until there are none."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._redis: Any = connect(url, for_ever=True)
        machine = Machine(load_prices("aws-us-east-1").rates(), 1)
        options: Any = {"lease_s": LEASE_S, "max_attempts": 50, "ttl_s": 86_400, "machine": machine}
        self._ledger = JobLedger(self._redis, QueueSettings(), None, **options)
        self._answers = folder / f"accepted-{os.getpid()}"

    def run(self) -> None:
        """End jobs."""
        while (number := self._redis.rpop(TODO)) is not None:
            if self._chance.random() < 0.3 and (other := self._redis.rpop(CONTENDED)):
                self._take_over(*other.decode().split(" "))
            chance = random.Random(int(number))
            job = ImageJob(
                source="/a.jpg",
                output="/out",
                tenant=chance.choice(TENANTS),
                recipe=chance.choice(RECIPES),
                batch=chance.choice((None, "one", "two")),
            )
            registered = registration(job, str(uuid.UUID(int=int(number))))
            self._ledger.register([registered])
            self._end(registered.id, job.tenant, str(job.recipe))

    def _end(self, job_id: str, tenant: str, recipe: str) -> None:
        claim = self._ledger.claim(job_id)
        if claim.outcome != "run":
            return
        if self._chance.random() < 0.05:
            self._redis.lpush(CONTENDED, f"{job_id} {tenant} {recipe}")
            time.sleep(LEASE_S * self._chance.uniform(0.5, 1.5))
        self._complete(job_id, tenant, recipe, claim.fence)

    def _take_over(self, job_id: str, tenant: str, recipe: str) -> None:
        while (claim := self._ledger.claim(job_id)).outcome == "busy":
            time.sleep(0.01)
        if claim.outcome == "run":
            self._complete(job_id, tenant, recipe, claim.fence)

    def _complete(self, job_id: str, tenant: str, recipe: str, fence: int) -> None:
        manifest = Manifest(
            job_id=job_id,
            source="/a.jpg",
            output="/out",
            recipe=recipe,
            tenant=tenant,
            status=self._chance.choice(("done", "partial", "failed")),
            attempts=1,
            worker=f"{os.getpid()}:{fence}:{self._chance.random()}",
            finished_at=dt.datetime.now(dt.UTC),
            receipt=random_receipt(self._chance),
        )
        if self._ledger.complete(manifest, fence).accepted:
            with self._answers.open("a") as file:
                file.write(f"{job_id} {manifest.worker} {time.time()}\n")


class Sums:
    """The sums that the manifests of ended jobs come to."""

    def __init__(self, redis: Any) -> None:
        self.lines: Counter[tuple[str, str, str, str]] = Counter()
        self.owners: Counter[tuple[str, str]] = Counter()
        self.totals: Counter[str] = Counter()
        self.batches: Counter[tuple[str, str]] = Counter()
        self.enders: dict[str, str] = {}
        self.unended: list[str] = []
        names = list(redis.scan_iter(f"{keys.JOB}*", 5_000))
        for place in range(0, len(names), _PAGE):
            pipe = redis.pipeline(transaction=False)
            for name in names[place : place + _PAGE]:
                pipe.hmget(name, "manifest", "ended_at", "batch")
            for name, row in zip(names[place : place + _PAGE], pipe.execute(), strict=True):
                if row[0]:
                    self._add(Manifest.model_validate_json(zlib.decompress(row[0])), *row[1:])
                else:
                    self.unended.append(name.decode().removeprefix(keys.JOB))

    def _add(self, manifest: Manifest, ended_at: bytes, batch: bytes | None) -> None:
        receipt, tenant, recipe = manifest.receipt, manifest.tenant, manifest.recipe
        ended = dt.datetime.fromtimestamp(float(ended_at), dt.UTC)
        self.enders[manifest.job_id] = manifest.worker
        cost, saved = to_nano(receipt.cost_usd), to_nano(receipt.saved_usd)
        sums = {"cost_nano_usd": cost, "saved_nano_usd": saved}
        sums["done" if manifest.status == "done" else "failed"] = 1
        self.totals.update(sums)
        if batch:
            self.batches.update({(batch.decode(), name): n for name, n in sums.items()})
        machine = to_nano(receipt.lines_usd["cpu"])
        counted = dict(zip(COUNTED, (1, saved, machine), strict=True))
        for line, nano in (charges(receipt) | counted).items():
            self.lines[f"{ended:%Y-%m-%dT%H}", tenant, recipe, line] += nano
        for period in periods(ended):
            for owner in ("fleet", f"tenant:{tenant}", f"recipe:{recipe}"):
                self.owners[period, owner] += cost
            self.owners[period, "idle"] -= machine


def periods(at: dt.datetime) -> tuple[str, ...]:
    """The names of the periods that a time is in."""
    monday = at - dt.timedelta(days=at.weekday())
    return (
        f"hour:{at:%Y-%m-%dT%H}",
        f"day:{at:%Y-%m-%d}",
        f"week:{monday:%Y-%m-%d}",
        f"month:{at:%Y-%m}",
        f"minute:{at:%Y-%m-%dT%H:%M}",
    )


def differences(url: str) -> list[str]:
    """Where what the ledger has summed is not what its manifests come to."""
    ledger = Producer(url).ledger
    redis: Any = ledger.redis
    true = Sums(redis)
    summed: Counter[tuple[str, str, str, str]] = Counter()
    rework: Counter[str] = Counter()
    for entry in SpendBook(ledger).entries():
        if entry.line == "rework":
            rework.update({"fleet": entry.amount, "idle": -entry.amount})
            rework.update({f"tenant:{entry.tenant}": entry.amount})
            rework.update({f"recipe:{entry.recipe}": entry.amount})
        elif entry.line in COUNTED or not entry.line.startswith("#"):
            summed[entry.bucket, entry.tenant, entry.recipe, entry.line] = entry.amount
    totals = {name.decode(): int(number) for name, number in redis.hgetall(keys.TOTALS).items()}
    true.totals["rework_nano_usd"] = rework["fleet"]
    batches = {at: int(redis.hget(keys.BATCH + at[0], at[1]) or 0) for at in true.batches}
    return [
        *(f"{job} has not ended" for job in true.unended),
        *_unlike("line", summed, true.lines),
        *_unlike("total", {name: totals.get(name, 0) for name in true.totals}, true.totals),
        *_unlike("batch", batches, true.batches),
        *_unlike("owner", *_owned(redis, true, rework)),
    ]


def _owned(redis: Any, true: Sums, rework: Counter[str]) -> tuple[Counter[Any], Counter[Any]]:
    """Sums of owners by kind of period, and what they should be.

    When an attempt was lost is not known, so these are compared over all of the run.
    """
    owned: Counter[Any] = Counter()
    expected: Counter[Any] = Counter()
    for kind in ("hour", "day", "week", "month", "minute"):
        for name in redis.scan_iter(f"{keys.OWNED}{kind}:*", 1_000):
            for owner, nano in redis.hgetall(name).items():
                owned[kind, owner.decode()] += int(nano)
        for (period, owner), nano in true.owners.items():
            expected[kind, owner] += nano if period.startswith(f"{kind}:") else 0
        for owner, nano in rework.items():
            expected[kind, owner] += nano
    return owned, expected


def _unlike(what: str, summed: Mapping[Any, int], true: Mapping[Any, int]) -> list[str]:
    return [
        f"{what} {where}: {summed.get(where, 0)} for {true.get(where, 0)}"
        for where in {*summed, *true}
        if summed.get(where, 0) != true.get(where, 0)
    ]


def spawn(url: str, folder: Path, seed: int) -> subprocess.Popen[bytes]:
    """Another process that ends jobs."""
    return subprocess.Popen([sys.executable, __file__, "--work", url, str(folder), str(seed)])


def run(receipts: int, processes: int, seed: int, kill_every_s: float = 3) -> dict[str, Any]:
    """End so many jobs while processes and the broker die, and compare; the answer is printed."""
    chance, began_s = random.Random(seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pf-") as name:
        folder = Path(name)
        broker = EmbeddedBroker(folder).start()
        client: Any = connect(broker.redis_url, for_ever=True)
        client.rpush(TODO, *range(1, receipts + 1))
        seeds = iter(range(seed * 10**6, (seed + 1) * 10**6))
        enders = [spawn(broker.redis_url, folder, next(seeds)) for _ in range(processes)]
        killed, restarts, restart_at = 0, 0, 0.0
        next_kill_s = time.monotonic() + kill_every_s
        while left := client.llen(TODO):
            time.sleep(0.05)
            if any(ender.poll() for ender in enders):
                raise SystemExit("a process failed; the reason is above")
            if time.monotonic() > next_kill_s:
                next_kill_s += kill_every_s
                place = chance.randrange(processes)
                enders[place].kill()
                killed += enders[place].wait() == -signal.SIGKILL
                enders[place] = spawn(broker.redis_url, folder, next(seeds))
            if left < receipts / 2 and not restarts:
                restarts, restart_at = 1, time.time()
                os.kill(broker.pid or 0, signal.SIGKILL)
                broker.stop()
                broker = EmbeddedBroker(folder).start()
        for ender in enders:
            ender.wait(60)
        # What the killed had in work, and what they had taken from the list and not registered.
        client.rpush(TODO, *range(1, receipts + 1))
        time.sleep(LEASE_S)
        spawn(broker.redis_url, folder, next(seeds)).wait(600)
        took_s = time.monotonic() - began_s
        wrong = differences(broker.url)
        true = Sums(client)
        accepted = [
            line.split(" ")
            for file in folder.glob("accepted-*")
            for line in file.read_text().splitlines()
        ]
        undone = [row for row in accepted if true.enders.get(row[0]) != row[1]]
        wrong += [
            f"{job}: ended by {by}"
            for job, by, at in undone
            if not -UNWRITTEN_S < float(at) - restart_at < UNWRITTEN_S
        ]
        fences = Counter(worker.split(":")[1] for worker in true.enders.values())
        answer = {
            "receipts": len(true.enders),
            "sums": len(true.lines),
            "usd": str(from_nano(true.totals["cost_nano_usd"])),
            "rework_usd": str(from_nano(int(client.hget(keys.TOTALS, "rework_nano_usd") or 0))),
            "taken over": sum(n for fence, n in fences.items() if fence != "1"),
            "killed": killed,
            "broker restarts": restarts,
            "undone": len(undone),
            "took_s": round(took_s, 1),
            "differences": wrong,
        }
        client.close()
        broker.stop()
    return answer


def main() -> int:
    """0: no sum differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--receipts", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        url, folder, seed = arguments.work
        with contextlib.suppress(KeyboardInterrupt):
            Ender(url, Path(folder), int(seed)).run()
        return 0
    answer = run(arguments.receipts, arguments.processes, arguments.seed)
    if arguments.json:
        print(json.dumps(answer))
    else:
        for name, value in answer.items():
            print(f"{name:16}{len(value) if name == 'differences' else value}")
        for line in answer["differences"][:20]:
            print(line)
    return 1 if answer["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
