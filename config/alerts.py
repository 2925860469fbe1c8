"""Settings of who is told what becomes of budgets."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from .access import Secret, prefixed
from .signature import keys_of
from .urls import split_web

_LONGEST_URL: Final = 2_000


def _address(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    parts = split_web(url)
    try:
        fits = parts is not None and bool(urlsplit(url).hostname) and "@" not in parts[1]
        fits = fits and urlsplit(url).port != 0 and len(url) <= _LONGEST_URL  # .port may raise
    except ValueError:
        fits = False
    if url and not fits:
        raise ValueError("no URL of the form https://host/path, without user and password")
    return value


class AlertSettings(BaseSettings):
    """Who is told when a budget is passed, or is expected to be."""

    model_config = prefixed("ALERTS_")

    webhook: Annotated[SecretStr, AfterValidator(_address)] = Field(
        default=SecretStr(""),
        description="URL that alerts are posted to as JSON, such as a Slack incoming webhook; kept "
        "secret, because who knows it can post there; it may be anywhere in your network",
        examples=["https://alerts.example.org/pixfleet"],
    )
    webhook_secret: Secret = Field(
        default=SecretStr(""),
        description="whsec_… or text of 24 bytes and more, which posts are signed with; several, "
        "comma-separated: each signs; empty: not signed, as Slack needs no signature",
        examples=["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"],
    )
    sns_topic: str = Field(
        default="",
        pattern=r"^(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,250}(\.fifo)?)?$",
        description="ARN of the SNS topic that alerts are published on; empty: none",
        examples=["arn:aws:sns:us-east-1:123456789012:budgets"],
    )
    cloudwatch: bool = Field(
        default=False,
        description="true: each budget's used share and rung become CloudWatch metrics, with an "
        "alarm at 100%",
    )
    timeout_s: float = Field(default=10, gt=0, le=60, description="seconds for one delivery")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that posts are signed with; none: they are not."""
        return keys_of(self.webhook_secret.get_secret_value())
