"""The commands ``pixfleet queues list``, ``create``, ``check``, ``dead`` and ``replay``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.queues import QUEUES
from pixfleet.config.settings import Settings
from pixfleet.config.state import running_broker

from .connection import answering, connect
from .ledger import Ledger, UnknownJobError
from .terminal import FAILED, BrokerOption, JsonOption, fail, messages, print_json

if TYPE_CHECKING:
    from .queues import SqsQueues

queues_app = typer.Typer(
    help="Make the queues on SQS, look at queues, revive dead messages.", no_args_is_help=True
)
LimitOption = Annotated[int, typer.Option(metavar="N", min=1, help="messages at most")]
_NO_DEAD = (
    "queues in Redis have no dead-letter queues: a job whose attempts are used up is in the ledger"
)


def _queue(name: str | None) -> str | None:
    if name is not None and name not in QUEUES:
        raise typer.BadParameter(f"one of {', '.join(QUEUES)}")
    return name


QueueArgument = Annotated[
    str | None, typer.Argument(metavar="QUEUE", help="default: all", callback=_queue)
]


def _settings(broker: str | None) -> Settings:
    settings = Settings.load()
    url = broker or running_broker()
    return settings.with_broker(url) if url else settings


def _on_sqs(settings: Settings) -> SqsQueues:
    from .queues import SqsQueues  # noqa: PLC0415 (boto3: 0.2 s that Redis users need not pay)

    return SqsQueues(settings)


@queues_app.command("list")
def list_queues(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Show how many messages lie on each queue; on SQS also in flight and dead."""
    settings = _settings(broker)
    if settings.broker.on_sqs:
        rows = [asdict(depth) for depth in _on_sqs(settings).depths()]
    else:
        client = connect(settings.ledger_url)
        with answering(client):
            lengths = [client.llen(queue) for queue in QUEUES]
        rows = [
            {"queue": queue, "waiting": length, "in_flight": None, "delayed": None, "dead": None}
            for queue, length in zip(QUEUES, lengths, strict=True)
        ]
    if json_:
        print_json(rows)
        return
    table = Table("queue", "waiting", "in flight", "delayed", "dead", box=None)
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    Console().print(table)


@queues_app.command()
def create(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Make the queues and their dead-letter queues on SQS, and set what differs.

    Doing it again changes nothing.
    """
    settings = _settings(broker)
    changes = _on_sqs(settings).create() if settings.broker.on_sqs else []
    if json_:
        print_json([asdict(change) for change in changes])
        return
    for change in changes:
        if change.attribute == "exists":
            messages.print(f"{change.queue}: created", soft_wrap=True)
        else:
            messages.print(
                f"{change.queue}: {change.attribute} was {change.found}, is now {change.wanted}",
                soft_wrap=True,
            )
    if not settings.broker.on_sqs:
        messages.print("queues in Redis need not be made: the first message makes them")
    elif not changes:
        messages.print("all queues are as they should be")


@queues_app.command()
def check(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Compare the queues on SQS with what this fleet's settings ask for.

    Exit code 0: all are as they should be, 1: something differs.
    """
    settings = _settings(broker)
    found = _on_sqs(settings).differences() if settings.broker.on_sqs else []
    if json_:
        print_json([asdict(change) for change in found])
    for change in found if not json_ else ():
        said = (
            "does not exist"
            if change.attribute == "exists"
            else f"{change.attribute} is {change.found}, should be {change.wanted}"
        )
        messages.print(f"{change.queue}: {said}; mend it: pixfleet queues create", soft_wrap=True)
    if not found:
        messages.print("all queues are as they should be")
    raise typer.Exit(FAILED if found else 0)


@queues_app.command()
def dead(
    queue: QueueArgument = None,
    limit: LimitOption = 100,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what lies on the dead-letter queues, and what the ledger says of those jobs.

    The messages stay where they are, but are hidden while the command looks at them.
    """
    settings = _settings(broker)
    if not settings.broker.on_sqs:
        fail(_NO_DEAD)
    queues = _on_sqs(settings)
    ledger = Ledger(connect(settings.ledger_url))
    rows = [
        asdict(message) | {"job_state": _state(ledger, message.job_id)}
        for name in ([queue] if queue else QUEUES)
        for message in queues.dead(name, limit)
    ]
    if json_:
        print_json(rows)
        return
    if not rows:
        messages.print("no dead messages")
        return
    table = Table("queue", "job", "its state", "task", "age, s", "receives", box=None)
    for row in rows:
        columns = ("queue", "job_id", "job_state", "task", "age_s", "receives")
        table.add_row(*(str(row[name] or "–") for name in columns))
    Console().print(table)


@queues_app.command()
def replay(
    queue: QueueArgument = None,
    limit: LimitOption = 1000,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Move messages from the dead-letter queues back to their queues.

    Rarely needed: a job that has not ended is queued again by the fleet itself. A message whose job
    has ended is dropped by the worker that gets it.
    """
    settings = _settings(broker)
    if not settings.broker.on_sqs:
        fail(_NO_DEAD)
    queues = _on_sqs(settings)
    moved = {name: queues.replay(name, limit) for name in ([queue] if queue else QUEUES)}
    if json_:
        print_json(moved)
        return
    for name, count in moved.items():
        messages.print(f"{name}: {count} messages went back")


def _state(ledger: Ledger, job_id: str) -> str:
    try:
        return ledger.status(job_id).state if job_id else ""
    except UnknownJobError:
        return "unknown"
