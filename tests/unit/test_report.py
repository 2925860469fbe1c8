"""The report page: one inert file that holds the batch, whatever the names and the numbers."""

import datetime as dt
import html
import json
import re
import time
from decimal import Decimal

import pytest

from pixfleet.config.contract import Recipe
from pixfleet.config.results import (
    BatchSummary,
    Failure,
    Features,
    Manifest,
    Receipt,
    StageUse,
    VariantResult,
)
from pixfleet.workers.pictures import with_pictures
from pixfleet.workers.report import browser_link, render_report

NOON = dt.datetime(2026, 10, 9, 12, tzinfo=dt.UTC)
HOSTILE = "a \"quoted\" 'one' #1 50% é?<script>alert(1)<!-- {{rows}}.png"


def _variant(folder, name, kind, size, score=75.2, *, width=640):
    suffix = {"jpeg": "jpg"}.get(kind, kind)
    return VariantResult(
        name=name,
        path=f"{folder}/{name}.{suffix}",
        format=kind,
        bytes=size,
        width=width,
        height=width // 2,
        sha256="0" * 64,
        quality=60,
        metric="ssimulacra2",
        target=75,
        score=score,
        reached=score >= 74.5,
        probes=3,
        encoder="libavif 1.3",
        cpu_s=0.1,
    )


def _manifest(name="cat.png", *, saliency=None, score=75.2, source=None, **changes):
    made = (
        _variant(name, "w320", "jpeg", 900, score, width=320),
        _variant(name, "w640", "jpeg", 3_000, score),
        _variant(name, "w640", "avif", 2_000, score),
    )
    return Manifest(
        **{
            "job_id": name,
            "source": source or f"/pictures/{name}",
            "output": "/site/out",
            "recipe": "web",
            "tenant": "default",
            "status": "done",
            "format": "png",
            "width": 640,
            "height": 320,
            "bytes": 10_000,
            "variants": made,
            "features": Features(width=640, height=320, saliency_png=saliency),
            "receipt": Receipt(
                stages=(StageUse(stage="encode", cpu_s=0.3, wall_s=0.4),),
                cpu_s=0.3,
                bytes_in=10_000,
                bytes_out=5_900,
                cost_usd=Decimal("0.000003"),
                saved_cpu_s=0.5,
            ),
            "finished_at": NOON,
            **changes,
        }
    )


def _failed(name="broken.jpg", code="image_truncated"):
    failure = Failure(code=code, message="ends after 10 of 20 bytes", hint="copy it again")
    return _manifest(
        name, status="failed", variants=(), features=None, bytes=None, failures=(failure,)
    )


def _summary(manifests):
    receipts = [manifest.receipt for manifest in manifests]
    failed = sum(manifest.status == "failed" for manifest in manifests)
    return BatchSummary(
        batch="b1",
        images=len(manifests),
        done=len(manifests) - failed,
        failed=failed,
        variants=sum(len(manifest.variants) for manifest in manifests),
        bytes_in=sum(receipt.bytes_in for receipt in receipts),
        bytes_out=sum(receipt.bytes_out for receipt in receipts),
        memo_hits=0,
        cpu_s=sum(receipt.cpu_s for receipt in receipts),
        cost_usd=sum((receipt.cost_usd for receipt in receipts), Decimal(0)),
        saved_usd=Decimal(0),
        manifest="manifest.jsonl",
        report="report.html",
    )


def _render(*manifests, **options):
    return render_report(manifests, _summary(manifests), **options).decode()


def _data(page, name):
    (text,) = re.findall(
        rf'<script type="application/json" id="data-{name}">(.*?)</script>', page, re.DOTALL
    )
    return text


def _lines(page, name):
    return [json.loads(line) if line else None for line in _data(page, name).split("\n")]


def test_the_page_names_no_address_of_the_net():
    page = _render(_manifest(), _failed())
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page)
    assert "default-src 'none'" in html.unescape(page)


def test_a_hostile_name_ends_no_element_and_replaces_no_placeholder():
    page = _render(_manifest(HOSTILE), title=HOSTILE)
    harmless = _render(_manifest("plain.png"), title="plain")
    assert page.count("<script") == harmless.count("<script")
    assert page.count("</script>") == harmless.count("</script>")
    assert "<!--" not in page
    (card,), (row,) = _lines(page, "cards"), _lines(page, "rows")
    assert row[0] == HOSTILE
    assert card["source"] == f"/pictures/{HOSTILE}"


def test_urls_of_a_hostile_name_are_percent_encoded():
    (card,) = _lines(_render(_manifest(HOSTILE)), "cards")
    for url in (card["folder"], card["link"]):
        assert re.fullmatch(r"[A-Za-z0-9_.~/%-]+", url)
        assert "%22quoted%22" in url
        assert "%231%2050%25%20%C3%A9%3F%3Cscript%3E" in url


def test_a_file_name_that_is_not_utf8_keeps_its_bytes_in_the_url():
    (card,) = _lines(_render(_manifest(b"caf\xe9.png".decode("utf-8", "surrogateescape"))), "cards")
    assert card["folder"] == "caf%E9.png"


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        pytest.param({}, "../../pictures/cat.png", id="local folders: relative"),
        pytest.param(
            {"source": "file:///pictures/a%20cat.png"}, "../../pictures/a%20cat.png", id="file url"
        ),
        pytest.param({"output": "s3://site/out"}, "file:///pictures/cat.png", id="output in S3"),
        pytest.param({"source": "s3://pictures/cat.png"}, None, id="source in S3"),
        pytest.param({"format": "tiff"}, None, id="tiff"),
        pytest.param({"format": "heic"}, None, id="heic"),
        pytest.param({"format": None}, None, id="no image"),
    ],
)
def test_a_source_is_linked_only_where_a_browser_can_show_it(changes, link):
    assert browser_link(_manifest(**changes)) == link


def test_a_source_link_of_ones_own_is_used():
    page = _render(_manifest(), source_link=lambda manifest: f"data:,{manifest.job_id}")
    assert _lines(page, "cards")[0]["link"] == "data:,cat.png"


def test_totals_are_the_sums_of_the_manifests():
    batch = [
        _manifest("a.png"),
        _manifest("b.png", score=70.0),
        _manifest("c.png", status="partial", failures=_failed(code="encode_failed").failures),
        _failed(),
        _failed("half.jpg"),
    ]
    totals = json.loads(_data(_render(*batch, wall_s=2.5), "totals"))
    assert totals["status"] == {"done": 2, "partial": 1, "failed": 2}
    assert (totals["images"], totals["manifests"], totals["variants"]) == (5, 5, 9)
    assert (totals["bytes_in"], totals["bytes_out"]) == (50_000, 29_500)
    assert totals["cost_usd"] == "0.000015"
    assert totals["saved_cpu_s"] == 2.5
    assert totals["stages"] == [["encode", pytest.approx(1.5)]]
    assert totals["missed"] == 3
    assert totals["wall_s"] == 2.5
    # Of each image the largest size in its smallest format: the AVIF of 640 px.
    assert (totals["compared"], totals["compared_best"]) == (30_000, 6_000)
    assert totals["formats"] == {"jpeg": [6, 11_700, 3], "avif": [3, 6_000, 3]}
    assert {code: group["count"] for code, group in totals["failures"].items()} == {
        "encode_failed": 1,
        "image_truncated": 2,
    }


def test_a_failure_keeps_its_source_message_hint_and_variant():
    failure = Failure(code="encode_failed", message="refused", hint="report it", variant="w640")
    page = _render(_manifest(status="partial", failures=(failure,)))
    assert json.loads(_data(page, "totals"))["failures"]["encode_failed"]["items"] == [
        ["/pictures/cat.png", "refused", "report it", "w640"]
    ]


def test_an_empty_batch_is_a_page_without_rows():
    page = _render()
    assert _data(page, "rows") == ""
    assert json.loads(_data(page, "totals"))["images"] == 0


@pytest.fixture(scope="module")
def crowd():
    """12,000 images with saliency and snippet: the page, and the CPU seconds of rendering it."""
    one = _manifest(saliency="A" * 2_000)
    specs = [{"name": name, "formats": ["jpeg"]} for name in ("w320", "w640")]
    one = with_pictures(one, Recipe.model_validate({"name": "web", "variants": specs}))
    costs = [Decimal(number) / 10**9 for number in range(12_000)]
    batch = [
        one.model_copy(
            update={
                "job_id": str(number),
                "bytes": 10_000 + number,
                "receipt": one.receipt.model_copy(update={"cost_usd": cost}),
            }
        )
        for number, cost in enumerate(costs)
    ]
    start_s = time.process_time()
    page = render_report(iter(batch), _summary(batch)).decode()
    return page, time.process_time() - start_s


def test_twelve_thousand_images_stay_a_page_of_tens_of_megabytes(crowd):
    page, cpu_s = crowd
    assert len(page) < 30_000_000
    assert cpu_s < 20


def test_a_large_batch_keeps_every_row_and_says_what_it_left_out(crowd):
    page, _ = crowd
    totals = json.loads(_data(page, "totals"))
    kept = totals["kept_rows"], totals["kept_cards"], totals["kept_saliency"], totals["saliency"]
    assert kept == (12_000, 10_000, 2_000, 12_000)
    assert (totals["kept_pictures"], totals["pictures"]) == (2_000, 12_000)
    assert len(_data(page, "rows").split("\n")) == 12_000
    assert sum(map(bool, _data(page, "cards").split("\n"))) == 10_000
    for name in ("saliency", "pictures"):
        assert sum(map(bool, _data(page, name).split("\n"))) == 2_000


def test_the_ends_of_a_sort_order_lose_nothing(crowd):
    page, _ = crowd
    for name in ("cards", "saliency", "pictures"):
        lines = _data(page, name).split("\n")
        # Cost and bytes grow with the number, so both ends of these orders are first and last.
        assert all(lines[:100])
        assert all(lines[-100:])
