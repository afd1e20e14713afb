"""What a fit found, for programs and people."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FitSummary:
    """What a fit found.

    Attributes
    ----------
    leaderboard : list of dict
        Best first: ``backbone, weights, label, key, tap, head, params, metric, score, low, high, split, scores,
        fit_seconds, error, warnings, tied, p_value``. These scores chose the winner: they flatter it a little. ``tied``
        tells whether a paired test on the same images leaves open which of the two is better, and is None for the
        winner and for what has no such score; ``p_value`` is corrected for the number of candidates.
    winner : dict
        The first of the leaderboard.
    test : dict
        ``split, n_images, n_train`` and ``scores`` (metric → ``value, low, high``) of the winner: scored once, after
        the choice. With nested folds the scores are of all images, each scored by a model that was chosen and fitted
        without it, and there is ``nested``: ``meaning``; ``folds``, one an outer fold, with ``fold, n_train, n_images,
        label, backbone, key, tap, head, params, metric, chosen_by`` (the score that chose it), ``score, low, high,
        scores``; and in how many folds the winner's own choice won, ``n_same``, or its head, ``n_same_head``.
    controls : list of dict
        The best candidate of every other embedding, scored on the same test images after the choice, for comparison
        only; with nested folds, the best of each fold.
    model, report, table : str
        Model folder, HTML page, and the leaderboard as CSV.
    class_names, notes : list of str
        The classes, and what a person should know.
    seed : int
        Of splits and heads.
    seconds : float
        Time of the whole fit.
    suspects : str or None
        CSV of the images whose labels are probably wrong, worst first; None where no label looks wrong.
    """

    leaderboard: list[dict[str, Any]]
    winner: dict[str, Any]
    test: dict[str, Any]
    controls: list[dict[str, Any]]
    model: str
    report: str
    table: str
    class_names: list[str]
    notes: list[str]
    seed: int
    seconds: float
    suspects: str | None = None
