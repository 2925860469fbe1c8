"""Takes one protection out of a process under test: ``PIXFLEET_TEST_WITHOUT`` names it.

What protects is never told of this: its code is replaced from outside, before it is loaded.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


def _without_option(name: str, value: object) -> None:
    from pixfleet.config import broker  # noqa: PLC0415 (only in the process that loses it)

    given = broker.celery_options

    @functools.wraps(given)
    def options(settings: Any) -> dict[str, Any]:
        return {**given(settings), name: value}

    broker.celery_options = options


def _without_acks_late() -> None:
    import celery  # noqa: PLC0415 (as above)

    given = celery.shared_task
    celery.shared_task = lambda **more: given(**{**more, "acks_late": False})
    _without_option("task_acks_late", value=False)


def _in_script(name: str, old: str, new: str) -> None:
    """Replace a line of a script; a script that has it no more would leave the protection in."""
    from redis import Redis  # noqa: PLC0415 (as above)

    package = "pixfleet.producer" if name == "submit" else "pixfleet.workers.fleet"
    script = (resources.files(package) / f"{name}.lua").read_text("utf-8")
    assert old in script, f"{name}.lua has changed: what is to be taken away?"
    given = Redis.register_script
    Redis.register_script = lambda self, text: given(self, text.replace(old, new))


def _without_sweeper() -> None:
    from pixfleet.workers.fleet.sweeper import Sweeper  # noqa: PLC0415 (as above)

    Sweeper.sweep = lambda _: {}


def _without_heartbeat() -> None:
    _in_script(
        "renew",
        "redis.call('HSET', key, 'lease_until', lease_until, 'seen', stamp)\n"
        "redis.call('ZADD', K.RUNNING, lease_until, id)\nreturn 1",
        "return 1",
    )


def _without_mended_channel() -> None:
    from kombu import Connection  # noqa: PLC0415 (as above)

    from pixfleet.workers.fleet.reconnect import PatientConnection  # noqa: PLC0415 (as above)

    PatientConnection.get_transport_cls = Connection.get_transport_cls


def _without_death_notice() -> None:
    from pixfleet.workers.fleet.jobs import Abandonment  # noqa: PLC0415 (as above)

    Abandonment.tell = lambda *_: -1


REMOVALS: Final[dict[str, Callable[[], None]]] = {
    "acks late": _without_acks_late,
    "reject on worker lost": lambda: _without_option("task_reject_on_worker_lost", value=False),
    "notice of a child's death": _without_death_notice,
    "sweeper": _without_sweeper,
    "a closed channel is a lost connection": _without_mended_channel,
    "heartbeat": _without_heartbeat,
    "fence": lambda: _in_script(
        "complete", "job[1] ~= 'running' or job[2] ~= ARGV[2]", "job[1] ~= 'running'"
    ),
    "attempts are counted": lambda: _in_script("claim", "attempts >= tonumber(ARGV[4])", "false"),
    "ended jobs are refused": lambda: _in_script(
        "claim", "if ENDS[state] then\n  return answer", "if false then\n  return answer"
    ),
    "jobs in work are refused": lambda: _in_script(
        "claim", "if left > 0 and (owner", "if false and (owner"
    ),
    "idempotency key": lambda: _in_script(
        "submit",
        "if redis.call('EXISTS', key) == 1 then\n  return {0",
        "if false then\n  return {0",
    ),
}
