"""Unit prices with date and source, read from a price book in TOML."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads annotations at run time)
import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NANO: Final = Decimal("1e-9")
"""The smallest amount that is kept: a billionth of a dollar; sums are integers of it."""

UNITS: Final[dict[str, int]] = {
    "hour": 1,
    "vcpu-hour": 1,
    "gb-hour": 1,
    "gb-second": 1,
    "gb-month": 1,
    "gb": 1,
    "image": 1,
    "metric-month": 1,
    "day": 1,
    "request": 1,
    "1000 requests": 1_000,
    "million requests": 1_000_000,
}
"""What a price can be for, and how many single things that is."""


PURCHASES: Final = ("spot", "on_demand", "reserved_1y")
"""The terms on which a machine may be had."""


class PriceError(ValueError):
    """A price book is missing or faulty; names the file, the key and how to mend it."""


def _usd(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise ValueError(f'write the amount as a string, usd = "{value}": {value!r} is not exact')  # noqa: TRY004 (pydantic collects ValueError)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(f'{value!r} is not a number; write it like usd = "0.0725"') from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value} is no price; write 0 or more")
    return amount


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Frozen):
    """One list price."""

    usd: Annotated[Decimal, BeforeValidator(_usd)]
    unit: Literal[tuple(UNITS)]  # pyright: ignore[reportInvalidTypeForm]  (one list of units)
    date: dt.date = Field(description="when the price was seen")
    source: str = Field(min_length=1, description="where, and how sure that is")

    @property
    def each_usd(self) -> Decimal:
        """Price of a single one, USD."""
        return self.usd / UNITS[self.unit]


class Instance(_Frozen):
    """A kind of machine, paid by the hour whatever it does."""

    vcpus: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    on_demand: Price
    spot: Price | None = None
    reserved_1y: Price | None = Field(default=None, description="an hour, nothing paid upfront")


class Serverless(_Frozen):
    """A service that is paid by what is ordered: CPU, memory, calls; on demand alone."""

    vcpu: Price | None = None
    memory: Price
    request: Price | None = None
    gb_per_vcpu: float = Field(gt=0, description="memory that is ordered with a vCPU")


@dataclass(frozen=True, slots=True)
class Rates:
    """What a machine's time costs, on some terms.

    Attributes:
        machine: the book's name of it, and the terms: ``c7i.large spot``.
        vcpus, memory_gb: of one machine; None where they are ordered as needed.
        vcpu_second_usd: of one vCPU; its memory included where machines are paid by the hour.
        gb_second_usd: of a gigabyte of memory for a second; 0 where it is included.
        core_second_usd: of a vCPU with the memory that comes with it.
    """

    machine: str
    vcpus: int | None
    memory_gb: float | None
    vcpu_second_usd: Decimal
    gb_second_usd: Decimal
    core_second_usd: Decimal


class PriceBook(_Frozen):
    """All unit prices of one place and day."""

    name: str = Field(min_length=1)
    currency: Literal["USD"]
    date: dt.date
    instance: str = Field(description="kind of machine charged where the settings name none")
    instances: dict[str, Instance] = Field(min_length=1)
    serverless: dict[str, Serverless] = Field(default_factory=dict)
    requests: dict[str, Price] = Field(description="price of a billed request by kind")
    storage_gb_month: Price
    egress_gb: Price
    services: dict[str, Price] = Field(default_factory=dict, description="all else, by name")

    @property
    def label(self) -> str:
        """Name and date, as receipts carry it."""
        return f"{self.name} {self.date.isoformat()}"

    def prices(self) -> Iterator[tuple[tuple[str, ...], Price]]:
        """Every price with its place in the book: ("instances", "c7i.large", "spot")."""
        tables: tuple[tuple[str, Mapping[str, _Frozen]], ...] = (
            ("instances", self.instances),
            ("serverless", self.serverless),
            ("requests", self.requests),
            ("services", self.services),
        )
        for table, entries in tables:
            for name, entry in entries.items():
                if isinstance(entry, Price):
                    yield (table, name), entry
                    continue
                for key, price in entry:
                    if isinstance(price, Price):
                        yield (table, name, key), price
        yield ("storage_gb_month",), self.storage_gb_month
        yield ("egress_gb",), self.egress_gb

    def rates(self, instance: str = "", purchase: str = "spot") -> Rates:
        """What the time of a kind of machine costs on these terms; empty: the book's own kind.

        Raises:
            PriceError: the book does not have the machine, or not on these terms.
        """
        name = instance or self.instance
        if purchase not in PURCHASES:
            raise PriceError(
                f"PIXFLEET_PRICES_PURCHASE is {purchase!r}; use {', '.join(PURCHASES)}"
            )
        if name in self.serverless:
            return _ordered(name, self.serverless[name])
        kind = self.instances.get(name)
        if kind is None:
            known = sorted(self.instances) + sorted(self.serverless)
            raise PriceError(
                f"price book {self.name} has no instance {name!r}; "
                f"set PIXFLEET_PRICES_INSTANCE to one of {', '.join(known)}"
            )
        price: Price | None = getattr(kind, purchase)
        if price is None:
            offered = [terms for terms in PURCHASES if getattr(kind, terms)]
            raise PriceError(
                f"price book {self.name} has no {purchase} price for {name!r}; "
                f"set PIXFLEET_PRICES_PURCHASE={' or '.join(offered)}"
            )
        second_usd = price.each_usd / (3_600 * kind.vcpus)
        return Rates(
            machine=f"{name} {purchase}",
            vcpus=kind.vcpus,
            memory_gb=kind.memory_gb,
            vcpu_second_usd=second_usd,
            gb_second_usd=Decimal(0),
            core_second_usd=second_usd,
        )

    def request_usd(self, kind: str) -> Decimal:
        """Price of one request.

        Raises:
            PriceError: the book has no such kind.
        """
        price = self.requests.get(kind)
        if price is None:
            raise PriceError(
                f"price book {self.name} has no price for requests of kind {kind!r}; "
                f"add a table [requests.{kind}]"
            )
        return price.each_usd


def load_prices(name_or_path: str) -> PriceBook:
    """A built-in price book by its name, or one of yours by the path of its TOML file.

    Raises:
        PriceError: missing or faulty; names the file, the key and how to mend it.
    """
    if name_or_path.endswith(".toml"):
        where = name_or_path
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except OSError as error:
            raise PriceError(
                f"price book {where} cannot be read: {error.strerror}; "
                "set PIXFLEET_PRICES_BOOK to a readable .toml file or to "
                f"{' or '.join(built_in_books())}"
            ) from None
    else:
        where = f"{name_or_path}.toml"
        if name_or_path not in built_in_books():
            raise PriceError(
                f"there is no built-in price book {name_or_path!r}; set PIXFLEET_PRICES_BOOK to "
                f"{', '.join(built_in_books())}, or to a path that ends in .toml"
            )
        text = (_built_in() / where).read_text(encoding="utf-8")
    try:
        return PriceBook.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PriceError(f"price book {where} is not TOML: {error}") from None
    except ValidationError as error:
        raise PriceError(f"price book {where}: {_explain(error)}") from None


def built_in_books() -> list[str]:
    """Names of the price books that pixfleet brings."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in _built_in().iterdir()
        if entry.name.endswith(".toml")
    )


def to_nano(usd: Decimal) -> int:
    """Integer nano-dollars, for exact sums in Redis; rounds half to even."""
    return int((usd / NANO).to_integral_value())


def from_nano(nano_usd: int) -> Decimal:
    """US dollars from integer nano-dollars."""
    return (nano_usd * NANO).quantize(NANO)


def _ordered(name: str, service: Serverless) -> Rates:
    vcpu_usd = service.vcpu.each_usd / 3_600 if service.vcpu else Decimal(0)
    gb_usd = service.memory.each_usd
    if service.memory.unit == "gb-hour":
        gb_usd /= 3_600
    return Rates(
        machine=name,
        vcpus=None,
        memory_gb=None,
        vcpu_second_usd=vcpu_usd,
        gb_second_usd=gb_usd,
        core_second_usd=vcpu_usd + gb_usd * Decimal(str(service.gb_per_vcpu)),
    )


def _built_in() -> Any:
    return resources.files("pixfleet.config") / "prices"


def _explain(error: ValidationError) -> str:
    faults: list[str] = []
    for fault in error.errors(include_url=False):
        path = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "missing":
            message = "is missing; add it"
        elif fault["type"] == "extra_forbidden":
            message = "is not a key of a price book; remove it or mend its spelling"
        faults.append(f"{path}: {message}")
    return "; ".join(faults)
