"""A trunk of several label columns on disk: read back as it was, and refused where file and card do not agree."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.errors import ModelFileError
from headstart.heads.saving import load_model, save_model
from headstart.heads.transfer.multitask import SharedColumns

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
LABELS = np.column_stack([np.arange(40) % 3, X[:, 0]])
CARD: dict[str, Any] = {
    "class_names": [],
    "task": "columns",
    "columns": [{"name": "colour", "class_names": ["a", "b", "c"]}, {"name": "age", "class_names": []}],
    "head": "shared-mlp",
    "params": {},
    "embedding": {
        "backbone": "b",
        "weights": "w",
        "taps": ["penultimate"],
        "preprocessing": {},
        "precision": "fp32",
        "dtype": "float32",
    },
    "tap": "penultimate",
    "weights_name": "",
    "weights_source": "none",
    "scores": {},
}


@pytest.fixture(scope="module")
def trunk() -> Pipeline:
    scaler = StandardScaler().fit(X)
    training = {"max_epochs": 1, "min_steps": 0, "hidden_sizes": (4,)}
    shared = SharedColumns([3, 0], seeds=[0, 1], training=training).fit(scaler.transform(X), LABELS)
    return Pipeline([("standardscaler", scaler), ("sharedcolumns", shared)])


def test_a_trunk_is_read_back_as_it_was(trunk: Pipeline, tmp_path: Path) -> None:
    save_model(tmp_path / "model", trunk, CARD)
    loaded, card = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), trunk.predict(X))
    assert card["columns"] == CARD["columns"]
    assert loaded[-1].histories_ == trunk[-1].histories_


@pytest.mark.parametrize(
    "columns",
    [
        None,
        [],
        ["colour"],
        [{"name": "colour", "class_names": ["a"]}, {"name": "colour", "class_names": []}],
        [{"name": 3, "class_names": ["a"]}],
        [{"name": "colour", "class_names": ["a", "a"]}],
        [{"name": "colour"}],
    ],
)
def test_a_card_with_other_columns_is_refused(trunk: Pipeline, tmp_path: Path, columns: Any) -> None:
    with pytest.raises(ModelFileError, match=r"'columns' is|'class_names'"):
        save_model(tmp_path / "model", trunk, CARD | {"columns": columns})


@pytest.mark.parametrize("columns", [CARD["columns"][:1], [CARD["columns"][1], CARD["columns"][0]]])
def test_a_trunk_of_other_columns_than_its_card_names_is_refused(trunk: Pipeline, tmp_path: Path, columns: Any) -> None:
    card = save_model(tmp_path / "model", trunk, CARD) / "model.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"columns": columns}))
    with pytest.raises(ModelFileError, match=r"the trunk tells \[3, 0\] classes column by column"):
        load_model(tmp_path / "model")


def test_another_head_is_no_trunk(tmp_path: Path) -> None:
    save_model(tmp_path / "model", Pipeline([("standardscaler", StandardScaler().fit(X))]), CARD)
    with pytest.raises(ModelFileError, match="no trunk of label columns"):
        load_model(tmp_path / "model")
