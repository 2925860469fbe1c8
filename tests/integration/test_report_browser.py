"""The report in a real Chromium, opened from disk as a user does."""

import base64
import datetime as dt
import io
import time
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config.contract import Recipe
from pixfleet.config.results import (
    BatchSummary,
    ColorShare,
    Face,
    Failure,
    Features,
    FloorsResult,
    Manifest,
    Plan,
    Receipt,
    StageUse,
    VariantResult,
)
from pixfleet.workers.pictures import with_pictures
from pixfleet.workers.report import render_report

pytestmark = pytest.mark.browser

NOON = dt.datetime(2026, 10, 9, 12, tzinfo=dt.UTC)
HOSTILE = "a \"q\" 'one' #1 50% é?<script>document.title=1<&.png"


def _picture(file: Path, size: tuple[int, int] = (96, 64), **options: object) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    gradient = Image.linear_gradient("L").resize(size)
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient)).save(file, **options)
    return file.stat().st_size


def _saliency() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((64, 43)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _done(folder: Path, name: str, *, score: float = 75.2, kind: str = "png") -> Manifest:
    source = folder / "in" / name
    size = _picture(source, format=kind)
    variants = []
    for side, height, form, suffix in ((48, 32, "jpeg", "jpg"), (96, 64, "avif", "avif")):
        path = f"{name}/w{side}.{suffix}"
        made = _picture(folder / "out" / path, (side, height), format=form)
        variants.append(
            VariantResult(
                name=f"w{side}",
                path=path,
                format=form,
                bytes=made,
                width=side,
                height=height,
                sha256="0" * 64,
                quality=60,
                metric="ssimulacra2",
                target=75,
                score=score,
                reached=score > 74.5,
                probes=3,
                encoder="libavif 1.3",
                cpu_s=0.1,
            )
        )
    recipe = Recipe.model_validate(
        {"name": "web", "variants": [{"name": v.name, "formats": [v.format]} for v in variants]}
    )
    manifest = Manifest(
        job_id=name,
        source=str(source),
        output=str(folder / "out"),
        recipe="web",
        tenant="default",
        status="done",
        format=kind,
        width=96,
        height=64,
        bytes=size,
        variants=tuple(variants),
        features=Features(
            width=96,
            height=64,
            colors=(ColorShare(hex="#804080", share=1),),
            faces=(Face(x=24, y=16, width=24, height=32, score=0.9),),
            saliency_png=_saliency(),
        ),
        plan=Plan(execution="fused", reason="bulk: one task an image"),
        receipt=Receipt(
            stages=(StageUse(stage="encode", cpu_s=0.2, wall_s=0.3),),
            cpu_s=0.2,
            bytes_in=size,
            bytes_out=sum(variant.bytes for variant in variants),
            cost_usd=Decimal("0.000002"),
        ),
        finished_at=NOON,
    )
    return with_pictures(manifest, recipe)


def _failed(folder: Path) -> Manifest:
    return Manifest(
        job_id="broken",
        source=str(folder / "in" / "broken <b>.jpg"),
        output=str(folder / "out"),
        recipe="web",
        tenant="default",
        status="failed",
        failures=(
            Failure(code="image_truncated", message="ends <early>", hint="copy the file again"),
        ),
        finished_at=NOON,
    )


def _write(folder: Path, manifests: list[Manifest], **options: float) -> str:
    receipts = [manifest.receipt for manifest in manifests]
    failed = sum(manifest.status == "failed" for manifest in manifests)
    summary = BatchSummary(
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
    page = folder / "out" / "report.html"
    page.write_bytes(render_report(manifests, summary, title="Trial & <b>error</b>", **options))
    return page.as_uri()


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    folder = tmp_path_factory.mktemp("report")
    return folder, [
        _done(folder, "cat.png"),
        _done(folder, HOSTILE, score=72.0),
        _done(folder, "scan.tif", kind="tiff"),
        _failed(folder),
    ]


@pytest.fixture
def report(browser, batch) -> webdriver.Chrome:
    """The report of the small batch, freshly opened at desktop size."""
    folder, manifests = batch
    address = _write(folder, manifests, wall_s=2.0)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.set_window_size(1440, 1000)
    browser.get(address)
    return browser


def _card(browser, name):
    (card,) = (
        card
        for card in browser.find_elements(By.CSS_SELECTOR, "article.card")
        if card.find_element(By.TAG_NAME, "h3").text == name
    )
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", card)
    return card


def _button(within, label):
    (button,) = (
        button for button in within.find_elements(By.TAG_NAME, "button") if label in button.text
    )
    return button


def _sides(browser, card):
    """The natural widths of the right and the left picture, once both are loaded."""
    script = (
        "return [...arguments[0].querySelectorAll('.stage img')]"
        ".map(img => img.complete ? img.naturalWidth : 0)"
    )
    WebDriverWait(browser, 10).until(lambda _: all(browser.execute_script(script, card)))
    return browser.execute_script(script, card)


def _at(card):
    return int(card.find_element(By.CSS_SELECTOR, "[role=slider]").get_attribute("aria-valuenow"))


def _names(browser):
    # In one call: between two the page may have been drawn anew.
    heads = "document.querySelectorAll('article.card h3')"
    return browser.execute_script(f"return [...{heads}].map(head => head.textContent)")


def test_the_page_asks_for_nothing_but_files_and_logs_no_error(report):
    for name in ("cat.png", HOSTILE, "scan.tif"):
        _sides(report, _card(report, name))
    sent = [
        entry["message"]
        for entry in report.get_log("performance")
        if "Network.requestWillBeSent" in entry["message"]
    ]
    assert sent
    assert not [message for message in sent if '"url":"http' in message or '"url":"ws' in message]
    assert report.get_log("browser") == []


def test_a_hostile_name_is_shown_as_text_and_its_pictures_load(report):
    assert report.title == "Trial & <b>error</b>"
    assert _sides(report, _card(report, HOSTILE)) == [96, 96]


def test_every_variant_link_leads_to_its_file(report, batch):
    _, manifests = batch
    links = report.find_elements(By.CSS_SELECTOR, ".variants tbody th a")
    load = (
        "const [url, done] = arguments; const img = new Image();"
        "img.onload = () => done(img.naturalWidth); img.onerror = () => done(0); img.src = url;"
    )
    widths = [report.execute_async_script(load, link.get_attribute("href")) for link in links]
    assert sorted(widths) == sorted(
        variant.width for manifest in manifests for variant in manifest.variants
    )


def test_failures_stand_above_the_images_with_reason_and_hint(report):
    failures = report.find_element(By.ID, "failures")
    images = report.find_element(By.ID, "images")
    assert failures.location["y"] < images.location["y"]
    for words in (
        "1 failure",
        "image_truncated",
        "broken <b>.jpg",
        "ends <early>",
        "copy the file",
    ):
        assert words in failures.text


def test_the_masthead_shows_the_sums(report, batch):
    _, manifests = batch
    text = report.find_element(By.CSS_SELECTOR, ".masthead").text
    size_in = sum(manifest.receipt.bytes_in for manifest in manifests)
    size_out = sum(manifest.receipt.bytes_out for manifest in manifests)
    assert f"{size_in / 1000:.1f} kB → {size_out / 1000:.2f} kB" in text
    for words in ("3 done · 1 failed", "$0.0000060", "2.00 s", "2.00 images/s", "2 missed"):
        assert words in text


def test_arrow_keys_move_the_divide_and_the_picture_follows(report):
    card = _card(report, "cat.png")
    _sides(report, card)
    slider = card.find_element(By.CSS_SELECTOR, "[role=slider]")
    assert _at(card) == 50
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert _at(card) == 54
    slider.send_keys(Keys.HOME)
    assert _at(card) == 0
    before = card.find_element(By.CSS_SELECTOR, ".layer.before")
    assert before.value_of_css_property("clip-path") == "inset(0px 100% 0px 0px)"
    slider.send_keys(Keys.SPACE)
    assert _at(card) == 100


def test_dragging_moves_the_divide_and_a_click_flips(report):
    card = _card(report, "cat.png")
    stage = card.find_element(By.CSS_SELECTOR, ".stage")
    step = stage.size["width"] // 4
    ActionChains(report).move_to_element(stage).click_and_hold().move_by_offset(
        step, 0
    ).release().perform()
    assert _at(card) == pytest.approx(75, abs=2)
    ActionChains(report).move_to_element(stage).click().perform()
    assert _at(card) == 0
    ActionChains(report).move_to_element(stage).click().perform()
    assert _at(card) == 100


def test_a_chip_puts_its_variant_on_the_right_side(report):
    card = _card(report, "cat.png")
    assert _sides(report, card)[0] == 96
    chip = _button(card, "w48")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert _sides(report, card)[0] == 48
    assert "w48 JPEG" in card.find_element(By.CSS_SELECTOR, ".side.right").text


def test_a_source_that_browsers_cannot_show_is_replaced_and_the_card_says_so(report):
    card = _card(report, "scan.tif")
    assert "in the source's place" in card.find_element(By.CSS_SELECTOR, ".side.left").text
    assert "A browser cannot show the source (TIFF" in card.text
    assert all(_sides(report, card))


def test_a_source_that_was_moved_is_replaced_and_the_card_says_so(browser, tmp_path):
    manifest = _done(tmp_path, "gone.png")
    Path(manifest.source).unlink()
    browser.get(_write(tmp_path, [manifest]))
    card = _card(browser, "gone.png")
    WebDriverWait(browser, 10).until(lambda _: "The source was not found" in card.text)
    assert all(_sides(browser, card))


def test_the_face_overlay_lies_over_the_face(report):
    card = _card(report, "cat.png")
    _button(card, "Faces").click()
    stage = card.find_element(By.CSS_SELECTOR, ".stage").rect
    face = card.find_element(By.CSS_SELECTOR, ".face").rect
    assert (face["x"] - stage["x"]) / stage["width"] == pytest.approx(0.25, abs=0.01)
    assert (face["y"] - stage["y"]) / stage["height"] == pytest.approx(0.25, abs=0.01)
    assert face["width"] / stage["width"] == pytest.approx(0.25, abs=0.02)
    _button(card, "Faces").click()
    assert not card.find_elements(By.CSS_SELECTOR, ".face")


def test_the_saliency_overlay_is_opaque_where_the_map_is_white(report):
    card = _card(report, "cat.png")
    _button(card, "Saliency").click()
    alpha = (
        "const c = arguments[0].querySelector('canvas.heat');"
        "if (!c || c.width !== 64) return null;"
        "const a = y => c.getContext('2d').getImageData(32, y, 1, 1).data[3]; return [a(0), a(42)];"
    )
    top, bottom = WebDriverWait(report, 10).until(lambda _: report.execute_script(alpha, card))
    assert top < 30
    assert bottom > 200


def _copied(browser, name):
    """What lies on the clipboard once the snippet of a card was copied."""
    snippet = _card(browser, name).find_element(By.CSS_SELECTOR, ".snippet")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", snippet)
    assert not snippet.find_element(By.TAG_NAME, "code").is_displayed()
    button = _button(snippet, "Copy")
    button.click()
    WebDriverWait(browser, 10).until(lambda _: button.text == "Copied")
    assert snippet.find_element(By.TAG_NAME, "code").is_displayed()
    browser.execute_script("document.body.append(document.createElement('textarea'))")
    box = browser.find_element(By.TAG_NAME, "textarea")
    box.send_keys(Keys.CONTROL, "v")
    return box.get_attribute("value")


def test_a_copied_snippet_shows_the_picture_from_beside_the_report(report, batch):
    folder, manifests = batch
    pasted = _copied(report, HOSTILE)
    assert pasted == manifests[1].pictures[0].html
    page = folder / "out" / "page.html"
    page.write_text(f'<meta charset="utf-8">{pasted}')
    report.get(page.as_uri())
    image = report.find_element(By.TAG_NAME, "img")
    loaded = "return arguments[0].naturalWidth && arguments[0].currentSrc.split('/').at(-1)"
    file = WebDriverWait(report, 10).until(lambda _: report.execute_script(loaded, image))
    assert file == "w96.avif"


def test_a_snippet_is_copied_also_where_the_clipboard_refuses_the_page(report, batch):
    _, manifests = batch
    refusal = "navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))"
    report.execute_script(refusal)
    assert _copied(report, "cat.png") == manifests[0].pictures[0].html


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            {},
            ("79.8 / 80 salient, 25 %", "65.3 / 65 background, 75 %", "worst tile 58.1"),
            id="both scores",
        ),
        pytest.param(
            {}, ("background requantised (steps +3.5): −20 % against 1.00 kB",), id="treatment"
        ),
        pytest.param({"treatment": "uniform"}, ("coded uniformly",), id="no treatment"),
        pytest.param({"salient_score": None}, ("nothing is salient", "65.3 / 65"), id="no region"),
    ],
)
def test_a_variant_with_two_floors_shows_both_and_what_they_saved(browser, tmp_path, change, words):
    floors = {
        "salient_target": 80,
        "background_target": 65,
        "salient_score": 79.8,
        "background_score": 65.3,
        "salient_share": 0.25,
        "worst_tile_score": 58.1,
        "treatment": "requantised",
        "strength": 3.5,
        "uniform_bytes": 1_000,
    }
    manifest = _done(tmp_path, "cat.png")
    outcome = FloorsResult(**{**floors, **change})
    update = {"floors": outcome, "bytes": 800, "target": 80, "score": 79.8}
    variant = manifest.variants[0].model_copy(update=update)
    browser.get(_write(tmp_path, [manifest.model_copy(update={"variants": (variant,)})]))
    row = browser.find_element(By.CSS_SELECTOR, ".variants tbody tr").text
    for word in words:
        assert word in row


@pytest.mark.parametrize("width", [320, 390, 768], ids=["320 px", "390 px", "768 px"])
def test_a_narrow_page_does_not_scroll_sideways(report, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    report.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert report.execute_script("return document.documentElement.scrollWidth") == width
    finally:
        report.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def crowd(browser, tmp_path_factory) -> webdriver.Chrome:
    """10,000 images, three of them unlike the rest, opened."""
    folder = tmp_path_factory.mktemp("crowd")
    one = _done(folder, "cat.png")
    worst = one.variants[0].model_copy(update={"score": 40.0, "reached": False})
    changes = {
        4_321: {"variants": (worst,)},
        5_000: {"bytes": 90_000_000},
        6_000: {"receipt": one.receipt.model_copy(update={"cost_usd": Decimal("0.5")})},
    }
    manifests: list[Manifest] = []
    for number in range(10_000):
        change = changes.get(number, {})
        variants = tuple(
            variant.model_copy(update={"path": f"n{number}/{Path(variant.path).name}"})
            for variant in change.get("variants", one.variants)
        )
        update = {**change, "job_id": str(number), "variants": variants}
        manifests.append(one.model_copy(update=update))
    address = _write(folder, manifests)
    start_s = time.monotonic()
    browser.get(address)
    assert time.monotonic() - start_s < 30
    return browser


def _choose(browser, label, value):
    script = (
        "const box = [...document.querySelectorAll('.field')]"
        ".find(field => field.firstChild.textContent === arguments[0]).lastChild;"
        "box.value = arguments[1];"
        "box.dispatchEvent(new Event(box.type === 'search' ? 'input' : 'change'));"
    )
    browser.execute_script(script, label, value)


def _turn(browser, label):
    pager = browser.find_element(By.CSS_SELECTOR, ".pager")
    browser.execute_script("arguments[0].click()", _button(pager, label))


def test_ten_thousand_images_come_a_page_at_a_time(crowd):
    _choose(crowd, "Sort", "name")
    assert "10,000 images" in crowd.find_element(By.ID, "images").text[:80]
    assert _names(crowd)[:3] == ["n0", "n1", "n2"]
    assert len(_names(crowd)) == 24
    _turn(crowd, "Next")
    assert _names(crowd)[0] == "n24"
    _turn(crowd, "»")
    assert _names(crowd)[-1] == "n9999"


@pytest.mark.parametrize(
    ("order", "first"),
    [
        pytest.param("score", "n4321", id="worst score"),
        pytest.param("bytes", "n5000", id="biggest source"),
        pytest.param("saving", "n5000", id="biggest saving"),
        pytest.param("cost", "n6000", id="most costly"),
    ],
)
def test_a_sort_order_puts_its_extreme_first(crowd, order, first):
    _choose(crowd, "Sort", order)
    assert _names(crowd)[0] == first


def test_search_and_filter_narrow_the_images_down(crowd):
    _choose(crowd, "Status", "missed")
    assert _names(crowd) == ["n4321"]
    _choose(crowd, "Status", "")
    _choose(crowd, "Search", "n123")
    try:
        WebDriverWait(crowd, 10).until(lambda _: len(_names(crowd)) == 11)
    finally:
        _choose(crowd, "Search", "")
    WebDriverWait(crowd, 10).until(lambda _: len(_names(crowd)) == 24)
    _choose(crowd, "Format", "avif")
    assert "9,999 of 10,000 images" in crowd.find_element(By.ID, "images").text[:80]
    _choose(crowd, "Format", "")


def test_the_page_of_a_large_batch_says_what_it_left_out(crowd):
    notice = crowd.find_element(By.CSS_SELECTOR, ".notice").text
    assert "the saliency maps of 8,000 images" in notice
    assert "manifest.jsonl" in notice


def test_a_list_line_opens_into_its_card(crowd):
    _choose(crowd, "Sort", "name")
    controls = crowd.find_element(By.CSS_SELECTOR, ".controls")
    _button(controls, "List").click()
    try:
        lines = crowd.find_elements(By.CSS_SELECTOR, ".line")
        assert len(lines) == 100
        lines[1].send_keys(Keys.ENTER)
        assert _names(crowd) == ["n1"]
        assert lines[1].get_attribute("aria-expanded") == "true"
    finally:
        _button(controls, "Cards").click()
