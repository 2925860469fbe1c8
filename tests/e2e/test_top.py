"""`pixfleet top` in a real terminal, on a real broker."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
import redis

from pixfleet.workers.embedded import EmbeddedBroker
from tests.integration.spending import finish, ledger_of

CLI = [sys.executable, "-m", "pixfleet.producer.cli", "top"]


@pytest.fixture
def broker(tmp_path):
    with EmbeddedBroker(tmp_path / "state") as broker:
        yield broker


def environment(broker):
    return {
        **os.environ,
        "PIXFLEET_BROKER": broker.url,
        "COLUMNS": "100",
        "LINES": "30",
        "TERM": "xterm",
    }


class Terminal:
    """A process on a terminal, and all that it wrote there."""

    def __init__(self, command, environment):
        pid, self._master = pty.fork()
        if pid == 0:
            os.execve(command[0], command, environment)
        self.pid = pid
        self.text = ""

    def wait_for(self, words, within_s=20):
        deadline = time.monotonic() + within_s
        while words not in self.text:
            assert time.monotonic() < deadline, self.text[-2000:]
            self._read(0.2)

    def modes(self):
        return termios.tcgetattr(self._master)

    def press(self, key):
        os.write(self._master, key.encode())

    def _read(self, within_s):
        if select.select([self._master], [], [], within_s)[0]:
            try:
                self.text += os.read(self._master, 65_536).decode("utf-8", "replace")
            except OSError:  # Linux, when the process is gone
                time.sleep(within_s)

    def ended(self, within_s=10):
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        return None


def test_top_is_live_says_when_redis_is_gone_and_leaves_on_q(broker):
    terminal = Terminal([*CLI, "--interval", "0.3"], environment(broker))
    terminal.wait_for("nothing was done yet")
    with redis.Redis.from_url(broker.redis_url) as client:
        finish(ledger_of(client), codes=["image_corrupt"], source="/the-source.jpg")
    terminal.wait_for("/the-source.jpg")
    broker.stop()
    terminal.wait_for("the figures are")
    terminal.press("q")
    assert terminal.ended() == 0
    assert terminal.text.rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_however_it_ends_the_terminal_is_left_as_it_was(broker, end):
    terminal = Terminal(CLI, environment(broker))
    before = terminal.modes()
    terminal.wait_for("nothing was done yet")
    assert terminal.modes() != before
    os.kill(terminal.pid, end)
    assert terminal.ended() == (0 if end == signal.SIGINT else 128 + end)
    assert "\x1b[?1049l" in terminal.text
    assert terminal.modes() == before


def test_one_look_into_a_pipe_tells_all_and_json_tells_programs(broker):
    with redis.Redis.from_url(broker.redis_url) as client:
        finish(ledger_of(client), codes=["image_corrupt"], source="/the-source.jpg")
    text, document = (
        subprocess.run(
            [*CLI, *options], env=environment(broker), capture_output=True, text=True, check=True
        ).stdout
        for options in ((), ("--json",))
    )
    assert "image_corrupt" in text
    assert "\x1b" not in text
    found = json.loads(document)
    assert found["failed"][0]["source"] == "/the-source.jpg"
    assert found["failures_1h"] == [{"code": "image_corrupt", "jobs": 1}]


def test_a_terminal_that_cannot_be_drawn_on_gets_one_look(broker):
    terminal = Terminal(CLI, environment(broker) | {"TERM": "dumb"})
    terminal.wait_for("nothing was done yet")
    assert terminal.ended() == 0


def test_without_redis_it_ends_with_1_and_says_why():
    nowhere = {**os.environ, "PIXFLEET_BROKER": "redis://127.0.0.1:1/0"}
    ended = subprocess.run(
        CLI, env=nowhere, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")


def test_an_interval_of_nothing_is_refused(broker):
    ended = subprocess.run(
        [*CLI, "--interval", "0"],
        env=environment(broker),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "--interval" in ended.stderr
