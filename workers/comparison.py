"""One picture by pixfleet and by a fixed-quality encoder, at equal bytes and at equal score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixfleet.config import contract
from pixfleet.config.urls import shown

from .errors import EncodeError
from .failures import failure_of
from .imaging.codecs import decode_own
from .imaging.color import rgb_of
from .imaging.decode import decode
from .imaging.encode import Encoded, EncodeRequest, encode_variant
from .imaging.faces import FacesUnavailableError, find_faces
from .imaging.geometry import Size, place
from .imaging.habit import Fixed, FixedQuality, habit_of
from .imaging.header import read_header
from .imaging.original import Original
from .imaging.region_score import RegionScorer
from .imaging.regions import salient_region
from .imaging.resize import resize
from .intake import limits_of
from .match import Match, Shown
from .promise import target_and_floors
from .storage.guard import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from pixfleet.config.access import SourceSettings
    from pixfleet.config.contract import Format, Recipe
    from pixfleet.config.results import Failure
    from pixfleet.config.worker_settings import LimitSettings
    from pixfleet.producer.sources import Source

    from .imaging.faces import FaceBox
    from .imaging.floors import Floors
    from .imaging.goal import Goal
    from .imaging.header import Header
    from .imaging.region_score import RegionScores


@dataclass(frozen=True, slots=True)
class FormatComparison:
    """One format: the fixed encoder as it is usually left, and a match for every promise."""

    format: Format
    why: str
    """where the habit's quality comes from"""
    habit: Shown
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One picture in all formats.

    Attributes:
        source: its URL; ``name`` is what to call it.
        header: of the source.
        pixels: (H, W, 3 or 4) sRGB uint8, scaled: what all encoders were given.
        region: (H, W) bool, the salient pixels.
        faces: detected, in fractions of the sides.
        formats: those that could be made.
        failures: those that could not.
    """

    source: str
    name: str
    header: Header
    pixels: NDArray[np.uint8]
    region: NDArray[np.bool_]
    faces: tuple[FaceBox, ...]
    formats: tuple[FormatComparison, ...]
    failures: tuple[Failure, ...]


def compare(
    source: Source,
    recipe: Recipe,
    *,
    formats: tuple[Format, ...],
    goal: Goal,
    width_px: int,
    limits: LimitSettings,
    rules: SourceSettings,
    show: Callable[[str], None],
) -> Comparison:
    """Decode one source, scale it to ``width_px`` at most, and compare.

    Of the recipe count its quality and its settings for encoding, not its variants; ``goal``
    chooses the efforts of pixfleet's encoders. ``show`` hears what is being done.

    Raises:
        WorkError: the source cannot be read, decoded or held, with the code that a run gives it.
    """
    show("decoding")
    data = open_source(source.url, root=source.root, max_bytes=limits.max_file_bytes, rules=rules)
    header = read_header(data, limits_of(limits))
    size = Size(header.width, header.height)
    placement = place(size, width=width_px, height=None, fit="fit")
    raster = decode(data, header, needed=placement.size)
    pixels = resize(
        raster.pixels,
        placement,
        scale=raster.scale,
        background=rgb_of(recipe.background),
        linear_light=recipe.linear_light,
    )
    picture = _Picture(pixels, recipe, goal)
    compared: list[FormatComparison] = []
    failures: list[Failure] = []
    for name in formats:
        try:
            compared.append(picture.compared(name, show))
        except EncodeError as error:
            failures.append(failure_of(error, contract.SUFFIXES[name]))
    return Comparison(
        shown(source.url),
        source.name,
        header,
        pixels,
        picture.region,
        _faces(pixels),
        tuple(compared),
        tuple(failures),
    )


class _Picture:
    """The pixels, with what all formats share about them."""

    def __init__(self, pixels: NDArray[np.uint8], recipe: Recipe, goal: Goal) -> None:
        self._recipe = recipe
        self._goal = goal
        self._original = Original(pixels, rgb_of(recipe.background))
        self.region = salient_region(self._original.pixels)
        self._scorers: dict[bool, RegionScorer] = {}

    def compared(self, name: Format, show: Callable[[str], None]) -> FormatComparison:
        """One format.

        Raises:
            EncodeError: the format cannot be made.
        """
        habit = habit_of(name)
        fixed = FixedQuality(habit, self._original.pixels_for(name), self._scorer(name))
        show(f"{name}: fixed quality {habit.quality}")
        usual = _fixed(fixed, fixed.at(habit.quality), None)
        promises = _promises(self._recipe.quality)
        matches = tuple(self._match(name, quality, fixed, show) for quality in promises)
        return FormatComparison(name, habit.why, usual, matches)

    def _match(
        self,
        name: Format,
        quality: float | contract.Floors,
        fixed: FixedQuality,
        show: Callable[[str], None],
    ) -> Match:
        promise = str(quality) if isinstance(quality, contract.Floors) else f"{quality:g}"
        target, floors = target_and_floors(quality)
        show(f"{name}: pixfleet at {promise}")
        ours = self._made(name, target, floors)
        show(f"{name}: the fixed encoder at the same bytes")
        same_bytes = _fixed(fixed, fixed.nearest_bytes(len(ours.data)), floors)
        show(f"{name}: the fixed encoder at the same score")
        nearest = fixed.nearest_score(ours.score, lambda scores: _reading(scores, floors))
        return Match(promise, ours, same_bytes, _fixed(fixed, nearest, floors))

    def _made(self, name: Format, target: float, floors: Floors | None) -> Shown:
        recipe = self._recipe
        request = EncodeRequest(
            formats=(name,),
            pick="each",
            target=target,
            max_probes=recipe.max_probes,
            goal=self._goal,
            background=rgb_of(recipe.background),
            floors=floors,
        )
        (made,) = encode_variant(self._original.pixels, request)
        if not isinstance(made, Encoded):
            raise made.error
        scores = self._scorer(name).score(decode_own(name, made.data), tiles=True)
        return Shown(
            encoder=made.encoder,
            quality=made.quality,
            data=made.data,
            scores=scores,
            score=_reading(scores, floors),
            cpu_s=made.cpu_s,
            reached=made.reached,
            notes=made.notes,
        )

    def _scorer(self, name: Format) -> RegionScorer:
        flat = self._original.flattens(name)
        if flat not in self._scorers:
            self._scorers[flat] = RegionScorer(self._original.reference_for(name), self.region)
        return self._scorers[flat]


def _promises(quality: float | contract.Floors) -> tuple[float | contract.Floors, ...]:
    """The recipe's; two floors are shown beside their salient floor for all pixels."""
    return (quality.salient, quality) if isinstance(quality, contract.Floors) else (quality,)


def _reading(scores: RegionScores, floors: Floors | None) -> float:
    return scores.whole if floors is None else floors.bound(scores)


def _fixed(fixed: FixedQuality, at: Fixed, floors: Floors | None) -> Shown:
    return Shown(
        encoder=fixed.habit.encoder,
        quality=at.quality,
        data=at.data,
        scores=at.scores,
        score=_reading(at.scores, floors),
        cpu_s=at.cpu_s,
    )


def _faces(pixels: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
    try:
        return tuple(find_faces(pixels))
    except FacesUnavailableError:
        return ()
