"""Any image that decodes gives a variant that keeps its promise, or an explicit refusal."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pixfleet.workers.imaging.decode import decode
from pixfleet.workers.imaging.encode import (
    Encoded,
    EncodeRequest,
    Floors,
    FormatFailure,
    encode_variant,
    flattened,
)
from pixfleet.workers.imaging.floors import FloorOriginal
from pixfleet.workers.imaging.goal import FEWEST_AT_LEAST_EFFORT, Goal
from pixfleet.workers.imaging.header import Limits, read_header
from pixfleet.workers.imaging.ssimulacra2 import Reference

FORMATS = ("jpeg", "webp", "avif", "jxl", "heic", "png")
KINDS = ("L", "LA", "RGB", "RGBA", "I;16", "P", "CMYK")
CONTENTS = ("flat", "noise", "gradient", "line art", "text", "soft shapes")
WHITE = (255, 255, 255)


def drawn(content: str, width: int, height: int, seed: int) -> Image.Image:
    """An RGB picture of a kind of content."""
    random = np.random.default_rng(seed)
    colour = tuple(int(value) for value in random.integers(0, 256, 3))
    if content == "noise":
        return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
    if content == "gradient":
        down, across = np.mgrid[0:height, 0:width].astype(np.float64)
        planes = [down * a + across * b for a, b in random.uniform(-2, 2, (3, 2))]
        return Image.fromarray((np.dstack(planes) % 256).astype(np.uint8))
    image = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(image)
    for _ in range(0 if content == "flat" else 12):
        left, top, right, bottom = box(random, width, height)
        ink = tuple(int(value) for value in random.integers(0, 256, 3))
        if content == "line art":
            draw.line((left, top, right, bottom), fill=ink, width=int(random.integers(1, 4)))
        elif content == "text":
            draw.text((left - 20, top), "The quick brown fox 0123", fill=ink)
        else:
            draw.ellipse((left, top, right, bottom), fill=ink)
    return image


def box(random: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Two corners, in order."""
    across = sorted(int(value) for value in random.integers(0, width + 1, 2))
    down = sorted(int(value) for value in random.integers(0, height + 1, 2))
    return across[0], down[0], across[1], down[1]


def soft_alpha(width: int, height: int, seed: int) -> Image.Image:
    """Opacity that fades: from nothing to all, or all around a disc."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    if seed % 2:
        return Image.fromarray((across * 255 / max(1, width - 1)).astype(np.uint8))
    far = np.hypot(down - height / 2, across - width / 2)
    return Image.fromarray(np.clip((min(width, height) / 2 - far) * 24, 0, 255).astype(np.uint8))


def file_of(kind: str, image: Image.Image, seed: int) -> bytes:
    """The picture as a file of a kind of pixels."""
    out = io.BytesIO()
    if kind == "CMYK":
        image.convert("CMYK").save(out, "JPEG", quality=92)
        return out.getvalue()
    if kind == "I;16":
        deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
        deep ^= np.random.default_rng(seed).integers(0, 64, deep.shape, np.uint16)
        image = Image.fromarray(deep)
    elif kind == "P":
        image = image.quantize(1 + seed % 256)
    else:
        image = image.convert(kind)
        if kind in {"LA", "RGBA"}:
            image.putalpha(soft_alpha(*image.size, seed))
    image.save(out, "PNG")
    return out.getvalue()


SIDES = st.one_of(st.integers(1, 300), st.sampled_from([1, 2, 7, 8, 9, 16, 17, 223, 224, 225, 300]))
TARGETS = st.one_of(st.floats(10, 100), st.sampled_from([10.0, 50.0, 75.0, 90.0, 100.0]))


GOALS = (FEWEST_AT_LEAST_EFFORT, Goal(cpu_s_weight=0.0, byte_weight=1.0, max_cpu_s_per_mp=8.0))


@st.composite
def requests(draw) -> EncodeRequest:
    formats = tuple(draw(st.lists(st.sampled_from(FORMATS), min_size=1, max_size=2, unique=True)))
    target = draw(TARGETS)
    two = draw(st.booleans())
    floors = Floors(target, draw(st.floats(10, target))) if two else None
    pick = draw(st.sampled_from(["each", "best"]))
    return EncodeRequest(
        formats,
        pick,
        target,
        max_probes=draw(st.integers(2, 6)),
        goal=draw(st.sampled_from(GOALS)),
        floors=floors,
        max_bytes=draw(st.one_of(st.none(), st.integers(1, 20_000))),
    )


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    size=st.tuples(SIDES, SIDES),
    kind=st.sampled_from(KINDS),
    content=st.sampled_from(CONTENTS),
    seed=st.integers(0, 1000),
    request=requests(),
)
@example((1, 1), "RGBA", "flat", 0, EncodeRequest(FORMATS, "each", 100.0))
@example((1, 300), "LA", "noise", 1, EncodeRequest(FORMATS, "each", 90.0))
@example((300, 1), "P", "gradient", 2, EncodeRequest(FORMATS, "each", 10.0))
@example((255, 193), "RGB", "noise", 3, EncodeRequest(FORMATS, "each", 99.0))
def test_any_image_gives_what_was_promised_or_says_that_it_does_not(
    size, kind, content, seed, request
):
    data = file_of(kind, drawn(content, *size, seed), seed)
    pixels = decode(data, read_header(data, Limits()), needed=None).pixels
    assert pixels.shape[1::-1] == size

    results = encode_variant(pixels, request)

    assert len(results) == (1 if request.pick == "best" else len(request.formats))
    for result in results:
        if isinstance(result, FormatFailure):
            assert result.error.code
            assert result.error.message
            assert result.error.hint
        else:
            check(result, pixels, request)


def check(result: Encoded, pixels: np.ndarray, request: EncodeRequest) -> None:
    """The promise, judged from the bytes alone."""
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.format == {"heic": "HEIF"}.get(result.format, result.format.upper())
        assert image.size == (result.width, result.height) == pixels.shape[1::-1]
        seen = np.asarray(image.convert("RGB" if result.format == "jpeg" else "RGBA"))
    original = flattened(pixels, WHITE) if result.format == "jpeg" else pixels
    if request.floors is None:
        score = Reference(original).score(seen)
    else:
        two = FloorOriginal(pixels, WHITE, request.floors)
        side = two.flat_reference if result.format == "jpeg" else two.reference
        scores = side.scorer.score(seen)
        score = request.floors.bound(scores)
        assert result.floors is not None
        if result.metric != "lossless":
            assert (scores.salient is None) == (result.floors.salient_score is None)
    assert len(result.data) <= (request.max_bytes or len(result.data))
    if result.metric == "lossless":
        assert score > 99.9
    else:
        assert abs(score - result.score) < 0.1, (score, result)
    assert result.reached == (result.score >= request.target - 0.5)
    reasons = [note for note in result.notes if note.startswith(("target ", "max_bytes "))]
    assert result.reached or reasons, result.notes
