"""A network with some layers in float32 is the same one in views, in a saved model, and in all that is said of it."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart.extractors.tuning.shortcuts
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.cli.extract import show_cache, show_extraction
from headstart.flows.extraction import ExtractionSummary, extract
from headstart.flows.fitting import fit
from headstart.flows.inference import load
from headstart.flows.problem.views import command_for
from headstart.flows.upkeep import inspect

NETWORK = "support.rounded_networks:Ruined"
IN_WORDS = "bf16 with 1 layer in float32"


@pytest.fixture
def embedded(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExtractionSummary:
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "has_fast_bf16", lambda _: True)
    return extract(photos, NETWORK, cache=tmp_path / "c", device="cpu", decode="full", views=2)


def test_a_saved_model_predicts_with_the_layers_that_its_rows_were_computed_with(
    embedded: ExtractionSummary, photos: Path, elsewhere: Path
) -> None:
    found = fit(embedded.cache, "logreg")
    assert IN_WORDS in Path(found.report).read_text()
    scored = pd.read_csv(found.predictions)
    paths = [photos / path for path in scored["path"]]
    model = load(Path(found.model), backbone=NETWORK)
    assert model.key.in_float32 == ("cancel",)
    np.testing.assert_allclose(model.predict(paths)["probability"], scored["probability"], atol=1e-3)
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    np.testing.assert_allclose(model.predict(pixels)["probability"], scored["probability"], atol=1e-3)


def test_views_are_computed_as_the_plain_images_are(embedded: ExtractionSummary) -> None:
    assert [(key.precision, key.in_float32) for key in embedded.keys] == [("bf16", ("cancel",))] * 2
    keys = {store.key.view == "whole": store.key for store in EmbeddingCache(embedded.cache).stores()}
    assert replace(keys[False], view="whole") == keys[True]


def test_it_is_said_wherever_the_precision_is(embedded: ExtractionSummary, capsys: pytest.CaptureFixture[str]) -> None:
    show_extraction(embedded, verbose=True)
    show_cache(inspect(embedded.cache))
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count(IN_WORDS) == 3  # of the images, of their view, and in the cache


def test_a_command_for_more_views_names_the_layers(embedded: ExtractionSummary) -> None:
    cache = EmbeddingCache(embedded.cache)
    plain = next(store for store in cache.stores() if store.key.view == "whole")
    words = shlex.split(command_for(cache, plain, 3))
    assert words[words.index("--precision") :][:4] == ["--precision", "bf16", "--in-float32", "cancel"]
