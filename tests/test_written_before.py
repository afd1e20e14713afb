"""A cache, a model of every head and a history of runs that an earlier version wrote, before its modules moved."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.update import update_listing
from headstart.flows.extraction.job import extract
from headstart.flows.history.runs import read_runs
from headstart.flows.inference.prediction import predict
from headstart.heads.saving.model_file import load_model

KEPT = Path(__file__).parent / "kept"
EXPECTED = json.loads((KEPT / "models" / "expected.json").read_text())


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    """A copy: opening a cache for writing leaves locks in it."""
    return EmbeddingCache(shutil.copytree(KEPT / "cache", tmp_path / "squares.headstart"))


@pytest.fixture
def features(cache: EmbeddingCache) -> np.ndarray:
    """(30, 256), in the order of the listing."""
    images = update_listing(cache, list_images(KEPT / "squares"), workers=1, write=False).usable
    (store,) = cache.stores()
    return np.asarray(store.view("penultimate", images["digest"].tolist()), np.float32)


def test_the_same_images_lead_to_the_same_key_and_nothing_is_embedded_again(cache):
    summary = extract(KEPT / "squares", "small_cnn", weights="none", cache=cache.path, compile="off", precision="fp32")
    assert (summary.images, summary.embedded) == (30, 0)
    assert len(cache.stores()) == 1


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_model_of_every_head_says_what_it_said(name, features):
    model, _ = load_model(KEPT / "models" / name)
    ask = getattr(model, "predict_proba", model.predict)
    assert np.asarray(ask(features[:, :8])) == pytest.approx(np.array(EXPECTED[name]), abs=2e-6)


def test_a_saved_model_predicts_the_same_for_images(tmp_path):
    before = pd.read_csv(KEPT / "predictions.csv")
    now = predict(KEPT / "model", shutil.copytree(KEPT / "squares", tmp_path / "squares"))
    assert now["path"].tolist() == before["path"].tolist()
    assert now["label"].tolist() == before["label"].tolist()
    assert now["probability"].to_numpy() == pytest.approx(before["probability"].to_numpy(), abs=1e-5)


def test_the_history_of_runs_is_read(cache):
    (run,), damaged = read_runs(cache.path / "runs")
    assert not damaged
    assert run.winner.head == "ridge"
    assert run.settings.folds == 3
