"""The report's table of candidates: which rows stand in front, and where their intervals are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from heads.report_text import ABSENT, gain_text, interval_text, is_loss, is_number, metric_name, params_text, score_text

LONGEST = 15  # rows that are shown without folding


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The axis that all intervals of one table share, from `low` to `high` in the metric's own unit."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def position(self, value: float) -> float:
        """Return how far along the axis a value lies, in per cent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def score_scale(metric: str, values: Sequence[float]) -> Scale:
    """Choose round ends and ticks for an axis that holds all values; shares never go beyond 0 and 1."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.05, high + 0.05
    ticks = [float(tick) for tick in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    if not is_loss(metric):
        ticks = [tick for tick in ticks if -1e-9 <= tick <= 1 + 1e-9]
    # The locator steps over the ends of the data; without the steps that clipping took, the data's ends do.
    return Scale(low=min(low, ticks[0]), high=max(high, ticks[-1]), ticks=tuple(ticks))


def candidate_table(
    leaderboard: Sequence[Mapping[str, Any]], winner: Mapping[str, Any], test: Mapping[str, Any], metric: str
) -> dict[str, Any]:
    """Lay out the table of candidates.

    Parameters
    ----------
    leaderboard : sequence of mappings
        Best first, as in `heads.report.ReportData`.
    winner : mapping
        One of them.
    test : mapping
        The winner's scores on the test images; they share the axis of the table.
    metric : str
        What is drawn.

    Returns
    -------
    dict
        What the template's table reads: rows in front and folded ones, further metrics, ticks, floor, the honest score.
    """
    honest = test["scores"][metric]
    floor = floor_score(leaderboard, metric)
    drawn = [row[key] for row in leaderboard for key in ("score", "low", "high") if is_number(row[key])]
    drawn += [honest[key] for key in ("value", "low", "high") if is_number(honest[key])]
    scale = score_scale(metric, drawn)
    others = list(dict.fromkeys(name for row in leaderboard for name in row["scores"] if name != metric))
    rows = [_row(rank, row, winner, metric, others, scale, floor) for rank, row in enumerate(leaderboard, start=1)]
    front = set(range(len(rows))) if len(rows) <= LONGEST else _best_of_each(leaderboard)
    return {
        "rows": [row for index, row in enumerate(rows) if index in front],
        "folded": [row for index, row in enumerate(rows) if index not in front],
        "others": [metric_name(name) for name in others],
        "ticks": [
            (scale.position(tick), score_text(metric, tick, unit=False).removesuffix(".0")) for tick in scale.ticks
        ],
        "floor": None if floor is None else score_text(metric, floor),
        "floor_at": None if floor is None else scale.position(floor),
        "winner": {"head": winner["head"], "params": params_text(winner["params"])},
        "honest": _mark(honest["value"], honest["low"], honest["high"], metric, scale, None),
        "honest_others": [score_text(name, (test["scores"].get(name) or {}).get("value")) for name in others],
        "gain": gain_text(metric, winner["score"], floor),
    }


def floor_score(leaderboard: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Return the best score of a head that never looks at the features; None where no `dummy` was tried."""
    scores = [float(row["score"]) for row in leaderboard if row["head"] == "dummy" and is_number(row["score"])]
    return (min if is_loss(metric) else max)(scores, default=None)


def _best_of_each(leaderboard: Sequence[Mapping[str, Any]]) -> set[int]:
    first: dict[tuple[str, str, str], int] = {}
    for index, row in enumerate(leaderboard):
        first.setdefault((row["backbone"], row["tap"], row["head"]), index)
    return set(first.values())


def _row(
    rank: int,
    row: Mapping[str, Any],
    winner: Mapping[str, Any],
    metric: str,
    others: Sequence[str],
    scale: Scale,
    floor: float | None,
) -> dict[str, Any]:
    return {
        "rank": rank,
        "backbone": row["backbone"],
        "tap": row["tap"],
        "head": row["head"],
        "params": params_text(row["params"]),
        "is_winner": all(row[key] == winner[key] for key in ("backbone", "tap", "head", "params")),
        "is_floor": row["head"] == "dummy",
        "mark": _mark(row["score"], row["low"], row["high"], metric, scale, floor),
        "others": [score_text(name, _value(row["scores"].get(name))) for name in others],
        "seconds": seconds_text(row["fit_seconds"]),
        "error": row["error"],
    }


def _mark(
    value: float | None, low: float | None, high: float | None, metric: str, scale: Scale, floor: float | None
) -> dict[str, Any] | None:
    """Return a score as text and as positions on the axis; None where there is no score."""
    if value is None or not is_number(value):
        return None
    at = scale.position(value)
    whisker = (scale.position(low), scale.position(high)) if low is not None and high is not None else (at, at)
    bar = tuple(sorted((at, scale.position(floor)))) if floor is not None else (at, at)
    return {
        "text": score_text(metric, value),
        "interval": interval_text(metric, low, high),
        "at": at,
        "whisker": whisker,
        "bar_at": bar[0],
        "bar_width": round(bar[1] - bar[0], 2),
    }


def _value(score: Sequence[float] | None) -> float | None:
    return None if score is None else score[0]


def seconds_text(seconds: float | None) -> str:
    """Write a duration in seconds: two digits that matter, a dash where there is none."""
    if seconds is None or not is_number(seconds):
        return ABSENT
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"
