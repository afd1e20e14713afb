"""A fit's score tonight against that of the last night: the same metric, and whether it fell by more than chance."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from headstart.flows.errors import JobError
from headstart.flows.history import KeptRun, compare_runs
from headstart.heads.report import ScoreRow
from headstart.heads.scoring import Score, find_metric

_SHOWN = 3  # classes that are named


@dataclass(frozen=True)
class NightScore(ScoreRow):
    """A winner's score on one night's test images, how many these were, and which head won."""

    n_images: int
    split: str
    head: str


@dataclass(frozen=True)
class ScoreChange:
    """The winner's score on its test images, tonight and before.

    Attributes
    ----------
    name : str
        Of the fit.
    metric : str
        What tonight's winner was chosen by.
    now, before : NightScore or None
        None where the metric was not measured.
    same_images : bool
        Both are scores of the same test images with the same labels.
    difference : ScoreRow or None
        Tonight minus before, with its 95 % interval.
    fell : bool
        The score is worse than before by more than chance: the difference's interval lies on the worse side of 0.
    remark : str
        How the difference was found, or why there is none.
    """

    name: str
    metric: str
    now: NightScore | None
    before: NightScore | None = None
    same_images: bool = False
    difference: ScoreRow | None = None
    fell: bool = False
    remark: str = ""


def compare_scores(
    name: str, before: KeptRun | None, now: KeptRun, *, classes: tuple[Collection[str], Collection[str]] = ((), ())
) -> ScoreChange:
    """Compare the winners of two nights by the metric that chose tonight's.

    On the same test images the difference has the interval of a paired test (`heads.scoring`). Where the test images
    changed, those of the two nights are taken for two samples, and the intervals of both scores are joined: the
    difference d reaches down to d - √((v₁ - l₁)² + (h₂ - v₂)²) and up likewise, v being the scores, l and h the ends of
    their intervals. It is wider than the earlier interval, since both scores are uncertain: a score that is only just
    below the earlier interval has not fallen by more than chance.

    Each night is compared with the one before: what declines a little every night shows in ``headstart results``.

    Parameters
    ----------
    name : str
        Of the fit.
    before : KeptRun or None
        The fit's run of the last night.
    now : KeptRun
        Its run of tonight; the same where nothing was fitted again.
    classes : (collection of str, collection of str)
        The classes of both, where they are known: scores of other classes are another task's, and are not compared.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17,
    1998 (method 10); Zou & Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27, 2008 (for any two intervals).
    """
    metric = now.run.winner.metric
    tonight = _score_of(now, metric)
    if before is None or tonight is None:
        return ScoreChange(name, metric, tonight, remark="there is no earlier night to compare with")
    earlier = _score_of(before, metric)
    if earlier is None or (unlike := _obstacle(before, now, *classes)):
        remark = f"not comparable: the last night has no {metric}" if earlier is None else unlike
        return ScoreChange(name, metric, tonight, earlier, remark=remark)
    if before.run.id == now.run.id:
        return ScoreChange(name, metric, tonight, earlier, same_images=True, remark="not fitted again")
    same = before.run.data.test == now.run.data.test
    difference, remark = _paired(before, now, metric) if same else (None, "the test images changed")
    if difference is None:
        difference, remark = join_intervals(earlier, tonight), f"by the intervals of both scores: {remark}"
    return ScoreChange(
        name,
        metric,
        tonight,
        earlier,
        same_images=same,
        difference=difference,
        fell=_is_worse(metric, difference),
        remark=remark,
    )


def join_intervals(before: ScoreRow, now: ScoreRow) -> ScoreRow:
    """Return tonight's score minus the earlier one, with an interval from those of both.

    An end that an infinite end goes into is None.
    """

    def reach(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else math.hypot(one, other)

    value = _gap(now.value, before.value)
    below = reach(_gap(now.value, now.low), _gap(before.high, before.value))
    above = reach(_gap(now.high, now.value), _gap(before.value, before.low))
    return ScoreRow(value, _gap(value, below), None if value is None or above is None else value + above)


def _gap(larger: float | None, smaller: float | None) -> float | None:
    return None if larger is None or smaller is None else larger - smaller


def _score_of(kept: KeptRun, metric: str) -> NightScore | None:
    test = kept.run.test
    score = test.scores.get(metric)
    if score is None or score.value is None:
        return None
    return NightScore(score.value, score.low, score.high, test.n_images, test.split, kept.run.winner.head)


def _obstacle(before: KeptRun, now: KeptRun, old: Collection[str], new: Collection[str]) -> str:
    """Say why the two learn different things; empty if they do not."""
    for what in ("target", "task"):
        earlier, tonight = getattr(before.run.data, what), getattr(now.run.data, what)
        if earlier != tonight:
            return f"not comparable: the {what} is {tonight}, it was {earlier}"
    if old and set(old) != set(new):
        sides = (("new", set(new) - set(old)), ("gone", set(old) - set(new)))
        changes = [f"{', '.join(sorted(names)[:_SHOWN])} {what}" for what, names in sides if names]
        return f"not comparable: the classes are others ({'; '.join(changes)})"
    if before.run.data.n_classes != now.run.data.n_classes:
        return f"not comparable: there are {now.run.data.n_classes} classes, there were {before.run.data.n_classes}"
    return ""


def _paired(before: KeptRun, now: KeptRun, metric: str) -> tuple[ScoreRow | None, str]:
    """Return the difference on the same test images, and how it was found; or None, and why there is none."""
    try:
        compared = compare_runs(now, before, metric=metric)
    except JobError as error:  # the scores stand in the runs; only what was said of each image is gone
        return None, str(error)
    if compared.difference is None:
        return None, str(compared.reason)
    found = compared.difference
    return ScoreRow.of(
        Score(found.value, found.low, found.high)
    ), f"paired, on the same {compared.n_shared} test images"


def _is_worse(metric: str, difference: ScoreRow) -> bool:
    """Tell whether the whole interval of a difference lies on the worse side of 0."""
    higher_is_better = find_metric(metric).higher_is_better
    end = difference.high if higher_is_better else difference.low
    return end is not None and bool(end < 0 if higher_is_better else end > 0)
