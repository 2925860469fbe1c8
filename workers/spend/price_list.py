"""Prices as AWS tells them: its price list, and what spot machines cost now.

Source: AWS Price List Query API (GetProducts) and EC2 (DescribeSpotPriceHistory). What they answer
is checked before it is believed: an answer that leaves a choice is none.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import statistics
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pixfleet.producer.aws import explained

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_HOME: Final = "us-east-1"
"""Where the price list of all regions is served."""
_RIGHTS: Final = "docs/money.md names the rights that `pixfleet prices refresh` needs"
_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=25, retries={"mode": "standard", "total_max_attempts": 3}
)
_LINUX: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}
_RESERVED: Final = {
    "LeaseContractLength": "1yr",
    "PurchaseOption": "No Upfront",
    "OfferingClass": "standard",
}


class AwsUnavailableError(RuntimeError):
    """AWS does not tell prices here: no credentials, no right, no network; says how to mend it."""


class NoSuchPriceError(RuntimeError):
    """AWS has no such price, or several that it could be."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as it was told: USD for a single one, and who said so."""

    usd: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of machine as the price list has it; quotes are for an hour."""

    vcpus: int
    memory_gb: float
    on_demand: Quote
    reserved_1y: Quote | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One product of the price list that is billed by use.

    Attributes:
        service: its code, as the price list has it.
        usage: regular expression of its usage type, without the region's prefix.
        unit: of its price, as the price list writes it.
        attributes: that it has.
        region: name of the attribute that holds its region.
    """

    service: str
    usage: str
    unit: str
    attributes: dict[str, str] = field(default_factory=dict)
    region: str = "regionCode"


class PriceList:
    """The price list of one region; every question is asked once.

    Methods raise:
        AwsUnavailableError: the price list cannot be asked.
        NoSuchPriceError: it has no such price.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._known: dict[str, list[dict[str, Any]]] = {}
        with _answering("pricing"):
            self._client: Any = boto3.Session().client("pricing", region_name=_HOME, config=_CONFIG)

    def machine(self, name: str) -> Listing:
        """A kind of EC2 machine with Linux on it."""
        found = self._products(
            "AmazonEC2", {"instanceType": name, "regionCode": self._region, **_LINUX}
        )
        found = [one for one in found if _usage(one, f"BoxUsage:{re.escape(name)}")]
        if len(found) != 1:
            raise NoSuchPriceError(_choice(len(found), "machine"))
        (product,) = found
        attributes = product["product"]["attributes"]
        try:
            vcpus = int(attributes["vcpu"])
            memory_gb = float(attributes["memory"].removesuffix(" GiB").replace(",", ""))
        except (KeyError, ValueError):
            vcpus, memory_gb = 0, 0.0
        if vcpus < 1 or not 0 < memory_gb < math.inf:
            raise NoSuchPriceError("AWS tells no size that makes sense")
        hourly = _first_tier(_terms(product, "OnDemand", {}), "Hrs")
        reserved = _terms(product, "Reserved", _RESERVED)
        return Listing(
            vcpus,
            memory_gb,
            Quote(hourly, _source(product)),
            Quote(_first_tier(reserved, "Hrs"), _source(product)) if reserved else None,
        )

    def quote(self, wanted: Wanted) -> Quote:
        """A price by use: of the first tier that costs something."""
        filters = {wanted.region: self._region, **wanted.attributes}
        found = [
            one for one in self._products(wanted.service, filters) if _usage(one, wanted.usage)
        ]
        prices = {_first_tier(_terms(one, "OnDemand", {}), wanted.unit): one for one in found}
        if len(prices) != 1:
            raise NoSuchPriceError(_choice(len(prices), "price"))
        ((usd, product),) = prices.items()
        return Quote(usd, _source(product))

    def _products(self, service: str, attributes: dict[str, str]) -> list[dict[str, Any]]:
        filters = [
            {"Type": "TERM_MATCH", "Field": name, "Value": value}
            for name, value in sorted(attributes.items())
        ]
        question = json.dumps([service, filters])
        if question not in self._known:
            with _answering("pricing"):
                pages = self._client.get_paginator("get_products").paginate(
                    ServiceCode=service, Filters=filters, FormatVersion="aws_v1"
                )
                told = [text for page in pages for text in page["PriceList"]]
            try:
                self._known[question] = [json.loads(text) for text in told]
            except ValueError:
                raise NoSuchPriceError(f"{service} answers with something else than JSON") from None
        return self._known[question]


def spot_quotes(region: str, names: Sequence[str]) -> dict[str, Quote]:
    """What these kinds of machine cost an hour on spot now: the median of the region's zones.

    Raises:
        AwsUnavailableError: EC2 cannot be asked.
    """
    newest: dict[tuple[str, str], tuple[dt.datetime, Decimal]] = {}
    with _answering("EC2"):
        client: Any = boto3.Session().client("ec2", region_name=region, config=_CONFIG)
        pages = client.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=list(names),
            ProductDescriptions=["Linux/UNIX"],
            StartTime=dt.datetime.now(dt.UTC),  # which gives each zone's price of now
        )
        rows = [row for page in pages for row in page["SpotPriceHistory"]]
    zone = re.compile(re.escape(region) + "[a-z]")  # no Local Zones: they have prices of their own
    for row in rows:
        if not zone.fullmatch(row["AvailabilityZone"]):
            continue
        place = row["InstanceType"], row["AvailabilityZone"]
        told = row["Timestamp"], _usd(row["SpotPrice"])
        if told[1] > 0 and (place not in newest or told[0] > newest[place][0]):
            newest[place] = told
    quotes: dict[str, Quote] = {}
    for name in names:
        prices = sorted(usd for (kind, _), (_, usd) in newest.items() if kind == name)
        if prices:
            span = f"{prices[0].normalize():f} to {prices[-1].normalize():f}"
            quotes[name] = Quote(
                Decimal(statistics.median(prices)),
                f"EC2 spot price history, {region}, median of {len(prices)} zones ({span}); "
                "it moves",
            )
    return quotes


@contextmanager
def _answering(service: str) -> Generator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise AwsUnavailableError(explained(error, service, _RIGHTS)) from None


def _choice(number: int, what: str) -> str:
    return f"AWS has {number or 'no'} such {what}{'s' if number > 1 else ''} there"


def _usage(product: dict[str, Any], usage: str) -> bool:
    """Regions but the first write theirs before the usage type: EUC1-Requests-Tier1."""
    told = product.get("product", {}).get("attributes", {}).get("usagetype", "")
    return re.fullmatch(rf"(?:[A-Z]+\d*-)?{usage}", told) is not None


def _terms(product: dict[str, Any], kind: str, attributes: dict[str, str]) -> list[dict[str, Any]]:
    """The price dimensions of the terms that have these attributes."""
    terms = product.get("terms", {}).get(kind, {}).values()
    return [
        dimension
        for term in terms
        if attributes.items() <= term.get("termAttributes", {}).items()
        for dimension in term.get("priceDimensions", {}).values()
    ]


def _first_tier(dimensions: list[dict[str, Any]], unit: str) -> Decimal:
    """Price of the lowest tier that is not free."""
    tiers: dict[Decimal, Decimal] = {}
    for dimension in dimensions:
        if dimension.get("unit", "").lower() == unit.lower():
            usd = _usd(dimension.get("pricePerUnit", {}).get("USD"))
            if usd > 0:
                tiers[_usd(dimension.get("beginRange", "0"))] = usd
    if not tiers:
        raise NoSuchPriceError(f"AWS has no such price in {unit}")
    return tiers[min(tiers)]


def _usd(text: Any) -> Decimal:
    try:
        usd = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        raise NoSuchPriceError(f"{text!r} is no price") from None
    if not usd.is_finite() or usd < 0:
        raise NoSuchPriceError(f"{text!r} is no price")
    return usd


def _source(product: dict[str, Any]) -> str:
    code = product.get("serviceCode", "?")
    return f"AWS price list of {product.get('publicationDate', '?')[:10]}, {code}; sure"
