"""Winners across runs, ranked where they were scored on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.flows.errors import JobError
from headstart.flows.history.runs import Run
from headstart.flows.history.search import gather_runs
from headstart.heads.scoring import is_loss


@dataclass(frozen=True)
class Ranking:
    """Runs, ranked.

    Attributes
    ----------
    tables : list of dict
        One for each set of test images, that with the latest run first: ``name, target, metric, split, n_test, test``
        (the images' digest) and ``runs``, best first: ``id, time, backbone, label, tap, head, params, test`` and
        ``selection`` (each ``value, low, high``, or None where the run has no such score), ``chosen_by``
        (what the run itself chose by: ``metric, split``), ``n_candidates, results``.
    notes : list of str
        What a person should know.
    """

    tables: list[dict[str, Any]]
    notes: list[str]


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
    by_images: dict[tuple[str, str], list[Run]] = {}
    for run in reversed([kept_run.run for kept_run in kept]):
        by_images.setdefault((run.data["target"], run.data["test"]), []).append(run)
    tables = [_table(runs, metric or runs[0].winner["metric"]) for runs in by_images.values()]
    if metric and not any(row["test"] for table in tables for row in table["runs"]):
        known = sorted({name for group in by_images.values() for run in group for name in run.test["scores"]})
        raise JobError(f"no run has the metric {metric!r}; there are {', '.join(known)}")
    if len(tables) > 1:
        notes.append("runs on other test images, or with other labels, stand in tables of their own")
    if any(len(table["runs"]) > 1 for table in tables):
        notes.append(
            "each run scored its test images once; whoever now takes the best of several by that score is flattered "
            "by it: 'headstart compare' says which are apart"
        )
    if any("nested" in run.test for group in by_images.values() for run in group):
        notes.append(
            "scores on nested folds are of choosing and fitting as a whole; the winner beside them is what was saved"
        )
    return Ranking(tables, notes)


def _table(runs: Sequence[Run], metric: str) -> dict[str, Any]:
    latest = runs[0]

    def order(row: dict[str, Any]) -> tuple[int, float]:
        if row["test"] is None:
            return 1, 0.0
        return 0, row["test"]["value"] if is_loss(metric) else -row["test"]["value"]

    return {
        "name": latest.data["name"],
        "target": latest.data["target"],
        "metric": metric,
        "split": " and ".join(dict.fromkeys(run.test["split"] for run in runs)),
        "n_test": latest.data["n_test"],
        "test": latest.data["test"],
        "runs": sorted((_row(run, metric) for run in runs), key=order),
    }


def _row(run: Run, metric: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "time": run.time,
        **{name: run.winner[name] for name in ("backbone", "label", "tap", "head", "params")},
        "test": run.test["scores"].get(metric),
        "selection": run.winner["scores"].get(metric),
        "chosen_by": {"metric": run.winner["metric"], "split": run.winner["split"]},
        "n_candidates": run.n_candidates,
        "results": run.results,
    }
