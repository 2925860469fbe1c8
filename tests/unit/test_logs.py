"""Lines of the logs as they are written: by whom, for whom, and what is not in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

WRITES = """
import logging, sys, warnings
import structlog
from pixfleet.config.monitor_settings import LogSettings
from pixfleet.workers import logs
logs.set_up(LogSettings(), *sys.argv[1:])
log, other = structlog.get_logger("pixfleet.some.module"), logging.getLogger("some.library")
"""
TOKEN = "tok-3n"


def written(code: str, *arguments: str, format_: str = "auto", terminal: bool = False) -> str:
    """What a process writes to stderr, a pipe or a terminal, when it has set up its logs."""
    reader, writer = os.openpty() if terminal else os.pipe()
    subprocess.run(
        [sys.executable, "-c", WRITES + code, *arguments],
        env={**os.environ, "PIXFLEET_LOG_FORMAT": format_},
        stderr=writer,
        check=True,
        timeout=60,
    )
    os.close(writer)
    parts = []
    try:
        while part := os.read(reader, 65_536):
            parts.append(part)
    except OSError:  # a terminal that is closed
        pass
    os.close(reader)
    return b"".join(parts).decode()


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_ours_and_others_lines_are_json_with_time_level_logger_and_event():
    ours, others, warned = objects(
        written(
            'log.info("it.happened", count=3); other.warning("%s went", "it"); warnings.warn("old")'
        )
    )
    assert (ours["event"], ours["count"]) == ("it.happened", 3)
    assert (others["event"], others["logger"], others["level"]) == (
        "it went",
        "some.library",
        "warning",
    )
    assert warned["logger"] == "py.warnings"
    assert ours["logger"] == "pixfleet.some.module"
    assert all(line["timestamp"].endswith("Z") for line in (ours, others, warned))


def test_on_a_terminal_they_are_for_people_and_a_setting_decides_otherwise():
    code = 'log.info("it.happened", count=3)'
    shown = written(code, terminal=True)
    assert "it.happened" in shown
    assert "{" not in shown
    assert objects(written(code, format_="json", terminal=True))
    piped = written(code, format_="console")
    assert "it.happened" in piped
    assert "\x1b" not in piped, "no colours where nobody sees them"


def test_the_level_holds_for_ours_and_for_others():
    code = 'log.info("a"); other.info("b"); log.warning("c"); other.warning("d")'
    assert [line["event"] for line in objects(written(code, "WARNING"))] == ["c", "d"]
    assert [line["event"] for line in objects(written(code, "info"))] == ["a", "b", "c", "d"]


def test_lines_go_to_the_file_that_celery_was_told(tmp_path):
    file = tmp_path / "worker.log"
    assert not written('log.info("a"); other.info("b")', "INFO", str(file))
    assert [line["event"] for line in objects(file.read_text())] == ["a", "b"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_nothing_in_a_line_ends_it_or_moves_the_cursor(format_):
    evil = 'x\\n{\\"event\\": \\"job.ended\\"}\\r\\x1b[2J\\x9b\\u2028y'
    text = written(
        f'log.info("{evil}", source="{evil}"); other.error("%s", "{evil}")', format_=format_
    )
    assert len(text.splitlines()) == 2
    assert not any(control in text for control in "\r\x1b\x9b\u2028")


def test_a_traceback_is_one_json_line_and_whole():
    code = f"""
try:
    raise ValueError("line\\nhttps://u:{TOKEN}@host/a.jpg?sig={TOKEN}")
except ValueError:
    log.exception("bug")
    other.exception("bug")
"""
    for line in objects(written(code)):
        assert "Traceback" in line["exception"]
        assert "host/a.jpg" in line["exception"]
        assert TOKEN not in json.dumps(line)


@pytest.mark.parametrize(
    ("url", "left"),
    [
        pytest.param(f"redis://:{TOKEN}@broker:6379/0", "redis://broker:6379/0", id="redis"),
        pytest.param(f"rediss://u:{TOKEN}@[::1]/0", "rediss://[::1]/0", id="redis-tls"),
        pytest.param(
            f"https://h/a.jpg?X-Amz-Signature={TOKEN}", "https://h/a.jpg?", id="presigned"
        ),
        pytest.param(f"https://u:{TOKEN}@h/a.jpg", "https://h/a.jpg", id="login"),
        pytest.param(f"https://u:{TOKEN}/x@h/a.jpg", "", id="slash-in-password"),
    ],
)
def test_urls_are_without_what_may_be_secret(url, left):
    code = f'log.info("asked {url}, twice", url="{url}"); other.info("cannot open (%s)", "{url}")'
    ours, others = objects(written(code))
    assert TOKEN not in json.dumps([ours, others])
    assert left in ours["url"]
    assert left in others["event"]


def test_a_line_that_cannot_be_written_raises_nothing():
    assert written('other.error("%d", "no number"); log.info("after", what=object())').count(
        "after"
    )
