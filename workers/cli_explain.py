"""The command ``pixfleet explain``: why a variant is what it is, and what else was considered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfleet.config.contract import Objective  # noqa: TC001 (typer reads it at run time)
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.manifests import read_manifests
from pixfleet.producer.terminal import (
    FAILED,
    BrokerOption,
    JsonOption,
    RecipeOption,
    StateOption,
    fail,
    messages,
    print_json,
    producer,
)

if TYPE_CHECKING:
    from pixfleet.config.contract import Recipe
    from pixfleet.config.results import Manifest


def explain(
    what: Annotated[
        str,
        typer.Argument(metavar="FILE|MANIFEST|JOB", help="images, a manifest.jsonl, or a job's id"),
    ],
    recipe: RecipeOption = "web",
    variant: Annotated[
        str, typer.Option(metavar="NAME", help="only this variant of the recipe")
    ] = "",
    objective: Annotated[
        Objective | None, typer.Option(help="in place of the recipe's, for images")
    ] = None,
    views: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="in place of the recipe's, for images")
    ] = None,
    retention_months: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="in place of the recipe's, for images"),
    ] = None,
    max_cpu_s_per_mp: Annotated[
        float | None,
        typer.Option(min=0, metavar="S", help="in place of the recipe's, for images"),
    ] = None,
    state: StateOption = None,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Say why variants have their format and effort, and what each candidate would cost.

    Images are processed here, their files thrown away. A ~ marks what was reckoned, not measured.
    """
    from .embedded import BrokerError  # noqa: PLC0415
    from .explain import as_json, explained_afresh, print_explanations  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .run import RunFailedError  # noqa: PLC0415

    overrides = {
        "objective": objective,
        "views": views,
        "retention_months": retention_months,
        "max_cpu_s_per_mp": max_cpu_s_per_mp,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    path = Path(what).expanduser()
    if path.suffix in (".jsonl", ".json") and path.is_file():
        manifests = read_manifests(path)
    elif "://" in what or any(character in what for character in "*?[") or path.exists():
        place = (state or state_dir()).expanduser().absolute()
        asked = _asked(recipe, variant, given)
        try:
            manifests = explained_afresh(what, asked, place, Settings.load().worker.children)
        except (RunFailedError, WorkerStartError, BrokerError) as error:
            fail(str(error), FAILED)
    else:
        found = producer(broker).ledger.manifest(what)
        if found is None:
            fail(f"{what} is no file, and no job that has ended; `pixfleet status` shows jobs")
        manifests = [found]
    if variant:
        manifests = [one.model_copy(update=_only(one, variant)) for one in manifests]
    for manifest in manifests:
        for failure in manifest.failures:
            messages.print(f"{manifest.source}: {failure.code}: {failure.message}; {failure.hint}")
    if json_:
        print_json(as_json(manifests))
    else:
        print_explanations(manifests)
    raise typer.Exit(FAILED if any(manifest.failures for manifest in manifests) else 0)


def _asked(recipe: str, variant: str, given: dict[str, Any]) -> Recipe:
    asked = load_recipe(recipe)
    if variant and variant not in [one.name for one in asked.variants]:
        names = ", ".join(one.name for one in asked.variants)
        fail(f"recipe {recipe} has no variant {variant!r}; it has {names or 'none'}")
    return asked.model_copy(update=given | (_only(asked, variant) if variant else {}))


def _only(of: Recipe | Manifest, variant: str) -> dict[str, Any]:
    return {"variants": tuple(one for one in of.variants if one.name == variant)}
