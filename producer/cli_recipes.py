"""The commands ``pixfleet recipes list`` and ``pixfleet recipes show``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.contract import Floors
from pixfleet.config.recipes import builtin_names, load_recipe

from .terminal import JsonOption, print_json

recipes_app = typer.Typer(help="List the built-in recipes, or show one.", no_args_is_help=True)


@recipes_app.command("list")
def list_recipes(json_: JsonOption = False) -> None:
    """List the built-in recipes."""
    recipes = [load_recipe(name) for name in builtin_names()]
    if json_:
        print_json([recipe.model_dump(mode="json") for recipe in recipes])
        return
    table = Table("recipe", "quality", "variants", "what it is for", box=None)
    for recipe in recipes:
        names = ", ".join(spec.name for spec in recipe.variants)
        table.add_row(recipe.name, quality_text(recipe.quality), names, recipe.description)
    Console().print(table)


@recipes_app.command("show")
def show_recipe(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="a recipe's name, or a TOML file")
    ],
    json_: JsonOption = False,
) -> None:
    """Show all that a recipe says, defaults included."""
    recipe = load_recipe(name)
    if json_:
        print_json(recipe.model_dump(mode="json"))
        return
    table = Table(show_header=False, box=None)
    fields = recipe.model_dump(mode="json", exclude={"variants"})
    for field, value in {**fields, "quality": quality_text(recipe.quality)}.items():
        if isinstance(value, dict):
            value = [f"{name} {share:g}" for name, share in value.items()]  # noqa: PLW2901
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(field, shown or "–")
    console = Console()
    console.print(table)
    variants = Table("variant", "fit", "box, px", "formats", "pick", "quality", box=None)
    for spec in recipe.variants:
        box = f"{spec.width or '–'} x {spec.height or '–'}"
        quality = quality_text(spec.quality or recipe.quality)
        variants.add_row(spec.name, spec.fit, box, ", ".join(spec.formats), spec.pick, quality)
    console.print(variants)


def quality_text(quality: float | Floors) -> str:
    """``75``, or ``80/65`` for two floors."""
    return str(quality) if isinstance(quality, Floors) else f"{quality:g}"
