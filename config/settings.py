"""Typed settings from the environment, read once at the edge and passed down as values.

Each group is a frozen model with its own prefix (``PIXFLEET_LIMITS_MAX_PIXELS``). Every setting has
a unit, a default that works on a laptop, and a line in docs/configuration.md, which is generated
from here.
"""

from __future__ import annotations

import os
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .access import (
    Hosts,
    OutputSettings,
    SigningSettings,
    SourceSettings,
    WebhookSettings,
    prefixed,
)
from .alerts import AlertSettings


class SettingsError(ValueError):
    """A setting is wrong; names the variable, what is wrong, and the value's kind."""


_LEDGERS: Final = ("redis", "rediss", "redis+socket", "unix")
_BROKERS: Final = (*_LEDGERS[:3], "sqs")


def usable_cores() -> int:
    """Cores that this process may use; where the system does not tell, all of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class BrokerSettings(BaseSettings):
    """Where jobs are queued, and the Redis that keeps the ledger."""

    model_config = prefixed("")

    broker: str = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,  # its password would be shown wherever the settings are
        description="URL of the queue: redis://, rediss://, redis+socket:// or sqs://",
    )
    ledger: str = Field(
        default="",
        repr=False,
        description="URL of the Redis for ledger, results and memo index; empty: the broker's",
    )
    visibility_timeout_s: int = Field(
        default=0,
        ge=0,
        le=43_200,
        description="seconds after which an unacknowledged message is delivered again; 0: 900 on "
        "Redis, where it must be above the hard time limit, 120 on SQS, where workers renew it",
    )

    @property
    def on_sqs(self) -> bool:
        """Queues on SQS; else they are lists in Redis."""
        return self.broker.startswith("sqs:")

    @property
    def visibility_s(self) -> int:
        """``visibility_timeout_s``, or the default of the broker's kind."""
        return self.visibility_timeout_s or (120 if self.on_sqs else 900)


class SqsSettings(BaseSettings):
    """Queues on SQS; region, endpoint and credentials come from AWS's own environment."""

    model_config = prefixed("SQS_")

    prefix: str = Field(
        default="pixfleet-",
        pattern=r"^[A-Za-z0-9_-]{0,60}$",
        description="what the names of the queues begin with",
    )
    max_receives: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="deliveries after which a message goes to its dead-letter queue; above "
        "PIXFLEET_WORKER_MAX_ATTEMPTS",
    )


class QueueSettings(BaseSettings):
    """How jobs come onto the queues."""

    model_config = prefixed("QUEUE_")

    depth: int = Field(
        default=256,
        ge=20,
        description="jobs on a queue at once; the rest wait in their tenants' lists, which take "
        "turns. Above the number of children of all workers",
    )
    tenant_in_flight: int = Field(
        default=0,
        ge=0,
        description="jobs of one tenant on a queue or in work at once; 0: as many as there is "
        "room for",
    )
    max_backlog: int = Field(
        default=500_000,
        ge=0,
        description="jobs that may wait for workers (3 kB of Redis each); further ones are "
        "refused, with the time to come again; 0: no limit",
    )


class WorkerSettings(BaseSettings):
    """One worker process and its children."""

    model_config = prefixed("WORKER_")

    concurrency: int = Field(
        default=0,
        ge=0,
        validation_alias="PIXFLEET_CONCURRENCY",
        description="children of a worker; 0: one a core that it may use",
    )
    prefetch: int = Field(
        default=1,
        ge=1,
        le=16,
        description="messages that a worker holds for each child, the one in work among them; more "
        "than 1 spares short jobs a wait, and lets long ones wait behind each other",
    )
    soft_time_limit_s: int = Field(default=240, ge=1, description="seconds; the job then fails")
    hard_time_limit_s: int = Field(default=300, ge=1, description="seconds; the child is killed")
    encode_time_limit_s: float = Field(
        default=60, gt=0, description="seconds for one format of one variant, all its probes"
    )
    encode_time_limit_s_per_mp: float = Field(
        default=30,
        ge=0,
        description="seconds more for each megapixel; past the sum the child is ended and the job "
        "goes on without the format",
    )
    decode_time_limit_s: float = Field(
        default=30,
        gt=0,
        description="seconds for reading a header, decoding, features or resizing, each",
    )
    decode_time_limit_s_per_mp: float = Field(
        default=1,
        ge=0,
        description="seconds more for each megapixel of all frames; past the sum the child is "
        "ended and the job fails as decode_time_limit",
    )
    child_memory_bytes: int = Field(
        default=0,
        ge=0,
        description="bytes that a child may map (Linux: RLIMIT_DATA); 0: its share of 90% of the "
        "machine's or container's memory, at least 1 GB",
    )
    queues: str = Field(
        default="",
        pattern=r"^((interactive|encode|large|bulk)(,(interactive|encode|large|bulk))*)?$",
        description="queues to take jobs from, with commas; empty: interactive, encode and bulk, "
        "and large where a child may map what the largest allowed image needs",
    )
    large_wait_s: int = Field(
        default=3600,
        ge=0,
        validation_alias="PIXFLEET_LARGE_WAIT_S",
        description="seconds that a job waits for a worker with enough memory before it fails",
    )
    max_tasks_per_child: int = Field(default=500, ge=1, description="tasks before a fresh child")
    max_memory_per_child_kb: int = Field(
        default=1_500_000, ge=100_000, description="KiB resident before a fresh child"
    )
    soft_shutdown_s: float = Field(
        default=10,
        ge=0,
        description="seconds to finish in after SIGTERM; the rest is given back, which takes up to "
        "4 s more: set it that much below what SIGKILL follows after",
    )
    lease_s: float = Field(
        default=60, gt=0, description="seconds a claim lasts unless its heartbeat renews it"
    )
    max_attempts: int = Field(
        default=3, ge=1, description="claims after which a job fails as worker_lost"
    )
    max_retries: int = Field(
        default=4, ge=0, description="retries while the world is unavailable (a store, a network)"
    )
    retry_backoff_s: float = Field(
        default=1, gt=0, description="seconds before the first retry; doubles, with jitter"
    )
    sweep_interval_s: float = Field(
        default=2,
        gt=0,
        description="seconds between two looks for jobs whose worker, message or turn was lost",
    )

    @property
    def children(self) -> int:
        """``concurrency``, or a child per core that this process may use."""
        return self.concurrency or usable_cores()


class SpotSettings(BaseSettings):
    """Being told to go: spot instances and drain."""

    model_config = prefixed("SPOT_")

    watch: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="ask the EC2 metadata service for notices: on, off, or auto: where it answers "
        "at the start within a second, or AWS_EC2_METADATA_SERVICE_ENDPOINT is set",
    )
    poll_s: float = Field(
        default=2,
        gt=0,
        description="seconds between two questions to the metadata service, and between two looks "
        "at whether `pixfleet drain` was called",
    )


class LimitSettings(BaseSettings):
    """What is refused before a pixel is decoded."""

    model_config = prefixed("LIMITS_")

    max_file_bytes: int = Field(default=200_000_000, ge=1, description="bytes of a source")
    max_pixels: int = Field(default=100_000_000, ge=1, description="pixels of one frame")
    max_side_px: int = Field(default=30_000, ge=1, description="px of the longer side")
    max_frames: int = Field(default=1_000, ge=1, description="frames of an animation")
    max_animation_pixels: int = Field(
        default=100_000_000, ge=1, description="pixels of all frames of an animation together"
    )
    max_encoder_bytes: int = Field(
        default=2_000_000_000,
        ge=1,
        description="bytes of memory that encoding one picture may take (AVIF: 39 a pixel); a "
        "format beyond is refused",
    )
    fanout_pixels: int = Field(
        default=24_000_000,
        ge=1,
        description="source pixels from which a bulk job's encodes fan out to a chord",
    )


class StoreSettings(BaseSettings):
    """Where blobs and work files live."""

    model_config = prefixed("STORE_")

    url: str = Field(
        default="",
        description="folder or s3://bucket/prefix for memoized blobs and work files; empty: "
        "the state folder (PIXFLEET_STATE)",
    )
    state: str = Field(
        default="",
        validation_alias="PIXFLEET_STATE",
        description="folder for the embedded broker and local blobs; empty: the user's cache",
    )


class MemoSettings(BaseSettings):
    """How much is remembered."""

    model_config = prefixed("MEMO_")

    enabled: bool = Field(default=True, description="true or false")
    max_bytes: int = Field(default=10_000_000_000, ge=0, description="bytes of blobs kept")
    max_age_days: float = Field(default=30, gt=0, description="days since last use")
    lock_s: float = Field(
        default=10, gt=0, description="seconds after which a dead computation's lock expires"
    )


class ResultSettings(BaseSettings):
    """How long answers can be fetched."""

    model_config = prefixed("RESULT_")

    ttl_s: int = Field(
        default=86_400, ge=60, description="seconds that an ended job and its manifest stay"
    )


class RecipeSettings(BaseSettings):
    """Where a worker finds recipes beyond the built-in ones."""

    model_config = prefixed("RECIPES_")

    folder: str = Field(default="", description="folder of TOML recipes; empty: built-in only")


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


GROUPS: tuple[type[BaseSettings], ...] = (
    BrokerSettings,
    QueueSettings,
    SqsSettings,
    WorkerSettings,
    SpotSettings,
    LimitSettings,
    StoreSettings,
    MemoSettings,
    ResultSettings,
    RecipeSettings,
    MoneySettings,
    SpendSettings,
    AlertSettings,
    MonitorSettings,
    LogSettings,
    SourceSettings,
    OutputSettings,
    SigningSettings,
    WebhookSettings,
)


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    broker: BrokerSettings
    queue: QueueSettings
    sqs: SqsSettings
    worker: WorkerSettings
    spot: SpotSettings
    limits: LimitSettings
    store: StoreSettings
    memo: MemoSettings
    result: ResultSettings
    recipes: RecipeSettings
    money: MoneySettings
    spend: SpendSettings
    alerts: AlertSettings
    monitor: MonitorSettings
    log: LogSettings
    sources: SourceSettings
    outputs: OutputSettings
    signing: SigningSettings
    webhook: WebhookSettings

    @classmethod
    def load(cls) -> Self:
        """The settings that the environment gives.

        Raises:
            SettingsError: a variable's value is wrong; names the variable and why.
        """
        try:
            settings = cls.model_construct(
                broker=BrokerSettings(),
                queue=QueueSettings(),
                sqs=SqsSettings(),
                worker=WorkerSettings(),
                spot=SpotSettings(),
                limits=LimitSettings(),
                store=StoreSettings(),
                memo=MemoSettings(),
                result=ResultSettings(),
                recipes=RecipeSettings(),
                money=MoneySettings(),
                spend=SpendSettings(),
                alerts=AlertSettings(),
                monitor=MonitorSettings(),
                log=LogSettings(),
                sources=SourceSettings(),
                outputs=OutputSettings(),
                signing=SigningSettings(),
                webhook=WebhookSettings(),
            )
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None
        if settings.worker.soft_time_limit_s >= settings.worker.hard_time_limit_s:
            raise SettingsError(
                f"PIXFLEET_WORKER_SOFT_TIME_LIMIT_S ({settings.worker.soft_time_limit_s} s) must "
                "be below PIXFLEET_WORKER_HARD_TIME_LIMIT_S "
                f"({settings.worker.hard_time_limit_s} s), or a slow job is killed before it can "
                "say why"
            )
        if settings.broker.on_sqs:
            settings.check_sqs()
        elif settings.broker.visibility_s <= settings.worker.hard_time_limit_s:
            raise SettingsError(
                "PIXFLEET_VISIBILITY_TIMEOUT_S "
                f"({settings.broker.visibility_s} s) must be above "
                f"PIXFLEET_WORKER_HARD_TIME_LIMIT_S ({settings.worker.hard_time_limit_s} s), "
                "or long jobs run twice"
            )
        return settings

    def check_sqs(self) -> None:
        """What holds for a fleet whose queues are on SQS.

        Raises:
            SettingsError: a setting contradicts another.
        """
        if self.broker.broker != "sqs://":
            raise SettingsError(
                "PIXFLEET_BROKER: for SQS it is just sqs://, without host or keys; region, "
                "endpoint and credentials come from AWS_REGION, AWS_ENDPOINT_URL_SQS, a role, ..."
            )
        if self.sqs.max_receives <= self.worker.max_attempts:
            raise SettingsError(
                f"PIXFLEET_SQS_MAX_RECEIVES ({self.sqs.max_receives}) must be above "
                f"PIXFLEET_WORKER_MAX_ATTEMPTS ({self.worker.max_attempts}), or a message is dead "
                "before its job can say why it failed"
            )

    def with_broker(self, broker: str, ledger: str = "") -> Self:
        """The same settings on another broker, and on its Redis unless ``ledger`` names one.

        SQS has none of its own: there it is the ledger's as before.
        """
        if not ledger and broker.startswith("sqs:"):
            ledger = self.broker.ledger
        update = {"broker": broker, "ledger": ledger}
        settings = self.model_copy(update={"broker": self.broker.model_copy(update=update)})
        if settings.broker.on_sqs:
            settings.check_sqs()
        return settings

    @property
    def ledger_url(self) -> str:
        """URL of the ledger's Redis, in redis-py's form."""
        for variable_, known in (("broker", _BROKERS), ("ledger", _LEDGERS)):
            _check_scheme(getattr(self.broker, variable_), f"PIXFLEET_{variable_.upper()}", known)
        url = self.broker.ledger or self.broker.broker
        if url.startswith("redis+socket://"):
            url = "unix://" + url.removeprefix("redis+socket://").replace("virtual_host=", "db=")
        if url.startswith("sqs:"):
            raise SettingsError(
                "PIXFLEET_LEDGER: an SQS fleet needs a small Redis for its ledger; "
                "set it to redis://host:6379/0"
            )
        return url


def _check_scheme(url: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse what cannot work; the URL is not repeated, for it may hold a password.

    Raises:
        SettingsError: the scheme is not one of the known.
    """
    scheme = url.partition("://")[0]
    if not url or scheme in known:
        return
    if scheme in ("sentinel", "redis+sentinel"):
        raise SettingsError(
            f"{name}: Redis Sentinel is not supported: name the primary itself, redis://host:6379/0"
            ", by an address that follows the failover (a service, a proxy, the endpoint of a "
            "managed Redis)"
        )
    raise SettingsError(
        f"{name} is not the URL of one that is supported: redis://host:6379/0, rediss:// for TLS, "
        f"redis+socket:///path?virtual_host=0{', sqs://' if 'sqs' in known else ''}"
    )


def variable(group: type[BaseSettings], field: str) -> str:
    """The environment variable that sets a field."""
    alias = group.model_fields[field].validation_alias
    if isinstance(alias, str):
        return alias
    return f"{group.model_config.get('env_prefix', '')}{field}".upper()


def _explain(error: ValidationError) -> str:
    group = next((g for g in GROUPS if g.__name__ == error.title), BrokerSettings)
    faults: list[str] = []
    for fault in error.errors(include_url=False):
        field = str(fault["loc"][0])
        name = variable(group, field) if field in group.model_fields else field
        secret = field in group.model_fields and isinstance(
            group.model_fields[field].default, SecretStr
        )
        got = "" if secret else f" (got {fault['input']!r})"
        faults.append(f"{name}: {fault['msg']}{got}")
    return "; ".join(faults)
