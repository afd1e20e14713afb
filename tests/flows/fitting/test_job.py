"""The job `fit`: what chose is told from what was scored, and everything that people keep is written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from support.forked import forked_workers

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.shards import map_dataset
from headstart.extractors.errors import CacheError
from headstart.flows.errors import JobError
from headstart.flows.fitting.job import fit
from headstart.flows.output.json_values import plain
from headstart.heads.errors import DataError, UnknownHeadError
from headstart.heads.saving.model_file import load_model
from headstart.heads.scoring.metrics import METRICS

Embed = Callable[..., Any]


@pytest.fixture
def split_photos(tmp_path: Path) -> Path:
    """Three classes below train/ (10 each), val/ (4 each) and test/ (4 each)."""
    folder = tmp_path / "split"
    for place, count, start in (("train", 10, 0), ("val", 4, 1000), ("test", 4, 2000)):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                draw(folder / place / name / f"{number}.png", label, seed=start + 100 * label + number)
    return folder


def test_without_splits_a_fifth_is_held_back_and_folds_in_the_rest_choose(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, ["logreg", "dummy"], no_report=True)
    assert summary.winner == summary.leaderboard[0]
    assert summary.winner.head == "logreg"
    assert {row.split for row in summary.leaderboard} == {"5-fold CV"}
    assert summary.test.split == "held-out fifth"
    assert (summary.test.n_images, summary.test.n_train) == (8, 28)
    assert summary.test.scores["accuracy"].value == 1.0


@pytest.mark.parametrize(
    ("left_out", "chosen_by", "scored_on", "n_train"),
    [((), "val", "test", 30), (("test",), "5-fold CV", "val", 30), (("val",), "5-fold CV", "test", 30)],
    ids=["all three", "no test", "no val"],
)
def test_given_splits_decide_what_fits_what_chooses_and_what_is_scored(
    embed: Embed,
    split_photos: Path,
    elsewhere: Path,
    left_out: tuple[str, ...],
    chosen_by: str,
    scored_on: str,
    n_train: int,
) -> None:
    import shutil

    for name in left_out:
        shutil.rmtree(split_photos / name)
    summary = fit(embed(images=split_photos).cache, "centroid", no_report=True)
    assert summary.winner.split == chosen_by
    assert summary.test.split == scored_on
    assert (summary.test.n_images, summary.test.n_train) == (12, n_train)


def test_a_leaderboard_row_says_what_was_tried_and_how_it_did(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, "logreg", metric="macro_f1", no_report=True)
    row = summary.winner
    assert (row.backbone, row.tap, row.head, row.metric) == (
        "headstart/small_cnn",
        "penultimate",
        "logreg",
        "macro_f1",
    )
    assert set(row.params) == {"C"}
    assert 0 <= row.low <= row.score <= row.high <= 1
    assert row.score == row.scores["macro_f1"].value
    assert set(row.scores) == set(METRICS) - {"top5"}


def test_the_best_of_every_other_embedding_is_scored_for_comparison(embed: Embed, elsewhere: Path) -> None:
    embed(backbone="pixels", weights="default")
    summary = fit(embed().cache, ["centroid", "dummy"], no_report=True)
    assert len(summary.controls) == 1
    assert {summary.winner.backbone, summary.controls[0].backbone} == {"headstart/small_cnn", "headstart/pixels"}
    assert summary.controls[0].scores["accuracy"].value > 0.5


def test_model_report_and_table_are_written_where_the_summary_says(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, ["centroid", "mlp"], out="run1")
    folder = Path("run1", summary.run)
    for name, place in (("model", summary.model), ("report.html", summary.report), ("leaderboard.csv", summary.table)):
        assert Path(place) == folder / name
        assert Path("run1", name).samefile(place)
    page = Path(summary.report).read_text()
    assert "small_cnn" in page
    assert page.count("<svg") >= 3  # confusion matrix, map, training curve of the mlp
    table = pd.read_csv(summary.table)
    assert len(table) == len(summary.leaderboard)
    _, card = load_model(summary.model)
    assert card["class_names"] == list(CLASSES)
    assert card["scores"]["test"] == plain(summary.test)


def test_the_default_results_lie_beside_the_cache_s_name(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, "centroid")
    assert summary.report == f"cache.results/{summary.run}/report.html"
    assert Path("cache.results/report.html").samefile(summary.report)


def test_the_saved_model_is_fitted_on_train_and_gives_the_score_that_was_reported(
    embed: Embed, split_photos: Path, elsewhere: Path
) -> None:
    cache = EmbeddingCache(embed(images=split_photos).cache)
    summary = fit(cache.path, "knn", no_report=True)
    model, _ = load_model(summary.model)
    from headstart.extractors.listing.cache_listing import read_listing

    rows = read_listing(cache).rows
    test = rows[rows["split"] == "test"]
    features = np.asarray(cache.stores()[0].view("penultimate", test["digest"].tolist()), dtype=np.float32)
    predicted = np.array(CLASSES)[model.predict(features)]
    assert (predicted == test["label"]).mean() == summary.test.scores["accuracy"].value


def test_the_same_seed_gives_the_same_leaderboard(cache: Path, elsewhere: Path) -> None:
    fits = (fit(cache, ["logreg", "linear-torch"], seed=3, no_report=True) for _ in range(2))
    first, again = ([replace(row, fit_seconds=0.0) for row in one.leaderboard] for one in fits)
    assert first == again


def test_an_image_of_test_that_is_also_in_train_is_dropped_from_train(
    embed: Embed, split_photos: Path, elsewhere: Path
) -> None:
    import shutil

    shutil.copy(split_photos / "test" / "cat" / "0.png", split_photos / "train" / "cat" / "leak.png")
    summary = fit(embed(images=split_photos).cache, "centroid", no_report=True)
    assert summary.test.n_train == 30
    assert any("1 train images are left out" in note for note in summary.notes)


@pytest.mark.parametrize("dask", ["threads", "processes"])
def test_candidates_are_fitted_on_threads_or_processes_with_equal_scores(
    cache: Path, elsewhere: Path, dask: str
) -> None:
    with forked_workers():
        summary = fit(cache, ["centroid", "ridge"], dask=dask, workers=2, no_report=True)
    reference = fit(cache, ["centroid", "ridge"], workers=1, no_report=True)
    assert [row.score for row in summary.leaderboard] == [row.score for row in reference.leaderboard]


def test_a_single_class_is_refused(embed: Embed, tmp_path: Path, elsewhere: Path) -> None:
    for number in range(4):
        draw(tmp_path / "one" / "cat" / f"{number}.png", 0, seed=number)
    with pytest.raises(DataError, match=r"one class \('cat'\); a head needs images of at least two classes"):
        fit(embed(images=tmp_path / "one").cache, "logreg")


def test_a_class_with_fewer_images_than_folds_names_the_class_and_the_way_out(
    embed: Embed, photos: Path, elsewhere: Path
) -> None:
    for number in range(8):
        (photos / "owl" / f"{number:02d}.png").unlink()
    with pytest.raises(
        DataError, match="'owl' has 3 images to train on, expected at least one for each of the 5 folds: use --folds 3"
    ):
        fit(embed().cache, "logreg", min_images=1)


def test_an_unknown_head_is_answered_with_the_nearest(cache: Path, elsewhere: Path) -> None:
    with pytest.raises(UnknownHeadError, match="no head is called 'logrge'; did you mean logreg"):
        fit(cache, "logrge")


def test_nan_features_name_the_images(embed: Embed, elsewhere: Path) -> None:
    cache = EmbeddingCache(embed(dtype="float32").cache)
    (store,) = cache.stores()
    (shard,) = store.shards()
    values = np.array(map_dataset(shard, "features/penultimate"))
    values[2:4, 0] = np.nan
    digests = np.array(map_dataset(shard, "digest"))
    shard.unlink()
    store.seal(digests, {"penultimate": values})
    with pytest.raises(JobError, match=r"2 of 36 rows hold NaN .*\(images: cat/02\.png, cat/03\.png\)"):
        fit(cache.path, "logreg")


def test_damaged_rows_are_not_fitted(cache: Path, elsewhere: Path) -> None:
    (shard,) = EmbeddingCache(cache).stores()[0].shards()
    values = map_dataset(shard, "features/penultimate")
    content = bytearray(shard.read_bytes())
    content[values.offset + 5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(JobError, match=r"do not give the checksum .*run 'headstart verify .* --repair'"):
        fit(cache, "centroid")


def test_results_are_not_written_among_other_files(embed: Embed, photos: Path, elsewhere: Path) -> None:
    cache = embed().cache
    for folder in (photos, cache):
        with pytest.raises(JobError, match="holds other files than results"):
            fit(cache, "centroid", out=folder)
    fit(cache, "centroid", out="results")
    assert fit(cache, "knn", out="results").winner.head == "knn"


def test_a_cache_that_is_not_there_says_how_to_make_one(elsewhere: Path) -> None:
    with pytest.raises(CacheError, match="make one with 'headstart extract"):
        fit("nowhere.headstart", "logreg")


def test_fit_is_the_public_name() -> None:
    import headstart.flows

    assert headstart.flows.fit is fit


def test_rounds_of_choosing_are_named_and_everything_else_stays(cache: Path, elsewhere: Path) -> None:
    once = fit(cache, ["centroid", "dummy"], folds=3, few_shot=True, out="once")
    often = fit(cache, ["centroid", "dummy"], folds=3, repeats=2, few_shot=True, out="often")
    assert (once.winner.split, often.winner.split) == ("3-fold CV", "3-fold CV × 2")
    assert once.test == often.test  # the same images are held back, and the winner is the same
    assert pd.read_parquet("often/results.parquet")["accuracy_per_fold"].map(len).tolist() == [6] * len(
        often.leaderboard
    )
