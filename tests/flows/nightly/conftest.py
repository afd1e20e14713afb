"""A night of three classes, held without Prefect."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.flows.experiment.tables import Experiment
from headstart.flows.extraction.job import extract
from headstart.flows.extraction.summary import ExtractionSummary
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.nightly.night import NightSummary, run_night

Night = Callable[..., NightSummary]


@pytest.fixture
def experiment(photos: Path, tmp_path: Path) -> Experiment:
    return Experiment(
        name="birds",
        images=str(photos),
        cache=tmp_path / "cache",
        out=tmp_path / "results",
        precision="fp32",
        extract=[{"backbone": "small_cnn", "weights": "none"}],
        fit=[{"head": ["centroid"], "folds": 2, "test_size": 0.5}],
    )


@pytest.fixture
def hold(experiment: Experiment) -> Night:
    """Hold a night without Prefect; keyword arguments change the experiment."""

    def hold_one(leave: Callable[[NightSummary], None] = lambda _: None, **changes: object) -> NightSummary:
        tonight = experiment.model_copy(update=changes)

        def embed() -> ExtractionSummary:
            return extract(
                tonight.images, "small_cnn", weights="none", cache=tonight.cache, precision="fp32", workers=1
            )

        return run_night(tonight, extract=embed, fit=lambda keys: fit_all(tonight, keys), leave=leave)

    return hold_one


def fit_all(experiment: Experiment, keys: list[str]) -> list[FitSummary]:
    return [
        fit(
            experiment.cache,
            table.head,
            keys=keys,
            target=table.target,
            folds=table.folds,
            test_size=table.test_size,
            out=experiment.folder_of(table),
        )
        for table in experiment.fit
    ]
