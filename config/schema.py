"""The JSON Schema of everything that crosses the queue, as committed in ``docs/schema/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from .contract import SCHEMA_VERSION, ImageJob, Recipe
from .results import BatchSummary, Manifest

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER: Final = Path("docs/schema")
"""Where the schemas lie, from the top of the repository."""

# What users write is described as it may be written, what the fleet answers as it is written.
_SENT: Final[dict[str, tuple[type[BaseModel], Literal["validation", "serialization"]]]] = {
    "image-job": (ImageJob, "validation"),
    "recipe": (Recipe, "validation"),
    "manifest": (Manifest, "serialization"),
    "batch-summary": (BatchSummary, "serialization"),
}


def schemas() -> dict[str, str]:
    """File name → JSON Schema (draft 2020-12) as indented, sorted JSON with a closing newline."""
    texts: dict[str, str] = {}
    for name, (model, mode) in _SENT.items():
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:pixfleet:v{SCHEMA_VERSION}:{name}",
            **model.model_json_schema(mode=mode),
        }
        texts[f"{name}.json"] = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    return texts


def write(folder: Path) -> None:
    """Make ``folder`` hold the schemas and no other JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = schemas()
    for stale in folder.glob("*.json"):
        if stale.name not in texts:
            stale.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
