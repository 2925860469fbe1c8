"""HMAC-SHA256 signatures as Standard Webhooks writes them, and messages sealed with them.

Source: standardwebhooks.com, "Signature scheme" (symmetric, ``v1``).

A sealed message holds the exact text that was signed, so no language needs a canonical JSON:

    {"schema_version": 1, "signed": "<JSON text>", "signature": "v1,<base64>"}

where the signature is over ``task.id.text``: a captured message runs no other task, and a job only
under its own id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_LEAST_BYTES: Final = 24


class SecretInvalidError(ValueError):
    """A secret is no base64 or too short to be one; never says which."""


class NotSignedError(ValueError):
    """A message is not signed, or not with a key that is known here."""


def keys_of(secret: str) -> tuple[bytes, ...]:
    """The keys in a comma-separated list of secrets, ``whsec_`` base64 or plain text.

    Raises:
        SecretInvalidError: below 24 bytes, or no base64.
    """
    return tuple(_key(part.strip()) for part in secret.split(",") if part.strip())


def sign(key: bytes, content: bytes) -> str:
    """``v1,`` and the base64 of the HMAC-SHA256 of ``content``."""
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def is_signed(keys: Sequence[bytes], content: bytes, signatures: str) -> bool:
    """Is one of the space-separated ``signatures`` by one of the keys; in constant time."""
    given = [part.encode() for part in signatures.split() if part.startswith(f"{_VERSION},")]
    fits = [
        hmac.compare_digest(sign(key, content).encode(), part) for key in keys for part in given
    ]
    return any(fits)


def signed_headers(
    event_id: str, timestamp_s: int, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """The headers of a webhook, by which its receiver knows us; a signature by each key, if any."""
    content = f"{event_id}.{timestamp_s}.".encode() + body
    headers = {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
    }
    if keys:
        headers["webhook-signature"] = " ".join(sign(key, content) for key in keys)
    return headers


def seal(keys: Sequence[bytes], task: str, id_: str, message: dict[str, Any]) -> dict[str, Any]:
    """The message, signed with the first key; unchanged without keys."""
    if not keys:
        return message
    text = json.dumps(message, separators=(",", ":"))
    signature = sign(keys[0], _content(task, id_, text))
    return {"schema_version": 1, "signed": text, "signature": signature}


def unseal(keys: Sequence[bytes], task: str, id_: str, message: dict[str, Any]) -> dict[str, Any]:
    """What was sealed. Without keys nothing is checked, so that producers can begin to sign first.

    Raises:
        NotSignedError: not signed, or not by one of the keys for this task and id.
    """
    text, signature = message.get("signed"), message.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str):
        if keys:
            raise NotSignedError("the message is not signed, and this worker takes no other")
        return message
    if keys and not is_signed(keys, _content(task, id_, text), signature):
        raise NotSignedError(
            "the message's signature is by no key of this worker, or is another message's"
        )
    try:
        sealed: object = json.loads(text)
    except ValueError as error:
        raise NotSignedError(f"signed: no JSON: {error}") from None
    if not isinstance(sealed, dict):
        raise NotSignedError("signed: no JSON object")
    return cast("dict[str, Any]", sealed)


def _content(task: str, id_: str, text: str) -> bytes:
    return f"{task}.{id_}.{text}".encode("utf-8", "surrogatepass")


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise SecretInvalidError(f"what follows {_PREFIX} is no base64") from None
    else:
        key = secret.encode("utf-8", "surrogatepass")
    if len(key) < _LEAST_BYTES:
        raise SecretInvalidError(
            f"a secret has {_LEAST_BYTES} bytes or more; make one with: "
            'python -c "import base64, secrets; '
            "print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
        )
    return key
