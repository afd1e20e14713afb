"""Label columns over one trunk: one reading, one split, one model for all, and what cannot be done is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

from headstart.extractors.cache import EmbeddingCache
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.transfer.multitask import MultitaskOptions, MultitaskSummary, multitask
from headstart.flows.transfer.multitask.posed import pose_columns
from headstart.heads.errors import DataError
from headstart.heads.saving import load_model

N, LABELLED = 120, 110
QUICK: dict[str, Any] = {"max_epochs": 2, "seeds": 2, "hidden": (8,)}
X = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
COLOUR = np.where(X[:, 0] > 0, "red", np.where(X[:, 1] > 0, "green", "blue"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of rows of numbers, and a file with a column of classes, one of numbers, and a third of ids."""
    folder = tmp_path_factory.mktemp("columns")
    cache = cache_of(folder, X, ["some"] * N)
    paths = [f"some/{number:05d}.png" for number in range(N)]
    table = pd.DataFrame({"path": paths, "colour": COLOUR, "age": 20 + X[:, 2] * 4.5, "kind": 1 + (X[:, 3] > 0)})
    table = table.astype({"colour": object})
    table.loc[table.index % 3 == 0, "colour"] = None
    table.loc[table.index % 4 == 1, "age"] = None
    table.loc[table.index % 12 == 9, "kind"] = None  # and no colour; age is there
    table.to_csv(folder / "labels.csv", index=False)
    return cache.parent


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@pytest.fixture(scope="module")
def found(place: Path) -> MultitaskSummary:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return multitask("images.headstart", labels="labels.csv", **QUICK)


def posed(**options: Any) -> Any:
    return pose_columns(EmbeddingCache("images.headstart"), MultitaskOptions(labels="labels.csv", **options))


def test_classes_and_numbers_are_told_apart_as_elsewhere_or_as_stated() -> None:
    assert [(one.name, one.task, one.metric) for one in posed().columns] == [
        ("colour", "classify", "accuracy"),
        ("age", "regress", "r2"),
        ("kind", "classify", "accuracy"),
    ]
    stated = posed(target=["kind", "colour"], regress="kind", metric="mae")
    assert [(one.name, one.task, one.metric) for one in stated.columns] == [
        ("kind", "regress", "mae"),
        ("colour", "classify", "accuracy"),
    ]
    assert posed(classify=["age"]).columns[1].task == "classify"
    assert any("--regress kind: heads predict the number" in note for note in posed().notes)


def test_an_image_counts_for_the_columns_that_it_has() -> None:
    colour, age, kind = posed().columns
    assert (colour.labelled.sum(), age.labelled.sum(), kind.labelled.sum()) == (80, 90, 110)
    assert len(colour.y) == LABELLED
    assert [colour.class_names[int(code)] for code in colour.y[colour.labelled]] == [
        name for number, name in enumerate(COLOUR) if number % 3
    ]


def test_all_columns_have_one_split_in_which_the_rarest_has_its_share_of_each_class() -> None:
    asked = posed()
    train, test = asked.images.train, asked.images.test
    assert sorted([*train, *test]) == list(range(LABELLED))
    assert len(test) == 22
    colour = asked.columns[0]
    shares = [
        np.bincount(colour.truth(rows[colour.labelled[rows]])) / colour.labelled[rows].sum() for rows in (train, test)
    ]
    np.testing.assert_allclose(*shares, atol=0.08)
    chosen = asked.images.choosing
    assert len(chosen) == 5
    assert all(set(rows) <= set(train) for rows in chosen)
    assert len(set().union(*chosen)) == sum(map(len, chosen))  # other images for each seed


def test_groups_and_copies_and_given_splits_are_honoured(tmp_path: Path) -> None:
    sides = ["train"] * 80 + ["test"] * 40
    cache = cache_of(tmp_path, X, ["some"] * N, sides)
    paths = [f"{side}/some/{number:05d}.png" for number, side in enumerate(sides)]
    table = {"path": paths, "colour": COLOUR, "age": X[:, 2], "group": [f"g{number % 60}" for number in range(N)]}
    table["group"][100] = table["group"][0]  # on both sides: train loses it
    pd.DataFrame(table).to_csv(tmp_path / "grouped.csv", index=False)
    asked = pose_columns(EmbeddingCache(cache), MultitaskOptions(labels=tmp_path / "grouped.csv"))
    images = asked.images
    given = asked.labelled.rows["split"].to_numpy()
    assert images.test.tolist() == np.flatnonzero(given == "test").tolist()
    assert 0 < len(images.train) < 80
    assert not set(images.groups[images.train]) & set(images.groups[images.test])
    for rows in images.choosing:
        assert not set(images.groups[rows]) & set(images.groups[np.setdiff1d(images.train, rows)])
    assert any("are left out: their group" in note for note in asked.notes)


def test_rows_hold_scores_differences_and_a_verdict(found: MultitaskSummary) -> None:
    assert [row.column for row in found.columns] == ["colour", "age", "kind"]
    for row in found.columns:
        assert row.difference.value == pytest.approx((row.shared.value or 0) - (row.separate.value or 0))
        assert row.verdict in ("helped", "harmed", "no difference")
        assert len(row.seeds) == 2
    assert [row.head for row in found.columns] == ["logreg", "ridge", "logreg"]
    assert found.images == LABELLED
    assert found.split == "held-out fifth"
    table = found.to_pandas()
    assert {"separate", "shared", "shared_low", "difference_p_value", "p_adjusted", "verdict"} <= set(table)


def test_predictions_are_there_for_every_image_beside_the_labels_that_it_has(found: MultitaskSummary) -> None:
    table = found.to_pandas("predictions")
    assert len(table) == LABELLED
    assert set(table["side"]) == {"train", "test"}
    assert table["colour_label"].isna().sum() == LABELLED - 80
    assert table["colour"].notna().all()
    assert set(table["colour"]) <= {"red", "green", "blue"}
    assert table["probability_colour"].between(1 / 3, 1).all()
    assert table["age"].dtype == float


def test_the_saved_trunk_says_what_the_table_says(found: MultitaskSummary) -> None:
    model, card = load_model(found.model)
    assert card["task"] == "columns"
    assert [one["name"] for one in card["columns"]] == ["colour", "age", "kind"]
    colour, age, kind = model[-1].answers(model[:-1].transform(X))
    table = found.to_pandas("predictions")
    order = [int(Path(path).stem) for path in table["path"]]
    assert [card["columns"][0]["class_names"][code] for code in colour[order].argmax(axis=1)] == table[
        "colour"
    ].tolist()
    np.testing.assert_allclose(age[order], table["age"], rtol=1e-6)
    assert kind.shape == (N, 2)


def test_the_page_shows_columns_and_verdicts(found: MultitaskSummary) -> None:
    page = Path(found.page).read_text()
    assert "3 label columns over one trunk" in page
    assert "Column by column" in page
    assert "shared − separate" in page
    assert "<script" not in page
    for row in found.columns:
        assert f"{row.n_train} / {row.n_test}" in page


def test_the_command_prints_a_line_a_column_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["multitask", "images.headstart", "--labels", "labels.csv", "--target", "colour", "age", "--seeds", "2"]
    words += ["--max-epochs", "1", "--hidden", "4", "--out", "typed"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "2 label columns over one trunk, scored once on the held-out fifth images" in " ".join(shown.split())
    assert "no difference beyond chance" in " ".join(shown.lower().split())
    assert max(map(len, shown.splitlines()[:-3])) <= 80
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    assert [row["column"] for row in json.loads(capsys.readouterr().out)["columns"]] == ["colour", "age"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "colour"}, "colour is the only label column that is meant.*use 'headstart fit'"),
        ({"target": ["colour", "shape"]}, "no label column 'shape'; there are colour, age, kind"),
        ({"regress": "shape"}, "no label column 'shape' is meant here; there are colour, age, kind"),
        ({"regress": "kind", "classify": ["kind"]}, "kind: is to name classes and to be a number"),
        ({"regress": "colour"}, "target 'colour' holds text, such as 'red'; --regress colour wants numbers"),
        ({"tap": "layer9"}, "no tap 'layer9'"),
        ({"hidden": [8, 0]}, r"hidden is \[8, 0\], expected one width or more"),
        ({"hidden": []}, r"hidden is \[\], expected one width or more"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message) as error:
        posed(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["blank"] * N, "flat: the training images hold one class, 'blank'; label others"),
        ([None] * N, "not one image has a flat"),
        ([None] * 80 + ["a", "b"] * 20, "flat: not one of the 74 training images has a label"),
        (["a", "b"] * 40 + [None] * 40, "flat: not one of the 3. test images has a label"),
    ],
)
def test_a_column_that_cannot_be_learned_or_scored_is_told(values: list[str | None], message: str) -> None:
    sides = ["train"] * 80 + ["test"] * 40
    table = pd.read_csv("labels.csv").assign(flat=pd.Series(values, dtype=object), split=sides)
    table.to_csv("flat.csv", index=False)
    with pytest.raises((JobError, DataError), match=message):
        multitask("images.headstart", labels="flat.csv", target=["kind", "flat"], **QUICK)


def test_a_training_out_of_its_range_is_told() -> None:
    with pytest.raises(DataError, match=r"dropout is 1\.5, expected at least 0 and below 1; choose another value"):
        multitask("images.headstart", labels="labels.csv", dropout=1.5)


def test_a_class_without_training_images_is_noted() -> None:
    sides = ["train"] * 80 + ["test"] * 40
    table = pd.read_csv("labels.csv").assign(split=sides, odd=["a", "b"] * 58 + ["c"] * 4)
    table.to_csv("odd.csv", index=False)
    asked = pose_columns(EmbeddingCache("images.headstart"), MultitaskOptions(labels="odd.csv", target=["age", "odd"]))
    assert any(note.startswith("odd: 'c' has 4 test images and none in train") for note in asked.notes)


@pytest.mark.parametrize("name", ["side", "colour_label", "probability_age"])
def test_a_column_named_as_one_of_the_table_is_refused(name: str) -> None:
    pd.read_csv("labels.csv").rename(columns={"kind": name}).to_csv("taken.csv", index=False)
    with pytest.raises(JobError, match=f"{name}: another column of the predictions is called so; rename"):
        multitask("images.headstart", labels="taken.csv", **QUICK)
