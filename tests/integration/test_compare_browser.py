"""The page of ``pixfleet compare`` in a real Chromium: good pictures and a broken one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config.contract import Floors
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.workers.compare import CompareOrder, run_comparison
from tests.hostile import HOSTILE

pytestmark = pytest.mark.browser

HOSTILE_NAME = "a \"q\" 'one' #1 50% é?<script>document.title=1<&.png"
SAMPLES = Path(__file__).parents[2] / "samples"
ROLES = ("pixfleet", "same_bytes", "same_score")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A face, a picture of a hostile name that is half transparent, and a broken file; the page."""
    folder = tmp_path_factory.mktemp("compare")
    with Image.open(SAMPLES / "astronaut.png") as image:
        image.crop((140, 20, 380, 200)).save(folder / "face.png")
    picture = np.zeros((120, 200, 4), np.uint8)
    picture[..., 1] = np.arange(200)
    picture[20:100, 20:120, 3] = 255
    Image.fromarray(picture).save(folder / HOSTILE_NAME)
    (folder / "truncated.jpg").write_bytes(HOSTILE["truncated.jpg"][0])
    order = CompareOrder(
        sources=(
            str(folder / "face.png"),
            str(folder / "truncated.jpg"),
            str(folder / HOSTILE_NAME),
        ),
        out=str(folder / "out" / "page.html"),
        recipe=load_recipe("web").model_copy(update={"quality": Floors(salient=80, background=65)}),
        formats=("jpeg", "avif", "jxl"),
        width_px=1280,
        settings=Settings.load(),
    )
    return run_comparison(order, lambda _: None)


@pytest.fixture
def page(browser, made):
    """The page, freshly opened at desktop size."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.set_window_size(1440, 1000)
    browser.get(f"file://{made.page}")
    return browser


def _card(browser, number=0):
    card = browser.find_elements(By.CSS_SELECTOR, "article.card")[number]
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", card)
    _loaded(browser, card)
    return card


def _loaded(browser, card):
    """The natural widths of the left and the right picture, once both are there."""
    script = (
        "return ['.before img', '.layer:not(.before) img'].map(one => "
        "arguments[0].querySelector(one)).map(img => img.complete ? img.naturalWidth : 0)"
    )
    WebDriverWait(browser, 10).until(lambda _: all(browser.execute_script(script, card)))
    return browser.execute_script(script, card)


def _press(card, label):
    (button,) = (one for one in card.find_elements(By.TAG_NAME, "button") if one.text == label)
    # The page scrolls smoothly: a click would chase its button.
    card.parent.execute_script(
        "arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", button
    )
    button.click()


def _slider(card):
    return card.find_element(By.CSS_SELECTOR, "[role=slider]")


def _at(card):
    return int(_slider(card).get_attribute("aria-valuenow"))


def _shifts(browser, card):
    """The transforms of both pictures, as [scale, x, y]."""
    script = (
        "return [...arguments[0].querySelectorAll('.stage .layer img')].map(img => {"
        "const m = new DOMMatrix(getComputedStyle(img).transform); return [m.a, m.e, m.f]; })"
    )
    return browser.execute_script(script, card)


def test_the_page_loads_nothing_from_anywhere_and_logs_no_error(page):
    for number in range(2):
        card = _card(page, number)
        assert _loaded(page, card) == [[240, 240], [200, 200]][number]
        _press(card, "Difference")
        _mapped(page, card)
    sent = [
        entry["message"]
        for entry in page.get_log("performance")
        if "Network.requestWillBeSent" in entry["message"]
    ]
    assert sent
    assert not [one for one in sent if '"url":"data:' not in one and '"url":"file:' not in one]
    assert page.get_log("browser") == []


def test_arrow_keys_move_the_divide(page):
    card = _card(page)
    assert _at(card) == 50
    _slider(card).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert _at(card) == 54
    _slider(card).send_keys(Keys.END)
    before = card.find_element(By.CSS_SELECTOR, ".layer.before")
    assert before.value_of_css_property("clip-path") == "inset(0px 0% 0px 0px)"
    assert "% fixed, 0 % pixfleet" in _slider(card).get_attribute("aria-valuetext")


def test_dragging_moves_the_divide_and_a_click_flips(page):
    card = _card(page)
    stage = card.find_element(By.CSS_SELECTOR, ".stage")
    step = stage.size["width"] // 4
    ActionChains(page).move_to_element(stage).click_and_hold().move_by_offset(
        step, 0
    ).release().perform()
    assert _at(card) == pytest.approx(75, abs=2)
    ActionChains(page).move_to_element(stage).click().perform()
    assert _at(card) == 0


def test_a_finger_moves_the_divide(page):
    card = _card(page)
    box = page.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.x, b.y, b.width, b.height]",
        card.find_element(By.CSS_SELECTOR, ".stage"),
    )
    y = box[1] + box[3] / 2
    for kind, share in (("touchStart", 0.5), ("touchMove", 0.4), ("touchMove", 0.2)):
        points = [{"x": box[0] + share * box[2], "y": y}]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert _at(card) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("factor", [2, 4], ids=["2×", "4×"])
def test_zoom_and_pan_move_both_sides_alike(page, factor):
    card = _card(page)
    _press(card, f"{factor}×")
    left, right = _shifts(page, card)
    assert left == right
    assert left[0] == factor
    _slider(card).send_keys(Keys.ARROW_UP, Keys.SHIFT, Keys.ARROW_LEFT)
    after, other = _shifts(page, card)
    assert after == other
    assert after[1:] == pytest.approx([left[1] + 40, left[2] + 40], abs=0.01)
    _press(card, "1×")
    assert _shifts(page, card) == [[1, 0, 0], [1, 0, 0]]


def test_dragging_pans_when_zoomed_and_stops_at_the_edge(page):
    card = _card(page)
    _press(card, "2×")
    stage = card.find_element(By.CSS_SELECTOR, ".stage")
    ActionChains(page).move_to_element_with_offset(stage, 60, 40).click_and_hold().move_by_offset(
        500, 400
    ).release().perform()
    assert _shifts(page, card)[0] == [2, 0, 0]


def _mapped(browser, card):
    """Wait for the difference maps of both sides."""
    found = (By.CSS_SELECTOR, ".layer:not(.marks) canvas")
    WebDriverWait(browser, 20).until(lambda _: len(card.find_elements(*found)) == 2)


def _maps(browser, card):
    """Each side's difference map as [width, height, mean of red]."""
    _mapped(browser, card)
    script = (
        "return [...arguments[0].querySelectorAll('.layer:not(.marks) canvas')].map(c => {"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let sum = 0; for (let i = 0; i < d.length; i += 4) sum += d[i];"
        "return [c.width, c.height, sum / (d.length / 4)]; })"
    )
    return browser.execute_script(script, card)


def test_the_difference_map_lies_on_both_sides_with_its_legend_and_goes_again(page):
    card = _card(page)
    _press(card, "Difference")
    right, left = _maps(page, card)
    assert left[:2] == right[:2] == [120, 90]
    WebDriverWait(page, 10).until(lambda _: "just noticeable" in card.text)
    assert "one scale for both sides" in card.text
    _press(card, "Difference")
    WebDriverWait(page, 10).until(lambda _: not card.find_elements(By.TAG_NAME, "canvas"))
    assert "just noticeable" not in card.text


def test_the_original_differs_from_itself_nowhere(page):
    card = _card(page)
    _press(card, "Original")
    _loaded(page, card)
    _press(card, "Difference")
    right, left = _maps(page, card)
    assert left[2] == pytest.approx(8, abs=0.01)  # the ramp's lowest red
    assert right[2] > 20
    WebDriverWait(page, 10).until(lambda _: "Left: mean 0.00, 0 %" in card.text)


def test_the_salient_region_is_left_clear_and_the_face_framed(page, made):
    card = _card(page)
    _press(card, "Salient region")
    assert "1 face found" in card.text
    face = card.find_element(By.CSS_SELECTOR, ".face").rect
    stage = card.find_element(By.CSS_SELECTOR, ".stage").rect
    script = (
        "const c = arguments[0].querySelector('.overlay canvas'); if (c.width !== 240) return null;"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let clear = 0;"
        "for (let i = 3; i < d.length; i += 4) clear += d[i] === 0;"
        "const x = Math.round(arguments[1] * c.width), y = Math.round(arguments[2] * c.height);"
        "return [clear / (d.length / 4), d[(y * c.width + x) * 4 + 3]];"
    )
    middle = (
        (face["x"] + face["width"] / 2 - stage["x"]) / stage["width"],
        (face["y"] + face["height"] / 2 - stage["y"]) / stage["height"],
    )
    share, alpha = WebDriverWait(page, 10).until(
        lambda _: page.execute_script(script, card, *middle)
    )
    assert share == pytest.approx(made.images[0]["salient_share"], abs=0.001)
    assert alpha == 0


@pytest.mark.parametrize("place", [0, 1], ids=["80", "80/65"])
def test_the_table_holds_the_figures_that_were_measured(page, made, place):
    card = _card(page)
    _press(card, "AVIF")
    told = made.images[0]["formats"][1]
    rows = card.find_elements(By.CSS_SELECTOR, ".variants tbody tr")
    assert len(rows) == 7
    for offset, role in enumerate(ROLES):
        cells = [
            cell.text for cell in rows[1 + 3 * place + offset].find_elements(By.TAG_NAME, "td")
        ]
        shown = told["promises"][place][role]
        assert cells[0] == f"{shown['bytes']:,}"
        for cell, name in zip(
            cells[1:5], ("whole", "salient", "background", "worst_tile"), strict=True
        ):
            assert float(cell) == pytest.approx(shown[name], abs=0.051)
        assert float(cells[5]) == pytest.approx(shown["quality"], abs=0.51)
        assert cells[7].startswith(shown["encoder"])


def test_the_page_says_who_wins_even_where_it_is_the_other(page, made):
    card = _card(page)
    words = {"pixfleet": "pixfleet is", "fixed": "The fixed encoder's file", "even": "Even"}
    for place, name in enumerate(("JPEG", "AVIF", "JPEG XL")):
        _press(card, name)
        _press(card, "Same score")
        told = made.images[0]["formats"][place]["promises"][1]["same_score"]
        verdict = card.find_element(By.CSS_SELECTOR, ".verdict")
        assert verdict.get_attribute("class") == f"verdict {told['better']}"
        assert verdict.text.startswith(words.get(told["better"], "No fair match"))


def test_jpeg_xl_is_shown_and_the_page_says_how(page):
    card = _card(page)
    assert "Browsers do not show JPEG XL" not in card.text
    _press(card, "JPEG XL")
    assert _loaded(page, card) == [240, 240]
    assert "Browsers do not show JPEG XL" in card.text


def test_a_choice_is_kept_when_the_format_changes(page):
    card = _card(page)
    _press(card, "80 everywhere")
    _press(card, "Same score")
    _press(card, "AVIF")
    for label in ("80 everywhere", "Same score", "AVIF"):
        (button,) = (one for one in card.find_elements(By.TAG_NAME, "button") if one.text == label)
        assert button.get_attribute("aria-pressed") == "true"
    sides = [card.find_element(By.CSS_SELECTOR, f".side.{side}").text for side in ("left", "right")]
    assert sides[0].startswith("Fixed, quality ")
    assert sides[1].startswith("pixfleet · ")


def test_the_broken_file_stands_above_the_pictures_with_its_reason(page):
    failures = page.find_element(By.ID, "failures")
    for words in ("1 failure", "image_truncated", "truncated.jpg", "fetch the file again"):
        assert words in failures.text
    heads = [head.text for head in page.find_elements(By.CSS_SELECTOR, "article.card h3")]
    assert heads == ["face.png", HOSTILE_NAME]
    assert page.title == "pixfleet against fixed quality"


@pytest.mark.parametrize("width", [320, 390, 1280], ids=lambda width: f"{width} px")
def test_the_page_does_not_scroll_sideways(page, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 1000}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        card = _card(page)
        for label in ("Difference", "Salient region", "4×"):
            _press(card, label)
        _mapped(page, card)
        top = "document.documentElement"
        assert page.execute_script(f"return {top}.scrollWidth - {top}.clientWidth") == 0
        table = card.find_element(By.CSS_SELECTOR, ".variants")
        assert table.size["width"] <= card.size["width"]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
