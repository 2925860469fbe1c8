"""Telling AWS of budgets: a message on an SNS topic, metrics and an alarm of CloudWatch.

Region, endpoint and credentials come from AWS's own environment.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from pixfleet.config.budgets import RUNGS
from pixfleet.producer.aws import error_code

from .channels import ChannelError, delivery_id

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pixfleet.config.alerts import AlertSettings

    from .event import BudgetEvent

_SUBJECT_CHARACTERS: Final = 99
_NAMESPACE: Final = "pixfleet"
_USED: Final = "BudgetUsed"
_RUNG: Final = "BudgetRung"
_ALARM_PERIOD_S: Final = 60


class SnsChannel:
    """Publishes one message for each look: a sentence by e-mail, JSON to programs."""

    name = "sns"

    def __init__(self, settings: AlertSettings) -> None:
        self._topic = settings.sns_topic
        self._timeout_s = settings.timeout_s

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """One message; a topic with order (FIFO) drops what comes twice."""
        text = "\n".join(event.text for event in events)
        document = json.dumps({"text": text, "events": [event.document() for event in events]})
        forms = dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), document)
        subject = events[-1].text.encode("ascii", "replace").decode()
        fifo: dict[str, str] = {}
        if self._topic.endswith(".fifo"):
            digest = hashlib.sha256(delivery_id(events).encode()).hexdigest()
            fifo = {"MessageGroupId": _NAMESPACE, "MessageDeduplicationId": digest}
        with answering_aws("SNS", self._topic):
            aws_client("sns", self._timeout_s, self._topic.split(":")[3]).publish(
                TopicArn=self._topic,
                Subject=subject[:_SUBJECT_CHARACTERS],
                MessageStructure="json",
                Message=json.dumps({"default": text, **forms}),
                **fifo,
            )


class CloudWatchChannel:
    """Metrics of each budget, ``BudgetUsed`` in percent and ``BudgetRung`` 0 to 3, and an alarm.

    They carry the time at which they are sent: an alarm does not look at what is older.
    """

    name = "cloudwatch"

    def __init__(self, settings: AlertSettings) -> None:
        self._timeout_s = settings.timeout_s
        self._with_alarm: set[str] = set()

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """Of each budget the newest event alone counts."""
        newest = {event.budget: event for event in events}
        with answering_aws("CloudWatch", _NAMESPACE):
            client = aws_client("cloudwatch", self._timeout_s)
            for budget, event in newest.items():
                if budget not in self._with_alarm:
                    self._ensure_alarm(client, event)
                    self._with_alarm.add(budget)
            data: list[dict[str, Any]] = []
            for event in newest.values():
                names = _dimensions(event)
                used, rung = round(100 * event.share, 2), RUNGS.index(event.rung)
                data += [
                    {"MetricName": _USED, "Dimensions": names, "Value": used, "Unit": "Percent"},
                    {"MetricName": _RUNG, "Dimensions": names, "Value": rung, "Unit": "None"},
                ]
            client.put_metric_data(Namespace=_NAMESPACE, MetricData=data)
            if any(event.kind == "test" for event in events):
                client.delete_alarms(AlarmNames=[alarm_name(event) for event in events])

    def _ensure_alarm(self, client: Any, event: BudgetEvent) -> None:
        """One that is there is left as it is, with whatever actions people gave it."""
        name = alarm_name(event)
        if client.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
            return
        client.put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"The budget of {event.owner} for the {event.period} is used up",
            Namespace=_NAMESPACE,
            MetricName=_USED,
            Dimensions=_dimensions(event),
            Statistic="Maximum",
            Period=_ALARM_PERIOD_S,
            EvaluationPeriods=1,
            Threshold=100,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="ignore",  # metrics come when something happens
        )


def alarm_name(event: BudgetEvent) -> str:
    """``pixfleet budget tenant:acme day``."""
    return f"pixfleet budget {event.owner} {event.period}"


def _dimensions(event: BudgetEvent) -> list[dict[str, str]]:
    return [{"Name": "Owner", "Value": event.owner}, {"Name": "Period", "Value": event.period}]


def aws_client(service: str, timeout_s: float, region: str | None = None) -> Any:
    """A client that tries once: who calls it tries again later."""
    config = Config(
        connect_timeout=timeout_s, read_timeout=timeout_s, retries={"total_max_attempts": 1}
    )
    return boto3.Session().client(service, region_name=region, config=config)  # pyright: ignore[reportCallIssue, reportArgumentType]


@contextmanager
def answering_aws(service: str, what: str) -> Generator[None]:
    """Translate AWS's errors into a channel's."""
    try:
        yield
    except (
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        TokenRetrievalError,
    ) as error:
        raise ChannelError(
            f"{service}: no credentials ({error})",
            "give this process a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        ) from None
    except NoRegionError:
        raise ChannelError(
            f"{service}: no region", "set AWS_DEFAULT_REGION (or AWS_REGION on AWS's own machines)"
        ) from None
    except ClientError as error:
        code = error_code(error)
        said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:300]
        right = f"{service.lower()}:{error.operation_name}"
        mend = (
            f"allow {right}; docs/money.md has the policy that alerts need"
            if code.startswith(("AccessDenied", "AuthorizationError"))
            else f"see to {what} and to the credentials of this process"
        )
        raise ChannelError(
            f"{service} refused {error.operation_name}: {code}: {said}", mend
        ) from None
    except BotoCoreError as error:
        raise ChannelError(
            f"{service}: {error}",
            "may this machine reach it, and is the region right (AWS_DEFAULT_REGION)?",
        ) from None
