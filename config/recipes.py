"""Built-in recipes and the user's own, as TOML data."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from .contract import Recipe, explain


class RecipeNotFoundError(ValueError):
    """No recipe of that name or file; says which there are."""


class RecipeInvalidError(ValueError):
    """A recipe's file does not follow the contract; names file, path and reason."""


def _read(text: str, where: str) -> Recipe:
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeInvalidError(f"{where}: not TOML: {error}") from None
    except ValidationError as error:
        raise RecipeInvalidError(f"{where}: {explain(error)}") from None


def _read_file(file: Path) -> Recipe:
    try:
        return _read(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeInvalidError(f"{file}: cannot be read: {error}") from None


def builtin_names() -> tuple[str, ...]:
    """Names of the recipes that pixfleet brings, in alphabetical order."""
    folder = resources.files("pixfleet.config") / "recipes"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir()))


def load_recipe(name_or_file: str, folder: str = "") -> Recipe:
    """The recipe of that name, or in that TOML file.

    A name is looked for in ``folder`` first (a fleet's own recipes), then among the built-in ones.

    Raises:
        RecipeNotFoundError: neither a known name nor a file.
        RecipeInvalidError: the file does not follow the contract.
    """
    if name_or_file.endswith(".toml") or "/" in name_or_file:
        file = Path(name_or_file).expanduser()
        if not file.is_file():
            raise RecipeNotFoundError(f"{file}: no such recipe file")
        return _read_file(file)
    own = Path(folder) / f"{name_or_file}.toml" if folder else None
    if own and own.is_file():
        return _read_file(own)
    if name_or_file not in builtin_names():
        raise RecipeNotFoundError(
            f"no recipe {name_or_file!r}; built in are {', '.join(builtin_names())}; "
            "a file's name ends in .toml"
        )
    builtin = resources.files("pixfleet.config") / "recipes" / f"{name_or_file}.toml"
    return _read(builtin.read_text(encoding="utf-8"), f"built-in recipe {name_or_file}")
