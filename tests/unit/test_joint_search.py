from __future__ import annotations

import math

import pytest

from pixfleet.workers.imaging.floors import Floors
from pixfleet.workers.imaging.joint_search import ENOUGH, JointSearch, Outlook, Treated
from pixfleet.workers.imaging.quality_scales import AVIF, JPEGLI, WEBP
from pixfleet.workers.imaging.region_score import RegionScores

FLOORS = Floors(80, 65)
SCALES = [
    pytest.param(JPEGLI, 84, id="jpeg"),
    pytest.param(WEBP, 85, id="webp"),
    pytest.param(AVIF, 72, id="avif"),
]


class Picture:
    """Scores as pictures have them: salient by quality, background by strength."""

    def __init__(self, scale, quality, *, felt=0.3, fall=-12.0, strength=10.0, least=-math.inf):
        self.scale = scale
        self.quality = quality
        self.felt, self.fall, self.strength, self.least = felt, fall, strength, least

    def scores(self, quality: float, strength: float) -> RegionScores:
        better = self.scale.qualities.index(quality) - self.scale.qualities.index(self.quality)
        salient = 79.9 + 0.45 * better
        if strength:
            background = 64.8 + self.fall * math.log(strength / self.strength) + 0.1 * better
            return RegionScores(salient - self.felt, max(self.least, min(78.0, background)), 70.0)
        return RegionScores(salient, 78.0, 79.0)


def searched(picture: Picture, guess: float = 10.0, probes: int = 5) -> list[Treated]:
    outlook = Outlook(guess, strongest=120.0, fall=-10.0, felt=0.15)
    start = picture.scores(picture.quality, 0.0)
    search = JointSearch(picture.scale, FLOORS, picture.quality, start, outlook)
    tried: list[Treated] = []
    while len(tried) < probes and (aim := search.next(last=len(tried) == probes - 1)):
        tried.append(Treated(*aim, b"", picture.scores(*aim)))
        search.add(tried[-1])
    return tried


def kept(tried: list[Treated]) -> list[Treated]:
    return [one for one in tried if FLOORS.kept(one.scores)]


@pytest.mark.parametrize(("scale", "quality"), SCALES)
@pytest.mark.parametrize("felt", [-0.5, 0.1, 1.5])
@pytest.mark.parametrize("fall", [-7.0, -12.0, -20.0])
@pytest.mark.parametrize("guess", [5.0, 10.0, 20.0])
def test_both_floors_are_just_kept_within_six_probes(scale, quality, felt, fall, guess):
    tried = searched(Picture(scale, quality, felt=felt, fall=fall), guess, probes=6)
    best = min(kept(tried), key=lambda one: (one.quality, -one.strength))
    assert best.scores.salient < 80.5
    assert best.scores.background < 64.5 + ENOUGH + 0.1


@pytest.mark.parametrize(("scale", "quality"), SCALES)
def test_a_good_guess_takes_at_most_two_probes(scale, quality):
    assert len(searched(Picture(scale, quality, felt=0.2))) <= 2


@pytest.mark.parametrize("guess", [4.0, 25.0])
def test_three_probes_keep_the_floors_somehow(guess):
    assert kept(searched(Picture(WEBP, 85, felt=1.2), guess, probes=3))


def test_a_background_that_cannot_be_spoilt_ends_at_the_strongest():
    tried = searched(Picture(WEBP, 85, strength=1000.0, least=72.0), probes=8)
    assert len(tried) < 8
    assert kept(tried)[-1].strength == pytest.approx(120.0)


def test_a_region_that_feels_a_stronger_treatment_gets_a_better_quality():
    class Felt(Picture):
        def scores(self, quality, strength):
            self.felt = 0.3 if strength < 6 else 0.6
            return super().scores(quality, strength)

    best = kept(searched(Felt(JPEGLI, 84), guess=5.0))[-1]
    assert best.quality > 84
    assert best.scores.background < 64.5 + ENOUGH


def test_a_region_that_cannot_be_mended_ends_without_going_in_circles():
    tried = searched(Picture(WEBP, 85, felt=30.0), probes=12)
    assert not kept(tried)
    assert len({(one.quality, round(one.strength, 3)) for one in tried}) == len(tried)
