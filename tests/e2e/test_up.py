"""``pixfleet up`` and ``pixfleet monitor``: a fleet that stays, and how it goes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.producer.connection import connect
from pixfleet.workers.embedded import EmbeddedBroker
from tests.brokers import free_port

from .conftest import PIXFLEET, command

if TYPE_CHECKING:
    from pathlib import Path

LONG = Recipe(
    name="long",
    variants=(VariantSpec(name="v", width=3000, enlarge=True, formats=("avif",)),),
    objective="smallest",
    features=(),
)


def fetch(url: str) -> tuple[int, str]:
    """Status and body; status 0 while nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def eventually(question, timeout_s: float = 40):
    """The first true answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
    return answer


def reachable_beyond_loopback(port: int) -> bool:
    """Does a listener of this port answer at any other address of this machine."""
    addresses = {
        (address.family, address.address)
        for nic in psutil.net_if_addrs().values()
        for address in nic
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    for family, address in addresses:
        with socket.socket(family) as probe:
            probe.settimeout(1)
            if probe.connect_ex((address, port)) == 0:
                return True
    return False


def belonging_to(state: Path) -> list[psutil.Process]:
    """Every process that was told this state folder, by environment, argument or folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = process.environ().get("PIXFLEET_STATE", "") == str(state)
            named = str(state) in " ".join(process.cmdline())
            if told or named or process.cwd() == str(state):
                found.append(process)
    return found


class Up:
    """A running ``pixfleet up``, its output and its addresses."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.state = state
        self.monitor = f"http://127.0.0.1:{(port := free_port())}"
        self.flower_port = free_port()
        self.flower = f"http://127.0.0.1:{self.flower_port}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PIXFLEET_")},
            "PIXFLEET_STATE": str(state),
            "PIXFLEET_MONITOR_PORT": str(port),
            "PIXFLEET_MONITOR_INTERVAL_S": "0.2",
            "PIXFLEET_MONITOR_FLOWER_PORT": str(self.flower_port),
            "PIXFLEET_CONCURRENCY": "2",
            **environment,
        }
        self.process = subprocess.Popen(
            [PIXFLEET, "up"],
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(self.process.stdout)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def wait_ready(self) -> None:
        eventually(lambda: self.metrics().get("pixfleet_workers"))

    def metrics(self) -> dict[str, float]:
        _, text = fetch(f"{self.monitor}/metrics")
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def end(self, number: signal.Signals) -> float:
        """Send the signal; the seconds until it is gone."""
        started_s = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        elapsed_s = time.monotonic() - started_s
        self._reader.join(5)
        return elapsed_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        for left in belonging_to(self.state):
            with contextlib.suppress(psutil.Error):
                left.kill()
        self._reader.join(5)
        self.process.stdout.close()


@pytest.fixture
def up(state):
    started: list[Up] = []

    def start(**environment: str) -> Up:
        started.append(Up(state, **environment))
        return started[-1]

    yield start
    for fleet in started:
        fleet.close()


def test_a_fleet_that_stays_is_found_watched_and_gone_after_ctrl_c(up, tmp_path, samples):
    fleet = up()
    fleet.wait_ready()

    assert fetch(f"{fleet.monitor}/healthz") == (200, "ok\n")
    assert eventually(lambda: fetch(fleet.flower)[0]) == 200
    assert "Fleet · pixfleet" in fetch(fleet.flower)[1]
    data = json.loads(fetch(f"{fleet.flower}/fleet/data")[1])["data"]
    assert [worker["state"] for worker in data["workers"]] == ["working"]
    assert not reachable_beyond_loopback(fleet.flower_port)
    sent = command(
        *("submit", samples / "chelsea.png", "--out", tmp_path / "out", "--recipe", "thumbnail"),
        state=fleet.state,
    )
    batch = sent.stdout.strip()
    waited = command("wait", batch, "--json", state=fleet.state)

    assert waited.returncode == 0, waited.stderr
    assert json.loads(waited.stdout)["done"] == 1
    eventually(lambda: fleet.metrics().get("pixfleet_images_done_total"))
    seen = fleet.metrics()
    assert seen["pixfleet_images_done_total"] == seen["pixfleet_variants_total"] == 1
    assert seen["pixfleet_workers"] == 1
    cost = json.loads((tmp_path / "out" / "manifest.jsonl").read_text())["receipt"]["cost_usd"]
    assert seen["pixfleet_spend_usd_total"] == pytest.approx(float(cost), abs=2e-9)

    assert len(belonging_to(fleet.state)) >= 6  # up, worker, two children, monitor, Flower, broker
    took_s = fleet.end(signal.SIGINT)

    assert fleet.process.returncode == 0, fleet.log
    assert took_s < 10
    assert not belonging_to(fleet.state)
    for noise in ("Traceback", "SecurityWarning", "cancel_long_running", "ERROR"):
        assert noise not in fleet.log


def test_a_busy_worker_gives_its_jobs_back_when_the_fleet_goes(up, tmp_path, samples):
    # No sweeper looks meanwhile, whose request to tidy up would lie on the same queue.
    fleet = up(PIXFLEET_WORKER_SOFT_SHUTDOWN_S="1", PIXFLEET_WORKER_SWEEP_INTERVAL_S="60")
    fleet.wait_ready()
    producer = Producer(EmbeddedBroker(fleet.state).url)
    handle = producer.submit(
        ImageJob(source=str(samples / "coffee.png"), output=str(tmp_path), recipe=LONG)
    )
    eventually(lambda: handle.status().state == "running")

    took_s = fleet.end(signal.SIGTERM)

    assert fleet.process.returncode == 0, fleet.log
    assert took_s < 12
    assert not belonging_to(fleet.state)
    with EmbeddedBroker(fleet.state) as broker, connect(broker.redis_url) as client:
        assert client.llen("encode") == 1, "before what has not begun"
        assert client.hlen("unacked") == 0


def test_a_killed_up_leaves_nothing_behind(up):
    fleet = up()
    fleet.wait_ready()

    fleet.process.kill()

    eventually(lambda: not belonging_to(fleet.state), timeout_s=20)


def test_a_port_that_is_taken_is_named_before_anything_starts(pixfleet, state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = pixfleet("up", PIXFLEET_MONITOR_PORT=port)

    assert done.returncode == 2
    assert f"PIXFLEET_MONITOR_PORT: 127.0.0.1:{port}" in done.stderr
    assert not belonging_to(state)


def test_a_process_that_dies_takes_the_fleet_down_with_exit_code_1(pixfleet, state, tmp_path):
    procfile = tmp_path / "Procfile"
    procfile.write_text("one: exec sleep 60\ntwo: sleep 0.3; echo broken; exit 7\n")

    done = pixfleet("up", "--procfile", procfile)

    assert done.returncode == 1
    assert "broken" in done.stdout
    assert "ended by itself" in done.stderr
    assert not belonging_to(state)


def test_the_monitor_says_503_while_the_broker_is_away_and_200_when_it_is_back(state):
    port = free_port()
    broker = EmbeddedBroker(state).start()
    monitor = subprocess.Popen(
        [PIXFLEET, "monitor", "--broker", broker.url],
        env={
            **os.environ,
            "PIXFLEET_MONITOR_PORT": str(port),
            "PIXFLEET_MONITOR_INTERVAL_S": "0.1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: fetch(f"{url}/healthz") == (200, "ok\n"))
        assert "pixfleet_queued_jobs" in fetch(f"{url}/metrics")[1]
        broker.stop()
        eventually(lambda: fetch(f"{url}/healthz")[0] == 503)
        assert "pixfleet_queued_jobs" not in fetch(f"{url}/metrics")[1]
        broker.start()
        eventually(lambda: fetch(f"{url}/healthz")[0] == 200)
    finally:
        monitor.terminate()
        monitor.wait(10)
        broker.stop()
