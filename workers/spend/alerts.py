"""Telling every channel what has happened to budgets: at least once, one message at a time.

An event stays in the ledger, in a list of each channel, until that channel was told, so a killed
process loses none: the next one tells it, if need be a second time, under the same id. A channel
that fails is tried again after doubling pauses, and an event is given up after an hour. Each
channel has a thread of its own while it is told, so one that hangs keeps no other waiting.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from pixfleet.config import keys
from pixfleet.producer.backoff import JitteredBackoff
from pixfleet.producer.connection import LedgerUnavailableError, answering, connect
from pixfleet.producer.ledger import Ledger

from .alert_log import AlertLog, Told, Trouble
from .channels import Channel, ChannelError, channels_of
from .event import BudgetEvent
from .outlook import ForecastWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

    from pixfleet.config.settings import Settings

_MOST: Final = 20
"""Events in one message."""
_TAKEN: Final = 200
_KEPT_S: Final = 86_400
_GIVEN_UP_S: Final = 3_600
_TOLD_KEPT: Final = 400
"""Rows: the last 100 events where there are four channels."""
_FORECAST_S: Final = 60.0
_FORECAST_SHARE: Final = 0.01
"""Of a core, at most: a forecast takes some 7 ms, and there may be thousands of budgets."""
_PAUSES: Final = JitteredBackoff(2, 300)
_log = structlog.get_logger(__name__)


class Teller:
    """One process's part: it tells while it is the one that sweeps.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, client: redis.Redis, ledger: Ledger, channels: list[Channel]) -> None:
        self._redis: Any = client
        self._scripts = ledger.scripts
        self._take = self._scripts.load("pixfleet.workers.spend", "take_alerts")
        self._log = AlertLog(client)
        self._channels = channels
        self._threads: dict[str, threading.Thread] = {}

    def look(self) -> None:
        """Take what has happened, and begin to tell each channel that is free and in no pause."""
        names = [channel.name for channel in self._channels]
        waiting = self._scripts.ask(self._take, _TAKEN, _KEPT_S, *names)
        troubles = self._log.troubles()
        for channel, count in zip(self._channels, waiting, strict=True):
            busy = self._threads.get(channel.name)
            trouble = troubles.get(channel.name)
            paused = trouble is not None and time.time() < trouble.again_at
            if count and not paused and not (busy and busy.is_alive()):
                thread = threading.Thread(
                    target=self._tell, args=(channel, trouble), name=channel.name, daemon=True
                )
                self._threads[channel.name] = thread
                thread.start()

    def _tell(self, channel: Channel, trouble: Trouble | None) -> None:
        try:
            self._deliver(channel, trouble)
        except LedgerUnavailableError as error:
            _log.warning("alerts.blind", channel=channel.name, error=str(error))

    def _deliver(self, channel: Channel, trouble: Trouble | None) -> None:
        list_ = keys.ALERTS_FOR + channel.name
        with answering(self._redis):
            rows = {row: _read(row) for row in self._redis.lrange(list_, 0, _MOST - 1)}
        events = {row: event for row, event in rows.items() if event}
        try:
            if events:
                channel.tell(list(events.values()))
        except ChannelError as error:
            self._put_off(channel, error, trouble, events)
        except Exception as error:  # noqa: BLE001 (a fault of ours must not end what tells)
            _log.exception("alerts.failed", channel=channel.name)
            fault = ChannelError(f"{type(error).__name__} in pixfleet itself", "see its log")
            self._put_off(channel, fault, trouble, events)
        else:
            with answering(self._redis):
                pipe = self._redis.pipeline()
                _settle(pipe, channel, rows, "delivered")
                pipe.hdel(keys.ALERTS_TROUBLE, channel.name)
                pipe.execute()

    def _put_off(
        self,
        channel: Channel,
        error: ChannelError,
        before: Trouble | None,
        events: dict[bytes, BudgetEvent],
    ) -> None:
        """Try again later; what was tried for an hour is given up."""
        now = time.time()
        tries = before.tries + 1 if before else 1
        pause_s = max(_PAUSES.compute(tries), error.wait_s)
        trouble = Trouble(
            tries, before.since if before else now, now + pause_s, error.problem, error.mend
        )
        late = {row: event for row, event in events.items() if now - _taken(row) > _GIVEN_UP_S}
        said: dict[str, Any] = {"channel": channel.name, "problem": error.problem}
        _log.warning("alerts.put_off", **said, mend=error.mend, again_in_s=round(pause_s))
        with answering(self._redis):
            pipe = self._redis.pipeline()
            pipe.hset(keys.ALERTS_TROUBLE, channel.name, json.dumps(asdict(trouble)))
            _settle(pipe, channel, late, "given_up", error.problem)
            pipe.execute()
        for event in late.values():
            _log.error("alerts.given_up", **said, event_id=event.id, text=event.text)


class AlertingThread(threading.Thread):
    """Tells of budgets, and looks ahead, until it is told to stop; beside the sweeper's thread.

    Only the process that sweeps does so, and ``name`` is the one it sweeps under.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        super().__init__(name="alerts", daemon=True)
        self._settings = settings
        self._own = name.encode()
        self._redis = connect(settings.ledger_url)
        self._over = threading.Event()
        self._teller: Teller | None = None
        self._watch: ForecastWatch | None = None
        self._forecast_at = 0.0

    def run(self) -> None:
        """Look at every interval of the sweeper."""
        while not self._over.wait(self._settings.worker.sweep_interval_s):
            try:
                self._look()
            except ConnectionError as error:
                _log.warning("alerts.blind", error=str(error))
            except Exception:  # noqa: BLE001 (the next look may succeed)
                _log.exception("alerts.failed")

    def stop(self) -> None:
        """Begin to tell nothing more; what was begun is told again by the next one."""
        self._over.set()

    def _look(self) -> None:
        with answering(self._redis):
            elected = self._redis.get(keys.SWEEPER) == self._own
        if not elected:
            return
        if self._teller is None or self._watch is None:
            ledger = Ledger(self._redis, self._settings.queue, None)
            self._teller = Teller(self._redis, ledger, channels_of(self._settings.alerts))
            self._watch = ForecastWatch(ledger)
        self._teller.look()
        if time.monotonic() > self._forecast_at:
            began = time.monotonic()
            self._watch.look()
            took_s = time.monotonic() - began
            self._forecast_at = began + max(_FORECAST_S, took_s / _FORECAST_SHARE)


def _settle(
    pipe: Any,
    channel: Channel,
    rows: Mapping[bytes, BudgetEvent | None],
    outcome: Literal["delivered", "given_up"],
    problem: str = "",
) -> None:
    for row, event in rows.items():
        pipe.lrem(keys.ALERTS_FOR + channel.name, 1, row)
        if event:
            told = Told(event.id, channel.name, time.time(), outcome, problem, event.text)
            pipe.lpush(keys.ALERTS_TOLD, json.dumps(asdict(told)))
    pipe.ltrim(keys.ALERTS_TOLD, 0, _TOLD_KEPT - 1)


def _taken(row: bytes) -> float:
    return float(row.partition(b" ")[0])


def _read(row: bytes) -> BudgetEvent | None:
    """None: it is no event; it is dropped, or it would keep all others waiting."""
    try:
        return BudgetEvent.model_validate_json(row.partition(b" ")[2])
    except ValueError:
        _log.error("alerts.unreadable", row=row[:200])
        return None
