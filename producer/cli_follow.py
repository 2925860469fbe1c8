"""The commands ``pixfleet status`` and ``wait``: where a job or a batch stands, until it ends."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from .holding import Hold, holds_batch, holds_job
from .ledger import ResultTimeoutError
from .terminal import (
    CLOSED,
    FAILED,
    BrokerOption,
    JsonOption,
    fail,
    messages,
    print_json,
    producer,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.config.results import Manifest

    from .client import Producer
    from .ledger import BatchStatus, Ledger

_LOOK_S: Final = 2.0
"""Between two looks at budgets."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (status, wait):
        app.command()(command)


def status(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's or a batch's id")],
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show where a job or a batch stands."""
    client = producer(broker)
    batch = client.batch(id_)
    if batch.submitted:
        _print_batch(batch, json_=json_)
        if batch.ended < batch.submitted:
            _say_held(holds_batch(client.ledger, id_))
        return
    job = client.ledger.status(id_)
    _say_held(holds_job(client.ledger, job))
    manifest = client.ledger.manifest(id_)
    if json_:
        print_json(
            asdict(job) | {"manifest": manifest.model_dump(mode="json") if manifest else None}
        )
        return
    table = Table(show_header=False, box=None)
    for name, value in asdict(job).items():
        shown = utc(value) if name.endswith("_at") and value else value
        table.add_row(name.replace("_", " "), str(shown) if shown not in (None, "") else "–")
    Console().print(table)
    if manifest:
        _print_failures(manifest)


def wait(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's or a batch's id")],
    timeout_s: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="how long to wait at most")
    ] = 3600,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Wait for the end of a job or a batch.

    Exit code 0: all done, 1: something failed, or the time was up, 3: it was up because a budget
    holds what is left.
    """
    client = producer(broker)
    batch = client.batch(id_)
    if not batch.submitted:
        manifest = _wait_for_job(client.ledger, id_, timeout_s)
        if json_:
            print_json(manifest.model_dump(mode="json"))
        else:
            messages.print(f"{manifest.status}: {len(manifest.variants)} variants")
            _print_failures(manifest)
        raise typer.Exit(0 if manifest.status == "done" else FAILED)
    with messages.status("waiting") as shown:  # on a terminal only
        batch = _wait_for_batch(client, batch, timeout_s, shown.update)
    _print_batch(batch, json_=json_)
    raise typer.Exit(FAILED if batch.failed else 0)


def _wait_for_job(ledger: Ledger, job_id: str, timeout_s: float) -> Manifest:
    _say_held(holds_job(ledger, ledger.status(job_id)))
    try:
        return ledger.wait(job_id, timeout_s)
    except ResultTimeoutError as error:
        if holds_job(ledger, ledger.status(job_id)):
            fail(str(error), CLOSED)
        raise


def _wait_for_batch(
    client: Producer, batch: BatchStatus, timeout_s: float, show: Callable[[str], None]
) -> BatchStatus:
    """The batch when its summary is written; a budget that holds it is told of, and awaited."""
    deadline = time.monotonic() + timeout_s
    hold, looked_s = None, 0.0
    while not batch.summarized:
        now_s = time.monotonic()
        if now_s - looked_s > _LOOK_S and batch.ended < batch.submitted:
            looked_s, before = now_s, hold
            hold = holds_batch(client.ledger, batch.id)
            if hold and (not before or hold.owner != before.owner):
                _say_held(hold)
        counted = f"{batch.ended} of {batch.submitted} jobs ended"
        if now_s > deadline and hold:
            fail(f"batch {batch.id}: {counted} in {timeout_s:g} s; {hold.text}", CLOSED)
        if now_s > deadline:
            raise ResultTimeoutError(
                f"batch {batch.id}: {counted} in {timeout_s:g} s; is a worker running? "
                "`pixfleet doctor` tells"
            )
        show(f"{counted}, {batch.failed} failed" + (", held by a budget" if hold else ""))
        time.sleep(0.2)
        batch = client.batch(batch.id)
    return batch


def _say_held(hold: Hold | None) -> None:
    if hold:
        messages.print(f"what waits is kept: {hold.text}", soft_wrap=True)


def _print_batch(batch: BatchStatus, *, json_: bool) -> None:
    if json_:
        print_json(asdict(batch) | {"ended": batch.ended})
        return
    state = "ended" if batch.closed and batch.ended >= batch.submitted else "running"
    text = f"{state}: {batch.done} done, {batch.failed} failed of {batch.submitted}"
    sys.stdout.write(f"{text}; {batch.variants} variants, {batch.bytes_out} bytes\n")
    if batch.problem:
        messages.print(f"the summary could not be written: {batch.problem}")


def _print_failures(manifest: Manifest) -> None:
    for failure in manifest.failures:
        where = f" ({failure.variant})" if failure.variant else ""
        messages.print(f"{failure.code}{where}: {failure.message}; {failure.hint}")
