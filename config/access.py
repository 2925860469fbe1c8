"""Settings of what jobs may reach (web, files, buckets, receivers), and of who may ask for it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .signature import keys_of

Network = IPv4Network | IPv6Network
ANY: Final = "allow"
NONE: Final = "deny"


def prefixed(prefix: str) -> SettingsConfigDict:
    """How a group of settings is read: frozen, from variables that begin with its prefix."""
    return SettingsConfigDict(env_prefix=f"PIXFLEET_{prefix}", frozen=True, extra="ignore")


def _listed(value: object) -> object:
    """A comma-separated variable as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: object) -> object:
    parts = _listed(value)
    return tuple(ip_network(part) for part in parts) if isinstance(parts, tuple) else parts


def _place(value: str) -> str:
    if value in (ANY, NONE):
        return value
    for place in value.split(","):
        if not re.match(r"/|[A-Za-z]:[\\/]|s3://[^/]", place.strip()):
            raise ValueError(
                f"{place.strip()!r} is neither an absolute folder nor s3://bucket/prefix; write "
                f"{ANY}, {NONE}, or a comma-separated list of them"
            )
    return value


def _secret(value: SecretStr) -> SecretStr:
    keys_of(value.get_secret_value())  # says what is wrong, without the value
    return value


Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
Ports = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_listed)]
Places = Annotated[str, AfterValidator(_place)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]


class WebSettings(BaseSettings):
    """Which web addresses may be asked, and how long that may take."""

    allowed_hosts: Hosts = Field(
        default=(),
        description="host names, comma-separated, `*` for any part (`*.example.org`); empty: every "
        "public host",
        examples=["cdn.example.org"],
    )
    allow_private: Networks = Field(
        default=(),
        description="networks beyond the public internet that may be asked too, comma-separated "
        "(`10.0.0.0/8`); metadata services stay closed",
        examples=["10.0.0.0/8"],
    )
    allow_http: bool = Field(default=False, description="true: `http://` as well as `https://`")
    ports: Ports = Field(
        default=(),
        description="ports that a URL may name, comma-separated; empty: 443, and 80 for `http://`",
        examples=["8443"],
    )
    timeout_s: float = Field(
        default=60, gt=0, description="seconds for one exchange, redirects and body included"
    )
    idle_s: float = Field(
        default=10, gt=0, description="seconds that the other side may be silent in between"
    )


class SourceSettings(WebSettings):
    """What a job may read."""

    model_config = prefixed("SOURCES_")

    local: Places = Field(
        default=ANY,
        description="files of the worker's machine: allow, deny, or the folders that may be read, "
        "comma-separated",
        examples=["/srv/photos"],
    )
    buckets: Places = Field(
        default=ANY,
        description="S3: allow, deny, or the s3://bucket/prefix that may be read, comma-separated",
        examples=["s3://photos"],
    )


class OutputSettings(BaseSettings):
    """What a job may write."""

    model_config = prefixed("OUTPUTS_")

    allowed: Places = Field(
        default=ANY,
        description="allow, or the folders and s3://bucket/prefix that may be written, "
        "comma-separated",
        examples=["/srv/site,s3://site/img"],
    )


class SigningSettings(BaseSettings):
    """Who may give work."""

    model_config = prefixed("QUEUE_")

    secret: Secret = Field(
        default=SecretStr(""),
        description="whsec_… or text of 24 bytes and more, on producers and workers: workers then "
        "refuse messages that are not signed with it; several, comma-separated: the first signs, "
        "each is accepted",
        examples=["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"],
    )

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that messages are signed with; none: nothing is signed."""
        return keys_of(self.secret.get_secret_value())


class WebhookSettings(WebSettings):
    """Telling others that a job has ended."""

    model_config = prefixed("WEBHOOK_")

    timeout_s: float = Field(default=15, gt=0, description="seconds for one delivery")
    secret: Secret = Field(
        default=SecretStr(""),
        description="whsec_… or text of 24 bytes and more, shared with the receivers; several, "
        "comma-separated: each signs",
        examples=["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"],
    )
    tries: int = Field(default=8, ge=1, description="deliveries tried before it is given up")
    first_s: float = Field(default=5, gt=0, description="seconds before the second try")
    most_s: float = Field(
        default=3600, gt=0, description="seconds before the last try; those between grow evenly"
    )
    max_body_bytes: int = Field(
        default=200_000,
        ge=1_000,
        description="bytes of one delivery; a larger manifest is left out, and read from the "
        "output or the ledger",
    )

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that deliveries are signed with."""
        return keys_of(self.secret.get_secret_value())
