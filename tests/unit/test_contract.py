"""The contract refuses what it does not know, and says where and why."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from pydantic import ValidationError

from pixfleet.config.contract import ContractError, ImageJob, Recipe, VariantSpec, explain, read_job
from pixfleet.config.results import Manifest, Receipt

JOB = {"source": "cat.jpg", "output": "out"}
VARIANT = {"name": "w320", "width": 320, "formats": ["jpeg"]}
RECIPE = {"name": "own", "variants": [VARIANT]}


def test_a_job_survives_the_way_through_json():
    job = ImageJob(source="s3://b/cat.jpg", output="s3://b/out", recipe=Recipe(**RECIPE))
    assert read_job(json.loads(job.model_dump_json())) == job


@pytest.mark.parametrize("version", [0, 2, "1", None], ids=["older", "newer", "text", "null"])
def test_an_unknown_version_is_refused_and_says_who_must_be_upgraded(version):
    with pytest.raises(ContractError, match=r"^schema_version: .*this worker speaks 1\. Upgrade"):
        read_job({**JOB, "schema_version": version})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"colour": "red"}, "^colour: Extra inputs", id="unknown field"),
        pytest.param({"source": ""}, "^source: ", id="empty source"),
        pytest.param({"queue": "express"}, "^queue: Input should be 'interactive'", id="queue"),
        pytest.param({"tenant": "a b"}, "^tenant: ", id="tenant with a space"),
        pytest.param({"idempotency_key": "k" * 201}, "^idempotency_key: ", id="key too long"),
        pytest.param(
            {"recipe": {**RECIPE, "qualty": 80}},
            r"^recipe\.(\w+\.)?qualty: Extra inputs",
            id="misspelt option of a recipe",
        ),
        pytest.param(
            {"recipe": {**RECIPE, "variants": [{**VARIANT, "formats": ["gif"]}]}},
            r"^recipe\.(\w+\.)?variants\.0\.formats\.0: ",
            id="unknown format, deep inside",
        ),
    ],
)
def test_a_wrong_job_is_refused_with_the_path_and_the_reason(change, where):
    with pytest.raises(ContractError, match=where):
        read_job({**JOB, **change})


def test_every_fault_of_a_job_is_named_at_once():
    with pytest.raises(ContractError) as refused:
        read_job({"queue": "express", "colour": "red"})
    for path in ("source: ", "output: ", "queue: ", "colour: "):
        assert path in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["../cat", "a/../../cat", "/etc/cat", "..", "", "a\\b", "cat\0"],
    ids=["parent", "parent inside", "absolute", "only parent", "empty", "backslash", "nul"],
)
def test_a_name_that_leaves_the_output_is_refused(name):
    with pytest.raises(ContractError, match=r"^name: must be a relative path that stays below"):
        read_job({**JOB, "name": name})


@pytest.mark.parametrize(
    ("job", "name"),
    [
        pytest.param({"source": "/pictures/cat.jpg"}, "cat.jpg", id="path"),
        pytest.param({"source": "s3://bucket/a/cat.jpg"}, "cat.jpg", id="bucket"),
        pytest.param({"source": "/a/cat.jpg", "name": "pets/cat"}, "pets/cat", id="given"),
        pytest.param({"source": "/a/cat.jpg", "name": "./pets//cat"}, "pets/cat", id="tidied"),
    ],
)
def test_results_go_below_the_output_by_name(job, name):
    assert ImageJob.model_validate({**JOB, **job}).output_name == name


@pytest.mark.parametrize("source", ["..", "s3://bucket/a/.."], ids=["path", "bucket"])
def test_a_source_without_a_file_name_cannot_lead_out_of_the_output(source):
    assert ".." not in ImageJob(source=source, output="out").output_name


def test_a_job_cannot_be_changed():
    job = ImageJob(**JOB)
    with pytest.raises(ValidationError, match="frozen"):
        job.source = "dog.jpg"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"width": 0}, "width: ", id="no width"),
        pytest.param({"width": 65_536}, "width: ", id="wider than a JPEG can be"),
        pytest.param({"fit": "fill"}, "needs both width and height", id="fill needs a box"),
        pytest.param({"fit": "smart"}, "needs both width and height", id="smart needs a box"),
        pytest.param({"formats": []}, "formats: ", id="no format"),
        pytest.param({"formats": ["jpeg", "jpeg"]}, "names one format twice", id="format twice"),
        pytest.param({"quality": 101}, "quality: ", id="quality above 100"),
        pytest.param({"name": "W 320"}, "name: ", id="name unfit for a file"),
    ],
)
def test_a_variant_that_cannot_be_made_is_refused(change, reason):
    with pytest.raises(ValidationError) as refused:
        VariantSpec.model_validate({**VARIANT, **change})
    assert reason in explain(refused.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"variants": [VARIANT, VARIANT]}, "variants share a name: w320", id="twice"),
        pytest.param({"variants": []}, "at least one variant or feature", id="nothing to do"),
        pytest.param({"background": "white"}, "background: ", id="colour by name"),
        pytest.param({"max_probes": 1}, "max_probes: ", id="a search needs two probes"),
        pytest.param({"animation": "flatten"}, "animation: ", id="no silent flattening"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, reason):
    with pytest.raises(ValidationError) as refused:
        Recipe.model_validate({**RECIPE, **change})
    assert reason in explain(refused.value)


def test_money_is_never_a_float():
    with pytest.raises(ValidationError) as refused:
        Receipt.model_validate({"cost_usd": 0.1})
    assert explain(refused.value) == "cost_usd: money must be a decimal string, not a float"


@pytest.mark.parametrize("value", ["a lot", "NaN", "Infinity", None], ids=str)
def test_what_is_no_amount_of_money_is_refused_with_its_path(value):
    with pytest.raises(ValidationError) as refused:
        Receipt.model_validate({"lines_usd": {"cpu": value}})
    assert explain(refused.value).startswith("lines_usd.cpu: ")


@pytest.mark.parametrize("amount", ["0.000000000001", "1E-12", "12345678901234567890.01", "0"])
def test_money_keeps_every_digit_through_json(amount):
    receipt = Receipt(cost_usd=Decimal(amount))
    written = receipt.model_dump_json()
    assert "e-" not in json.loads(written)["cost_usd"].lower()
    assert Receipt.model_validate_json(written).cost_usd == Decimal(amount)


def test_a_manifest_of_another_version_is_refused():
    manifest = Manifest(
        job_id="1",
        source="cat.jpg",
        output="out",
        recipe="web",
        tenant="default",
        status="failed",
        finished_at=dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    )
    message = {**manifest.model_dump(mode="json"), "schema_version": 2}
    with pytest.raises(ValidationError) as refused:
        Manifest.model_validate(message)
    assert "schema_version" in explain(refused.value)
