"""Signatures, sealed messages, and deliveries as their receivers check them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path

import pytest

from pixfleet.config.contract import TASK_FINALIZE, TASK_PREPARE
from pixfleet.config.signature import (
    NotSignedError,
    keys_of,
    seal,
    sign,
    signed_headers,
    unseal,
)
from pixfleet.producer import WebhookInvalidError, verify_webhook
from pixfleet.workers.admission import MessageNotSignedError, admit

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "another secret in plain words"
JOB = {"source": "/a.jpg", "output": "/out", "schema_version": 1}


def test_a_signature_is_the_one_of_the_standards_own_example():
    # standardwebhooks.com, the example that its libraries are tested with.
    content = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(keys_of(OLD)[0], content) == expected


def test_a_sealed_message_opens_under_its_task_and_id_alone():
    keys = keys_of(OLD)
    sealed = seal(keys, TASK_PREPARE, "1", JOB)
    assert unseal(keys, TASK_PREPARE, "1", sealed) == JOB
    for task, id_ in ((TASK_PREPARE, "2"), (TASK_FINALIZE, "1")):
        with pytest.raises(NotSignedError):
            unseal(keys, task, id_, sealed)


def test_any_language_signs_the_text_that_it_sends():
    """As docs/security.md gives it to producers in other languages."""
    text = '{ "output" : "/out" ,"source":"/\\u00fc.jpg"}'
    signed = f"{TASK_PREPARE}.job-7.{text}".encode()
    digest = hmac.new(NEW.encode(), signed, hashlib.sha256).digest()
    message = {"signed": text, "signature": f"v1,{base64.b64encode(digest).decode()}"}
    assert admit(keys_of(NEW), "job-7", message).source == "/ü.jpg"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: JOB,
        lambda sealed: {**sealed, "signed": sealed["signed"].replace("a.jpg", "b.jpg")},
        lambda sealed: {**sealed, "signature": ""},
        lambda sealed: {**sealed, "signature": sealed["signature"].removeprefix("v1,")},
        lambda sealed: {**sealed, "signature": "v1,"},
        lambda sealed: {**sealed, "signature": ["v1"]},
        lambda sealed: {**sealed, "signed": JOB},
        lambda sealed: {**JOB, "signature": sealed["signature"]},
        lambda _: seal(keys_of(NEW), TASK_PREPARE, "1", JOB),
    ],
)
def test_a_message_that_is_not_signed_or_was_altered_is_refused_and_says_how_to_mend_it(spoil):
    keys = keys_of(OLD)
    with pytest.raises(MessageNotSignedError) as caught:
        admit(keys, "1", spoil(seal(keys, TASK_PREPARE, "1", JOB)))
    assert caught.value.code == "message_not_signed"
    assert "PIXFLEET_QUEUE_SECRET" in caught.value.hint


def test_secrets_rotate_and_producers_may_begin_to_sign_first():
    sealed = seal(keys_of(NEW), TASK_PREPARE, "1", JOB)
    assert unseal(keys_of(f"{OLD},{NEW}"), TASK_PREPARE, "1", sealed) == JOB
    assert unseal((), TASK_PREPARE, "1", sealed) == JOB
    assert seal((), TASK_PREPARE, "1", JOB) == JOB


@pytest.mark.parametrize(
    "job_id", ["../../x", "a/b", "", ".", "..", "a\0b", "a b", "a" * 129, "ü", "-rf", "a\n"]
)
def test_an_id_that_is_no_plain_name_is_refused(job_id):
    with pytest.raises(ValueError, match="id: "):
        admit((), job_id, JOB)


def delivery(secret=OLD, at=None, body=b'{"type":"job.ended"}'):
    at = int(time.time()) if at is None else at
    return signed_headers("job.1", at, body, keys_of(secret)), body


def test_a_delivery_is_verified_by_its_receiver():
    headers, body = delivery()
    assert verify_webhook(headers, body, OLD) == {"type": "job.ended"}
    upper = {name.upper(): value for name, value in headers.items()}
    assert verify_webhook(upper, body.decode(), OLD) == json.loads(body)


def test_a_receiver_accepts_any_of_several_secrets_on_either_side():
    headers, body = delivery(f"{NEW},{OLD}")
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (OLD, NEW, f"{OLD},{NEW}"):
        assert verify_webhook(headers, body, secret)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook-id": "job.2"}, "signature"),
        ({"webhook-timestamp": "1700000000"}, "signature"),
        ({"webhook-signature": "v1,AAAA"}, "signature"),
        ({"webhook-signature": "v1a,AAAA"}, "signature"),
        ({"webhook-signature": ""}, "missing: webhook-signature"),
        ({"webhook-id": ""}, "missing: webhook-id"),
    ],
)
def test_a_delivery_that_was_altered_is_refused(change, said):
    headers, body = delivery()
    with pytest.raises(WebhookInvalidError, match=said):
        verify_webhook({**headers, **change}, body, OLD)


def test_a_delivery_that_is_old_or_of_another_body_or_secret_is_refused():
    headers, body = delivery()
    with pytest.raises(WebhookInvalidError, match="signature"):
        verify_webhook(headers, body + b" ", OLD)
    with pytest.raises(WebhookInvalidError, match="signature"):
        verify_webhook(headers, body, NEW)
    for age_s in (-400, 400):
        headers, body = delivery(at=int(time.time()) - age_s)
        with pytest.raises(WebhookInvalidError, match="from now"):
            verify_webhook(headers, body, OLD)
        assert verify_webhook(headers, body, OLD, tolerance_s=1000)


def test_the_example_for_other_languages_in_the_docs_is_signed_as_it_says():
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    secret = re.search(r"With the secret `(\S+)` and the task id `(\S+)`", page)
    example = re.search(r'```json\n({"signed".*})\n```', page)
    assert secret
    assert example
    job = admit(keys_of(secret[1]), secret[2], json.loads(example[1]))
    assert job.source == "https://img.example.org/a.jpg"
