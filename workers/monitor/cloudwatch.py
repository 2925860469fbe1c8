"""The fleet in CloudWatch: one request a minute, whose cost is on the fleet's own bill.

Region, endpoint and credentials come from AWS's own environment.
"""

from __future__ import annotations

import calendar
import datetime as dt
import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from pixfleet.config.budgets import FLEET
from pixfleet.config.prices import PriceError, load_prices, to_nano
from pixfleet.config.queues import HOMES
from pixfleet.config.settings import SettingsError
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.scripts import Scripts
from pixfleet.workers.spend.aws_channels import answering_aws, aws_client
from pixfleet.workers.spend.channels import ChannelError

from .histogram import LAST, Histogram, bound_s
from .rates import rates

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings

    from .metrics import FleetMetrics
    from .rates import Rates
    from .snapshot import Snapshot

_TIMEOUT_S: Final = 10
_FIRST_S: Final = 1.0
"""Between two looks for a reading that is one of now."""
_REQUEST: Final = "cloudwatch_request"
_METRIC: Final = "cloudwatch_metric"
_METRIC_MONTH: Final = "cloudwatch_metric_month"
_log = structlog.get_logger(__name__)


def metric_data(snapshot: Snapshot, moved: Rates | None, fleet: str) -> list[dict[str, Any]]:
    """What PutMetricData is told; ``moved`` since the last time, None where that is not known.

    No counts, but rates and gauges: two monitors may tell the same and nothing becomes double.
    """
    reading, data = snapshot.reading, list[dict[str, Any]]()

    def tell(name: str, unit: str, value: float, **names: str) -> None:
        data.append(_datum(name, unit, fleet, names) | {"Value": float(value)})

    for queue in HOMES:
        tell("QueuedJobs", "Count", reading.queued.get(queue, 0), Queue=queue)
        tell("OldestJobAge", "Seconds", reading.oldest_s.get(queue, 0), Queue=queue)
    tell("HeldJobs", "Count", reading.held)
    tell("RunningJobs", "Count", reading.running)
    tell("Workers", "Count", reading.workers)
    for standing in snapshot.standings:
        if standing.budget.owner == FLEET:
            tell("BudgetUsed", "Percent", 100 * standing.share, Period=standing.budget.period)
    if moved:
        tell("ImagesPerSecond", "Count/Second", moved.images_per_s)
        tell("FailuresPerSecond", "Count/Second", moved.failed_per_s)
        tell("SpendUSDPerHour", "None", float(moved.usd_per_hour))
        took = moved.took.get("job:total", Histogram())
        if took.count:
            counts = sorted((bucket, count) for bucket, count in took.counts.items() if count)
            data.append(
                _datum("JobTime", "Seconds", fleet, {})
                | {
                    "Values": [_middle_s(bucket) for bucket, _ in counts],
                    "Counts": [float(count) for _, count in counts],
                }
            )
    return data


class CloudWatchThread(threading.Thread):
    """Tells it what the monitor sees; one that is away hurts nobody.

    Raises:
        SettingsError: the price book has no price for it.
    """

    def __init__(self, settings: Settings, metrics: FleetMetrics) -> None:
        super().__init__(name="cloudwatch", daemon=True)
        place = settings.monitor
        self._namespace, self._fleet = place.cloudwatch_namespace, place.cloudwatch_fleet
        self._interval_s = place.cloudwatch_interval_s
        self._metrics = metrics
        self._bill = _Bill(settings)
        self._client: Any = None
        self._told: Snapshot | None = None
        self._trouble = ""

    def run(self) -> None:
        """Tell at every interval, for as long as the process is there."""
        pause = threading.Event()
        while True:
            snapshot = self._metrics.current
            if snapshot:
                self._try(snapshot)
            pause.wait(self._interval_s if snapshot else min(_FIRST_S, self._interval_s))

    def _try(self, snapshot: Snapshot) -> None:
        try:
            self._tell(snapshot)
        except ChannelError as error:
            if error.problem != self._trouble:
                _log.warning("cloudwatch.away", reason=error.problem, mend=error.mend)
            self._trouble = error.problem
        except Exception:  # noqa: BLE001 (the monitor has other duties)
            _log.exception("cloudwatch.failed")

    def _tell(self, snapshot: Snapshot) -> None:
        moved = rates(self._told.reading, snapshot.reading) if self._told else None
        data = metric_data(snapshot, moved, self._fleet)
        with answering_aws("CloudWatch", self._namespace):
            self._client = self._client or aws_client("cloudwatch", _TIMEOUT_S)
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
        if self._trouble or self._told is None:
            _log.info("cloudwatch.told", namespace=self._namespace, metrics=len(data))
        self._told, self._trouble = snapshot, ""
        self._bill.charge(data, snapshot.reading.at_s)


class _Bill:
    """What it costs: a request each time, and an hour of each metric that was told in it."""

    def __init__(self, settings: Settings) -> None:
        try:
            book = load_prices(settings.money.book)
            self._request_usd = book.request_usd(_REQUEST)
        except PriceError as error:
            raise SettingsError(f"PIXFLEET_PRICES_BOOK: {error}") from None
        if _METRIC_MONTH not in book.services:
            raise SettingsError(
                f"PIXFLEET_PRICES_BOOK: price book {book.name} has no price for a metric of "
                f"CloudWatch; add a table [services.{_METRIC_MONTH}]"
            )
        self._month_usd = book.services[_METRIC_MONTH].each_usd
        self._scripts = Scripts(connect(settings.ledger_url), settings.queue, None)
        self._account = self._scripts.load("pixfleet.producer", "account")
        place = settings.monitor
        self._place = f"cloudwatch:{place.cloudwatch_namespace}:{place.cloudwatch_fleet}"
        self._process = f"cloudwatch:{uuid.uuid4().hex}"
        self._requests = 0
        self._hour: dt.datetime | None = None
        self._metrics: set[str] = set()

    def charge(self, data: list[dict[str, Any]], at_s: float) -> None:
        """Have the fleet charged; a ledger that is away hears it the next time.

        The metrics of an hour are an account of their own, under a name that every monitor of the
        fleet gives it: AWS bills a metric once, whoever tells it and however often.
        """
        self._requests += 1
        hour = dt.datetime.fromtimestamp(at_s, dt.UTC).replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._metrics = hour, set()
        self._metrics |= {f"{datum['MetricName']} {datum['Dimensions']}" for datum in data}
        hours = 24 * calendar.monthrange(hour.year, hour.month)[1]
        metrics_nano = to_nano(self._month_usd * len(self._metrics) / hours)
        requests_nano = to_nano(self._request_usd * self._requests)
        with suppress(LedgerUnavailableError):
            self._scripts.ask(self._account, self._process, _REQUEST, requests_nano)
            self._scripts.ask(
                self._account, f"{self._place}:{hour:%Y-%m-%dT%H}", _METRIC, metrics_nano
            )


def _datum(name: str, unit: str, fleet: str, names: dict[str, str]) -> dict[str, Any]:
    dimensions = {"Fleet": fleet, **names}
    return {
        "MetricName": name,
        "Unit": unit,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }


def _middle_s(bucket: int) -> float:
    """The time that stands for all of a bucket: its middle by the logarithm."""
    return bound_s(LAST) if bucket >= LAST else round(bound_s(bucket) / 2**0.25, 6)
