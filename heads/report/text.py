"""The report's wording: how scores, intervals, candidates and the headline are written."""

import math
from collections.abc import Mapping, Sequence

from headstart.heads.report.rows import CandidateRow, TestResult
from headstart.heads.scoring import find_metric, metric_name

_USUAL_TAP = "penultimate"
ABSENT = "\N{EN DASH}"


def is_number(value: float | None) -> bool:
    """Say whether a score exists and is finite."""
    return value is not None and math.isfinite(value)


def score_text(metric: str, value: float | None, *, unit: bool = True) -> str:
    """Write a score: per cent with one decimal, a loss or R² with three, a dash where there is none.

    Errors in the target's unit, which may be anything, have four digits.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    kind = find_metric(metric).unit
    if kind == "target":
        return f"{value:#.4g}".rstrip(".")  # 1.300 beside 1.126, and 1234 without a point
    if kind != "share":
        return f"{value:.3f}"
    return f"{100 * value:.1f} %" if unit else f"{100 * value:.1f}"


def interval_text(metric: str, low: float | None, high: float | None) -> str:
    """Write a 95 % interval in the unit of `score_text`, as in ``[91.0, 97.8]``; empty where there is none."""
    if not (is_number(low) and is_number(high)):
        return ""
    return f"[{score_text(metric, low, unit=False)}, {score_text(metric, high, unit=False)}]"


def p_text(p_value: float | None) -> str:
    """Write a p-value with three decimals, and what is smaller as such; nothing where there is none."""
    if p_value is None or not is_number(p_value):
        return ""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< .001"


def p_phrase(p_value: float) -> str:
    """Write a p-value in a sentence: ``p = 0.346``, ``p < .001``."""
    text = p_text(p_value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def params_text(params: Mapping[str, object]) -> str:
    """Write a head's parameters, as in ``C = 0.01, k = 5``."""
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}" for name, value in params.items()
    )


def embedding_text(label: str, tap: str) -> str:
    """Name an embedding as shortly as it can be told apart: the tap only where it is not the usual one."""
    return label if tap == _USUAL_TAP else f"{label} · {tap}"


def candidate_text(row: CandidateRow) -> str:
    """Name a candidate, as in ``mobilenet_v2 · penultimate · logreg (C = 0.01)``."""
    params = params_text(row.params)
    return f"{row.label} · {row.tap} · {row.head}" + (f" ({params})" if params else "")


def gain_text(metric: str, score: float | None, floor: float | None) -> str:
    """Write how far a score lies from the floor, in points or in a loss's unit; empty where one of them is missing."""
    if score is None or floor is None or not (math.isfinite(score) and math.isfinite(floor)):
        return ""
    if find_metric(metric).unit != "share":
        return f"{abs(score - floor):.3f} {'below' if score <= floor else 'above'}"
    return f"{abs(100 * (score - floor)):.1f} points {'above' if score >= floor else 'below'}"


def headline(metric: str, winner: CandidateRow, test: TestResult, test_name: str) -> str:
    """Write the one sentence to quote: what won, its score on the test images with its interval, and on how many.

    A score of nested folds is that of the whole procedure: what it won with, and is saved, stands behind it.
    """
    score = test.scores[metric]
    parts = (
        score_text(metric, score.value),
        metric_name(metric),
        interval_text(metric, score.low, score.high),
    )
    images = "1 image" if test.n_images == 1 else f"{test.n_images} images"
    scored = f"{' '.join(filter(None, parts))} on {test_name}, {images}"
    if test.nested:
        return f"{scored}, each scored once; saved: {candidate_text(winner)}"
    return f"{candidate_text(winner)}: {scored}, scored once"


def printable(names: Sequence[str]) -> list[str]:
    """Return names that a font can lay out: lone surrogates and control characters are written as escapes."""
    return ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in name) for name in names]
