"""The report's wording: how scores, intervals, candidates and the headline are written."""

import math
from collections.abc import Mapping, Sequence

from headstart.heads.report.rows import CandidateRow, ClassChange, DecisionRows, TestResult
from headstart.heads.scoring import COST, find_metric, metric_name

_USUAL_TAP = "penultimate"
_MOST_MULTIPLIERS = 8
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


def decision_title(rows: DecisionRows) -> str:
    """Name the kind of decision, as in ``the threshold``."""
    if rows.threshold is not None:
        return "the threshold"
    return "the multipliers" if rows.multipliers else "the costs"


def decision_text(rows: DecisionRows, *, nested: bool = False) -> str:
    """Write how classes are made of probabilities, and what the folds say of it."""
    names = [one.name for one in rows.classes]
    if rows.threshold is not None:
        second = f"{names[1]} where its probability is at least {rows.threshold:.3f}, else {names[0]}"
        first = f"{names[0]} where its probability is above {1 - rows.threshold:.3f}, else {names[1]}"
        rule = first if rows.classes[0].support < rows.classes[1].support else second  # of the rarer one
    elif rows.multipliers:
        shown = [f"{name} {factor:.3g}" for name, factor in list(rows.multipliers.items())[:_MOST_MULTIPLIERS]]
        more = ", …" if len(rows.multipliers) > _MOST_MULTIPLIERS else ""
        rule = f"the largest probability times {', '.join(shown)}{more}"
    else:
        rule = "the class of the least expected cost, by calibrated probabilities"
    goal = "mean cost" if rows.by == COST else metric_name(rows.by)
    folds = f"{goal} {decided_text(rows, rows.folds_before)} → {decided_text(rows, rows.folds_after)} on the folds"
    own = "; in each outer fold its own" if nested else ""
    return f"Decides: {rule} ({folds} that chose it{own})"


def decided_text(rows: DecisionRows, value: float, *, sign: bool = False) -> str:
    """Write a value of what a decision is by: the metric's as always, a cost with three digits."""
    text = f"{value:.3f}" if rows.by == COST else score_text(rows.by, value)
    return f"+{text}" if sign and value >= 0 else text


def decision_gain(rows: DecisionRows) -> str:
    """Write what a decision wins or loses on the test images, with the paired test."""
    ends = ""
    if rows.low is not None and rows.high is not None:
        ends = f" [{', '.join(decided_text(rows, end, sign=True).removesuffix(' %') for end in (rows.low, rows.high))}]"
    change = decided_text(rows, rows.after - rows.before, sign=True)
    p_value = "" if rows.p_value is None else f", {p_phrase(rows.p_value)}"
    goal = "mean cost" if rows.by == COST else metric_name(rows.by)
    values = f"{decided_text(rows, rows.before)} → {decided_text(rows, rows.after)}"
    return f"{goal} {values}, {change}{ends}{p_value}"


def change_texts(one: ClassChange) -> tuple[str, str]:
    """Write a class's recall and precision without and with a decision, with the images that they are shares of."""

    def share(part: int, whole: int) -> str:
        return f"{100 * part / whole:.1f}" if whole else ABSENT

    recall = f"{share(one.right_before, one.support)} → {share(one.right_after, one.support)} %"
    precision = f"{share(one.right_before, one.taken_before)} → {share(one.right_after, one.taken_after)} %"
    taken = f"of {one.taken_before} → {one.taken_after}"
    return f"{recall} ({one.right_before} → {one.right_after})", f"{precision} ({taken})"


def printable(names: Sequence[str]) -> list[str]:
    """Return names that a font can lay out: lone surrogates and control characters are written as escapes."""
    return ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in name) for name in names]
