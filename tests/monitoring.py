"""A real monitor process, and what it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.brokers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric


class Monitor:
    """``pixfleet monitor`` and its port."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while nobody listens."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def families(self) -> dict[str, Metric]:
        """One scrape, by the name of the metric."""
        text = self.get("/metrics")[1]
        return {family.name: family for family in text_string_to_metric_families(text)}

    def values(self) -> dict[tuple[str, ...], float]:
        """One scrape, by the sample's name and the values of its labels."""
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in self.families().values()
            for sample in family.samples
        }

    def until(self, condition: Callable[[dict[tuple[str, ...], float]], bool]) -> dict:
        """The first scrape of which it is true."""
        deadline = time.monotonic() + 30
        while not condition(values := self.values()):
            assert time.monotonic() < deadline, f"{values}\n{self.log}"
            time.sleep(0.05)
        return values


@contextmanager
def monitoring(broker: str, folder: Path, **environment: str) -> Iterator[Monitor]:
    """It runs, and has looked at the ledger."""
    port, log = free_port(), folder / "monitor.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("pixfleet"), "monitor", "--broker", broker],
            env={
                **os.environ,
                "PIXFLEET_MONITOR_PORT": str(port),
                "PIXFLEET_MONITOR_INTERVAL_S": "0.1",
                **environment,
            },
            stdout=file,
            stderr=file,
        )
    monitor = Monitor(port, log)
    try:
        monitor.until(lambda values: values.get(("pixfleet_ledger_up",)) == 1)
        yield monitor
    finally:
        process.kill()
        process.wait(10)
