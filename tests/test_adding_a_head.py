"""What docs/architecture.md lists under "A head" is all that one needs: a toy goes from its row to predictions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import toy_head
from support.array_cache import cache_of
from support.toy_head import TOY, make_toy

from headstart import fit
from headstart.heads import register
from headstart.heads.errors import ModelFileError
from headstart.heads.registry import table
from headstart.heads.saving import load_model


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the toy for this test: its row in `heads/registry/table.py`."""
    monkeypatch.setattr(toy_head, "solved", [])
    register(TOY)
    yield
    monkeypatch.undo()  # first: what a test changed of the row would come back with it
    del table._registered["classify"]["toy"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    codes = np.resize(np.arange(3), 120)
    features = generator.normal(size=(3, 8))[codes] * 3 + generator.normal(size=(120, 8))
    return cache_of(tmp_path, features, [f"class-{code}" for code in codes])


def test_a_toy_head_is_swept_by_its_fast_path_wins_and_is_saved(row: None, cache: Path, tmp_path: Path) -> None:
    found = fit(cache, ["toy", "dummy"], out=tmp_path / "results", workers=1, metric="log_loss")
    toys = [one for one in found.leaderboard if one.head == "toy"]
    assert {one.params["sharpness"] for one in toys} == {0.1, 1.0, 10.0}
    best = found.winner.params["sharpness"]
    assert toy_head.solved == [[0.1, 1.0, 10.0]] * 5, "the grid once a fold, of which what is out of fold is kept"
    assert found.winner.head == "toy"
    assert found.test.scores["accuracy"].value >= 0.9
    assert "toy" in Path(found.report).read_text()
    model, card = load_model(found.model)
    assert (card["head"], card["params"]) == ("toy", {"sharpness": best})
    X = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    assert model.predict_proba(X).shape == (5, 3)
    assert model[-1].sharpness == best


def test_the_fast_path_of_the_toy_gives_what_the_head_gives() -> None:
    generator = np.random.default_rng(0)
    X, asked = generator.normal(size=(2, 60, 4)).astype(np.float32)
    y = np.resize(np.arange(3), 60)
    grid = [{"sharpness": value} for value in (0.1, 10.0)]
    for params, solved in zip(grid, toy_head.solve_toy(X, y, asked, grid, 0), strict=True):
        np.testing.assert_allclose(solved, make_toy(params, 0).fit(X, y).predict_proba(asked), atol=1e-12)


def test_a_head_whose_type_is_not_named_says_so_before_its_model_is_needed(
    row: None, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table._registered["classify"], "toy", replace(TOY, estimator=""))
    with pytest.raises(ModelFileError, match=r"ToyClassifier \(ObjectNode\)"):
        fit(cache, "toy", out=tmp_path / "results", workers=1)
