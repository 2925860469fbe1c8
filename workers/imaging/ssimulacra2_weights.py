"""The 108 weights of SSIMULACRA 2.1 (Cloudinary, BSD-3-Clause), as its authors published them."""

from __future__ import annotations

from typing import Final, NamedTuple

# One line a scale and norm, full size first and the 1-norm before the 4-norm; in a line
# the weights of ssim, artifact and lost detail.
WEIGHTS: Final = (
    # X
    0.0,
    0.0007376606707406586,
    0.0,
    0.0,
    0.0007793481682867309,
    0.0,
    0.0,
    0.0004371155730107379,
    0.0,
    1.1041726426657346,
    0.00066284834129271,
    0.00015231632783718752,
    0.0,
    0.0016406437456599754,
    0.0,
    1.8422455520539298,
    11.441172603757666,
    0.0,
    0.0007989109436015163,
    0.000176816438078653,
    0.0,
    1.8787594979546387,
    10.94906990605142,
    0.0,
    0.0007289346991508072,
    0.9677937080626833,
    0.0,
    0.00014003424285435884,
    0.9981766977854967,
    0.00031949755934435053,
    0.0004550992113792063,
    0.0,
    0.0,
    0.0013648766163243398,
    0.0,
    0.0,
    # Y
    0.0,
    0.0,
    0.0,
    7.466890328078848,
    0.0,
    17.445833984131262,
    0.0006235601634041466,
    0.0,
    0.0,
    6.683678146179332,
    0.00037724407979611296,
    1.027889937768264,
    225.20515300849274,
    0.0,
    0.0,
    19.213238186143016,
    0.0011401524586618361,
    0.001237755635509985,
    176.39317598450694,
    0.0,
    0.0,
    24.43300999870476,
    0.28520802612117757,
    0.0004485436923833408,
    0.0,
    0.0,
    0.0,
    34.77906344483772,
    44.835625328877896,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    # B
    0.0,
    0.0008680556573291698,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0005313191874358747,
    0.0,
    0.00016533814161379112,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0004179171803251336,
    0.0017290828234722833,
    0.0,
    0.0020827005846636437,
    0.0,
    0.0,
    8.826982764996862,
    23.19243343998926,
    0.0,
    95.1080498811086,
    0.9863978034400682,
    0.9834382792465353,
    0.0012286405048278493,
    171.2667255897307,
    0.9807858872435379,
    0.0,
    0.0,
    0.0,
    0.0005130064588990679,
    0.0,
    0.00010854057858411537,
)

_SCALES: Final = 6
_NEGLIGIBLE_WEIGHT: Final = 0.01


class Need(NamedTuple):
    """Weights of one channel at one scale; 0.0 where the feature is not worth computing."""

    ssim_1: float
    artifact_1: float
    detail_1: float
    ssim_4: float
    artifact_4: float
    detail_4: float

    @property
    def ssim(self) -> bool:
        """The structural similarity map is needed."""
        return bool(self.ssim_1 or self.ssim_4)

    @property
    def artifact(self) -> bool:
        """The map of edges that only the other image has is needed."""
        return bool(self.artifact_1 or self.artifact_4)

    @property
    def detail(self) -> bool:
        """The map of edges that only the original has is needed."""
        return bool(self.detail_1 or self.detail_4)


def _needs() -> tuple[tuple[Need, Need, Need], ...]:
    """The weights worth their work, by scale and channel."""
    kept = [weight if weight >= _NEGLIGIBLE_WEIGHT else 0.0 for weight in WEIGHTS]
    flat = [Need(*kept[at : at + 6]) for at in range(0, len(kept), 6)]
    return tuple(zip(flat[:_SCALES], flat[_SCALES : 2 * _SCALES], flat[2 * _SCALES :], strict=True))


NEEDS: Final = _needs()
"""By scale, then channel."""
