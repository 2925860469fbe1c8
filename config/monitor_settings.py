"""How the fleet is watched: monitor, dashboard, logs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from .access import Hosts, prefixed


class MonitorSettings(BaseSettings):
    """The monitor's own HTTP port, and the dashboard's."""

    model_config = prefixed("MONITOR_")

    host: str = Field(default="127.0.0.1", description="address that /metrics is served on")
    port: int = Field(default=9464, ge=0, le=65_535, description="port of /metrics and /healthz")
    interval_s: float = Field(default=5, gt=0, description="seconds between two readings")
    flower_port: int = Field(
        default=5555, ge=0, le=65_535, description="port of the dashboard, which is Flower's"
    )
    dashboard_hosts: Hosts = Field(
        default=(),
        description="host names, comma-separated, besides localhost's under which a dashboard "
        "without a password answers: those of a proxy that signs visitors in",
        examples=["fleet.example.org"],
    )
    cloudwatch_namespace: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._/#:-]{0,255}$",
        description="namespace of CloudWatch that the fleet's metrics are put into (about 3.40 USD "
        "a month, on the fleet's bill: docs/metrics.md); empty: none",
    )
    cloudwatch_interval_s: float = Field(
        default=60, ge=1, description="seconds between two requests to CloudWatch"
    )
    cloudwatch_fleet: str = Field(
        default="pixfleet",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name of this fleet there, the dimension Fleet of all its metrics",
    )


class LogSettings(BaseSettings):
    """How workers, the monitor and the dashboard write their logs."""

    model_config = prefixed("LOG_")

    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="console: for people; json: an object a line; auto: console on a terminal, "
        "else json. `pixfleet up` decides for its processes by its own terminal",
    )
