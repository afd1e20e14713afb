"""Two runs side by side: what differs, and whether their winners differ on the images that both scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.results import JobResult
from headstart.flows.errors import JobError
from headstart.flows.history.run import Run
from headstart.flows.history.runs import PROBABILITIES, read_predictions
from headstart.flows.history.search import KeptRun, as_places, find_run
from headstart.flows.output import plain
from headstart.flows.problem import unite_groups
from headstart.heads.report import interval_text, p_phrase, score_text
from headstart.heads.scoring import (
    SIGNIFICANCE,
    Difference,
    Metric,
    Predictions,
    compare_paired,
    find_metric,
    metric_name,
    metric_names,
)


@dataclass(frozen=True)
class FactsApart:
    """One thing, such as ``settings.seed``, that is another in each run; None where a run has no such thing."""

    what: str
    first: object
    second: object


@dataclass(frozen=True, repr=False)
class RunComparison(
    JobResult,
    says="{first.id} ({first.winner.head}) and {second.id} ({second.winner.head})\n{verdict}",
    tables=("differences",),
):
    """Comparison of two runs.

    Attributes
    ----------
    first, second : Run
    differences : list of FactsApart
    metric : str
        What the winners are compared by.
    n_shared : int
        Test images that both scored.
    difference : Difference or None
        The first winner minus the second on these images.
    significant : bool or None
        Its p-value is below 0.05.
    reason : str or None
        Why it cannot be said, where it cannot.
    notes : list of str
        What a person should know.
    """

    first: Run
    second: Run
    differences: list[FactsApart]
    metric: str
    n_shared: int
    difference: Difference | None
    significant: bool | None
    reason: str | None
    notes: list[str]

    @property
    def verdict(self) -> str:
        """Whether one winner is better than the other or tied with it, in a sentence."""
        return _verdict(self)


def compare(
    first: str | Path,
    second: str | Path,
    *,
    places: str | Path | Sequence[str | Path] = ".",
    metric: str | None = None,
) -> RunComparison:
    """Say what differs between two runs, and whether one winner is better than the other or tied with it.

    Parameters
    ----------
    first, second : str or path-like
        A run's id, or how it begins or ends, or its name, or its folder; a folder of results means the latest in it.
    places : path-like or sequence of these
        Where to look for ids: caches, folders of results, or folders that hold such.
    metric : str, optional
        By default what the first run chose by.

    Raises
    ------
    JobError
        There is no such run, or several; the metric is unknown, or the predictions of a run are gone.

    Examples
    --------
    >>> floor = headstart.fit("photos.headstart", "dummy", folds=3)
    >>> found = headstart.compare("first", floor.run)  # the name of a run, and the id of another
    >>> found.metric, found.n_shared, found.difference.value > 0
    ('accuracy', 8, True)
    """
    where = as_places(places)
    return compare_runs(find_run(str(first), where), find_run(str(second), where), metric=metric)


def compare_runs(first: KeptRun, second: KeptRun, *, metric: str | None = None) -> RunComparison:
    """Compare two runs, and their winners by a paired test on the test images that both scored.

    Parameters
    ----------
    first, second : KeptRun
    metric : str, optional
        By default what the first run chose by.

    Raises
    ------
    JobError
        The metric is unknown, or the predictions of a run are gone.
    """
    runs, notes = (first.run, second.run), []
    chosen = metric or runs[0].winner.metric
    if chosen not in metric_names():
        raise JobError(f"no metric is called {chosen!r}; expected one of {', '.join(metric_names())}")
    if runs[0].winner.metric != runs[1].winner.metric:
        notes.append(f"the runs chose by {runs[0].winner.metric} and by {runs[1].winner.metric}")
    notes += [
        f"{run.id} has nested folds: compared is what models that were chosen and fitted without an image say of it"
        for run in runs
        if run.test.nested
    ]
    found, reason, n_shared = None, None, 0
    if runs[0].data.target != runs[1].data.target:
        reason = f"they learn different things: {runs[0].data.target} and {runs[1].data.target}"
    else:
        shared = _shared_images(first, second, notes)
        n_shared = len(shared)
        reason = _obstacle(shared, runs, find_metric(chosen))
        found = None if reason else _difference(shared, find_metric(chosen))
    return RunComparison(
        first=runs[0],
        second=runs[1],
        differences=list_differences(*runs),
        metric=chosen,
        n_shared=n_shared,
        difference=found,
        significant=None if found is None else found.p_value < SIGNIFICANCE,
        reason=reason,
        notes=notes,
    )


def _verdict(comparison: RunComparison) -> str:
    found, metric = comparison.difference, comparison.metric
    if found is None:
        return f"cannot be told: {comparison.reason}"
    # By how much the better one leads: the difference as it is, or turned round.
    leads = (found.value > 0) == find_metric(metric).higher_is_better
    better, sign = ("first" if leads else "second"), (1 if found.value >= 0 else -1)
    low, high = sorted((sign * found.low, sign * found.high))
    apart = _apart_text(metric, abs(found.value), low, high)
    how = f"{p_phrase(found.p_value)}, {found.test}, {_images(found.n_images)}"
    if comparison.significant:
        return f"significant: the {better} is better in {metric_name(metric)} by {apart}; {how}"
    if found.value == 0:
        return f"tied: no difference in {metric_name(metric)}; {how}"
    return f"tied: the {better} is ahead in {metric_name(metric)} by {apart}, which may be chance; {how}"


def _apart_text(metric: str, value: float, low: float, high: float) -> str:
    """Write how far two scores are apart: a loss in nats, what is written in per cent in points, else as a score."""
    if find_metric(metric).unit not in ("share", "nats"):
        return f"{score_text(metric, value)} {interval_text(metric, low, high)}"
    scale, unit, digits = (100, "points", 1) if find_metric(metric).unit == "share" else (1, "nats", 3)
    return f"{scale * value:.{digits}f} {unit} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def list_differences(first: Run, second: Run) -> list[FactsApart]:
    """Return the facts that differ: asked for, there, or won in one run and not in the other."""
    mine, theirs = _facts(first), _facts(second)
    return [
        FactsApart(name, mine.get(name), theirs.get(name))
        for name in {**mine, **theirs}
        if mine.get(name) != theirs.get(name)
    ]


def _facts(run: Run) -> dict[str, object]:
    winner = {name: getattr(run.winner, name) for name in ("head", "params", "tap", "split")}
    groups = {
        "settings": run.settings,
        "winner": winner,
        "embedding": {name: value for name, value in run.embedding.as_dict().items() if name != "taps"},
        "data": vars(run.data) | {"n_train": run.test.n_train, "split": run.test.split},
        "versions": run.versions,
    }
    return _spread(plain(groups), "")


def _spread(values: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Write nested names with dots: ``embedding.preprocessing.resize``."""
    spread: dict[str, object] = {}
    for name, value in values.items():
        spread |= _spread(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return spread


def _shared_images(first: KeptRun, second: KeptRun, notes: list[str]) -> pd.DataFrame:
    """Join what two winners say of the same images; copies of an image count once."""
    tables = [read_predictions(kept.history, kept.run).drop_duplicates("digest") for kept in (first, second)]
    both = _of_side(tables[0], "first").merge(_of_side(tables[1], "second"), on="digest")
    relabelled = both["true_first"].astype(str) != both["true_second"].astype(str)
    if relabelled.any():
        notes.append(f"{int(relabelled.sum())} of {len(both)} images have another label in each run and are left out")
        both = both[~relabelled]
    if 0 < len(both) < max(map(len, tables)):
        notes.append(
            f"compared on the {len(both)} images that both scored, of {len(tables[0])} and {len(tables[1])} test images"
        )
    both = both.reset_index(drop=True)
    both.attrs = {"classes": [table.attrs["classes"] for table in tables]}
    return both


def _of_side(table: pd.DataFrame, side: str) -> pd.DataFrame:
    return table.rename(columns={name: f"{name}_{side}" for name in table if name != "digest"})


def _obstacle(shared: pd.DataFrame, runs: tuple[Run, Run], metric: Metric) -> str | None:
    if shared.empty:
        return "they have no test image in common: fit both with the same splits and seed"
    for run, side in zip(runs, ("first", "second"), strict=True):
        if (metric.task == "regress") != (run.data.task == "regress"):
            return f"{run.id} has no {metric.name}: name another --metric"
        if metric.needs_probability and shared[f"probability_of_true_{side}"].isna().any():
            return f"{run.winner.head} gives no probabilities, which {metric.name} needs: name another --metric"
        if metric.basis == "ranks" and f"{PROBABILITIES}_{side}" not in shared:
            return f"{run.id} keeps no probability of every class, which {metric.name} needs: name another --metric"
        if run.data.n_classes < metric.fewest_classes:
            return f"{metric.name} needs {metric.fewest_classes} classes: name another --metric"
    return None


def _difference(shared: pd.DataFrame, metric: Metric) -> Difference:
    # What either run holds together must be drawn together: groups of both, along whole chains.
    groups = unite_groups(shared["group_first"], shared["group_second"])
    names = ("true_first", "predicted_first", "predicted_second")
    known: pd.Index[Any] = pd.Index([])
    if metric.task == "regress":
        true, *predicted = (shared[name].to_numpy(np.float64) for name in names)
    else:
        columns = [pd.Series(names_of_classes, dtype=str) for names_of_classes in shared.attrs["classes"]]
        columns += [shared[name].astype(str) for name in names]
        codes, known = pd.factorize(pd.concat(columns), sort=True)
        true, *predicted = codes[-3 * len(shared) :].reshape(3, len(shared))
    first, second = (
        Predictions(classes=values, probability=_probability(shared, metric, number, known))
        for number, values in enumerate(predicted)
    )
    return compare_paired(metric.name, true, first, second, groups=groups)


def _probability(shared: pd.DataFrame, metric: Metric, number: int, known: "pd.Index[Any]") -> npt.NDArray[np.float32]:
    """Return the winner's probabilities of the true class, or of every one of the `known` where a metric ranks them."""
    side = ("first", "second")[number]
    if metric.basis == "sums":
        return shared[f"probability_of_true_{side}"].to_numpy()
    own = known.get_indexer(pd.Index(shared.attrs["classes"][number], dtype=str))
    given = np.zeros((len(shared), len(known)), dtype=np.float32)
    given[:, own] = np.stack(shared[f"{PROBABILITIES}_{side}"].to_list())
    return given
