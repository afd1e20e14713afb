"""Whether a guide beats its controls: paired tests over draws, corrected for how many are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.scoring import SIGNIFICANCE, flip_signs, holm, quantile
from headstart.heads.transfer.guidance.comparison import CONTROLS, GUIDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headstart.heads.transfer.guidance.comparison import Arm, Compared


@dataclass(frozen=True, kw_only=True)
class GuideTest:
    """Guided training against one control at one number of images a class.

    Attributes
    ----------
    shots : int
    control : {"unguided", "shuffled", "constant"}
    difference, low, high : float
        Accuracy of the guided less that of the control, the mean over draws, and its 95 % interval over draws.
    p_value : float
        Two-sided, of sign flips of draws, corrected by Holm's method for all tests made together.
    beats, loses : bool
        The guided is ahead, or behind, and the p-value below 0.05.
    """

    shots: int
    control: Arm
    difference: float
    low: float
    high: float
    p_value: float
    beats: bool
    loses: bool


def judge(compared: Sequence[Compared], seed: int = 0) -> list[GuideTest]:
    """Test the guided against each control at each number of images a class, draw by draw.

    Draws share the images that are scored, and those that are drawn from: intervals and p-values say what other draws
    would give, and not what other images would.
    """
    pairs = [(one, control) for one in compared for control in CONTROLS]
    apart = np.array([one.accuracy[GUIDED] - one.accuracy[control] for one, control in pairs]).T
    n_draws = len(apart)
    adjusted = holm(flip_signs(apart, seed), len(pairs))
    reach = quantile(n_draws) * apart.std(axis=0, ddof=1) / np.sqrt(n_draws) if n_draws > 1 else np.ones(len(pairs))
    return [
        GuideTest(
            shots=one.shots,
            control=control,
            difference=float(mean),
            low=max(-1.0, float(mean - own)),
            high=min(1.0, float(mean + own)),
            p_value=p,
            beats=bool(mean > 0 and p < SIGNIFICANCE),
            loses=bool(mean < 0 and p < SIGNIFICANCE),
        )
        for (one, control), mean, own, p in zip(pairs, apart.mean(axis=0), reach, adjusted, strict=True)
    ]


def fewest_draws(n_shots: int) -> int:
    """Return how many draws a difference takes at least to be more than chance: equal signs are as rare as 2 in 2^n."""
    return math.floor(1 + math.log2(n_shots * len(CONTROLS) / SIGNIFICANCE)) + 1
