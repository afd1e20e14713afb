"""The job `next`: from no labels to a fit and on to the next images, with one file that a person fills in."""

import errno
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

import headstart
from headstart.extractors.errors import CacheError
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.exploring import choosing
from headstart.flows.exploring.choosing import choose_next
from headstart.heads.errors import DataError

NAMES = ("ant", "bee", "<b>wasp")
N = 90
TRUTH = np.arange(N) % 3


def features() -> np.ndarray:
    generator = np.random.default_rng(0)
    return 2 * generator.normal(size=(3, 16))[TRUTH] + generator.normal(size=(N, 16))


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of images that lie in one folder, without labels."""
    return cache_of(tmp_path_factory.mktemp("flat"), features(), ["."] * N)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 30 images in folders of classes, and 60 beside these folders."""
    labels = [NAMES[code] if number < 30 else "." for number, code in enumerate(TRUTH)]
    return cache_of(tmp_path_factory.mktemp("mixed"), features(), labels)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(file: str | Path) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def truth(path: str) -> str:
    return NAMES[TRUTH[int(Path(path).stem)]]


def fill_in(file: str | Path) -> None:
    """Label what is empty, as a person would."""
    table = read(file)
    table["label"] = [label or truth(path) for path, label in zip(table["path"], table["label"], strict=True)]
    table.to_csv(file, index=False)


def test_without_labels_every_cluster_gives_an_image_and_the_file_waits_for_labels(flat: Path) -> None:
    found = choose_next(flat, count=3)
    assert {truth(one.path) for one in found.chosen} == set(NAMES)
    assert [(one.guess, one.probability) for one in found.chosen] == [(None, None)] * 3
    assert sorted(one.cluster for one in found.chosen) == [0, 1, 2]
    table = read("images.next.csv")
    assert table.columns.tolist() == ["path", "label"]
    assert table["path"].tolist() == [one.path for one in found.chosen]
    assert table["label"].tolist() == [""] * 3
    assert (found.target, found.with_label, found.without_label, found.classes) == ("label", 0, N, [])


def test_one_file_goes_from_no_labels_to_a_fit_and_on(flat: Path) -> None:
    file = choose_next(flat, count=15, out="labels.csv").labels
    fill_in(file)
    first = headstart.fit(flat, ["centroid"], labels=file, folds=2, test_size=0.3, no_report=True)
    assert first.understood.images == 15
    before = set(read(file)["path"])

    second = choose_next(flat, count=10, labels=file, out=file)
    assert second.with_label == 15
    assert second.classes == sorted(NAMES)
    assert not {one.path for one in second.chosen} & before
    assert all(one.guess in NAMES and 1 / 3 <= one.probability <= 1 for one in second.chosen)
    table = read(file)
    assert table["label"].tolist()[:10] == [""] * 10
    assert table["path"].tolist()[:10] == [one.path for one in second.chosen]
    assert dict(table.to_numpy()[10:]) == {path: truth(path) for path in before}

    fill_in(file)
    last = headstart.fit(flat, ["centroid"], labels=file, folds=2, test_size=0.3, no_report=True)
    assert last.understood.images == 25
    assert last.test.scores["accuracy"].value > 0.8
    assert choose_next(flat, count=5, labels=file, out=file).with_label == 25


def test_rows_that_were_left_empty_may_be_proposed_again(flat: Path) -> None:
    file = choose_next(flat, count=6, out="labels.csv").labels
    table = read(file)
    table.loc[1:, "label"] = [truth(path) for path in table["path"][1:]]
    table.to_csv(file, index=False)
    found = choose_next(flat, count=N, labels=file, out=file)
    assert found.with_label == 5
    assert table["path"][0] in {one.path for one in found.chosen}


def test_labels_of_folders_stand_in_the_file_so_that_it_is_enough_for_a_fit(mixed: Path) -> None:
    found = choose_next(mixed, count=12)
    assert (found.with_label, found.without_label) == (30, 60)
    assert all("/" not in one.path for one in found.chosen)
    table = read(found.labels)
    assert len(table) == 12 + 30
    assert (table["label"][12:] == table["path"][12:].str.split("/").str[0]).all()
    fill_in(found.labels)
    assert headstart.fit(mixed, ["centroid"], labels=found.labels, no_report=True).understood.images == 42


def test_images_of_val_and_test_are_neither_learned_nor_proposed(tmp_path: Path) -> None:
    sides = ["train", "val", "test"] * 30
    labels = [NAMES[code] if number < 45 else "." for number, code in enumerate(np.arange(N) // 3 % 3)]
    cache = cache_of(tmp_path, features(), labels, sides)
    found = choose_next(cache, count=N)
    assert {one.path.split("/")[0] for one in found.chosen} == {"train"}
    assert (found.with_label, found.without_label) == (15, 15)
    assert any("60 images of val and test are neither looked at nor proposed" in note for note in found.notes)
    table = read(found.labels)
    assert table["split"].value_counts()["test"] == 15, "labels of test stay in the file"


@pytest.mark.parametrize("strategy", ["typical", "centroids", "margin", "entropy", "gradients", "dropout", "random"])
def test_every_strategy_proposes_images_without_a_label(mixed: Path, strategy: str) -> None:
    found = choose_next(mixed, count=8, strategy=strategy, out=f"{strategy}.csv")
    assert len({one.path for one in found.chosen}) == 8
    assert all("/" not in one.path for one in found.chosen)
    assert (found.strategy, found.reason) == (strategy, "")
    assert all((one.score is None) == (found.measure == "") for one in found.chosen)


def test_in_balance_each_guessed_class_gives_as_many(mixed: Path) -> None:
    found = choose_next(mixed, count=9, balance=True)
    assert pd.Series([one.guess for one in found.chosen]).value_counts().tolist() == [3, 3, 3]


def test_without_two_classes_a_strategy_that_needs_them_is_refused(flat: Path) -> None:
    with pytest.raises(DataError, match="margin needs labels of two classes and there are 0"):
        choose_next(flat, strategy="margin")
    assert not Path("images.next.csv").exists()


def test_more_than_there_is_gives_what_there_is_and_says_so(mixed: Path) -> None:
    found = choose_next(mixed, count=500)
    assert len(found.chosen) == 60
    assert any(f"{len(found.chosen)} images, not 500: there are no more" in note for note in found.notes)


def test_near_copies_are_not_both_proposed_and_a_note_says_why_there_are_fewer(tmp_path: Path) -> None:
    twice = np.repeat(features()[:20], 2, axis=0) + 1e-3
    found = choose_next(cache_of(tmp_path, twice, ["."] * 40), count=40)
    assert len({int(Path(one.path).stem) // 2 for one in found.chosen}) == len(found.chosen) <= 20
    assert any("all others are near copies" in note for note in found.notes)


def test_where_every_image_has_a_label_there_is_nothing_to_choose(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, features(), [NAMES[code] for code in TRUTH])
    with pytest.raises(JobError, match="every image has a label"):
        choose_next(cache)


def test_of_very_many_images_some_are_looked_at(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_MOST_LOOKED_AT", 10)
    found = choose_next(mixed, count=10)
    assert any("of 60 images without a label 10 drawn at random are looked at" in note for note in found.notes)
    assert found.without_label == 60


def test_numbers_to_predict_are_spread_over_clusters(flat: Path) -> None:
    table = pd.DataFrame({"path": [f"{n:05d}.png" for n in range(20)], "age": [n + 0.5 for n in range(20)]})
    table.to_csv("ages.csv", index=False)
    found = choose_next(flat, count=5, labels="ages.csv")
    assert (found.target, found.classes, found.with_label) == ("age", [], 20)
    assert {one.guess for one in found.chosen} == {None}
    assert read(found.labels)["age"].tolist()[5:] == table["age"].astype(str).tolist()
    with pytest.raises(DataError, match="needs labels of two classes"):
        choose_next(flat, labels="ages.csv", strategy="margin", out="other.csv")


def test_the_command_shows_what_was_chosen_and_how_to_go_on(mixed: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run(["next", str(mixed), "--count", "14", "--out", "labels.csv"])
    printed = capsys.readouterr().out
    assert "14 images to label next, of 60 without a label and 30 with one" in printed
    assert "and 2 more, in the file" in printed
    assert "<b>wasp" in printed
    assert max(len(line) for line in printed.split("labels  ")[0].splitlines()) <= 80
    assert f"headstart next {mixed} --labels labels.csv --out labels.csv" in printed


def test_the_command_shows_no_guess_before_there_is_one(flat: Path, capsys) -> None:
    run(["next", str(flat), "--count", "3", "--strategy", "random"])
    printed = capsys.readouterr().out
    assert "random: at random" in printed
    assert "guess" not in printed
    assert "probability" not in printed


def test_the_command_gives_json(mixed: Path, capsys) -> None:
    run(["next", str(mixed), "--count", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert len(found["chosen"]) == 3
    assert set(found["chosen"][0]) == {"path", "score", "cluster", "guess", "probability"}
    assert found["labels"] == "images.next.csv"


def test_a_full_disk_leaves_the_labels_of_before(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = choose_next(flat, count=4, out="labels.csv").labels
    fill_in(file)
    before = Path(file).read_bytes()

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("headstart.extractors.atomic._sync", full)
    with pytest.raises(CacheError, match="the disk is full"):
        choose_next(flat, count=4, labels=file, out=file)
    assert Path(file).read_bytes() == before


def run(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
