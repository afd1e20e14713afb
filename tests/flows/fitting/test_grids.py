"""The values that a fit tries are said in the command, in the experiment file, or by an estimator."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.experiment.reading import read_experiment
from headstart.flows.fitting.job import fit
from headstart.flows.orchestration.fit_tasks import fit_task
from headstart.heads.errors import DataError
from headstart.heads.saving.model_file import load_model

Y = np.arange(40) % 2


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    features = np.random.default_rng(0).normal(size=(40, 3)) + Y[:, None]
    return cache_of(tmp_path, features, [f"c{label}" for label in Y])


def tried(summary) -> list:
    return sorted((row.head, row.params) for row in summary.leaderboard)


def test_the_command_takes_a_grid_behind_a_head(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--head", "logreg(C=0.1,1,10)", "dummy", str(cache), "--folds", "2", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert sorted(row["params"].get("C", 0) for row in found["leaderboard"]) == [0, 0.1, 1, 10]
    kept = json.loads(Path(found["model"]).parent.joinpath("run.json").read_text())
    assert kept["settings"]["heads"] == ["logreg(C=0.1,1,10)", "dummy"]


def test_an_experiment_file_takes_grids_of_its_heads(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(
        f'images = "images"\ncache = "{cache}"\n[[extract]]\nbackbone = "pixels"\n[fit]\nhead = ["logreg", "mlp"]\n'
        "folds = 2\n[fit.grid]\nlogreg = {C = [0.1, 1]}\nmlp = {hidden_sizes = [[4], [4, 4]], max_epochs = 1}\n"
    )
    experiment = read_experiment(tmp_path / "e.toml")
    summary = fit_task.fn(experiment, experiment.fit[0], None, False)
    sizes = [("mlp", {"hidden_sizes": size, "max_epochs": 1}) for size in ((4,), (4, 4))]
    assert [(head, dict(params)) for head, params in sorted(
        ((row.head, row.params) for row in summary.leaderboard), key=repr
    )] == sorted([("logreg", {"C": 0.1}), ("logreg", {"C": 1}), *sizes], key=repr)  # fmt: skip


def test_a_grid_replaces_that_of_a_sweep_and_one_for_no_head_is_refused(cache: Path) -> None:
    summary = fit(
        cache, sweep="quick", folds=2, grid={"ridge": {"alpha": 7.0}, "knn": {"n_neighbors": [3]}}, no_report=True
    )
    params = {(row.head, *row.params.values()) for row in summary.leaderboard if row.head in ("ridge", "knn")}
    assert params == {("ridge", 7.0), ("knn", 3)}
    replaced = fit(cache, "ridge(alpha=3)", sweep="quick", folds=2, no_report=True)
    assert [row.params for row in replaced.leaderboard if row.head == "ridge"] == [{"alpha": 3}]
    with pytest.raises(DataError, match="a grid is given for 'lda', which is not tried"):
        fit(cache, "ridge", grid={"lda": {"shrinkage": [0.1]}})


def test_estimators_are_fitted_as_they_were_made_and_their_model_is_read_back(cache: Path) -> None:
    summary = fit(cache, heads=[LogisticRegression(C=0.5)], folds=2, no_report=True)
    assert summary.winner.head == "sklearn.linear_model:LogisticRegression"
    assert summary.winner.params == {"C": 0.5}
    model, _ = load_model(summary.model, own=["sklearn.linear_model.LogisticRegression"])
    assert model.C == 0.5

    piped = fit(cache, heads=make_pipeline(StandardScaler(), LogisticRegression(C=0.25)), folds=2, no_report=True)
    parts = ["sklearn.pipeline:Pipeline", "sklearn.preprocessing:StandardScaler"]
    model, card = load_model(piped.model, own=[*parts, "sklearn.linear_model:LogisticRegression"])
    assert model[-1].C == 0.25
    assert "LogisticRegression(C=0.25)" in str(card["params"])


def test_an_estimator_of_numbers_is_fitted_on_numbers(cache: Path, tmp_path: Path) -> None:
    images = sorted(path.relative_to(tmp_path / "images") for path in (tmp_path / "images").rglob("*.png"))
    rows = [f"{path},{number / 7}" for number, path in enumerate(images)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,size", *rows]))
    summary = fit(cache, heads=[Ridge(alpha=2.0), "dummy"], labels=tmp_path / "labels.csv", folds=2, no_report=True)
    assert ("sklearn.linear_model:Ridge", {"alpha": 2.0}) in [(row.head, row.params) for row in summary.leaderboard]
    with pytest.raises(TypeError, match="no option 'head'; did you mean 'heads'"):
        fit(cache, head="ridge")  # type: ignore[call-arg]  # as it was called once
