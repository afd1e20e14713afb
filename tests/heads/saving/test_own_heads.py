"""A model of a user's own type is saved and loaded where the user names the type, and nowhere else."""

import importlib
import sys

import numpy as np
import pytest
import skops.io
from support.model_example import CARD, X, Y, plant
from support.own_heads_example import write_module, write_package

from headstart.heads import ModelFileError, OwnHeadError, find_head
from headstart.heads.saving.model_file import load_model, save_model


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make `my_heads` importable for this test."""
    write_module(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop("my_heads", None)


def fitted(path):
    return find_head(path).make({}, 0).fit(X, Y)


@pytest.mark.parametrize("path", ["my_heads:Nearest", "my_heads:make", "my_heads:HEAD"])
def test_an_own_model_that_is_named_again_says_the_same_after_a_round_trip(path, module, tmp_path):
    model = fitted(path)
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD, own=[path]), own=[path])
    assert type(loaded) is type(model)
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_an_installed_heads_model_is_loaded_by_the_heads_name(module, tmp_path):
    write_package(tmp_path / "site", "their-heads", {"nearest-mean": "my_heads:Nearest"})
    importlib.invalidate_caches()
    model = fitted("nearest-mean")
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD, own=["nearest-mean"]), own=["nearest-mean"])
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_an_own_model_that_nobody_names_is_neither_written_nor_loaded_nor_its_module_imported(module, tmp_path):
    model = fitted("my_heads:Nearest")
    with pytest.raises(ModelFileError, match=r"my_heads\.Nearest.*own=\['module:Class'\], or --trust module:Class"):
        save_model(tmp_path / "model", model, CARD)
    folder = save_model(tmp_path / "model", model, CARD, own=["my_heads:Nearest"])
    sys.modules.pop("my_heads")
    with pytest.raises(ModelFileError, match=r"not trusted and could run code.*my_heads\.Nearest"):
        load_model(folder)
    assert "my_heads" not in sys.modules


def test_a_type_inside_an_own_model_is_named_by_itself(module, tmp_path):
    model, own = fitted("my_heads:Holding"), ["my_heads:Holding"]
    with pytest.raises(ModelFileError, match=r"could run code or crash: my_heads\.Offset \(ObjectNode\); for"):
        save_model(tmp_path / "model", model, CARD, own=own)
    own.append("my_heads:Offset")
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD, own=own), own=own)
    assert loaded.offset_.value == 0.5


def test_naming_one_type_lets_no_other_pass(module, saved):
    plant(saved, skops.io.dumps(fitted("my_heads:Holding")))
    with pytest.raises(ModelFileError, match=r"my_heads\.Holding"):
        load_model(saved, own=["my_heads:Nearest", "my_heads:Offset"])


def test_compiled_trees_are_refused_also_where_they_are_named(tmp_path):
    own = ["sklearn.tree:DecisionTreeClassifier", "sklearn.tree._tree:Tree"]
    with pytest.raises(ModelFileError, match=r"crash: sklearn\.tree\._tree\.Tree \(TreeNode\)"):
        save_model(tmp_path / "model", fitted(own[0]), CARD, own=own)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Mine", "No module named 'nowhere'"),
        ("my_heads:make_strict", r"makes nothing without hyper-parameters \(power is needed\); name its class instead"),
    ],
)
def test_naming_what_leads_to_no_type_is_told(name, message, module, saved):
    with pytest.raises(OwnHeadError, match=message):
        load_model(saved, own=[name])


def test_a_class_that_cannot_be_rebuilt_is_refused_when_it_is_saved(tmp_path, module):
    nearest = importlib.import_module("my_heads").Nearest
    hidden = type("Hidden", (nearest,), {"__module__": "my_heads"})
    model = hidden().fit(X, Y)
    importlib.import_module("my_heads").Alias = hidden  # found by another name than its own
    with pytest.raises(ModelFileError, match=r"cannot be read.*Hidden"):
        save_model(tmp_path / "model", model, CARD, own=["my_heads:Alias"])
