"""The snippet of a manifest: valid HTML that serves every viewer the smallest file that fits."""

import base64
import datetime as dt
import html
import io
import re
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixfleet.config.audience import AUDIENCE
from pixfleet.config.contract import SUFFIXES, Format, Recipe
from pixfleet.config.results import ColorShare, Features, Manifest, VariantResult
from pixfleet.producer.cli import app
from pixfleet.producer.picture import MEDIA_TYPES, picture_html, pictures_of, same_shape
from pixfleet.workers.imaging.placeholder import shown, thumbhash
from pixfleet.workers.pictures import with_pictures

HOSTILE = "a \"q\" 'one' #1, 50% é?<script>&.png"


def _recipe(**fields):
    named = [{"name": name, "formats": ["jpeg"]} for name in ("w", "w320", "w640", "w1000")]
    return Recipe.model_validate({"name": "own", "variants": named, **fields})


def _variant(name, kind, size, width, height, *, folder="cat.png", **changes):
    return VariantResult(
        **{
            "name": name,
            "path": f"{folder}/{name}.{SUFFIXES[kind]}",
            "format": kind,
            "bytes": size,
            "width": width,
            "height": height,
            "sha256": "0" * 64,
            "quality": 60,
            "metric": "ssimulacra2",
            "target": 75,
            "score": 75,
            "reached": True,
            "probes": 2,
            "encoder": "libavif",
            "cpu_s": 0.1,
            **changes,
        }
    )


def _ladder(**options):
    return [
        _variant(f"w{width}", kind, width * weight, width, height, **options)
        for width, height in ((320, 213), (640, 427), (1000, 667))
        for kind, weight in (("jpeg", 9), ("webp", 7), ("avif", 5))
    ]


def _pictures(variants, audience=AUDIENCE):
    return pictures_of(variants, audience, lambda _: "whole", lambda _: None)


def _offers(picture):
    return {source.format: list(source.files.items()) for source in picture.sources}


class _Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), "an attribute stands twice"
        self.found.append((tag, dict(attrs)))


def test_every_format_has_a_media_type():
    assert set(get_args(Format)) <= set(MEDIA_TYPES)


def test_a_picture_offers_the_smallest_format_first_and_each_in_all_widths():
    (picture,) = _pictures(_ladder())
    assert [(source.format, source.share) for source in picture.sources] == [
        ("avif", 0.967),
        ("webp", 0.006),
        ("jpeg", 0.027),
    ]
    assert _offers(picture)["avif"] == [
        ("cat.png/w320.avif", 320),
        ("cat.png/w640.avif", 640),
        ("cat.png/w1000.avif", 1000),
    ]
    assert (picture.width, picture.height, picture.unserved) == (1000, 667, 0)


def test_the_html_reserves_the_place_loads_lazily_and_names_types_and_widths():
    (picture,) = _pictures(_ladder())
    tags = _Tags(picture.html).found
    assert [tag for tag, _ in tags] == ["picture", "source", "source", "img"]
    assert tags[1][1] == {
        "type": "image/avif",
        "srcset": "cat.png/w320.avif 320w, cat.png/w640.avif 640w, cat.png/w1000.avif 1000w",
        "sizes": "100vw",
    }
    assert tags[3][1] == {
        "loading": "lazy",
        "decoding": "async",
        "src": "cat.png/w1000.jpg",
        "srcset": "cat.png/w320.jpg 320w, cat.png/w640.jpg 640w, cat.png/w1000.jpg 1000w",
        "sizes": "100vw",
        "width": "1000",
        "height": "667",
        "alt": "",
    }


def test_crops_are_pictures_of_their_own_in_the_recipes_order():
    square = [_variant("square", kind, 900, 256, 256) for kind in ("avif", "jpeg")]
    whole, crop = _pictures([*_ladder(), *square])
    assert (whole.width, whole.height) == (1000, 667)
    assert (crop.width, crop.height) == (256, 256)
    assert "square" not in whole.html
    assert crop.html == (
        '<img loading="lazy" decoding="async" src="cat.png/square.jpg" '
        'width="256" height="256" alt="">'
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param((320, 213), (2048, 1365), True, id="rounded height"),
        pytest.param((213, 320), (1365, 2048), True, id="rounded width"),
        pytest.param((1, 40), (1, 20), True, id="a line"),
        pytest.param((320, 320), (640, 427), False, id="square and not"),
        pytest.param((640, 480), (640, 427), False, id="same width"),
        pytest.param((1600, 900), (900, 1600), False, id="turned"),
    ],
)
def test_sizes_are_of_one_shape_but_for_rounding(one, other, same):
    assert same_shape(one, other) is same
    assert same_shape(other, one) is same


def test_a_format_that_lacks_a_width_borrows_it_from_one_as_widely_accepted():
    variants = [v for v in _ladder() if v.path not in ("cat.png/w1000.avif", "cat.png/w320.jpg")]
    (picture,) = _pictures(variants)
    offers = _offers(picture)
    assert offers["avif"][-1] == ("cat.png/w1000.webp", 1000)
    assert offers["jpeg"] == [("cat.png/w640.jpg", 640), ("cat.png/w1000.jpg", 1000)]


def test_one_picked_format_a_width_still_offers_every_width_to_who_accepts_all():
    picked = [_variant("s", "avif", 10, 320, 213), _variant("l", "jpeg", 90, 640, 427)]
    (picture,) = _pictures(picked)
    assert _offers(picture) == {
        "avif": [("cat.png/s.avif", 320), ("cat.png/l.jpg", 640)],
        "jpeg": [("cat.png/l.jpg", 640)],
    }


def test_of_two_files_of_one_width_the_smaller_is_offered():
    (picture,) = _pictures([_variant("a", "avif", 20, 64, 64), _variant("b", "avif", 10, 64, 64)])
    assert _offers(picture) == {"avif": [("cat.png/b.avif", 64)]}


def test_a_kept_source_is_offered_like_any_other_file():
    kept = _variant("w1000", "jpeg", 100, 1000, 667, kept_source=True, metric="source", score=None)
    (picture,) = _pictures([kept])
    assert _offers(picture) == {"jpeg": [("cat.png/w1000.jpg", 1000)]}


def test_no_variants_make_no_picture():
    assert _pictures([]) == ()


def test_hostile_paths_are_escaped_for_url_srcset_and_html():
    (picture,) = _pictures(_ladder(folder=HOSTILE))
    for _, attributes in _Tags(picture.html).found:
        for url in re.split(r",? ", attributes.get("srcset", "")):
            assert re.fullmatch(r"[A-Za-z0-9_.~/%-]*", url)
    assert "<script" not in picture.html
    image = _Tags(picture.html).found[-1][1]
    assert image["src"] == (
        "a%20%22q%22%20%27one%27%20%231%2C%2050%25%20%C3%A9%3F%3Cscript%3E%26.png/w1000.jpg"
    )


@pytest.mark.parametrize(
    "base", ["https://cdn.example/i?a=1&b=2", "https://cdn.example/i?a=1&b=2/"]
)
def test_a_base_url_stands_before_every_path_and_sizes_in_every_source(base):
    (picture,) = _pictures(_ladder())
    text = picture_html(picture, base_url=base, sizes='(min-width: 60em) "50vw", 100vw')
    urls = re.findall(r"[^\s\"]+\.(?:avif|webp|jpg)", html.unescape(text))
    assert len(urls) == 10
    assert all(url.startswith("https://cdn.example/i?a=1&b=2/cat.png/w") for url in urls)
    sizes = [attributes.get("sizes") for _, attributes in _Tags(text).found[1:]]
    assert sizes == ['(min-width: 60em) "50vw", 100vw'] * 3


def test_a_base_url_with_white_space_is_refused():
    (picture,) = _pictures(_ladder())
    with pytest.raises(ValueError, match="white space; write a space as %20"):
        picture_html(picture, base_url="https://cdn.example/my pictures")


# ---- with what the features say


def _manifest(variants, **changes):
    return Manifest(
        **{
            "job_id": "1",
            "source": "/in/cat -- one.png",
            "output": "/out",
            "recipe": "own",
            "tenant": "default",
            "status": "done",
            "width": 1200,
            "height": 800,
            "variants": variants,
            "finished_at": dt.datetime(2026, 10, 9, 12, tzinfo=dt.UTC),
            **changes,
        }
    )


def _features(**changes):
    ramp = np.linspace(0, 255, 90, dtype=np.uint8)[None, :, None]
    pixels = np.broadcast_to(ramp, (60, 90, 3))
    return Features(
        **{
            "width": 1200,
            "height": 800,
            "colors": (ColorShare(hex="#336699", share=1),),
            "thumbhash": base64.b64encode(thumbhash(np.ascontiguousarray(pixels))).decode(),
            **changes,
        }
    )


def test_the_placeholder_is_the_dominant_colour_under_a_blur_of_the_whole_image():
    manifest = with_pictures(_manifest(_ladder(), features=_features()), _recipe())
    style = _Tags(manifest.pictures[0].html).found[-1][1]["style"]
    colour, blur = re.fullmatch(
        r"background: (#\w{6}) url\(data:image/webp;base64,([\w+/=]+)\) center/cover", style
    ).groups()
    assert colour == "#336699"
    with Image.open(io.BytesIO(base64.b64decode(blur))) as image:
        assert image.size == (24, 16)
        left, right = (image.convert("L").getpixel((x, 8)) for x in (2, 21))
    assert left < 80
    assert right > 180


@pytest.mark.parametrize(
    ("features", "width", "expected"),
    [
        pytest.param(_features(has_alpha=True), 320, None, id="alpha: it would shine through"),
        pytest.param(_features(colors=None, thumbhash=None), 320, None, id="nothing was seen"),
        pytest.param(None, 320, None, id="no features"),
        pytest.param(_features(), 213, "#336699", id="a crop: the blur shows another part"),
        pytest.param(_features(thumbhash=None), 320, "#336699", id="only the colour"),
    ],
)
def test_a_placeholder_shows_only_what_fits_the_picture(features, width, expected):
    made = _manifest([_variant("w", "jpeg", 90, width, 213)], features=features)
    assert with_pictures(made, _recipe()).pictures[0].placeholder == expected


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (64, 64), (300, 20)], ids=str)
@pytest.mark.parametrize("channels", [3, 4], ids=["opaque", "alpha"])
def test_a_thumbhash_shows_the_low_frequencies_it_was_made_of(size, channels):
    width, height = size
    x, y = np.meshgrid(np.linspace(0, np.pi, width), np.linspace(0, np.pi, height))
    wave = 128 + 60 * np.cos(x) + 30 * np.cos(y)
    pixels = np.stack([wave, wave * 0.8, wave * 0.5, np.full_like(wave, 255)], axis=-1)
    if channels == 4:
        pixels[0, 0, 3] = 254
    seen = shown(thumbhash(pixels[..., :channels].astype(np.uint8)), width, height)
    assert seen.shape == (height, width, 3)
    one_colour = np.abs(pixels[..., :3] - pixels[..., :3].mean(axis=(0, 1))).mean()
    assert np.abs(seen - pixels[..., :3]).mean() < one_colour / 2.5


@pytest.mark.parametrize(
    ("kinds", "audience", "warned"),
    [
        pytest.param(
            ["avif"], {}, "3.3% of viewers accept none of its formats (avif)", id="only avif"
        ),
        pytest.param(["avif", "jpeg"], {}, None, id="with a fallback"),
        pytest.param(["avif"], {"avif": 0.995}, None, id="an audience that accepts it"),
    ],
)
def test_a_manifest_warns_where_more_than_a_hundredth_of_the_viewers_see_nothing(
    kinds, audience, warned
):
    made = _manifest([_variant("w", kind, 90, 320, 213) for kind in kinds], notes=("seen",))
    notes = with_pictures(made, _recipe(audience=audience)).notes
    assert notes[0] == "seen"
    assert [warned in note for note in notes[1:]] == ([True] if warned else [])


@pytest.mark.parametrize(
    ("one", "other", "pictures"),
    [
        pytest.param(("fit", 320), ("cover", 640), 1, id="the whole image"),
        pytest.param(("smart", 320), ("smart", 640), 1, id="one window in two sizes"),
        pytest.param(("fill", 320), ("smart", 640), 2, id="centred and where it is salient"),
        pytest.param(("fit", 320), ("fill", 640), 2, id="whole and window"),
        pytest.param(("crop", 320), ("crop", 640), 2, id="unscaled cuts of different parts"),
        pytest.param(("pad", 320), ("pad", 640), 1, id="one border in two sizes"),
        pytest.param(("pad", 1300), ("pad", 1600), 2, id="wider borders: nothing is enlarged"),
    ],
)
def test_variants_of_one_shape_are_one_picture_where_they_show_the_same(one, other, pictures):
    specs = [
        {"name": name, "fit": fit, "width": side, "height": side, "formats": ["jpeg"]}
        for name, (fit, side) in (("a", one), ("b", other))
    ]
    made = [_variant(spec["name"], "jpeg", 9, spec["width"], spec["height"]) for spec in specs]
    found = with_pictures(_manifest(made), _recipe(variants=specs)).pictures
    assert len(found) == pictures


# ---- the command


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.json"])
def test_the_command_prints_the_snippets_of_a_manifest(tmp_path, name):
    file = tmp_path / name
    made = with_pictures(_manifest(_ladder(), features=_features()), _recipe())
    file.write_text(made.model_dump_json(indent=None if name.endswith("l") else 1))
    options = ["--base-url", "https://cdn.example", "--sizes", "50vw"]
    answer = CliRunner().invoke(app, ["picture", str(file), *options])
    assert answer.exit_code == 0
    expected = picture_html(made.pictures[0], base_url="https://cdn.example", sizes="50vw")
    assert answer.stdout == f"<!-- /in/cat - - one.png -->\n{expected}\n\n"


def test_the_command_says_what_is_no_manifest(tmp_path):
    file = tmp_path / "manifest.json"
    file.write_text('{"job_id": "1"}')
    answer = CliRunner().invoke(app, ["picture", str(file)])
    assert answer.exit_code == 2
    assert "is no manifest of this version: source: Field required" in answer.stderr
