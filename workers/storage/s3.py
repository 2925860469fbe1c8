"""Objects in an S3 bucket, through obstore."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from pixfleet.workers.errors import OutputError, SourceError, StoreUnavailableError, WorkError

from .regular import check_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obstore.store import ClientConfig, RetryConfig, S3CredentialProvider

PAGE_KEYS: Final = 1_000
"""Keys in one answer to LIST, which is what is billed."""

# Few and quick: a task that waits holds a worker, and its own retry comes later anyway.
_RETRIES: Final[RetryConfig] = {
    "max_retries": 3,
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
    "retry_timeout": timedelta(seconds=30),
}
_used_by: list[int] = []


class S3Objects:
    """Objects of a bucket below a prefix; region and credentials as AWS tools find them."""

    bills: ClassVar[bool] = True

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    @property
    def _store(self) -> S3Store:
        pid = os.getpid()
        if not _used_by:
            _used_by.append(pid)
        elif _used_by[0] != pid:
            raise RuntimeError(
                f"S3 was used by process {_used_by[0]} before it forked into {pid}, where obstore "
                "would hang; open stores only in the children"
            )
        return _open(self._bucket, self._prefix, _environment())

    def where(self, key: str) -> str:
        """What a message calls the object."""
        return "s3://" + "/".join(part for part in (self._bucket, self._prefix, key) if part)

    def get(self, key: str, max_bytes: int | None) -> bytes:
        """The object's bytes; its size is checked before the body is read."""
        try:
            found = obstore.get(self._store, key)
            if max_bytes is not None:
                check_size(self.where(key), found.meta["size"], max_bytes)
            return bytes(found.bytes())
        except FileNotFoundError as error:
            raise SourceError(
                "source_not_found",
                f"{self.where(key)} does not exist",
                "check bucket, key and AWS_REGION",
            ) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise SourceError(
                "source_unreadable",
                f"{self.where(key)} is refused to these credentials",
                "allow s3:GetObject and s3:ListBucket to the worker's role",
            ) from error
        except ValueError as error:
            raise SourceError(
                "source_unreadable",
                f"{self.where(key)} is a key that cannot be asked for: {error}",
                "rename the object; empty, '.' and '..' path segments are not supported",
            ) from error
        except BaseError as error:
            raise _unavailable(error, self.where(key)) from error

    def put(self, key: str, data: bytes) -> None:
        """Write the object; S3 shows it whole or not at all."""
        try:
            obstore.put(self._store, key, data, use_multipart=False)
        except Exception as error:
            raise self._output_error(error, key) from error

    def size(self, key: str) -> int | None:
        """Size in bytes; None where there is no such object."""
        try:
            return obstore.head(self._store, key)["size"]
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._output_error(error, key) from error

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        paths = list(keys)
        if not paths:
            return
        try:
            obstore.delete(self._store, paths)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._output_error(error, paths[0]) from error

    def pages(self, prefix: str) -> Iterator[list[tuple[str, int]]]:
        """(key, size in bytes) of every object below a prefix, a list per request."""
        try:
            for page in obstore.list(self._store, prefix or None, chunk_size=PAGE_KEYS):
                yield [(found["path"], found["size"]) for found in page]
        except Exception as error:
            raise self._output_error(error, prefix) from error

    def copy(self, key: str, other_key: str) -> None:
        """Copy an object inside the bucket."""
        try:
            obstore.copy(self._store, key, other_key)
        except FileNotFoundError as error:
            raise SourceError(
                "source_not_found",
                f"{self.where(key)} does not exist",
                "check bucket, key and AWS_REGION",
            ) from error
        except Exception as error:
            raise self._output_error(error, other_key) from error

    def delete_parts(self, older_than_s: float) -> int:  # noqa: ARG002 (S3 has none of any age)
        """Nothing: an object that was not put whole was never there."""
        return 0

    def _output_error(self, error: Exception, key: str) -> Exception:
        where = self.where(key)
        if isinstance(error, FileNotFoundError):
            return OutputError(
                "output_unwritable",
                f"the bucket of {where} does not exist",
                "create the bucket, or check its name and AWS_REGION",
            )
        if isinstance(error, ValueError):
            return OutputError(
                "output_unwritable",
                f"{where!r} is a key that cannot be written: {str(error).splitlines()[0]}",
                "rename the source, or give the job a name without control characters",
            )
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return OutputError(
                "output_forbidden",
                f"{where} is refused to these credentials",
                "allow s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket to the "
                "worker's role",
            )
        if isinstance(error, BaseError):
            return _unavailable(error, where)
        return error


def _environment() -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))


@lru_cache(maxsize=64)
def _open(bucket: str, prefix: str, environment: tuple[tuple[str, str], ...]) -> S3Store:
    """One client a bucket: it keeps its connections, and a job's source is a new URL each time."""
    variables = dict(environment)
    endpoint = variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL", "")
    options: ClientConfig = {
        "timeout": timedelta(seconds=60),
        "connect_timeout": timedelta(seconds=5),
        "allow_http": endpoint.startswith("http://"),
    }
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options=options,
        retry_config=_RETRIES,
        credential_provider=_credentials(),
    )


def _unavailable(error: BaseError, where: str) -> WorkError:
    reason = str(error).split("\n", 1)[0].rpartition(" - ")[2]
    status = re.search(r"status code: (\d+)", reason)
    if "redirect" in reason or (status and status[1] in ("301", "307", "400")):
        return OutputError(
            "store_misconfigured",
            f"{where}: {reason}",
            "check bucket, AWS_REGION and AWS_ENDPOINT_URL",
        )
    return StoreUnavailableError(
        "store_unavailable",
        f"{where} is not reachable now: {reason}",
        "see to the network, and to AWS_ENDPOINT_URL if it is set; the job is tried again",
    )


def _credentials() -> S3CredentialProvider | None:
    """A profile's or a role's credentials by way of boto3; obstore itself reads the environment."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return None
    from obstore.auth.boto3 import (  # noqa: PLC0415 (boto3 takes 0.2 s to import, needed only here)
        Boto3CredentialProvider,
    )

    try:
        return Boto3CredentialProvider()
    except ValueError:
        raise SourceError(
            "store_misconfigured",
            "no AWS credentials were found",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a "
            "role",
        ) from None
