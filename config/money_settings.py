"""What things cost, and what may be spent."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from .access import prefixed


class MoneySettings(BaseSettings):
    """What things cost."""

    model_config = prefixed("PRICES_")

    book: str = Field(
        default="aws-us-east-1", description="name of a built-in price book, or a TOML file"
    )
    instance: str = Field(
        default="",
        description="kind of machine that is charged, by its name in the book; empty: what EC2's "
        "metadata service says (see PIXFLEET_SPOT_WATCH) or Fargate, else the book's own",
    )
    purchase: str = Field(
        default="",
        description="on which terms: spot, on_demand or reserved_1y; empty: what EC2's metadata "
        "service says, else spot",
    )
    vcpus: float = Field(
        default=0,
        ge=0,
        description="vCPUs of its machine that a worker is charged for; 0: all, where EC2 says "
        "which machine it is, else as many as its children can use",
    )


class SpendSettings(BaseSettings):
    """What may be spent, and how long it is known what was."""

    model_config = prefixed("SPEND_")

    hours_kept_days: float = Field(
        default=35,
        ge=2,
        description="days after which what was spent in an hour becomes a part of its day",
    )
    days_kept_days: float = Field(
        default=400,
        ge=35,
        description="days after which what was spent on a day becomes a part of its month",
    )
    budgets: str = Field(
        default="",
        validation_alias="PIXFLEET_BUDGETS_FILE",
        description="TOML file of budgets (config/budgets.toml shows how), which the fleet reads "
        "whenever it changes; empty: those of `pixfleet budget set` alone",
    )
