"""The commands ``pixfleet webhooks`` and ``pixfleet webhooks retry``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .terminal import FAILED, BrokerOption, JsonOption, fail, messages, print_json, producer, utc
from .webhooks import call_again, waiting_webhooks

webhooks_app = typer.Typer(help="List webhooks that wait or were given up; call them again.")


@webhooks_app.callback(invoke_without_command=True)
def list_webhooks(
    context: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="those that were given up")] = False,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """List webhooks that are to be called, the next first."""
    if context.invoked_subcommand:
        return
    found = list(waiting_webhooks(producer(broker).ledger.redis, dead=dead))
    if json_:
        print_json([asdict(webhook) for webhook in found])
        return
    table = Table("job", "given up" if dead else "next call", "failed", "problem", "URL", box=None)
    for webhook in found:
        table.add_row(
            webhook.job_id, utc(webhook.at), str(webhook.tries), webhook.problem, webhook.url
        )
    if found:
        Console().print(table)
    else:
        messages.print("no webhook was given up" if dead else "no webhook waits")


@webhooks_app.command("retry")
def retry_webhooks(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="ids of jobs, from `pixfleet webhooks`")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="all that were given up")] = False,
    broker: BrokerOption = None,
) -> None:
    """Call webhooks again that were given up, with all their tries.

    Exit code 0: all are called again, 1: an id was of none.
    """
    if every == bool(ids):
        fail("name the jobs, or give --all")
    client = producer(broker).ledger.redis
    wanted = ids or [webhook.job_id for webhook in waiting_webhooks(client, dead=True)]
    unknown = [job_id for job_id in wanted if not call_again(client, job_id)]
    messages.print(f"{len(wanted) - len(unknown)} webhooks are called again")
    if unknown:
        fail(f"no webhook waits or was given up for: {', '.join(unknown)}", FAILED)
