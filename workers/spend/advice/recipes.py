"""Which recipe, and which of its stages, costs most, and what of it can be spared."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from .advice import ENOUGH_IMAGES, Advice, dollars, gain, percent, too_few_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import Record, Tried, Work

_RECIPE: Final = "recipe"
_ENCODE: Final = "encode"
_FEATURES: Final = "features"
_RARELY: Final = 0.02
"""A format that wins less often is not worth its searches."""
_LEVERS: Final = {
    _ENCODE: "fewer or smaller variants, max_cpu_s_per_mp; `pixfleet explain` shows each search",
    _FEATURES: "leave out of `features` what nobody reads",
    "decode": "smaller sources: JPEG is decoded at the size that is needed",
    "fetch": "sources nearer to the workers",
    "resize": "fewer sizes; linear_light takes four times the CPU",
    "store": "fewer variants",
    "memo": "PIXFLEET_MEMO_ENABLED=false where images do not come again",
}


def dearest_stage(record: Record) -> Iterator[Advice]:
    """Where the money goes: the recipe and stage to look at first."""
    stages = [
        (usd, work, stage) for work in record.works for stage, usd in work.stages.items() if usd
    ]
    if record.images < ENOUGH_IMAGES or not stages:
        yield too_few_images(_RECIPE, record.images, "to see which recipe and stage cost most")
        return
    usd, work, stage = max(stages, key=lambda found: found[0])
    each = usd * 1000 / work.images if work.images else Decimal(0)
    yield Advice(
        _RECIPE,
        "fine",
        f"look first at {stage} of {work.recipe}: {percent(usd / record.stages_usd)} of what jobs "
        "take",
        evidence=(
            f"{dollars(usd * record.months)} a month, {dollars(each)} per 1,000 images",
            *_rest(record, work, stage),
        ),
        change=_LEVERS.get(stage, ""),
    )


def features(record: Record) -> Iterator[Advice]:
    """What looking at images costs: it may be read by nobody."""
    for work in record.works:
        usd = work.stages.get(_FEATURES, Decimal(0))
        if work.images >= ENOUGH_IMAGES and usd:
            yield gain(
                record,
                _FEATURES,
                f"leave out features of {work.recipe} that nobody reads",
                usd * record.months,
                at_most=True,
                evidence=(
                    (
                        f"they take {percent(usd / work.stages_usd)} of what its jobs take; smart "
                        "cuts and two floors find what they need by themselves"
                    ),
                ),
                change=f"features = [...] in the recipe {work.recipe}",
                fine=f"features of {work.recipe} cost next to nothing",
            )


def effort(record: Record) -> Iterator[Advice]:
    """Do encoders' higher efforts spare more, over the files' life, than their CPU costs."""
    images = _images(record)
    for seen in record.higher_effort:
        if not seen.cpu_s or images.get(seen.recipe, 0) < ENOUGH_IMAGES:
            continue
        cost = Decimal(seen.cpu_s) * record.core_second_usd
        evidence = (
            f"in {images[seen.recipe]:,} images their CPU cost {dollars(cost)}",
            f"their fewer bytes spare {dollars(seen.spared_usd)} over the life of the files",
        )
        yield gain(
            record,
            "effort",
            f"search {seen.recipe} with the encoders' least effort",
            (cost - seen.spared_usd) * _a_month(record, seen.recipe, images),
            evidence=evidence,
            change=f"max_cpu_s_per_mp = 0 in the recipe {seen.recipe}",
            fine=f"higher efforts of {seen.recipe} spare more than they cost",
        )


def formats(record: Record) -> Iterator[Advice]:
    """Formats that are searched and hardly ever win."""
    images = _images(record)
    for tried in record.tried:
        enough = images.get(tried.recipe, 0) >= ENOUGH_IMAGES
        if enough and tried.lost_s and tried.files < _RARELY * _files(record, tried):
            cost = Decimal(tried.lost_s) * record.core_second_usd
            yield gain(
                record,
                "formats",
                f"take {tried.format} out of {tried.recipe}: it hardly ever wins",
                cost * _a_month(record, tried.recipe, images),
                evidence=(
                    f"{tried.files:,} of {_files(record, tried):,} files are {tried.format}",
                    f"its searches took {tried.cpu_s:,.1f} CPU s",
                ),
                change=f"formats = [...] in the recipe {tried.recipe}",
                fine=f"{tried.format} hardly ever wins in {tried.recipe}, and costs little",
            )


def floors(record: Record) -> Iterator[Advice]:
    """What coding the background less well spares, where recipes promise two floors."""
    for work in record.works:
        spared = Decimal(work.counts.get("adaptive_nano_usd", 0)) / 10**9
        if work.images >= ENOUGH_IMAGES and work.counts.get("adaptive_bytes", 0):
            encode = work.stages.get(_ENCODE, Decimal(0))
            yield gain(
                record,
                "floors",
                f"promise one quality in {work.recipe}: two cost more than they spare",
                (encode / 2 - spared) * record.months,
                at_most=True,
                evidence=(
                    f"fewer bytes spare {dollars(spared)} over the life of the files",
                    f"encoding cost {dollars(encode)}, up to half of it for the second search",
                ),
                change=f"quality = N in the recipe {work.recipe}",
                fine=f"two floors of {work.recipe} spare more than they cost",
            )


def _rest(record: Record, work: Work, stage: str) -> tuple[str, ...]:
    others = sorted(
        ((usd, name) for name, usd in work.stages.items() if name != stage and usd), reverse=True
    )[:3]
    named = ", ".join(f"{name} {percent(usd / record.stages_usd)}" for usd, name in others)
    return (f"then {named}",) if named else ()


def _images(record: Record) -> dict[str, int]:
    images: dict[str, int] = {}
    for made in record.made:
        images[made.recipe] = images.get(made.recipe, 0) + made.images
    return images


def _files(record: Record, tried: Tried) -> int:
    return sum(one.files for one in record.tried if one.recipe == tried.recipe)


def _a_month(record: Record, recipe: str, images: dict[str, int]) -> Decimal:
    """What was learned is of whole months; scaled by images to the time looked at, then a month."""
    here = next((work for work in record.works if work.recipe == recipe), None)
    fresh = here.images if here else 0
    return record.months * min(Decimal(1), Decimal(fresh) / images[recipe])
