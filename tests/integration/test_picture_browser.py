"""The snippets in a real Chromium: which file it takes, and where it puts it."""

import datetime as dt

import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pixfleet.config.contract import SUFFIXES, Recipe
from pixfleet.config.results import ColorShare, Features, Manifest, VariantResult
from pixfleet.producer.picture import picture_html
from pixfleet.workers.pictures import with_pictures

pytestmark = pytest.mark.browser

HOSTILE = "a \"q\" 'one' #1, 50% é?<script>document.title=1<&.png"
WIDTHS = {320: 213, 640: 427, 1280: 853}
RECIPE = Recipe.model_validate(
    {
        "name": "own",
        "variants": [{"name": f"w{width}", "formats": ["avif", "jpeg"]} for width in WIDTHS],
    }
)


def _variant(folder, name, kind, size):
    path = f"{HOSTILE}/{name}.{SUFFIXES[kind]}"
    file = folder / path
    file.parent.mkdir(exist_ok=True)
    gradient = Image.linear_gradient("L").resize(size)
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient)).save(file, kind, quality=60)
    return VariantResult(
        name=name,
        path=path,
        format=kind,
        bytes=file.stat().st_size,
        width=size[0],
        height=size[1],
        sha256="0" * 64,
        metric="ssimulacra2",
        quality=60,
        target=75,
        score=75,
        reached=True,
        probes=2,
        encoder="pillow",
        cpu_s=0.1,
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A folder of variants of a picture with an evil name, and the picture of its manifest."""
    folder = tmp_path_factory.mktemp("out")
    manifest = Manifest(
        job_id="1",
        source="/in/cat.png",
        output=str(folder),
        recipe="own",
        tenant="default",
        status="done",
        width=1280,
        height=853,
        variants=tuple(
            _variant(folder, f"w{width}", kind, (width, height))
            for width, height in WIDTHS.items()
            for kind in ("jpeg", "avif")
        ),
        features=Features(width=1280, height=853, colors=(ColorShare(hex="#336699", share=1),)),
        finished_at=dt.datetime(2026, 10, 9, 12, tzinfo=dt.UTC),
    )
    (picture,) = with_pictures(manifest, RECIPE).pictures
    assert [source.format for source in picture.sources] == ["avif", "jpeg"]
    return folder, picture


def _open(browser, folder, body, *, width=390, density=1):
    """A page with nothing but ``body``, as wide as that in CSS px."""
    page = folder / "page.html"
    head = (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    )
    page.write_text(f"{head}<style>body{{margin:0}}img{{width:100%;height:auto}}</style>{body}<p>")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": density, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    return browser.find_element(By.TAG_NAME, "img")


@pytest.fixture(autouse=True)
def _desktop_again(browser):
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _loaded(browser, image):
    done = "return arguments[0].complete && arguments[0].naturalWidth > 0"
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(done, image))
    return browser.execute_script("return decodeURIComponent(arguments[0].currentSrc)", image)


@pytest.mark.parametrize(
    ("screen", "sizes", "taken"),
    [
        pytest.param((300, 1), "100vw", "w320.avif", id="narrow"),
        pytest.param((390, 1), "100vw", "w640.avif", id="phone"),
        pytest.param((390, 2), "100vw", "w1280.avif", id="phone of double density"),
        pytest.param((1200, 1), "100vw", "w1280.avif", id="desktop"),
        pytest.param((1200, 1), "25vw", "w320.avif", id="desktop, a quarter wide"),
    ],
)
def test_chromium_takes_the_avif_of_the_width_that_fits(browser, output, screen, sizes, taken):
    folder, picture = output
    # The cache would offer a wider file that an earlier page has loaded.
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    text = picture_html(picture, sizes=sizes)
    image = _open(browser, folder, text, width=screen[0], density=screen[1])
    assert _loaded(browser, image).endswith(f"/{HOSTILE}/{taken}")


def test_without_a_source_it_knows_chromium_takes_the_fallback_of_the_fitting_width(
    browser, output
):
    folder, picture = output
    unknown = picture.html.replace("image/avif", "image/x-unknown")
    assert _loaded(browser, _open(browser, folder, unknown)).endswith("/w640.jpg")


def test_a_page_elsewhere_finds_the_files_by_the_base_url(browser, output, tmp_path):
    folder, picture = output
    text = picture_html(picture, base_url=folder.as_uri())
    assert _loaded(browser, _open(browser, tmp_path, text)).endswith(f"/{HOSTILE}/w640.avif")


def test_the_place_is_kept_and_coloured_before_a_byte_has_come(browser, output, tmp_path):
    _, picture = output
    image = _open(browser, tmp_path, picture.html)  # no file lies there
    assert image.rect["width"] == 390
    assert image.rect["height"] == pytest.approx(390 * 853 / 1280, abs=1)
    assert image.value_of_css_property("background-color") == "rgba(51, 102, 153, 1)"


def test_an_image_far_below_is_not_loaded(browser, output):
    folder, picture = output
    image = _open(browser, folder, f'<div style="height:20000px"></div>{picture.html}')
    assert browser.execute_script("return arguments[0].currentSrc", image) == ""
    browser.execute_script("arguments[0].scrollIntoView()", image)
    assert _loaded(browser, image).endswith("/w640.avif")
