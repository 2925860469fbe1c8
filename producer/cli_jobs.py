"""Commands for operators: jobs, job, retry, cancel, purge."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .desk import ENDS, PENDING, STATES, JobDesk
from .holding import holds, holds_job
from .terminal import (
    FAILED,
    BrokerOption,
    JobStateOption,
    JsonOption,
    fail,
    messages,
    print_json,
    producer,
    utc,
)
from .timeline import drawn, timeline

if TYPE_CHECKING:
    from pixfleet.config.results import JobState

    from .ledger import JobStatus, Ledger


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (jobs, job, retry, cancel, purge):
        app.command()(command)


def jobs(
    state: JobStateOption = None,
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="only this tenant's")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="rows at most")] = 50,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """List jobs: what is in work, what waits, and what ended badly.

    Without --state: everything but what is done. Of ended jobs the newest 10,000 of each kind (of
    done ones 1,000) are listed, as long as their results are kept.
    """
    ledger = _ledger(broker)
    desk = JobDesk(ledger)
    wanted: tuple[JobState, ...] = (
        (state,) if state else tuple(name for name in STATES if name != "done")
    )
    rows = list(itertools.islice(desk.jobs(wanted, tenant), limit))
    numbers = desk.numbers()
    if json_:
        print_json({"numbers": numbers, "jobs": [asdict(row) for row in rows]})
        return
    if rows:
        _print_rows(rows)
    waiting = {(row.tenant, row.recipe, row.queue) for row in rows if row.state in PENDING}
    for text in sorted({hold.text for kind in waiting if (hold := holds(ledger, *kind))}):
        messages.print(text, soft_wrap=True)
    messages.print(", ".join(f"{count} {name}" for name, count in numbers.items() if count))
    if len(rows) == limit:
        messages.print(f"the first {limit}; --limit shows more")


def job(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's id")],
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a job's life: its waits, each attempt at it, and the stages of the one that ended it."""
    ledger = _ledger(broker)
    status = ledger.status(id_)
    attempts = ledger.attempts(id_)
    manifest = ledger.manifest(id_)
    failures = manifest.failures if manifest else ()
    rows = timeline(status, attempts, manifest, time.time())
    if json_:
        print_json(
            asdict(status)
            | {
                "attempts_over": [asdict(attempt) for attempt in attempts],
                "timeline": [asdict(row) for row in rows],
                "failures": [failure.model_dump() for failure in failures],
            }
        )
        return
    facts = Table(show_header=False, box=None)
    for name in ("id", "state", "tenant", "recipe", "source", "queue", "batch"):
        facts.add_row(name, str(getattr(status, name)))
    facts.add_row("submitted", utc(status.submitted_at))
    if hold := holds_job(ledger, status):
        facts.add_row("held", hold.text)
    Console().print(facts)
    Console(highlight=False).print(drawn(rows), soft_wrap=True, end="")
    for failure in failures:
        messages.print(f"{failure.code}: {failure.message}; {failure.hint}")


def retry(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="jobs' ids")] = None,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="every failed and quarantined job that is listed")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="with --all-failed: only this tenant's")
    ] = None,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Queue failed, quarantined or cancelled jobs again, with all their attempts.

    Exit code 1 when one of them could not be: it is done already, or has not ended.
    """
    desk = JobDesk(_ledger(broker))
    if all_failed == bool(ids):
        fail("name the jobs, or say --all-failed")
    named = ids or [row.id for row in list(desk.jobs(("failed", "quarantined"), tenant))]
    again = [id_ for id_ in named if desk.retry(id_)]
    left = [id_ for id_ in named if id_ not in set(again)]
    if json_:
        print_json({"queued": again, "left": left})
    else:
        messages.print(f"{len(again)} jobs queued again")
        for id_ in left:
            messages.print(f"{id_} is done, or has not ended: nothing to retry")
    raise typer.Exit(FAILED if left and ids else 0)


def cancel(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's or a batch's id")],
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """End a job, or all jobs of a batch, that no worker has taken up yet.

    What is in work ends by itself. Exit code 1 when there was nothing left to cancel.
    """
    ledger = _ledger(broker)
    desk = JobDesk(ledger)
    batch = ledger.batch(id_).submitted
    count = desk.cancel_batch(id_) if batch else int(desk.cancel(id_))
    if json_:
        print_json({"cancelled": count})
    else:
        messages.print(
            f"{count} jobs end as cancelled" if count else "nothing left that no worker has taken"
        )
    raise typer.Exit(0 if count else FAILED)


def purge(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="only this tenant's")] = None,
    ended: Annotated[
        bool,
        typer.Option("--ended", help="instead, forget the ended jobs: their manifests here, too"),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """End everything that waits for a worker as cancelled; `pixfleet retry` can bring it back."""
    desk = JobDesk(_ledger(broker))
    if not yes:
        numbers = desk.numbers()
        kinds = ENDS if ended else PENDING
        whose = f"of {tenant} among the" if tenant else "all"
        count = sum(numbers[kind] for kind in kinds)
        if not sys.stdin.isatty():
            fail("say --yes: without a terminal nobody can be asked")
        typer.confirm(f"{'forget' if ended else 'cancel'} {whose} {count} jobs?", abort=True)
    count = desk.forget(tenant) if ended else desk.purge(tenant)
    if json_:
        print_json({"forgotten" if ended else "cancelled": count})
    else:
        messages.print(f"{count} jobs {'forgotten' if ended else 'end as cancelled'}")


def _ledger(broker: str | None) -> Ledger:
    return producer(broker).ledger


def _print_rows(rows: list[JobStatus]) -> None:
    """Two lines a job: paths and reasons are long, and whole."""
    console, now = Console(highlight=False), time.time()
    states = max(len(row.state) for row in rows)
    for row in rows:
        age, attempts = _span(now - row.submitted_at), f"{row.attempts} attempts"
        facts = (row.id, row.state.ljust(states), attempts, age.rjust(6), row.tenant)
        console.print(Text("  ".join(facts), style="bold"), soft_wrap=True)
        why = f"held by the budget of {row.held_by}" if row.held_by else row.why
        console.print(Text(f"    {row.source}" + (f"  {why}" if why else "")))


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.1f} s"
