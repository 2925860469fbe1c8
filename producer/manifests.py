"""Manifests read back from where a run wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from pixfleet.config.contract import explain
from pixfleet.config.results import Manifest

if TYPE_CHECKING:
    from pathlib import Path


class ManifestInvalidError(ValueError):
    """The file is no manifest of this version; says where it differs."""


def read_manifests(file: Path) -> list[Manifest]:
    """Of a batch, a line an image (``.jsonl``), or of one job.

    Raises:
        ManifestInvalidError: not a manifest, or of another version.
    """
    try:
        text = file.read_text(encoding="utf-8")
        documents = text.splitlines() if file.suffix == ".jsonl" else [text]
        return [Manifest.model_validate_json(document) for document in documents]
    except ValidationError as error:
        raise ManifestInvalidError(
            f"{file} is no manifest of this version: {explain(error)}"
        ) from None
    except UnicodeDecodeError:
        raise ManifestInvalidError(f"{file} is no manifest: it is not text") from None
