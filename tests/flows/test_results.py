"""Results of every public job: short in a terminal, a table in a notebook, a data frame, and drawings."""

import inspect
import os
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from support.array_cache import cache_of
from support.python_example import make_folder

import headstart
from headstart.extractors.errors import CacheError
from headstart.extractors.results import JobResult
from headstart.flows.experiment import Experiment
from headstart.flows.inference import GraftSummary
from headstart.flows.nightly.night import run_night
from headstart.flows.orchestration import RunSummary

mpl.use("Agg")
FUNCTIONS = [name for name in headstart.__all__ if inspect.isfunction(getattr(headstart, name))]
RETURNED = {name: inspect.signature(getattr(headstart, name)).return_annotation for name in FUNCTIONS}
WITH_RESULT = [name for name in FUNCTIONS if RETURNED[name] is not None]


def grafted(weights: str, class_names: list[str]) -> GraftSummary:
    return GraftSummary(
        weights=weights,
        onnx=None,
        readme="w.md",
        onnx_readme=None,
        code="resnet18()",
        class_names=class_names,
        backbone="resnet18",
        head="logreg",
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What each public job returns, made on a few images."""
    before = Path.cwd()
    make_folder(tmp_path_factory.mktemp("results"))
    yield _every_result()
    os.chdir(before)


def _every_result() -> dict[str, Any]:
    cache = "photos.headstart"
    extracted = headstart.extract("photos", "small_cnn", weights="none", workers=1)
    found = headstart.fit(cache, ["centroid", "ridge", "dummy"], few_shot=True, folds=2)
    maps = headstart.extract("photos", "small_cnn", weights="none", tap="features.7:map", cache="maps", workers=1)
    tuned = headstart.finetune(maps.cache, "features.8", epochs=2, batch_size=8, out="tuned")
    tables = {"extract": [{"backbone": "small_cnn", "weights": "none"}], "fit": [{"head": ["centroid"], "folds": 2}]}
    experiment = Experiment(name="birds", images="photos", cache=cache, out="nights", **tables)
    night = run_night(
        experiment,
        extract=lambda: extracted,
        fit=lambda keys: [headstart.fit(cache, "centroid", keys=keys, folds=2, out="nights")],
    )
    headstart.open(cache).images[::4].to_csv("labels.csv", index=False)
    return {
        "choose_next": headstart.choose_next(cache, labels="labels.csv"),
        "cluster": headstart.cluster(cache, k=[2, 3]),
        "compact": headstart.compact(cache),
        "compare": headstart.compare("first", found.run),
        "demo": RunSummary(extracted, found),
        "doctor": headstart.doctor(),
        "episodes": headstart.episodes(cache, ways=2, shots=[1], queries=3, count=20),
        "export": headstart.export(cache, "photos.npy", tap="penultimate"),
        "extract": extracted,
        "finetune": tuned,
        "fit": found,
        "fit_targets": headstart.fit_targets(cache, "centroid", targets=["label"], folds=2, out="several"),
        "graft": grafted("w.pth", ["cat", "dog"]),
        "inspect": headstart.inspect(cache),
        "list_backbones": headstart.list_backbones("resnet*"),
        "list_heads": headstart.list_heads(),
        "list_layers": headstart.list_layers("small_cnn"),
        "load": headstart.load("photos.results"),
        "nightly": night,
        "open": headstart.open(cache),
        "predict": headstart.predict("photos.results", "new-photos"),
        "rank": headstart.rank(cache),
        "reduce": headstart.reduce(cache, size=3),
        "results": headstart.results(),
        "run": RunSummary(extracted, found),
        "similar": headstart.similar(cache, "new-photos", k=2),
        "summarize": headstart.summarize("small_cnn"),
        "verify": headstart.verify(cache),
    }


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def drawings_of(result: Any) -> list[str]:
    return [name for name in dir(type(result)) if name.startswith("plot_")]


def test_every_public_job_returns_a_result_and_all_of_them_are_looked_at(results: dict[str, Any]) -> None:
    assert sorted(results) == sorted(WITH_RESULT)
    assert {name: kind for name, kind in RETURNED.items() if name in results and not issubclass(kind, JobResult)} == {}
    assert {name for name in results if type(results[name]) is not RETURNED[name]} == set()


@pytest.mark.parametrize("name", WITH_RESULT)
def test_a_result_is_short_in_a_terminal_and_says_what_it_is(results: dict[str, Any], name: str) -> None:
    text = repr(results[name])
    assert text.startswith(f"{type(results[name]).__name__}: ")
    assert len(text) > len(f"{type(results[name]).__name__}: ")
    assert len(text.splitlines()) <= (12 if name == "predict" else 4)
    assert len(text) < 600
    assert "object at 0x" not in text
    assert str(results[name]) == text


@pytest.mark.parametrize("name", WITH_RESULT)
def test_a_result_is_a_small_table_in_a_notebook(results: dict[str, Any], name: str) -> None:
    page, table = results[name]._repr_html_(), results[name].to_pandas()
    assert page.count("<tr") == (min(len(table), 10) + 1 if len(table) else 0)
    assert page.startswith("<div><b>")
    assert len(page) < 20_000


@pytest.mark.parametrize("name", WITH_RESULT)
def test_a_result_gives_the_rows_that_matter_as_a_data_frame(results: dict[str, Any], name: str) -> None:
    result = results[name]
    assert type(result.to_pandas()) is pd.DataFrame
    for table in result._tables:
        assert type(result.to_pandas(table)) is pd.DataFrame
    if name not in ("compare", "verify"):  # two runs may differ in nothing, and a cache be sound
        assert len(result.to_pandas()) > 0
    if result._tables:
        with pytest.raises(ValueError, match=f"has no table 'colours'; it has {result._tables[0]}"):
            result.to_pandas("colours")


@pytest.mark.parametrize(
    ("name", "drawing"),
    [
        ("fit", "plot_candidates"),
        ("fit", "plot_confusion"),
        ("fit", "plot_few_shot"),
        ("finetune", "plot_history"),
        ("finetune", "plot_confusion"),
        ("cluster", "plot_map"),
        ("rank", "plot_layers"),
        ("results", "plot_runs"),
    ],
)
def test_a_drawing_is_made_on_new_axes_or_on_those_given(results: dict[str, Any], name: str, drawing: str) -> None:
    axes = getattr(results[name], drawing)()
    assert isinstance(axes, Axes)
    assert axes.has_data()
    mine = plt.subplots()[1]
    assert getattr(results[name], drawing)(ax=mine) is mine
    assert mine.has_data()


def test_the_drawings_are_all_looked_at(results: dict[str, Any]) -> None:
    known = {drawing for result in results.values() for drawing in drawings_of(result)}
    assert known == {
        *("plot_candidates", "plot_confusion", "plot_few_shot", "plot_predictions"),
        *("plot_history", "plot_layers", "plot_map", "plot_runs"),
    }


def test_the_tables_of_a_fit_hold_what_it_found(results: dict[str, Any]) -> None:
    found = results["fit"]
    table = found.to_pandas()
    assert table["head"].tolist() == [row.head for row in found.leaderboard]
    assert table["accuracy_low"].tolist() == [row.scores["accuracy"].low for row in found.leaderboard]
    assert table["params"].tolist()[:1] == [", ".join(f"{k}={v}" for k, v in found.winner.params.items())]
    predicted = found.to_pandas("predictions")
    assert list(predicted) == ["path", "true", "predicted", "probability", "run"]
    assert len(predicted) == found.test.n_images
    few = found.to_pandas("few_shot")
    assert set(few["head"]) >= {found.winner.head}
    assert few["images_per_class"].isna().sum() == few["head"].nunique(), "all images have no number"


def test_what_names_hold_is_text_in_a_page_and_steers_no_terminal() -> None:
    evil = grafted("<img src=x>.pth", ["<b>cat</b>", "dog\n\x1b[2J"])
    assert "<img" not in evil._repr_html_()
    assert "&lt;img src=x&gt;.pth" in evil._repr_html_()
    assert "&lt;b&gt;cat&lt;/b&gt;" in evil._repr_html_()
    assert "\x1b" not in repr(evil)
    assert len(repr(evil).splitlines()) == 2


def test_only_the_first_rows_are_shown_and_how_many_more_there_are_is_said() -> None:
    many = grafted("w.pth", [f"class {number}" for number in range(1000)])
    assert "990 more rows" in many._repr_html_()
    assert many.to_pandas()["class_names"].tolist()[-1] == "class 999"
    assert "class 5" not in repr(many)


@pytest.mark.parametrize("names", [["01", "1"], ["NA", "nan"], ["$1", "$x"]], ids=str)
def test_classes_of_any_name_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    features = np.arange(40) % 2 + np.random.default_rng(0).normal(0, 0.1, (4, 40))
    found = headstart.fit(cache_of(tmp_path / "c", features.T, names * 20), "centroid", folds=2)
    assert set(found.to_pandas("predictions")["true"]) == set(names)
    axes = found.plot_confusion()
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    with pytest.raises(ValueError, match=r"tells classes apart; draw them with plot_confusion"):
        found.plot_predictions()
    with pytest.raises(ValueError, match=r"few_shot.csv; fit with few_shot=True"):
        found.plot_few_shot()
    Path(found.predictions).unlink()
    with pytest.raises(CacheError, match=r"predictions.csv: "):
        found.plot_confusion()


def test_numbers_are_drawn_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    features = np.random.default_rng(0).normal(size=(40, 4))
    cache = cache_of(tmp_path / "c", features, [f"{number + 0.25:.3f}" for number in features[:, 0]])
    found = headstart.fit(cache, "ridge", task="regress", folds=2)
    assert found.plot_predictions().has_data()
    assert found.plot_candidates().get_xlabel() == "R²"
    with pytest.raises(ValueError, match="predicts numbers; draw them with plot_predictions"):
        found.plot_confusion()


def test_a_row_of_a_result_is_short_too(results: dict[str, Any]) -> None:
    found = [row for result in results.values() for table in result._tables for row in _rows(getattr(result, table))]
    found += [
        results["fit"].winner,
        results["fit"].test,
        results["compare"].first,
        results["results"].tables[0].runs[0],
    ]
    assert len(found) > 80
    assert [row for row in found if len(repr(row)) > 500] == []


def _rows(table: Any) -> list[Any]:
    return [row for row in table if is_dataclass(row)] if isinstance(table, list) else []
