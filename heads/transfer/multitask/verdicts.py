"""Verdict on each column: whether sharing helped beyond chance, of the test images and of the seeds."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.stats import t as student

from headstart.heads.scoring import SIGNIFICANCE, Difference, find_metric, holm

Verdict = Literal["helped", "harmed", "no difference"]


def p_of_seeds(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's test that a mean over seeds is 0; 1 of a single seed."""
    if len(differences) < 2 or not np.any(differences):
        return 1.0
    mean, spread = np.mean(differences), np.std(differences, ddof=1) / np.sqrt(len(differences))
    return float(2 * student.sf(abs(mean) / spread, len(differences) - 1)) if spread else 0.0


def judge(differences: Sequence[Difference], by_seed: Sequence[Sequence[float]]) -> list[tuple[float, Verdict]]:
    """Return the corrected p-value of each column, and the verdict.

    A difference counts where both tests find it, on the same side: that of the test images, paired, and that of the
    seeds. The larger p-value of the two stands for both, and is corrected by Holm's method for all columns.

    Parameters
    ----------
    differences : sequence of Difference
        Of each column the committee on the shared trunk minus the committee of separate heads.
    by_seed : sequence of sequence of float
        Of each column the same difference of each seed's two networks.

    References
    ----------
    Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982 (the larger p-value).
    """
    p_values = [
        max(one.p_value, p_of_seeds(own)) if one.value * np.mean(own) > 0 else 1.0
        for one, own in zip(differences, by_seed, strict=True)
    ]
    verdicts: list[tuple[float, Verdict]] = []
    for one, p in zip(differences, holm(p_values, len(p_values)), strict=True):
        better = find_metric(one.metric).higher_is_better == (one.value > 0)
        verdicts.append((p, "no difference" if p >= SIGNIFICANCE else "helped" if better else "harmed"))
    return verdicts
