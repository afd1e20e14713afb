"""Winners across runs, ranked where they were scored on the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.extractors.results import JobResult
from headstart.flows.errors import JobError
from headstart.flows.history.search import KeptRun, as_places, gather_runs
from headstart.heads.report import NO_SCORE, ScoreRow
from headstart.heads.scoring import find_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ChosenBy:
    """Metric that a run itself chose by, and on which images."""

    metric: str
    split: str


@dataclass(frozen=True, kw_only=True)
class RankedRun:
    """The winner of a run.

    Attributes
    ----------
    id, time, backbone, label, tap, head, params, views
        As of `Run` and its winner.
    test, selection : ScoreRow or None
        Its score on the test images, and that which chose it; None where the run has no such score.
    chosen_by : ChosenBy
    n_candidates : int
    results : str
        Folder that the run was written to.
    name, note : str or None
        As a person gave them.
    folder : str or None
        Where its files are; None where that is gone, or a later run took its place.
    """

    id: str
    time: str
    backbone: str
    label: str
    tap: str
    head: str
    params: Mapping[str, object]
    test: ScoreRow | None
    selection: ScoreRow | None
    chosen_by: ChosenBy
    n_candidates: int
    results: str = field(repr=False)
    name: str | None
    note: str | None
    folder: str | None
    views: int = 1


@dataclass(frozen=True, kw_only=True)
class RankingTable:
    """The runs on one set of test images, best first; `test` is the images' digest."""

    name: str
    target: str
    metric: str
    split: str
    n_test: int
    test: str
    runs: list[RankedRun]


@dataclass(frozen=True, repr=False)
class Ranking(
    JobResult,
    says="{runs:n run}, {tables:n set} of test images",
    tables=("runs",),
    columns=("target", "id", "name", "head", "params", "metric", "test", "test_low", "test_high"),
):
    """Runs, ranked.

    Attributes
    ----------
    tables : list of RankingTable
        One for each set of test images, that with the latest run first.
    notes : list of str
        What a person should know.
    """

    tables: list[RankingTable]
    notes: list[str]

    @property
    def runs(self) -> list[dict[str, object]]:
        """Every run, with what its table says of the images that it was scored on."""
        images = ("target", "metric", "split", "n_test")
        return [
            {**{name: getattr(table, name) for name in images}, **vars(run)}
            for table in self.tables
            for run in table.runs
        ]

    def plot_runs(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the scores of the first table with their intervals, the best on top."""
        from headstart.heads.report.charts import plot_scores  # noqa: PLC0415 - loads matplotlib

        rows = [(one, one.test or NO_SCORE) for one in self.tables[0].runs]
        named = [(f"{one.name or one.id} · {one.head}", test.value, test.low, test.high) for one, test in rows]
        return plot_scores(named, self.tables[0].metric, ax=ax)


def results(places: str | Path | Sequence[str | Path] = ".", *, metric: str | None = None) -> Ranking:
    """Rank the winners of earlier runs, those on the same test images with each other.

    Parameters
    ----------
    places : path-like or sequence of these
        Caches, folders of results, or folders of these; by default the current one.
    metric : str, optional
        By default what the latest run on the same images chose by.

    Raises
    ------
    JobError
        There is no run, or none has the metric.

    Examples
    --------
    >>> ranking = headstart.results("photos.headstart", metric="accuracy")
    >>> [(table.target, table.n_test) for table in ranking.tables]
    [('label', 8)]
    """
    return rank_runs(as_places(places), metric=metric)


def rank_runs(places: Sequence[Path], *, metric: str | None = None) -> Ranking:
    """Rank the runs of caches or results folders by the winners' test scores.

    Parameters
    ----------
    places : sequence of Path
        As for `gather_runs`.
    metric : str, optional
        By default what the latest run on the same images chose by.

    Raises
    ------
    JobError
        There is no run, or none has the metric.
    """
    kept, notes = gather_runs(places)
    by_images: dict[tuple[str, str], list[KeptRun]] = {}
    for one in reversed(kept):
        by_images.setdefault((one.run.data.target, one.run.data.test), []).append(one)
    tables = [_table(runs, metric or runs[0].run.winner.metric) for runs in by_images.values()]
    if metric and not any(row.test for table in tables for row in table.runs):
        known = sorted({name for group in by_images.values() for one in group for name in one.run.test.scores})
        raise JobError(f"no run has the metric {metric!r}; there are {', '.join(known)}")
    if len(tables) > 1:
        notes.append("runs on other test images, or with other labels, stand in tables of their own")
    if any(len(table.runs) > 1 for table in tables):
        notes.append(
            "each run scored its test images once; whoever now takes the best of several by that score is flattered "
            "by it: 'headstart compare' says which are apart"
        )
    if any(one.run.test.nested for one in kept):
        notes.append(
            "scores on nested folds are of choosing and fitting as a whole; the winner beside them is what was saved"
        )
    return Ranking(tables, notes)


def _table(runs: Sequence[KeptRun], metric: str) -> RankingTable:
    latest = runs[0].run.data

    def order(row: RankedRun) -> tuple[int, float]:
        if row.test is None or row.test.value is None:
            return 1, 0.0
        return 0, find_metric(metric).better(row.test.value)

    return RankingTable(
        name=latest.name,
        target=latest.target,
        metric=metric,
        split=" and ".join(dict.fromkeys(one.run.test.split for one in runs)),
        n_test=latest.n_test,
        test=latest.test,
        runs=sorted((_row(one, metric) for one in runs), key=order),
    )


def _row(kept: KeptRun, metric: str) -> RankedRun:
    run, winner = kept.run, kept.run.winner
    return RankedRun(
        id=run.id,
        time=run.time,
        backbone=winner.backbone,
        label=winner.label,
        tap=winner.tap,
        head=winner.head,
        params=winner.params,
        test=run.test.scores.get(metric),
        selection=winner.scores.get(metric),
        chosen_by=ChosenBy(winner.metric, winner.split),
        n_candidates=run.n_candidates,
        results=run.results,
        name=run.settings.name,
        note=run.settings.note,
        folder=str(kept.folder) if kept.folder else None,
        views=winner.views,
    )
