"""Target's labels, looked at once: the score of each method, and its difference from its control on the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.heads.report import ScoreRow, score_rows
from headstart.heads.scoring import SIGNIFICANCE, Difference, Predictions, compare_paired, holm, score_predictions
from headstart.heads.transfer.adaptation import METHODS

METRIC = "accuracy"
_METRICS = (METRIC, "balanced_accuracy", "macro_f1")
_Classes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Judged:
    """A method on the target's labelled images.

    Attributes
    ----------
    scores : dict of str to ScoreRow
    difference : Difference or None
        From its control, on the same images; None of the first one.
    p_adjusted : float or None
        By Holm's method over all methods.
    """

    scores: dict[str, ScoreRow]
    difference: Difference | None
    p_adjusted: float | None

    @property
    def verdict(self) -> str | None:
        """Whether it is better or worse than its control, or no different beyond chance; None of the first one."""
        if self.difference is None or self.p_adjusted is None:
            return None
        if self.p_adjusted >= SIGNIFICANCE:
            return "no different"
        return "better" if self.difference.value > 0 else "worse"


def judge(found: Mapping[str, _Classes], truth: _Classes, groups: npt.NDArray[Any], seed: int) -> dict[str, Judged]:
    """Score the predictions (n_target,) of each method where there are labels, each beside its control.

    Parameters
    ----------
    found : mapping of str to int array (n_target,)
    truth : int array (n_target,)
        -1 where there is no label, -2 of classes that the source has not.
    groups : int array (n_target,)
    seed : int
    """
    rows = np.flatnonzero(truth != -1)
    if not len(rows):
        return {}
    unknown = 1 + max(int(classes.max()) for classes in (truth, *found.values()))
    y = np.where(truth[rows] < 0, unknown, truth[rows])
    numbers = groups[rows]
    own = numbers if len(np.unique(numbers)) < len(numbers) else None
    scores = {
        name: score_predictions(y, None, classes[rows], int(y.max()) + 1, groups=own, seed=seed)
        for name, classes in found.items()
    }
    sides = {name: Predictions(classes=classes[rows], probability=None) for name, classes in found.items()}
    apart = {
        name: compare_paired(METRIC, y, sides[name], sides[control], groups=own, seed=seed)
        for name in found
        if (control := METHODS[name].control)
    }
    adjusted = dict(zip(apart, holm([one.p_value for one in apart.values()], len(apart)), strict=True))
    return {
        name: Judged(score_rows({key: of_name[key] for key in _METRICS}), apart.get(name), adjusted.get(name))
        for name, of_name in scores.items()
    }


def conclude(judged: Mapping[str, Judged], saved: str) -> str:
    """Return in few words which methods beat their control, and whether the one that is saved did."""
    if not judged:
        return (
            "The target has no labels, so nothing here tells whether adapting helped: label a few of its images, "
            "extract them again, and run this once more."
        )
    controls = {method.control for method in METHODS.values()}
    adapted = {name: one.verdict for name, one in judged.items() if name not in controls}
    words = {"better": "better than its control", "no different": "no different beyond chance", "worse": "worse"}
    parts = [
        f"{words[verdict]}: {', '.join(names)}"
        for verdict in words
        if (names := [name for name, found in adapted.items() if found == verdict])
    ]
    if not parts:
        return "Only controls were asked for."
    text = f"By the target's labels, used once: {'; '.join(parts)}."
    if adapted.get(saved, "better") != "better":
        text += f" What is saved, {saved}, is no better than {METHODS[saved].control}, which never saw the target."
    return text
