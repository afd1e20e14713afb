"""Every fit keeps a folder of its own: with one id in all its files, listed with what became of it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of
from support.kills import killed_at

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.several import fit_targets
from headstart.flows.history.ranking import RankedRun, rank_runs
from headstart.flows.history.search import find_run
from headstart.heads.errors import ModelFileError
from headstart.heads.saving.model_file import load_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    y = np.arange(40) % 2
    features = np.random.default_rng(0).normal(size=(40, 6)) + 4 * y[:, None]
    return cache_of(tmp_path_factory.mktemp("cache"), features, np.array(["cat", "dog"])[y])


@pytest.fixture
def own_cache(cache: Path, tmp_path: Path) -> Path:
    """Its history holds the runs of the test alone."""
    return Path(shutil.copytree(cache, tmp_path / "things.headstart", ignore=shutil.ignore_patterns("runs")))


def ids_in(folder: Path) -> set[str]:
    """Return the ids of runs in all files of a folder."""
    page = (folder / "report.html").read_text()
    run = json.loads((folder / "run.json").read_text())["id"]
    return {
        run,
        load_model(folder / "model")[1]["run"],
        *pd.read_csv(folder / "leaderboard.csv")["run"],
        *pd.read_csv(folder / "predictions.csv")["run"],
        *(found for found in [run] if found in page),
    } | ({"none in the report"} if run not in page else set())


def quick(cache: Path, out: Path, head: str = "centroid", **options: str) -> FitSummary:
    return fit(cache, head, folds=2, out=out, workers=1, **options)  # type: ignore[arg-type]  # names and notes


def listed(*places: Path) -> list[RankedRun]:
    return [row for table in rank_runs(places).tables for row in table.runs]


def test_all_files_of_a_run_bear_its_id_and_the_one_before_stays(cache: Path, tmp_path: Path) -> None:
    first, second = (quick(cache, tmp_path / "r", head) for head in ("centroid", "dummy"))
    for summary in (first, second):
        assert ids_in(Path(summary.model).parent) == {summary.run}
    assert ids_in(tmp_path / "r") == {second.run}
    assert load_model(first.model)[1]["head"] == "centroid"
    assert load_model(tmp_path / "r" / "model")[1]["head"] == "dummy"
    assert (
        f"the latest in {tmp_path / 'r'} was run {first.run}: it stays in {tmp_path / 'r' / first.run}" in second.notes
    )


def test_predictions_for_the_test_images_are_a_table(cache: Path, tmp_path: Path) -> None:
    summary = quick(cache, tmp_path / "r")
    table = pd.read_csv(summary.predictions)
    assert table.columns.tolist() == ["path", "true", "predicted", "probability", "run"]
    assert len(table) == summary.test.n_images
    assert (table["true"] == table["predicted"]).mean() == summary.test.scores["accuracy"].value
    assert table["probability"].between(0.5, 1).all()
    assert all(Path(path).parent.name == true for path, true in zip(table["path"], table["true"], strict=True))


def test_two_fits_at_the_same_time_both_end_whole(cache: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda head: quick(cache, tmp_path / "r", head), ["centroid", "dummy"]))
    for summary, head in zip(both, ["centroid", "dummy"], strict=True):
        assert ids_in(Path(summary.model).parent) == {summary.run}
        assert load_model(summary.model)[1]["head"] == head
    (latest,) = ids_in(tmp_path / "r")
    assert latest in {summary.run for summary in both}


def test_a_fit_that_is_killed_while_it_ends_leaves_one_run_or_the_other(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    before = quick(cache, out, "dummy")
    with killed_at(out, 0) as steps:
        quick(cache, out, "dummy")
    (latest,) = ids_in(out)
    for last in range(steps.taken - 6, steps.taken + 1, 2):  # every step, with small files, is a test of the folder's
        with killed_at(out, last):
            quick(cache, out, "dummy")
        (now,) = ids_in(out)
        assert latest == now or ids_in(out / now) == {now}
        assert ids_in(out / latest) == {latest}
        latest = now
    assert ids_in(Path(before.model).parent) == {before.run}


def test_results_of_an_earlier_version_stay_readable_and_get_a_folder_when_the_next_come(
    cache: Path, tmp_path: Path
) -> None:
    old = quick(cache, tmp_path / "new")
    shutil.copytree(Path(old.model).parent, tmp_path / "r")  # they lay in the folder itself
    line = json.loads((tmp_path / "r" / "run.json").read_text())
    for name in ("name", "note"):
        del line["settings"][name]
    (tmp_path / "r" / "run.json").write_text(json.dumps(line))
    assert find_run(str(tmp_path / "r"), []).run.id == old.run
    assert [row.folder for row in listed(tmp_path / "r")] == [str(tmp_path / "r")]
    new = quick(cache, tmp_path / "r", "dummy")
    assert {row.id: row.folder for row in listed(tmp_path / "r")} == {
        run: str(tmp_path / "r" / run) for run in (old.run, new.run)
    }
    assert load_model(tmp_path / "r" / old.run / "model")[1]["head"] == "centroid"
    assert load_model(tmp_path / "r" / "model")[1]["head"] == "dummy"


def test_the_listing_has_names_parameters_candidates_and_folders_and_says_what_is_gone(
    own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    first = quick(own_cache, Path("r"), "ridge", name="base", note="floor")
    second = quick(own_cache, Path("r"), "dummy")
    shutil.rmtree(Path("r", second.run))
    with pytest.raises(SystemExit, match="0"):
        main(["results", "things.headstart"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    (shown,) = [" ".join(line.split()) for line in out.splitlines() if "floor" in line]
    params = f"alpha = {first.winner.params['alpha']:g}"
    assert shown == f"{first.run} base: floor {params} {len(first.leaderboard)} r"
    assert any(second.run in line and "it is gone" in line for line in out.splitlines())
    found = {row.id: (row.name, row.note, row.folder) for row in listed(own_cache)}
    assert found[second.run] == (None, None, None)
    assert found[first.run][:2] == ("base", "floor")
    assert find_run("base", [own_cache]).run.id == first.run
    assert Path("r", "base").resolve() == Path("r", first.run).resolve()


def test_the_listing_survives_the_cache_and_a_move(own_cache: Path, tmp_path: Path) -> None:
    runs = [quick(own_cache, tmp_path / "r", head) for head in ("ridge", "dummy")]
    shutil.rmtree(own_cache)
    (tmp_path / "r").rename(tmp_path / "moved")
    expected = {one.run: str(tmp_path / "moved" / one.run) for one in runs}
    assert {row.id: row.folder for row in listed(tmp_path / "moved")} == expected
    (tmp_path / "moved" / runs[0].run / "run.json").write_text("{")
    assert [row.id for row in listed(tmp_path / "moved")] == [runs[1].run]
    assert any("damaged" in note for note in rank_runs([tmp_path / "moved"]).notes)


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_elsewhere_predicts_and_takes_further_runs(cache: Path, tmp_path: Path, links: bool) -> None:
    first = quick(cache, tmp_path / "r")
    shutil.copytree(tmp_path / "r", tmp_path / "copy", symlinks=links)
    shutil.rmtree(tmp_path / "r")
    assert ids_in(tmp_path / "copy") == {first.run}
    second = quick(cache, tmp_path / "copy", "dummy")
    assert ids_in(tmp_path / "copy") == {second.run}
    assert ids_in(tmp_path / "copy" / first.run) == {first.run}


def test_a_link_whose_run_is_gone_says_so(cache: Path, tmp_path: Path) -> None:
    summary = quick(cache, tmp_path / "r")
    shutil.rmtree(Path(summary.model).parent)
    with pytest.raises(ModelFileError, match=r"no such file; give a folder that 'headstart fit' wrote"):
        load_model(tmp_path / "r" / "model")


def test_several_columns_are_one_run_and_the_one_before_stays(cache: Path, tmp_path: Path) -> None:
    first, second = (fit_targets(cache, head, folds=2, out=tmp_path / "r") for head in ("centroid", "dummy"))
    for several, head in ((first, "centroid"), (second, "dummy")):
        (row,) = several.targets
        assert ids_in(Path(row.out)) == {row.run}
        assert load_model(Path(row.out) / "model")[1]["head"] == head
    assert (tmp_path / "r" / "targets.csv").samefile(second.table)
    assert load_model(tmp_path / "r" / "label" / "model")[1]["head"] == "dummy"
    assert {row.id for row in listed(tmp_path / "r")} == {several.targets[0].run for several in (first, second)}


@pytest.mark.parametrize("name", ["latest", "model", "a/b", "predictions.csv"])
def test_a_name_that_cannot_be_is_refused_before_anything_is_fitted(cache: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(JobError, match=f"--name '{name}'"):
        quick(cache, tmp_path / "r", name=name)
    assert not (tmp_path / "r").exists()


def test_a_fit_that_is_refused_leaves_no_folder(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError):
        fit(cache, "dummy", out=tmp_path / "r", metric="r2")
    assert not (tmp_path / "r").exists()
