"""What one worker process holds: settings, stores, memo, ledger, prices. Built after the fork."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixfleet.config import keys
from pixfleet.config.prices import PriceBook, load_prices
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.connection import connect
from pixfleet.producer.sqs import post_of

from .fleet.jobs import JobLedger
from .fleet.large import LargeLane
from .fleet.trials import Trials
from .memo.memo import Memo
from .spend.effort_book import EffortBook
from .spend.machine import Machine, this_machine
from .spend.meter import Meter
from .storage.blobs import BlobStore
from .storage.objects import ObjectStore
from .storage.places import open_output

if TYPE_CHECKING:
    from pixfleet.config.contract import ImageJob


@dataclass(frozen=True, slots=True)
class Runtime:
    """One process's connections; everything a step needs and nothing global."""

    settings: Settings
    ledger: JobLedger
    large: LargeLane
    store: ObjectStore
    """work files of jobs in flight"""
    memo: Memo
    prices: PriceBook
    machine: Machine
    efforts: EffortBook

    def meter(self, worker: str = "") -> Meter:
        """A fresh meter for one step of one job; from now on it hears of the store's requests.

        ``worker``: written to its spans, where it is not the manifest's.
        """
        meter = Meter(self.prices, self.machine.rates, worker)
        self.store.on_request = meter.request
        return meter

    def trials(self, job_id: str) -> Trials:
        """The record of one step's encodings."""
        return Trials(self.ledger.redis, job_id, self.settings.worker)

    def output(self, job: ImageJob, meter: Meter) -> ObjectStore:
        """Where the job's variants go; its billed requests are counted on the meter.

        Raises:
            OutputError: no job may write there.
        """
        output = open_output(job.output, self.settings.outputs.allowed)
        output.on_request = meter.request
        return output


def store_url(settings: Settings) -> str:
    """Where blobs and work files live: the setting's, or a folder of the state."""
    return settings.store.url or str(state_dir() / "store")


def build_runtime(settings: Settings) -> Runtime:
    """Connect to everything the settings name."""
    # Whoever holds a job waits for its ledger: work that is done is not thrown away.
    client = connect(settings.ledger_url, for_ever=True)
    store = ObjectStore(store_url(settings))
    memo = settings.memo
    prices = load_prices(settings.money.book)
    machine = this_machine(settings, prices, settings.worker.children)
    ledger = JobLedger(
        client,
        settings.queue,
        post_of(settings),
        lease_s=settings.worker.lease_s,
        max_attempts=settings.worker.max_attempts,
        ttl_s=settings.result.ttl_s,
        machine=machine,
    )
    return Runtime(
        settings=settings,
        ledger=ledger,
        large=LargeLane(client, ledger.scripts, wait_s=settings.worker.large_wait_s),
        store=store,
        memo=Memo(
            client,
            BlobStore(store),
            max_bytes=memo.max_bytes,
            max_age_s=int(memo.max_age_days * 86_400),
            lock_s=memo.lock_s,
            namespace=keys.MEMO,
        ),
        prices=prices,
        machine=machine,
        efforts=EffortBook(client),
    )


@functools.cache
def runtime() -> Runtime:
    """This process's runtime, built at its first use: in a prefork child, after the fork."""
    return build_runtime(Settings.load())
