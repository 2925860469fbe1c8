"""The monitor and the dashboard under a thousand workers and a million jobs' worth of history.

    python bench/monitor/load.py [--seconds 120] [--events 2400] [--workers 1000] [--json]

A real broker holds what such a fleet leaves there: workers, 10,000 failed jobs with manifests,
history in full rings, a month of sums for ten tenants with three recipes each. A process of its own
then sends events as so many workers do, heartbeats and three for each task, while the pages are
asked for once a second. Shown: memory, how long answers took, and how long after the last event the
dashboard had counted all of them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from celery.events.dispatcher import EventDispatcher
from prometheus_client.parser import text_string_to_metric_families

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.results import Failure, Manifest
from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.histogram import Histogram
from pixfleet.workers.monitor.history import RINGS, History
from pixfleet.workers.spend.budgets import BudgetBook

if TYPE_CHECKING:
    import redis

PAGES = (
    *("fleet", "fleet/data", "fleet/history?span=1h", "fleet/history?span=1d"),
    *(
        "fleet/history?span=1mo",
        "budget",
        "budget/data",
        "budget/history?span=1mo&by=tenant",
        "tasks",
    ),
)
JOBS, FAILED = 1_000_000, 10_000
STAGES = ("fetch", "inspect", "decode", "features", "resize", "encode", "memo", "store")


def fill_history(client: redis.Redis) -> None:
    """Rows for every step of every ring, of a fleet that has ended a million jobs."""
    now_s, history, base = time.time(), History(client), FleetReader(client).read()
    took = {
        name: Histogram(dict.fromkeys(range(10, 30), JOBS // 20), JOBS * 50_000)
        for name in ("job:wait", "job:work", "job:total", *(f"stage:{one}" for one in STAGES))
    }
    # The hours first: the last row of a step is the one that stays.
    for ring in reversed(RINGS):
        steps = min(ring.kept_s, 60 * 86_400) // ring.step_s
        for back in range(steps, 0, -1):
            done = JOBS - back
            totals = {"images": done, "done": done, "pixels": done * 10**6, "variants": 6 * done}
            at_s = now_s - back * ring.step_s
            history.record(replace(base, at_s=at_s, totals=totals, took=took))
    client.hset(keys.TOTALS, mapping={"images": JOBS, "done": JOBS - FAILED, "failed": FAILED})


def fill_failures(client: redis.Redis) -> None:
    """As many failed jobs as the ledger lists."""
    failure = Failure(
        code="image_corrupt", message="the file ends after 10 kB", hint="send it again"
    )
    pipe = client.pipeline(transaction=False)
    now_s = time.time()
    for number in range(FAILED):
        job_id = f"job-{number}"
        manifest = Manifest(
            job_id=job_id,
            source=f"s3://bucket/{number}.jpg",
            output="s3://bucket/out",
            recipe="web",
            tenant=f"tenant-{number % 10}",
            status="failed",
            failures=(failure,),
            finished_at=dt.datetime.now(dt.UTC),
        )
        fields: dict[Any, Any] = {
            "state": "failed",
            "tenant": manifest.tenant,
            "recipe": "web",
            "source": manifest.source,
            "queue": "bulk",
            "submitted_at": str(now_s - 100),
            "ended_at": str(now_s - number),
            "fence": "1",
            "manifest": zlib.compress(manifest.model_dump_json().encode()),
        }
        pipe.hset(keys.JOB + job_id, mapping=fields)
        pipe.zadd(keys.ENDED + "failed", {job_id: now_s - number})
        if number % 500 == 0:
            pipe.execute()
    pipe.execute()


def fill_spend(client: redis.Redis) -> None:
    """A month of hours: ten tenants, three recipes, twenty lines."""
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    for back in range(31 * 24):
        start = hour - dt.timedelta(hours=back)
        name = f"{start:%Y-%m-%dT%H}"
        sums: dict[Any, Any] = {"||capacity": 10**9, "||tree": 8 * 10**8}
        for tenant in range(10):
            for recipe in ("web", "thumbnail", "archive"):
                for line in (*STAGES, "s3_get", "s3_put", "#images", "#done", "#machine_nano"):
                    sums[f"tenant-{tenant}|{recipe}|{line}"] = random.randint(1, 10**6)
        pipe = client.pipeline(transaction=False)
        pipe.hset(keys.SPENT + name, mapping=sums)
        pipe.zadd(keys.SPENT_LIST, {name: start.timestamp()})
        pipe.hset(f"{keys.OWNED}hour:{name}", mapping={"fleet": 10**8, "idle": 10**7})
        pipe.execute()


def keep_alive(client: redis.Redis, workers: int, over: threading.Event) -> None:
    """The signs of life of so many workers."""
    while not over.wait(2):
        pipe = client.pipeline(transaction=False)
        for number in range(workers):
            name = f"worker-{number}@ip-10-0-0-{number}"
            pipe.zadd(keys.WORKERS, {name: time.time()})
            fields: dict[Any, Any] = {
                "state": "working" if number % 50 else "draining",
                "active": 2,
                "children": 2,
                "machine": "c7i.large spot",
                "hour_nano_usd": 35_000_000,
            }
            pipe.hset(keys.WORKER + name, mapping=fields)
        pipe.execute()


def send(broker: str, workers: int, per_s: int, seconds: float, sent: Any) -> None:
    """Events as workers send them: ``per_s`` of tasks, and a heartbeat every two seconds each."""
    os.environ["PIXFLEET_BROKER"] = broker
    from pixfleet.workers.app import app  # noqa: PLC0415 (reads its settings when imported)

    with app.connection() as connection:
        channel = connection.channel()
        crew = [
            EventDispatcher(
                connection,
                hostname=f"worker-{number}@ip-10-0-0-{number}",
                channel=channel,
                app=app,
                buffer_group={"task"},
                buffer_limit=24,
            )
            for number in range(workers)
        ]
        began_s, count, beats, tasks = time.monotonic(), 0, 0, 0
        while (passed_s := time.monotonic() - began_s) < seconds:
            while beats < passed_s * workers / 2:
                crew[beats % workers].send("worker-heartbeat", freq=2, active=2, processed=beats)
                beats += 1
            while count < passed_s * per_s:
                worker, task = crew[(tasks // 8) % workers], f"task-{tasks}"
                worker.send("task-received", uuid=task, name=TASK_PREPARE, args="()", kwargs="{}")
                worker.send("task-started", uuid=task)
                worker.send("task-succeeded", uuid=task, result="None", runtime=0.1)
                tasks += 1
                count += 3
            time.sleep(0.005)
        for worker in crew:
            worker.flush()
        sent.value = count


def ask(url: str) -> tuple[float, bytes]:
    """Seconds that an answer took, and the answer."""
    began_s = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:
        body = answer.read()
    return time.perf_counter() - began_s, body


def counted(url: str) -> float:
    """Events of tasks that the dashboard has counted; heartbeats it does not count."""
    _, body = ask(f"{url}/metrics")
    return sum(
        sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == "flower_events_total"
    )


def start(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *command], stdout=out, stderr=out, env=environment
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    return psutil.Process(process.pid).memory_info().rss / 1e6


def measure(workers: int, per_s: int, seconds: float) -> dict[str, Any]:
    """All figures."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pf-"))
        broker = stack.enter_context(EmbeddedBroker(Path(folder)))
        producer = Producer(broker.url)
        client = producer.ledger.redis
        for fill in (fill_history, fill_failures, fill_spend):
            fill(client)
        BudgetBook(producer.ledger).put(
            [Budget(owner="fleet", period="month", limit_usd=Decimal(1000))]
        )
        over = threading.Event()
        threading.Thread(target=keep_alive, args=(client, workers, over), daemon=True).start()
        stack.callback(over.set)
        ports = {"PIXFLEET_MONITOR_PORT": "19464", "PIXFLEET_MONITOR_FLOWER_PORT": "15555"}
        environment = {**os.environ, **ports, "PIXFLEET_BROKER": broker.url}
        monitor = start(
            ["pixfleet.producer.cli", "monitor"], environment, Path(folder) / "monitor.log"
        )
        stack.callback(stop, monitor)
        dashboard = start(
            ["celery", "--app=pixfleet.workers.app", "--quiet", "dashboard"],
            environment,
            Path(folder) / "dashboard.log",
        )
        stack.callback(stop, dashboard)
        url = "http://127.0.0.1:15555"
        for _ in range(150):
            try:
                ask(f"{url}/healthcheck")
                break
            except OSError:
                time.sleep(0.2)
        first = {page: ask(f"{url}/{page}")[0] for page in PAGES}
        context = multiprocessing.get_context("spawn")
        sent = context.Value("d", 0.0)
        sender = context.Process(target=send, args=(broker.url, workers, per_s, seconds, sent))
        sender.start()
        times: dict[str, list[float]] = {page: [] for page in PAGES}
        scrapes: list[float] = []
        while sender.is_alive():
            for page in PAGES:
                times[page].append(ask(f"{url}/{page}")[0])
            scrapes.append(ask("http://127.0.0.1:19464/metrics")[0])
            time.sleep(1)
        ended_s = time.monotonic()
        while counted(url) < sent.value and time.monotonic() - ended_s < 120:
            time.sleep(0.2)
        return {
            "workers": workers,
            "events_per_s": round(sent.value / seconds + workers / 2),
            "events": int(sent.value),
            "behind_s": round(time.monotonic() - ended_s, 1),
            "counted": int(counted(url)),
            "monitor_mb": round(resident_mb(monitor)),
            "dashboard_mb": round(resident_mb(dashboard)),
            "broker_mb": round(client.info("memory")["used_memory"] / 1e6),
            "scrape_ms": [
                round(1000 * statistics.median(scrapes), 1),
                round(1000 * max(scrapes), 1),
            ],
            "answers_ms": {
                page: [
                    round(1000 * first[page], 1),
                    round(1000 * statistics.median(took), 1),
                    round(1000 * statistics.quantiles(took, n=20)[-1], 1),
                ]
                for page, took in times.items()
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Monitor and dashboard under load.")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--events", type=int, default=2_400, help="of tasks, a second")
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.workers, asked.events, asked.seconds)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"{found['workers']:,} workers, {found['events_per_s']:,} events a second, heartbeats "
        f"included: all {found['events']:,} of tasks counted {found['behind_s']} s after the last"
    )
    print(
        f"memory: monitor {found['monitor_mb']} MB, dashboard {found['dashboard_mb']} MB, "
        f"broker {found['broker_mb']} MB; /metrics of the monitor: median "
        f"{found['scrape_ms'][0]} ms, most {found['scrape_ms'][1]} ms"
    )
    print("| page | first, idle, ms | median under load, ms | 95th percentile |")
    print("|---|---|---|---|")
    for page, row in found["answers_ms"].items():
        print(f"| /{page} | {row[0]} | {row[1]} | {row[2]} |")


if __name__ == "__main__":
    main()
