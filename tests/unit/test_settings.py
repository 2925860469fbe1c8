"""Settings: from the environment, with a default for each, and errors that name the variable."""

import os
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from pixfleet.config.reference import document
from pixfleet.config.settings import GROUPS, Settings, SettingsError, variable

VARIABLES = [variable(group, field) for group in GROUPS for field in group.model_fields]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("PIXFLEET_"):
            monkeypatch.delenv(name)


def test_docs_configuration_is_up_to_date():
    committed = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert committed.read_text(encoding="utf-8") == document(), "run `make docs`, commit the page"


def test_every_variable_is_documented_once_and_described():
    assert len(set(VARIABLES)) == len(VARIABLES)
    for name in VARIABLES:
        assert document().count(f"| `{name}` |") == 1
    assert all(field.description for group in GROUPS for field in group.model_fields.values())


def test_nothing_has_to_be_set():
    settings = Settings.load()
    assert settings.broker.broker == "redis://127.0.0.1:6379/0"
    assert settings.ledger_url == "redis://127.0.0.1:6379/0"


def test_every_documented_variable_is_read(monkeypatch):
    plain = Settings.load()
    for group in GROUPS:
        for field, info in group.model_fields.items():
            name = variable(group, field)
            if info.annotation is bool:
                other, expected = str(not info.default), not info.default
            elif info.examples:
                other, expected = (
                    info.examples[0],
                    getattr(group(**{field: info.examples[0]}), field),
                )
                assert expected != info.default
            elif info.annotation in (int, float):
                other, expected = str(info.default + 1), info.default + 1
            elif choices := get_args(info.annotation):
                other = expected = choices[-1]
            else:
                other = expected = "large" if field == "queues" else "elsewhere"
            with monkeypatch.context() as patch:
                patch.setenv(name, other)
                read = getattr(group(), field)
            assert read == expected, name
    assert Settings.load() == plain


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PIXFLEET_LIMITS_MAX_PIXELS", "many", id="no number"),
        pytest.param("PIXFLEET_LIMITS_MAX_PIXELS", "0", id="below its least"),
        pytest.param("PIXFLEET_MONITOR_PORT", "70000", id="above its most"),
        pytest.param("PIXFLEET_MEMO_ENABLED", "perhaps", id="no truth value"),
        pytest.param("PIXFLEET_SPOT_WATCH", "maybe", id="not among the choices"),
        pytest.param("PIXFLEET_VISIBILITY_TIMEOUT_S", "soon", id="group without a prefix"),
        pytest.param("PIXFLEET_SOURCES_ALLOW_PRIVATE", "10.0.0.1/8", id="no network"),
        pytest.param("PIXFLEET_SOURCES_LOCAL", "photos", id="no absolute folder"),
        pytest.param("PIXFLEET_WEBHOOK_PORTS", "https", id="no port"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_and_the_value(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert str(refused.value).startswith(f"{name}: ")
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("secret", ["hunter2", "whsec_hunter2!", "whsec_aHVudGVyMg=="])
@pytest.mark.parametrize("name", ["PIXFLEET_QUEUE_SECRET", "PIXFLEET_WEBHOOK_SECRET"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(monkeypatch, name, secret):
    monkeypatch.setenv(name, secret)
    with pytest.raises(SettingsError, match=name) as refused:
        Settings.load()
    assert secret not in str(refused.value)


def test_a_secret_is_never_shown(monkeypatch):
    monkeypatch.setenv("PIXFLEET_QUEUE_SECRET", "a-secret-of-some-24-bytes-or-more")
    settings = Settings.load()
    assert (
        "a-secret"
        not in repr(settings) + str(settings.signing) + settings.signing.model_dump_json()
    )


@pytest.mark.parametrize("visibility_s", ["299", "300"], ids=["below", "equal"])
def test_a_visibility_timeout_not_above_the_hard_limit_is_refused(monkeypatch, visibility_s):
    monkeypatch.setenv("PIXFLEET_VISIBILITY_TIMEOUT_S", visibility_s)
    with pytest.raises(SettingsError, match=r"PIXFLEET_WORKER_HARD_TIME_LIMIT_S \(300 s\)"):
        Settings.load()


def test_on_sqs_workers_renew_so_visibility_may_be_below_the_hard_limit(monkeypatch):
    assert Settings.load().broker.visibility_s == 900
    monkeypatch.setenv("PIXFLEET_BROKER", "sqs://")
    assert Settings.load().broker.visibility_s == 120
    monkeypatch.setenv("PIXFLEET_VISIBILITY_TIMEOUT_S", "30")
    assert Settings.load().broker.visibility_s == 30


def test_a_message_on_sqs_must_not_die_before_its_job_may_say_why(monkeypatch):
    monkeypatch.setenv("PIXFLEET_SQS_MAX_RECEIVES", "3")
    assert Settings.load().sqs.max_receives == 3
    with pytest.raises(SettingsError, match=r"PIXFLEET_WORKER_MAX_ATTEMPTS \(3\)"):
        Settings.load().with_broker("sqs://")


def test_another_broker_on_sqs_keeps_the_ledger(monkeypatch):
    monkeypatch.setenv("PIXFLEET_LEDGER", "redis://other:6379/0")
    assert Settings.load().with_broker("sqs://").ledger_url == "redis://other:6379/0"
    assert Settings.load().with_broker("redis://h:1/0").ledger_url == "redis://h:1/0"


def test_a_soft_limit_not_below_the_hard_limit_is_refused(monkeypatch):
    monkeypatch.setenv("PIXFLEET_WORKER_SOFT_TIME_LIMIT_S", "300")
    with pytest.raises(SettingsError, match="PIXFLEET_WORKER_SOFT_TIME_LIMIT_S"):
        Settings.load()


def test_settings_cannot_be_changed():
    settings = Settings.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.memo.enabled = False


@pytest.mark.parametrize(
    ("broker", "ledger"),
    [
        pytest.param("redis://h:1/2", "redis://h:1/2", id="tcp"),
        pytest.param("redis+socket:///run/v.sock", "unix:///run/v.sock", id="socket"),
        pytest.param(
            "redis+socket:///run/v.sock?virtual_host=3", "unix:///run/v.sock?db=3", id="database"
        ),
    ],
)
def test_the_ledger_is_the_brokers_redis_unless_named(monkeypatch, broker, ledger):
    monkeypatch.setenv("PIXFLEET_BROKER", broker)
    assert Settings.load().ledger_url == ledger
    monkeypatch.setenv("PIXFLEET_LEDGER", "redis://other:6379/0")
    assert Settings.load().ledger_url == "redis://other:6379/0"


def test_an_sqs_fleet_without_a_ledger_is_told_to_name_one(monkeypatch):
    monkeypatch.setenv("PIXFLEET_BROKER", "sqs://")
    with pytest.raises(SettingsError, match=r"PIXFLEET_LEDGER.*redis://"):
        _ = Settings.load().ledger_url
