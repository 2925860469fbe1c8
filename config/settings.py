"""Typed settings from the environment, read once at the edge and passed down as values.

Each group is a frozen model with its own prefix (``PIXFLEET_LIMITS_MAX_PIXELS``). Every setting has
a unit, a default that works on a laptop, and a line in docs/configuration.md, which is generated
from here.
"""

from __future__ import annotations

from typing import Final, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .access import OutputSettings, SigningSettings, SourceSettings, WebhookSettings
from .alerts import AlertSettings
from .money_settings import MoneySettings, SpendSettings
from .monitor_settings import LogSettings, MonitorSettings
from .queue_settings import BrokerSettings, QueueSettings, SqsSettings
from .worker_settings import (
    LimitSettings,
    MemoSettings,
    RecipeSettings,
    ResultSettings,
    SpotSettings,
    StoreSettings,
    WorkerSettings,
)


class SettingsError(ValueError):
    """A setting is wrong; names the variable, what is wrong, and the value's kind."""


_LEDGERS: Final = ("redis", "rediss", "redis+socket", "unix")
_BROKERS: Final = (*_LEDGERS[:3], "sqs")


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
