"""The report's table of candidates: which rows it opens with, and where their intervals are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.ticker import MaxNLocator

from headstart.heads.report.charts import within_reach
from headstart.heads.report.rows import CandidateRow, ScoreRow, TestResult
from headstart.heads.report.text import ABSENT, gain_text, interval_text, is_number, p_text, params_text, score_text
from headstart.heads.scoring import find_metric, metric_name

LONGEST = 20  # rows that the table opens with
OTHERS = 2  # metrics that it opens with, beside the one that chose


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The axis that all intervals of one table share, from `low` to `high` in the metric's own unit."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def position(self, value: float) -> float:
        """Return how far along the axis a value lies, in per cent; what lies beyond an end is put there."""
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    def holds(self, value: float) -> bool:
        """Say whether a value lies on the axis."""
        return self.low <= value <= self.high


def score_scale(metric: str, values: Sequence[float]) -> Scale:
    """Choose round ends and ticks for an axis that holds all values; shares never go beyond 0 and 1."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.05, high + 0.05
    ticks = [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    if find_metric(metric).unit == "share":
        ticks = [tick for tick in ticks if -1e-9 <= tick <= 1 + 1e-9]
    # The locator steps over the ends of the data; without the steps that clipping took, the data's ends do.
    return Scale(low=min(low, ticks[0]), high=max(high, ticks[-1]), ticks=tuple(ticks))


def score_tiles(scores: Mapping[str, ScoreRow], metric: str) -> list[dict[str, object]]:
    """Tiles of the test's scores, one a metric, the one that chose the winner first."""
    return [
        {
            "name": metric_name(name),
            "value": score_text(name, scores[name].value),
            "interval": interval_text(name, scores[name].low, scores[name].high),
            "lower_is_better": not find_metric(name).higher_is_better,
        }
        for name in sorted(scores, key=lambda name: name != metric)
    ]


def candidate_table(
    leaderboard: Sequence[CandidateRow], winner: CandidateRow, test: TestResult, metric: str
) -> dict[str, object]:
    """Lay out the table of candidates.

    Parameters
    ----------
    leaderboard : sequence of CandidateRow
        Best first.
    winner : CandidateRow
        One of them.
    test : TestResult
        The winner's scores on the test images; they share the axis of the table.
    metric : str
        What is drawn.

    Returns
    -------
    dict
        What the template's table reads: rows, of which some are `shown` at first, further metrics, ticks, floor, the
        honest score.
    """
    honest = test.scores[metric]
    floor = floor_score(leaderboard, metric)
    scale = score_scale(metric, _ends_to_show(leaderboard, honest))
    others = list(dict.fromkeys(name for row in leaderboard for name in row.scores if name != metric))
    shown = _opening(leaderboard)
    return {
        "rows": [
            _row(row, metric, others, scale, floor)
            | {"rank": rank, "shown": rank - 1 in shown, "is_winner": _is_same(row, winner)}
            for rank, row in enumerate(leaderboard, start=1)
        ],
        "heads": sorted({row.head for row in leaderboard}),
        "tested": any(p_text(row.p_value) for row in leaderboard),
        "n_tied": sum(bool(row.tied) for row in leaderboard),
        "others": [
            {"name": metric_name(name), "first": "descending" if find_metric(name).higher_is_better else "ascending"}
            for name in others
        ],
        "n_first": OTHERS,
        "ticks": [
            (scale.position(tick), score_text(metric, tick, unit=False).removesuffix(".0")) for tick in scale.ticks
        ],
        "floor": None if floor is None else score_text(metric, floor),
        "floor_at": scale.position(floor) if floor is not None and scale.holds(floor) else None,
        "n_beyond": sum(1 for row in leaderboard if row.score is not None and not scale.holds(row.score)),
        "winner": {"head": winner.head, "params": params_text(winner.params)},
        "honest": _mark(honest.value, honest.low, honest.high, metric, scale, None),
        "honest_others": [score_text(name, _value(test.scores.get(name))) for name in others],
        "gain": gain_text(metric, winner.score, floor),
    }


def _ends_to_show(leaderboard: Sequence[CandidateRow], honest: ScoreRow) -> list[float]:
    """Return the candidates that the axis has to hold: those near the best ones, for there they differ."""
    near = within_reach(leaderboard) or leaderboard
    ends = [(row.score, row.low, row.high) for row in near] + [(honest.value, honest.low, honest.high)]
    return [end for of_one in ends for end in of_one if end is not None and is_number(end)]


def floor_score(leaderboard: Sequence[CandidateRow], metric: str) -> float | None:
    """Return the best score of a head that never looks at the features; None where no `dummy` was tried."""
    scores = [row.score for row in leaderboard if row.head == "dummy" and row.score is not None]
    return (max if find_metric(metric).higher_is_better else min)(scores, default=None)


def controls_table(
    controls: Sequence[CandidateRow], winner: CandidateRow, test: TestResult, metric: str
) -> dict[str, object] | None:
    """Lay out the scores of the controls on the test images below those of the winner; None without controls.

    Parameters
    ----------
    controls : sequence of CandidateRow
        As in `heads.report.page.ReportData`.
    winner, test, metric
        As for `candidate_table`.

    Returns
    -------
    dict or None
        `metrics` (names, the chosen one first) and `rows`, each with one (score, interval) a metric.
    """
    if not controls:
        return None
    names = sorted(test.scores, key=lambda name: name != metric)
    return {
        "metrics": [metric_name(name) for name in names],
        "rows": [
            {
                "backbone": row.label,
                "tap": row.tap,
                "head": row.head,
                "params": params_text(row.params),
                "is_winner": place == 0,
                "scores": [_score_texts(name, row.scores.get(name)) for name in names],
            }
            for place, row in enumerate([replace(winner, scores=test.scores), *controls])
        ],
    }


def _score_texts(metric: str, score: ScoreRow | None) -> tuple[str, str]:
    if score is None:
        return ABSENT, ""
    return score_text(metric, score.value), interval_text(metric, score.low, score.high)


def _is_same(row: CandidateRow, other: CandidateRow) -> bool:
    return (row.label, row.tap, row.head, row.params) == (other.label, other.tap, other.head, other.params)


def _opening(leaderboard: Sequence[CandidateRow]) -> set[int]:
    """Return the rows to open with: all of few, of many the best setting of each backbone, tap and head."""
    if len(leaderboard) <= LONGEST:
        return set(range(len(leaderboard)))
    first: dict[tuple[str, str, str], int] = {}
    for index, row in enumerate(leaderboard):
        first.setdefault((row.label, row.tap, row.head), index)
    return set(list(first.values())[:LONGEST])


def _row(row: CandidateRow, metric: str, others: Sequence[str], scale: Scale, floor: float | None) -> dict[str, object]:
    return {
        "backbone": row.label,
        "tap": row.tap,
        "head": row.head,
        "params": params_text(row.params),
        "is_floor": row.head == "dummy",
        "mark": _mark(row.score, row.low, row.high, metric, scale, floor),
        "others": [score_text(name, _value(row.scores.get(name))) for name in others],
        "tied": bool(row.tied),
        "p": p_text(row.p_value),
        "sort": _sort_keys(row, others),
        "seconds": seconds_text(row.fit_seconds),
        "error": row.error,
    }


def _mark(
    value: float | None, low: float | None, high: float | None, metric: str, scale: Scale, floor: float | None
) -> dict[str, object] | None:
    """Return a score as text and as positions on the axis; None where there is no score."""
    if value is None or not is_number(value):
        return None
    at = scale.position(value)
    ends = (low, high) if low is not None and high is not None else (value, value)
    bar = tuple(sorted((at, scale.position(floor)))) if floor is not None and scale.holds(floor) else (at, at)
    return {
        "text": score_text(metric, value),
        "interval": interval_text(metric, low, high),
        "at": at,
        "beyond": "" if scale.holds(value) else "left" if value < scale.low else "right",
        "whisker": tuple(scale.position(end) for end in ends),
        "caps": [scale.position(end) for end in ends if scale.holds(end)],
        "bar_at": bar[0],
        "bar_width": round(bar[1] - bar[0], 2),
    }


def _sort_keys(row: CandidateRow, others: Sequence[str]) -> dict[str, str]:
    """Return the keys that the page's script sorts by: numbers at full length, empty where there are none."""
    numbers = {"score": row.score, "p": row.p_value, "fit": row.fit_seconds}
    numbers |= {f"m{at}": _value(row.scores.get(name)) for at, name in enumerate(others)}
    return {key: repr(float(value)) if value is not None and is_number(value) else "" for key, value in numbers.items()}


def _value(score: ScoreRow | None) -> float | None:
    return None if score is None else score.value


def seconds_text(seconds: float | None) -> str:
    """Write a duration in seconds: two digits that matter, a dash where there is none."""
    if seconds is None or not is_number(seconds):
        return ABSENT
    if 0 < seconds < 0.01:
        return f"{1000 * seconds:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"
