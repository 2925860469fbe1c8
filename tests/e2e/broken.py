"""A fleet whose workers' AVIF encoder and TIFF decoder break on pictures of certain widths."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess

BREAKING = Path(__file__).with_name("breaking")
HANGS_PX, DIES_PX, RUNS_OUT_PX, RAISES_PX = 97, 98, 99, 101


class BreakingFleet:
    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.producer = Producer(url)
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def breaking_fleet(**settings: str):
    state = Path(tempfile.mkdtemp(prefix="pf-broken-"))
    with EmbeddedBroker(state) as broker:
        worker = WorkerProcess(
            Producer(broker.url).ledger.redis,
            children=2,
            environment={
                "PYTHONPATH": str(BREAKING),
                "PIXFLEET_BROKER": broker.url,
                "PIXFLEET_STATE": str(state),
                "PIXFLEET_MEMO_LOCK_S": "1",
                **settings,
            },
            log=state / "worker.log",
        )
        with worker:
            worker.wait_ready()
            yield BreakingFleet(broker.url, state / "worker.log")
    shutil.rmtree(state, ignore_errors=True)
