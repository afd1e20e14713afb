"""Several label columns at once: each masks its own gaps, has its own results, and 0/1 columns have means."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score
from support.numbers_example import N_IMAGES, N_WITHOUT_COLOUR, make_numbers_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.several import SeveralFits, fit_targets, name_folders
from headstart.flows.history.runs import read_predictions
from headstart.flows.history.search import find_run
from headstart.flows.problem.problem import gather_labelled, pose_column


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_numbers_cache(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def several(numbers: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> SeveralFits:
    return fit_targets(
        numbers[0], ["ridge", "dummy"], labels=numbers[1], out=tmp_path_factory.mktemp("results") / "all"
    )


def test_every_column_has_a_line_with_its_own_images_and_winner(several: SeveralFits) -> None:
    found = {row.target: (row.task, row.n_images, row.metric, row.head) for row in several.targets}
    assert found == {
        "weight": ("regress", N_IMAGES, "r2", "ridge"),
        "colour": ("classify", N_IMAGES - N_WITHOUT_COLOUR, "accuracy", "ridge"),
        "shape": ("classify", N_IMAGES, "accuracy", "ridge"),
        "sunny": ("classify", N_IMAGES, "accuracy", "ridge"),
        "wet": ("classify", N_IMAGES, "accuracy", "ridge"),
    }
    assert all(row.error is None for row in several.targets)


def test_a_missing_label_masks_its_image_in_that_column_alone(numbers: tuple[Path, Path]) -> None:
    labelled = gather_labelled(EmbeddingCache(numbers[0]), labels=numbers[1], targets=["colour", "weight"])
    colour, weight = (pose_column(labelled, column) for column in ("colour", "weight"))
    assert (len(colour.y), len(weight.y)) == (N_IMAGES - N_WITHOUT_COLOUR, N_IMAGES)
    assert colour.notes == [f"{N_WITHOUT_COLOUR} of {N_IMAGES} images have no colour and are left out"]
    kept = np.asarray(weight.embedded[0].features)[N_WITHOUT_COLOUR:]
    assert np.array_equal(np.asarray(colour.embedded[0].features), kept)


def test_a_column_is_fitted_as_it_is_alone(several: SeveralFits, numbers: tuple[Path, Path], tmp_path: Path) -> None:
    alone = fit(numbers[0], ["ridge", "dummy"], labels=numbers[1], target="colour", out=tmp_path / "alone")
    together = several.fits["colour"]
    assert alone.test == together.test
    assert [row.score for row in alone.leaderboard] == [row.score for row in together.leaderboard]


def test_each_column_has_a_results_folder_below_one_table(several: SeveralFits) -> None:
    table = pd.read_csv(several.table)
    assert table["target"].tolist() == ["weight", "colour", "shape", "sunny", "wet"]
    for row in several.targets:
        assert Path(row.out) == Path(several.table).parent / row.target
        assert (Path(row.out) / "model" / "model.json").exists()
        assert (Path(row.out) / "report.html").exists()


def test_columns_of_zero_and_one_have_means_of_scikit_learns_metrics(several: SeveralFits) -> None:
    found = several.multilabel
    assert found is not None
    assert [column.target for column in found.columns] == ["sunny", "wet"]
    expected: dict[str, list[float]] = {"accuracy": [], "f1": [], "average_precision": []}
    for column in ("sunny", "wet"):
        kept = find_run(str(Path(several.fits[column].model).parent), [])
        table = read_predictions(kept.history, kept.run)
        true, shown = (table[name].astype(str) == "1" for name in ("true", "predicted"))
        of_one = table["probability_of_true"].where(true, 1 - table["probability_of_true"])
        expected["accuracy"].append(several.fits[column].test.scores["accuracy"].value)
        expected["f1"].append(f1_score(true, shown))
        expected["average_precision"].append(average_precision_score(true, of_one))
    assert found.accuracy == pytest.approx(np.mean(expected["accuracy"]))
    assert found.macro_f1 == pytest.approx(np.mean(expected["f1"]))
    assert found.average_precision == pytest.approx(np.mean(expected["average_precision"]))


def test_without_probabilities_there_is_no_average_precision(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    found = fit_targets(
        numbers[0], "linear-svm", targets=["sunny", "wet"], labels=numbers[1], out=tmp_path / "svm"
    ).multilabel
    assert found is not None
    assert found.average_precision is None
    assert found.macro_f1 > 0.7


def test_a_column_that_cannot_be_fitted_costs_no_other(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    found = fit_targets(
        numbers[0], "logreg", targets=["weight", "shape"], labels=numbers[1], out=tmp_path / "some", metric="macro_f1"
    )
    assert [row.error is None for row in found.targets] == [False, True]
    assert "'logreg' tells classes apart and predicts no numbers" in found.targets[0].error
    assert (found.targets[0].score, found.targets[1].metric) == (None, "macro_f1")
    assert list(found.fits) == ["shape"]


def test_a_metric_that_no_task_has_is_refused_and_no_column_goes_by_another(
    numbers: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=r"no metric is called 'acuracy'; expected one of accuracy, .*, rmse"):
        fit_targets(numbers[0], "dummy", targets=["shape"], labels=numbers[1], out=tmp_path / "x", metric="acuracy")
    assert not (tmp_path / "x").exists()


def test_where_no_column_can_be_fitted_the_first_reason_is_told(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(JobError, match="none of 1 label columns could be fitted; weight: head 'logreg' tells"):
        fit_targets(numbers[0], "logreg", targets=["weight"], labels=numbers[1], out=tmp_path / "none")


def test_an_unknown_column_names_those_there_are(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no label column 'size'; there are weight, colour, shape, sunny, wet"):
        fit_targets(numbers[0], "ridge", targets=["weight", "size"], labels=numbers[1], out=tmp_path / "out")


def test_results_of_several_columns_are_not_written_among_other_files(
    numbers: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(JobError, match="holds other files than results"):
        fit_targets(numbers[0], "dummy", targets=["shape", "wet"], labels=numbers[1], out=tmp_path)


def test_folders_are_named_after_columns_and_kept_apart() -> None:
    columns = ["colour", "Colour", "../up", "a/b", "a:b", "..."]
    names = [folder.name for folder in name_folders(columns, Path("root"))]
    assert names == ["colour", "Colour-2", "_up", "a_b", "a_b-2", "column"]


@pytest.mark.parametrize("targets", [("colour", "shape"), ("all",)])
def test_the_command_fits_several_columns_and_prints_one_object(
    targets: tuple[str, ...],
    numbers: tuple[Path, Path],
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--labels", str(numbers[1]), "--target", *targets, "--head", "dummy", "--json"]
    with pytest.raises(SystemExit, match="0"):
        main(["fit", str(numbers[0]), *options])
    summary = json.loads(capsys.readouterr().out)
    wanted = ["weight", "colour", "shape", "sunny", "wet"] if targets == ("all",) else list(targets)
    assert [row["target"] for row in summary["targets"]] == wanted
    assert Path("things.results/targets.csv").samefile(summary["table"])
    assert Path(summary["table"]).parent.parent == Path("things.results")


def test_the_tables_fit_eighty_columns(
    numbers: tuple[Path, Path], elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "fit",
                str(numbers[0]),
                "--labels",
                str(numbers[1]),
                "--target",
                "weight",
                "sunny",
                "wet",
                "--head",
                "dummy",
            ]
        )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    lines = [line.strip() for line in lines]
    (weight,) = [line for line in lines if line.startswith("weight")]
    assert "R²" in weight
    assert weight.endswith("120")
    assert any(line.startswith("mean") for line in lines)
