"""The command line: submit, status, wait, recipes; workers join theirs by an entry point.

Data on stdout (``--json``), messages on stderr. Exit 0 done, 1 some images failed, 2 usage,
3 budget closed.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from dataclasses import asdict
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.contract import ImageJob
from pixfleet.config.recipes import (
    RecipeInvalidError,
    RecipeNotFoundError,
    builtin_names,
    load_recipe,
)
from pixfleet.config.settings import SettingsError
from pixfleet.config.state import running_broker

from .client import Producer
from .ledger import LedgerUnavailableError, ResultTimeoutError, UnknownJobError
from .sources import SourceNotFoundError, find_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pixfleet.config.contract import Manifest, Recipe

    from .ledger import BatchStatus

Queue = Literal["interactive", "bulk"]
FAILED: Final = 1
USAGE: Final = 2

messages = Console(stderr=True, highlight=False)
app = typer.Typer(
    help="Image jobs, from a queue to the smallest files that still look right, and their price.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

BrokerOption = Annotated[
    str | None,
    typer.Option(
        help="URL of the queue; default: PIXFLEET_BROKER, else the running embedded broker"
    ),
]
RecipeOption = Annotated[str, typer.Option(help="a recipe's name, or a TOML file")]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Say what is wrong on stderr and leave with ``code``."""
    messages.print(f"[bold red]error:[/] {message}", markup=True, soft_wrap=True)
    raise typer.Exit(code)


def producer(broker: str | None) -> Producer:
    """A producer on the broker that was named, that is configured, or that runs here."""
    return Producer(broker or running_broker())


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=1, default=str) + "\n")


def jobs_of(
    sources: list[str], *, out: str, recipe: Recipe, batch: str, tenant: str, queue: Queue
) -> Iterator[ImageJob]:
    """A job per image that the sources name."""
    for named in sources:
        for source in find_sources(named, without=out):
            yield ImageJob(
                source=source.url,
                recipe=recipe,
                output=out,
                name=source.name,
                source_root=source.root,
                tenant=tenant,
                queue=queue,
                batch=batch,
            )


@app.command()
def submit(
    sources: Annotated[list[str], typer.Argument(help="files, folders, globs, s3:// prefixes")],
    out: Annotated[str, typer.Option(help="folder or s3:// prefix for the results")],
    recipe: RecipeOption = "web",
    tenant: Annotated[str, typer.Option(help="who pays")] = "default",
    queue: Annotated[Queue, typer.Option(help="does somebody wait for it")] = "bulk",
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Queue images as one batch, and print its id."""
    target = out if "://" in out else str(Path(out).expanduser().absolute())
    client = producer(broker)
    batch = f"b-{uuid.uuid4().hex[:12]}"
    jobs = jobs_of(
        sources, out=target, recipe=load_recipe(recipe), batch=batch, tenant=tenant, queue=queue
    )
    count = sum(1 for _ in client.submit_many(jobs))
    client.close_batch(batch, output=target, title=", ".join(sources))
    if json_:
        print_json({"batch": batch, "submitted": count, "output": target})
    else:
        sys.stdout.write(f"{batch}\n")
        messages.print(f"{count} jobs queued; follow them with: pixfleet wait {batch}")


@app.command()
def status(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's or a batch's id")],
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Where a job or a batch stands."""
    client = producer(broker)
    batch = client.batch(id_)
    if batch.submitted:
        _print_batch(batch, json_=json_)
        return
    job = client.ledger.status(id_)
    manifest = client.ledger.manifest(id_)
    if json_:
        print_json(
            asdict(job) | {"manifest": manifest.model_dump(mode="json") if manifest else None}
        )
        return
    table = Table(show_header=False, box=None)
    for name, value in asdict(job).items():
        shown = _utc(value) if name.endswith("_at") and value else value
        table.add_row(name.replace("_", " "), str(shown if shown is not None else "–"))
    Console().print(table)
    if manifest:
        _print_failures(manifest)


@app.command()
def wait(
    id_: Annotated[str, typer.Argument(metavar="ID", help="a job's or a batch's id")],
    timeout_s: Annotated[float, typer.Option(help="seconds to wait at most")] = 3600,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Wait until a job or batch has ended; exit 1 when something failed."""
    client = producer(broker)
    batch = client.batch(id_)
    if not batch.submitted:
        manifest = client.ledger.wait(id_, timeout_s)
        if json_:
            print_json(manifest.model_dump(mode="json"))
        else:
            messages.print(f"{manifest.status}: {len(manifest.variants)} variants")
            _print_failures(manifest)
        raise typer.Exit(0 if manifest.status == "done" else FAILED)
    deadline = time.monotonic() + timeout_s
    while not batch.summarized:
        if time.monotonic() > deadline:
            raise ResultTimeoutError(
                f"batch {id_}: {batch.ended} of {batch.submitted} jobs ended in {timeout_s:g} s"
            )
        time.sleep(0.2)
        batch = client.batch(id_)
    _print_batch(batch, json_=json_)
    raise typer.Exit(FAILED if batch.failed else 0)


recipes_app = typer.Typer(help="The recipes: list them, or show one.", no_args_is_help=True)
app.add_typer(recipes_app, name="recipes")


@recipes_app.command("list")
def list_recipes(json_: JsonOption = False) -> None:
    """The built-in recipes."""
    recipes = [load_recipe(name) for name in builtin_names()]
    if json_:
        print_json([recipe.model_dump(mode="json") for recipe in recipes])
        return
    table = Table("recipe", "quality", "variants", "what it is for", box=None)
    for recipe in recipes:
        names = ", ".join(spec.name for spec in recipe.variants)
        table.add_row(recipe.name, f"{recipe.quality:g}", names, recipe.description)
    Console().print(table)


@recipes_app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="a recipe's name, or a TOML file")],
    json_: JsonOption = False,
) -> None:
    """All that a recipe says, defaults included."""
    recipe = load_recipe(name)
    if json_:
        print_json(recipe.model_dump(mode="json"))
        return
    table = Table(show_header=False, box=None)
    for field, value in recipe.model_dump(mode="json", exclude={"variants"}).items():
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(field, shown or "–")
    console = Console()
    console.print(table)
    variants = Table("variant", "fit", "box, px", "formats", "pick", "quality", box=None)
    for spec in recipe.variants:
        box = f"{spec.width or '–'} x {spec.height or '–'}"
        quality = f"{spec.quality or recipe.quality:g}"
        variants.add_row(spec.name, spec.fit, box, ", ".join(spec.formats), spec.pick, quality)
    console.print(variants)


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
        messages.print(f"{failure.code}{where}: {failure.message}; {failure.hint}", markup=False)


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


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
            help="print it and leave",
        ),
    ] = False,
) -> None:
    """Image jobs, from a queue to the smallest files that still look right, and their price."""


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
        LedgerUnavailableError,
        ResultTimeoutError,
        UnknownJobError,
    ) as error:
        messages.print(f"[bold red]error:[/] {error}", markup=True, soft_wrap=True)
        sys.exit(FAILED if isinstance(error, ResultTimeoutError) else USAGE)


if __name__ == "__main__":
    main()
