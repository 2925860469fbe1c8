"""The committed JSON Schema, and what it admits."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pixfleet.config.contract import ImageJob
from pixfleet.config.recipes import builtin_names, load_recipe
from pixfleet.config.results import Manifest, Receipt
from pixfleet.config.schema import schemas, write

COMMITTED = Path(__file__).parents[2] / "docs" / "schema"


def committed(name: str) -> dict[str, Any]:
    return json.loads((COMMITTED / name).read_text(encoding="utf-8"))


def test_docs_schema_is_up_to_date():
    found = {file.name: file.read_text(encoding="utf-8") for file in COMMITTED.glob("*.json")}
    assert found == schemas(), "run `make docs` and commit what it wrote"


def test_writing_twice_gives_the_same_files_and_drops_stale_ones(tmp_path):
    write(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / "gone.json").write_text("{}")
    write(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first


@pytest.mark.parametrize("name", sorted(schemas()))
def test_each_schema_is_valid_json_schema(name):
    jsonschema.Draft202012Validator.check_schema(committed(name))


@pytest.mark.parametrize("name", builtin_names())
def test_each_built_in_recipe_follows_the_committed_schema(name):
    recipe = load_recipe(name).model_dump(mode="json")
    jsonschema.validate(recipe, committed("recipe.json"))


def test_a_job_follows_the_committed_schema_and_an_unknown_field_does_not():
    job = ImageJob(source="cat.jpg", output="out", recipe=load_recipe("web")).model_dump(
        mode="json"
    )
    jsonschema.validate(job, committed("image-job.json"))
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate({**job, "colour": "red"}, committed("image-job.json"))


def test_a_manifest_as_written_follows_the_committed_schema():
    manifest = Manifest(
        job_id="1",
        source="cat.jpg",
        output="out",
        recipe="web",
        tenant="default",
        status="done",
        receipt=Receipt(cost_usd=Decimal("0.0000001"), lines_usd={"cpu": Decimal("0.0000001")}),
        finished_at=dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    )
    written = json.loads(manifest.model_dump_json())
    jsonschema.validate(written, committed("manifest.json"))
    assert written["receipt"]["cost_usd"] == "0.0000001"
