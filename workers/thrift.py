"""What is made while a budget asks for thrift: less, with less effort, and no less well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixfleet.config.contract import Recipe


def thrifty(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe at the least effort of its encoders and without optional variants; and notes.

    Its promise on quality is kept. A recipe whose variants are all optional keeps them.
    """
    kept = tuple(spec for spec in recipe.variants if not spec.optional)
    notes = ["a budget asks for thrift: made with the least effort of the encoders"]
    if kept and len(kept) < len(recipe.variants):
        left_out = ", ".join(spec.name for spec in recipe.variants if spec.optional)
        notes.append(f"a budget asks for thrift: left out {left_out}")
    update = {"variants": kept or recipe.variants, "max_cpu_s_per_mp": 0.0}
    return recipe.model_copy(update=update), tuple(notes)
