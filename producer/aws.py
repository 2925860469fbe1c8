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
    ProfileNotFound,
    TokenRetrievalError,
)

from .billed import sqs_requests
from .sqs import QueueMissingError, SqsUnavailableError, missing

if TYPE_CHECKING:
    from collections.abc import Generator

_MISSING: Final = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_NO_CREDENTIALS: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
_UNKNOWN_KEYS: Final = {
    "AuthFailure",
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
        return sqs_requests.watch(boto3.Session().client("sqs", config=config))


@contextmanager
def answering_sqs() -> Generator[None]:
    """Translate AWS's errors.

    Raises:
        SqsUnavailableError: no credentials, no right, no answer, or a refusal.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) in _MISSING:
            raise QueueMissingError(missing("that was asked for")) from None
        rights = "docs/sqs.md has the policy that a producer, a worker and an operator need"
        raise SqsUnavailableError(explained(error, "SQS", rights)) from None


def explained(error: BotoCoreError | ClientError, service: str, rights: str) -> str:
    """What is wrong and how to mend it; ``rights`` says where to find which ones are needed.

    ``service`` is its name as in AWS_ENDPOINT_URL_SQS and, small, in the names of rights.
    """
    if isinstance(error, ClientError):
        return _refused(error, service, rights)
    if isinstance(error, _NO_CREDENTIALS):
        return (
            f"{service}: no credentials ({error}); give this process a role, or set AWS_PROFILE, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, NoRegionError):
        return f"{service}: no region; set AWS_DEFAULT_REGION (or AWS_REGION on AWS's own machines)"
    return (
        f"{service}: {error}; is the region right (AWS_DEFAULT_REGION), or "
        f"AWS_ENDPOINT_URL_{service.upper()}, and may this machine reach it?"
    )


def error_code(error: ClientError) -> str:
    """AWS's name of the error, without the suffix that its new protocol adds."""
    return str(error.response.get("Error", {}).get("Code", "?")).rpartition("#")[2]


def _refused(error: ClientError, service: str, rights: str) -> str:
    code = error_code(error)
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:300]
    action = error.operation_name.removesuffix("Batch")  # so IAM names the right
    if code.startswith(("AccessDenied", "UnauthorizedOperation")) or code == "403":
        return f"{service}: access denied to {service.lower()}:{action} ({said}); {rights}"
    if code in _UNKNOWN_KEYS:
        return (
            f"{service}: the credentials are not accepted ({code}: {said}); are they of this "
            "account, and not expired?"
        )
    return f"{service} refused {action}: {code}: {said}"
