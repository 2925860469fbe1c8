"""The command line: what a producer needs; workers join their commands by an entry point.

Data on stdout (``--json``), messages on stderr. Exit 0 done, 1 some images failed, 2 usage,
3 budget closed.
"""

from __future__ import annotations

import sys
import uuid
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pixfleet.config.contract import ImageJob
from pixfleet.config.recipes import (
    RecipeInvalidError,
    RecipeNotFoundError,
    load_recipe,
)
from pixfleet.config.settings import SettingsError
from pixfleet.config.urls import shown, split_web

from . import cli_follow, cli_jobs
from .admission import BacklogFullError, BudgetClosedError
from .cli_picture import picture
from .cli_queues import queues_app
from .cli_recipes import recipes_app
from .cli_webhooks import webhooks_app
from .cli_workers import drain, workers
from .connection import LedgerUnavailableError
from .ledger import ResultTimeoutError, UnknownJobError
from .manifests import ManifestInvalidError
from .sources import SourceNotFoundError, find_sources
from .sqs import MessageTooLargeError, SqsUnavailableError
from .terminal import (
    CLOSED,
    FAILED,
    USAGE,
    BrokerOption,
    JsonOption,
    OutOption,
    RecipeOption,
    TenantOption,
    messages,
    print_error,
    print_json,
    producer,
)
from .tracing import SUBMIT, traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pixfleet.config.contract import Recipe

    from .sources import Source

Queue = Literal["interactive", "bulk"]
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def jobs_of(
    sources: Iterable[str | Source],
    *,
    out: str,
    recipe: Recipe,
    batch: str,
    tenant: str,
    queue: Queue,
    deadline_s: float | None = None,
    webhook: str | None = None,
) -> Iterator[ImageJob]:
    """A job per image that the sources name, or that is given as it was found."""
    for named in sources:
        found = find_sources(named, without=out) if isinstance(named, str) else (named,)
        for source in found:
            yield ImageJob(
                source=source.url,
                recipe=recipe,
                output=out,
                name=source.name,
                source_root=source.root,
                tenant=tenant,
                queue=queue,
                batch=batch,
                deadline_s=deadline_s,
                webhook=webhook,
            )


def _webhook(url: str | None) -> str | None:
    if url is not None and split_web(url) is None:
        raise typer.BadParameter("no https:// URL")
    return url


app.add_typer(recipes_app, name="recipes")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(queues_app, name="queues")
app.command()(picture)
app.command()(workers)
app.command()(drain)
cli_jobs.register(app)
cli_follow.register(app)


@app.command()
def submit(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN", help="files, folders, globs, s3://bucket/prefix, https:// URLs"
        ),
    ],
    out: OutOption,
    recipe: RecipeOption = "web",
    tenant: TenantOption = "default",
    queue: Annotated[
        Queue, typer.Option(help="interactive: somebody waits, so it goes first and fans out")
    ] = "bulk",
    deadline_s: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="SECONDS",
            min=1,
            help="a job that no worker has taken up by then fails",
        ),
    ] = None,
    patience_s: Annotated[
        float,
        typer.Option(
            "--patience",
            metavar="SECONDS",
            min=0,
            help="how long to wait for room when as many jobs wait as the fleet allows",
        ),
    ] = 3600,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="https:// URL that is told when an image is done", callback=_webhook
        ),
    ] = None,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Queue images for a running fleet, and print the batch's id."""
    target = out if "://" in out else str(Path(out).expanduser().absolute())
    client = producer(broker)
    batch = f"b-{uuid.uuid4().hex[:12]}"
    jobs = jobs_of(
        sources,
        out=target,
        recipe=load_recipe(recipe),
        batch=batch,
        tenant=tenant,
        queue=queue,
        deadline_s=deadline_s,
        webhook=webhook,
    )
    count = 0
    refusal: BacklogFullError | BudgetClosedError | None = None
    try:
        with traced(SUBMIT):
            for _ in client.submit_many(jobs, patience_s=patience_s):
                count += 1
    except (BacklogFullError, BudgetClosedError) as error:
        if not count:
            raise
        refusal = error
    client.close_batch(batch, output=target, title=", ".join(map(shown, sources)))
    if refusal:
        messages.print(f"{batch}: only {count} jobs are queued")
        raise refusal
    if json_:
        print_json({"batch": batch, "submitted": count, "output": target})
    else:
        sys.stdout.write(f"{batch}\n")
        messages.print(f"{count} jobs queued; follow them with: pixfleet wait {batch}")
    if not client.ledger.workers():
        messages.print("no worker is running yet: `pixfleet up` starts one")


def _version(asked: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if asked:
        sys.stdout.write(f"pixfleet {version('pixfleet')}\n")
        raise typer.Exit


@app.callback()
def root(
    *,
    version_: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    """Turn images into the smallest files that still look right, and say what it costs.

    To begin: `pixfleet run samples --out out`. It starts all it needs, and stops it again.
    """


def main() -> None:
    """Run the command line, with every expected error as one clear line."""
    for point in entry_points(group="pixfleet.commands"):
        try:
            register: Callable[[typer.Typer], None] = point.load()
        except ModuleNotFoundError:
            continue  # the light install: producers only
        register(app)
    try:
        app()
    except (
        SettingsError,
        RecipeNotFoundError,
        RecipeInvalidError,
        SourceNotFoundError,
        BacklogFullError,
        LedgerUnavailableError,
        ManifestInvalidError,
        MessageTooLargeError,
        ResultTimeoutError,
        SqsUnavailableError,
        UnknownJobError,
    ) as error:
        print_error(str(error))
        sys.exit(FAILED if isinstance(error, (ResultTimeoutError, BacklogFullError)) else USAGE)
    except BudgetClosedError as error:
        print_error(str(error))
        sys.exit(CLOSED)


if __name__ == "__main__":
    main()
