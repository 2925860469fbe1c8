"""A price book with today's prices: what AWS tells replaces what the book had."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.prices import UNITS, PriceBook

from .price_list import AwsUnavailableError, NoSuchPriceError, PriceList, Wanted, spot_quotes
from .price_rows import name_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from .price_list import Quote

Path = tuple[str, ...]
_LISTED_TERMS: Final = ("on_demand", "reserved_1y")

_S3_READ: Final = Wanted("AmazonS3", "Requests-Tier2", "Requests", {"group": "S3-API-Tier2"})
_S3_WRITE: Final = Wanted("AmazonS3", "Requests-Tier1", "Requests", {"group": "S3-API-Tier1"})
_SECOND: Final = "Lambda-GB-Second"
_BY_USE: Final[dict[Path, Wanted]] = {
    ("requests", "s3_get"): _S3_READ,
    ("requests", "s3_head"): _S3_READ,
    ("requests", "s3_put"): _S3_WRITE,
    ("requests", "s3_list"): _S3_WRITE,
    ("requests", "sqs_request"): Wanted(
        "AWSQueueService", "Requests-(?:RBP|Tier1)", "Requests", {"queueType": "Standard"}
    ),
    ("requests", "cloudwatch_request"): Wanted("AmazonCloudWatch", "CW:Requests", "Requests"),
    ("services", "cloudwatch_metric_month"): Wanted(
        "AmazonCloudWatch", "CW:MetricMonitorUsage", "Metrics"
    ),
    ("storage_gb_month",): Wanted(
        "AmazonS3", "TimedStorage-ByteHrs", "GB-Mo", {"volumeType": "Standard"}
    ),
    ("egress_gb",): Wanted(
        "AWSDataTransfer",
        "DataTransfer-Out-Bytes",
        "GB",
        {"transferType": "AWS Outbound"},
        region="fromRegionCode",
    ),
    ("serverless", "lambda-x86", "memory"): Wanted("AWSLambda", _SECOND, _SECOND),
    ("serverless", "lambda-x86", "request"): Wanted("AWSLambda", "Request", "Requests"),
    ("serverless", "lambda-arm", "memory"): Wanted("AWSLambda", f"{_SECOND}-ARM", _SECOND),
    ("serverless", "lambda-arm", "request"): Wanted("AWSLambda", "Request-ARM", "Requests"),
    ("serverless", "fargate-x86", "vcpu"): Wanted(
        "AmazonECS", "Fargate-vCPU-Hours:perCPU", "hours"
    ),
    ("serverless", "fargate-x86", "memory"): Wanted("AmazonECS", "Fargate-GB-Hours", "hours"),
    ("serverless", "fargate-arm", "vcpu"): Wanted(
        "AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU", "hours"
    ),
    ("serverless", "fargate-arm", "memory"): Wanted("AmazonECS", "Fargate-ARM-GB-Hours", "hours"),
}
"""Where the prices of a book are in the price list; the machines' are asked for by name."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of it.

    Attributes:
        book: the new one.
        fresh: names of the prices that AWS told.
        kept: names of those that stay as they were, and why.
        missing: machines that were asked for and are not in the book, and why.
    """

    book: PriceBook
    fresh: list[str]
    kept: dict[str, str]
    missing: dict[str, str]


def region_of(book: PriceBook) -> str:
    """The region whose prices an AWS book has; empty: it is not one of AWS's."""
    return book.name.removeprefix("aws-") if book.name.startswith("aws-") else ""


def refresh(
    base: PriceBook,
    region: str,
    machines: Iterable[str],
    today: dt.date,
    show: Callable[[str], None],
) -> Refreshed:
    """The book of a region as AWS tells it today, beginning with ``base``.

    What AWS does not tell keeps its price, date and source. ``show`` hears what is asked.

    Raises:
        AwsUnavailableError: AWS told nothing at all; says why.
    """
    asked = _Asked(base, region, show)
    asked.all(list(dict.fromkeys(machines)))
    if not asked.quotes:
        raise AwsUnavailableError("\n".join(asked.away) or "AWS has none of these prices")
    plain = json.loads(base.model_dump_json(exclude_none=True))
    plain.update(name=f"aws-{region}", date=today.isoformat())
    if region_of(base) != region:
        for path, price in base.prices():
            _put(plain, path, {"source": f"{price.source}; of {base.name}"})
    for name, size in asked.sizes.items():
        plain["instances"][name] = plain["instances"].get(name, {}) | size
    for path, quote in asked.quotes.items():
        unit = asked.unit(path)
        usd = f"{(quote.usd * UNITS[unit]).normalize():f}"
        told = {"usd": usd, "unit": unit, "date": today.isoformat(), "source": quote.source}
        _put(plain, path, told)
    book = PriceBook.model_validate(plain)
    return Refreshed(
        book,
        fresh=[name_of(path) for path, _ in book.prices() if path in asked.quotes],
        kept={
            name_of(path): asked.why.get(path, "not asked for")
            for path, _ in book.prices()
            if path not in asked.quotes
        },
        missing={
            name: asked.why[("instances", name, "on_demand")]
            for name in asked.machines
            if name not in book.instances
        },
    )


class _Asked:
    """AWS's answers by their place in the book."""

    def __init__(self, base: PriceBook, region: str, show: Callable[[str], None]) -> None:
        self._base, self._region, self._show = base, region, show
        self._units = {path: price.unit for path, price in base.prices()}
        self.machines: list[str] = []
        self.quotes: dict[Path, Quote] = {}
        self.sizes: dict[str, dict[str, Any]] = {}
        self.why: dict[Path, str] = {}
        self.away: list[str] = []

    def unit(self, path: Path) -> str:
        """The unit that the book has a price in."""
        return self._units.get(path, "hour")

    def all(self, machines: list[str]) -> None:
        """Ask for these machines, and for what is billed by use."""
        self.machines = machines
        by_use = [path for path in _BY_USE if path in self._units]
        listed = [("instances", name, terms) for name in machines for terms in _LISTED_TERMS]
        try:
            prices = PriceList(self._region)
            for name in machines:
                self._show(name)
                self._machine(prices, name)
            for path in by_use:
                self._show(name_of(path))
                self._by_use(prices, path)
        except AwsUnavailableError as error:
            self.away.append(str(error))
            for path in (*listed, *by_use):
                if path not in self.quotes:
                    self.why.setdefault(path, str(error))
        known = [name for name in machines if name in self.sizes]  # EC2 refuses all for an unknown
        if self.away:
            known = [name for name in machines if name in self._base.instances]
        if known:
            self._show("spot")
            self._spot(known)

    def _machine(self, prices: PriceList, name: str) -> None:
        places = [("instances", name, terms) for terms in _LISTED_TERMS]
        try:
            found = prices.machine(name)
        except NoSuchPriceError as error:
            self.why.update(dict.fromkeys(places, str(error)))
            return
        self.sizes[name] = {"vcpus": found.vcpus, "memory_gb": found.memory_gb}
        for path, quote in zip(places, (found.on_demand, found.reserved_1y), strict=True):
            if quote:
                self.quotes[path] = quote
            else:
                self.why[path] = "not offered on these terms"

    def _by_use(self, prices: PriceList, path: Path) -> None:
        try:
            self.quotes[path] = prices.quote(_BY_USE[path])
        except NoSuchPriceError as error:
            self.why[path] = str(error)

    def _spot(self, names: list[str]) -> None:
        why = "no spot price in any zone"
        quotes: dict[str, Quote] = {}
        try:
            quotes = spot_quotes(self._region, names)
        except (AwsUnavailableError, NoSuchPriceError) as error:
            why = str(error)
            self.away.append(why)
        for name in names:
            path = ("instances", name, "spot")
            if name in quotes:
                self.quotes[path] = quotes[name]
            else:
                self.why[path] = why


def _put(plain: dict[str, Any], path: Path, values: dict[str, Any]) -> None:
    table = plain
    for name in path:
        table = table.setdefault(name, {})
    table.update(values)
