"""The connection to SQS, and AWS's errors in words that say how to mend them."""

from __future__ import annotations

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

from .sqs import QueueMissingError, SqsUnavailableError, missing

if TYPE_CHECKING:
    from collections.abc import Generator

_MISSING: Final = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_UNKNOWN_KEYS: Final = {
    "ExpiredToken",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


def connect_sqs() -> Any:
    """A boto3 client of the environment's region, endpoint and credentials.

    Raises:
        SqsUnavailableError: there is no region.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=25,
        retries={"mode": "standard", "total_max_attempts": 4},
    )
    with answering_sqs():
        return boto3.Session().client("sqs", config=config)


@contextmanager
def answering_sqs() -> Generator[None]:
    """Translate AWS's errors.

    Raises:
        SqsUnavailableError: no credentials, no right, no answer, or a refusal.
    """
    try:
        yield
    except (
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        TokenRetrievalError,
    ) as error:
        raise SqsUnavailableError(
            f"SQS: no credentials ({error}); give this process a role, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except NoRegionError:
        raise SqsUnavailableError(
            "SQS: no region; set AWS_DEFAULT_REGION (or AWS_REGION on AWS's own machines)"
        ) from None
    except ClientError as error:
        raise _explained(error) from None
    except BotoCoreError as error:
        raise SqsUnavailableError(
            f"SQS: {error}; is the region right (AWS_DEFAULT_REGION), or AWS_ENDPOINT_URL_SQS, "
            "and may this machine reach it?"
        ) from None


def error_code(error: ClientError) -> str:
    """AWS's name of the error, without the suffix that its new protocol adds."""
    return str(error.response.get("Error", {}).get("Code", "?")).rpartition("#")[2]


def _explained(error: ClientError) -> SqsUnavailableError:
    code = error_code(error)
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:300]
    action = error.operation_name.removesuffix("Batch")  # so IAM names the right
    if code in _MISSING:
        return QueueMissingError(missing("that was asked for"))
    if code.startswith("AccessDenied") or code == "403":
        return SqsUnavailableError(
            f"SQS: access denied to sqs:{action} ({said}); docs/sqs.md has the policy that a "
            "producer, a worker and an operator need"
        )
    if code in _UNKNOWN_KEYS:
        return SqsUnavailableError(
            f"SQS: the credentials are not accepted ({code}: {said}); are they of this account, "
            "and not expired?"
        )
    return SqsUnavailableError(f"SQS refused {action}: {code}: {said}")
