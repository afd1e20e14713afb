"""A saved model says the same when it is loaded, and a damaged one says what is wrong with it."""

import hashlib
import os

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.model_example import CARD, X, Y, change_card, fitted, plant

from headstart.heads import HEADS, ModelFileError
from headstart.heads.saving.card import CARD_FIELDS, CARD_FILE, EMBEDDING_FIELDS, LARGEST_CARD
from headstart.heads.saving.model_file import HEAD_FILE, load_model, save_model


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_says_the_same_after_a_round_trip(head, tmp_path):
    model = fitted(head)
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    for method in ("predict_proba", "decision_function"):
        assert hasattr(loaded, method) == hasattr(model, method)
        if hasattr(model, method):
            assert np.array_equal(getattr(loaded, method)(X), getattr(model, method)(X))


def test_a_logistic_regression_of_scikit_learns_own_which_was_saved_before_is_still_read(tmp_path):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_the_card_comes_back_with_format_versions_and_checksum(saved):
    _, card = load_model(saved)
    assert {name: card[name] for name in CARD} == CARD
    assert card["format_version"] == 1
    assert set(card["versions"]) == {"python", "headstart", "scikit-learn", "skops", "numpy"}
    assert card["sha256"] == hashlib.sha256((saved / HEAD_FILE).read_bytes()).hexdigest()


def test_a_folder_holds_the_head_and_its_card_and_nothing_is_left_beside_it(saved):
    assert sorted(path.name for path in saved.iterdir()) == [HEAD_FILE, CARD_FILE]
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_saved_model_is_replaced(saved):
    save_model(saved, fitted("dummy"), CARD | {"head": "dummy"})
    assert load_model(saved)[1]["head"] == "dummy"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_filled(tmp_path):
    assert load_model(save_model(tmp_path, fitted(), CARD))[1]["head"] == "centroid"


def test_the_old_model_stays_where_the_new_one_cannot_be_moved_in(saved, monkeypatch):
    rename = os.rename

    def failing(source, target, **keywords):
        if str(source).endswith("new"):
            raise OSError("disk full")
        rename(source, target, **keywords)

    monkeypatch.setattr("os.rename", failing)
    with pytest.raises(OSError, match="disk full"):
        save_model(saved, fitted("dummy"), CARD | {"head": "dummy"})
    assert load_model(saved)[1]["head"] == "centroid"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["photos", "notes.txt"])
def test_what_is_no_model_is_never_replaced(name, tmp_path):
    target = tmp_path / name
    if name == "photos":
        target.mkdir()
        (target / "holiday.jpg").touch()
    else:
        target.touch()
    with pytest.raises(ModelFileError, match="is no saved model; choose another folder"):
        save_model(target, fitted(), CARD)
    assert target.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tap": None}, "'tap' is None, expected str"),
        ({"class_names": []}, r"'class_names' is \[\]"),
        ({"class_names": [1, 2]}, r"'class_names' is \[1, 2\]"),
        ({"class_names": ["ant", "bee", "ant"]}, "'class_names' holds 'ant' twice"),
        ({"tap": "layer3"}, "'tap' is 'layer3', expected one of"),
        ({"embedding": {"backbone": "resnet18"}}, "the card's 'embedding' has no 'weights'"),
        ({"scores": {"accuracy": float("nan")}}, "the card is not JSON"),
        ({"scores": {"accuracy": np.float32(1)}}, "the card is not JSON"),
    ],
)
def test_a_card_that_cannot_be_read_back_is_not_written(changes, message, tmp_path):
    with pytest.raises(ModelFileError, match=message):
        save_model(tmp_path / "model", fitted(), CARD | changes)
    assert list(tmp_path.iterdir()) == []


def test_a_head_that_loading_would_refuse_is_not_written(tmp_path):
    with pytest.raises(ModelFileError, match=r"sklearn\.tree\._tree\.Tree.*loading refuses that, so use another"):
        save_model(tmp_path / "model", RandomForestClassifier(2).fit(X, Y), CARD)


def flip_a_bit(folder):
    content = bytearray((folder / HEAD_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / HEAD_FILE).write_bytes(content)


def link(path, target):
    path.unlink()
    path.symlink_to(target)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "no card": (lambda folder: (folder / CARD_FILE).unlink(), "model.json: no such file; give a folder"),
    "no head": (lambda folder: (folder / HEAD_FILE).unlink(), "head.skops: no such file; this is not a whole model"),
    "half a card": (lambda folder: (folder / CARD_FILE).write_text('{"head": '), "damaged, it is not JSON"),
    "binary card": (lambda folder: (folder / CARD_FILE).write_bytes(b"\xff\xfe\x00"), "damaged, it is not JSON"),
    "a list": (lambda folder: (folder / CARD_FILE).write_text("[]"), "holds a list, expected an object"),
    "another format": (lambda folder: change_card(folder, format_version=2), "format version 2, expected 1; fit again"),
    "no format": (lambda folder: (folder / CARD_FILE).write_text("{}"), "format version None, expected 1"),
    "a deep card": (lambda folder: (folder / CARD_FILE).write_text("[" * 200_000), "damaged, it is not JSON"),
    "a large card": (
        lambda folder: os.truncate(folder / CARD_FILE, LARGEST_CARD + 1),
        f"expected at most {LARGEST_CARD}",
    ),
    "an endless card": (lambda folder: link(folder / CARD_FILE, "/dev/zero"), "model.json: is no regular file"),
    "an endless head": (lambda folder: link(folder / HEAD_FILE, "/dev/zero"), "head.skops: is no regular file"),
    "a pipe": (lambda folder: pipe(folder / HEAD_FILE), "head.skops: is no regular file"),
    "a huge head": (lambda folder: os.truncate(folder / HEAD_FILE, 4_000_000_001), "expected at most 4000000000"),
    "one name twice": (lambda folder: change_card(folder, class_names=["0"] * 10), "'class_names' holds '0' twice"),
    "bit flip": (flip_a_bit, "head.skops: damaged, its sha256 is"),
    "fewer names": (lambda folder: change_card(folder, class_names=["0"]), "knows class 9, and model.json names 1"),
    "not a head": (lambda folder: plant(folder, skops.io.dumps({"a": 1})), "holds a dict, expected a classifier"),
    "not fitted": (lambda folder: plant(folder, skops.io.dumps(HEADS["logreg"].make({}, 0))), "that is not fitted"),
    "a scaler": (lambda folder: plant(folder, skops.io.dumps(StandardScaler().fit(X))), "expected a classifier"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused_with_what_and_where(damage, saved):
    damaged, message = DAMAGE[damage]
    damaged(saved)
    with pytest.raises(ModelFileError, match=message):
        load_model(saved)


@pytest.mark.parametrize("field", sorted(set(CARD_FIELDS) - {"format_version"}))
def test_every_field_of_the_card_is_checked(field, saved):
    change_card(saved, **{field: 7})
    with pytest.raises(ModelFileError, match=f"'{field}' is 7, expected {CARD_FIELDS[field].__name__}"):
        load_model(saved)


@pytest.mark.parametrize("field", sorted(EMBEDDING_FIELDS))
def test_every_field_of_the_cards_embedding_is_checked(field, saved):
    change_card(saved, embedding=CARD["embedding"] | {field: 7})
    with pytest.raises(ModelFileError, match=f"'{field}' is 7, expected {EMBEDDING_FIELDS[field].__name__}"):
        load_model(saved)


def test_what_is_no_folder_is_told(tmp_path):
    with pytest.raises(ModelFileError, match="no such file; give a folder that 'headstart fit' wrote"):
        load_model(tmp_path / "nowhere")
