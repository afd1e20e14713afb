"""The job `finetune`: from the cache alone to a tail that predicts as any model does, and says how it compares."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES
from PIL import Image

from headstart.extractors.backbones import load_backbone
from headstart.extractors.errors import BackboneError
from headstart.flows.errors import JobError
from headstart.flows.fitting import fit
from headstart.flows.fitting.finetuning import finetune, verdict
from headstart.flows.fitting.finetuning.kept import KeptTails, KeptTraining
from headstart.flows.fitting.unfinished import UNFINISHED_TAIL
from headstart.flows.inference import load
from headstart.flows.options import FinetuneOptions
from headstart.heads.errors import DataError
from headstart.heads.saving import load_model
from headstart.heads.scoring import Difference

Embed = Callable[..., Any]
QUICK = FinetuneOptions(epochs=6, batch_size=8, optimizer="adamw", learning_rate=0.01, schedule="constant")


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=["penultimate"])


@pytest.fixture
def cache_of_photos(embed: Embed, elsewhere: Path) -> Path:
    """The same of the test's own photographs, which may go."""
    return Path(embed(tap=["penultimate"]).cache)


def test_maps_that_the_cache_lacks_are_extracted_once_and_that_is_said(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = finetune(cache, "features.8", options=replace(QUICK, progress=True))
    told = " ".join(capsys.readouterr().err.split())
    assert "the cache lacks features.7:map: it is extracted from" in told
    assert (first.extracted, first.tap) == (36, "features.7:map")
    assert finetune(cache, "features.8", options=QUICK).extracted == 0


def test_the_images_are_renamed_away_and_none_is_opened(
    cache_of_photos: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune(cache_of_photos, "features.8", options=QUICK, epochs=1)
    photos.rename(photos.with_name("away"))
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was opened"))
    summary = finetune(cache_of_photos, "features.8", options=QUICK)
    assert summary.test.n_images == 8
    assert summary.test.scores["accuracy"].value == 1.0


def test_without_maps_and_images_it_says_what_to_do(cache_of_photos: Path, photos: Path) -> None:
    photos.rename(photos.with_name("away"))
    with pytest.raises(JobError, match=r"lacks features.7:map, and the images are not at .*; bring them back"):
        finetune(cache_of_photos, "features.8", options=QUICK)


def test_the_tail_stands_beside_the_best_linear_head_on_the_same_images(cache: Path) -> None:
    summary = finetune(cache, "features.8", options=QUICK)
    assert (summary.winner.head, summary.linear.head in ("logreg", "ridge", "lda")) == ("tail", True)
    assert summary.winner.split == summary.linear.split == summary.test.split == "held-out fifth"
    assert summary.difference.n_images == 8
    assert summary.difference.test == "exact McNemar"
    assert any("not better than chance allows" in note for note in summary.notes)
    assert [block.name for block in summary.blocks] == ["features.8", "features.9", "classifier"]
    written = sorted(path.name for path in Path(summary.model).parent.iterdir())
    assert written == ["leaderboard.csv", "model", "predictions.csv", "report.html", "run.json"]


def test_the_linear_head_is_the_one_that_fit_finds_on_the_penultimate_features(cache: Path) -> None:
    summary = finetune(cache, "features.8", options=QUICK)
    found = fit(cache, ["logreg", "ridge", "lda"], out="linear.results")
    assert found.test.scores["accuracy"] == summary.linear.scores["accuracy"]


def test_a_saved_tail_predicts_new_images_as_it_was_scored(cache: Path, photos: Path) -> None:
    summary = finetune(cache, "features.8", options=QUICK)
    model = load(Path(summary.model).parent)
    assert model.classes == list(CLASSES)
    table = model.predict(photos, all_classes=True)
    assert (table["label"] == [Path(path).parent.name for path in table["path"]]).mean() > 0.9
    one = model.predict(photos / table["path"][0], all_classes=True)
    np.testing.assert_allclose(one["probability_cat"], table["probability_cat"][:1], atol=1e-5)


def test_killed_behind_an_epoch_the_same_command_goes_on_from_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = finetune(cache, "features.8", options=QUICK, out="whole.results")
    save, saved = KeptTraining.save, []

    def killed(self: KeptTraining, arrays: Any) -> None:
        save(self, arrays)
        saved.append(len(arrays["history"]))
        if len(saved) in (1, 3, 4):
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptTraining, "save", killed)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            finetune(cache, "features.8", options=QUICK, out="cut.results")
    again = finetune(cache, "features.8", options=QUICK, out="cut.results")
    assert saved == [1, 2, 3, 4, 5, 6]
    assert again.history == undisturbed.history
    assert again.test == undisturbed.test
    ends = [load_model(found.model)[0].weights_ for found in (undisturbed, again)]
    assert all(np.array_equal(one, two) for one, two in zip(*ends, strict=True))
    assert not (Path("cut.results") / UNFINISHED_TAIL).exists()


def test_a_damaged_file_of_an_unfinished_training_costs_no_more_than_its_epochs(cache: Path) -> None:
    Path("cache.results").mkdir()
    (Path("cache.results") / UNFINISHED_TAIL).write_bytes(b"PK\x03\x04 cut short")
    assert KeptTails(Path("cache.results") / UNFINISHED_TAIL).of("x").load() is None


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        ("features.0", BackboneError, "nothing lies before"),
        ("layer4", BackboneError, "has no layer 'layer4'.*headstart summary"),
    ],
)
def test_a_layer_that_cannot_be_trained_from_is_told(cache: Path, layer: str, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        finetune(cache, layer, options=QUICK)


def test_a_cache_of_other_weights_and_one_of_several_backbones_are_told(
    cache: Path, embed: Embed, tmp_path: Path
) -> None:
    other = load_backbone("small_cnn", weights="none", seed=1).module
    torch.save(other.state_dict(), tmp_path / "other.pth")
    with pytest.raises(JobError, match=r"embedded with weights random:.*other.pth gives sha256:.*--weights FILE"):
        finetune(cache, "features.8", options=QUICK, weights=str(tmp_path / "other.pth"))
    embed(backbone="pixels", weights="default")
    with pytest.raises(JobError, match=r"several backbones \(pixels.*small_cnn.*; name one with --backbone"):
        finetune(cache, "features.8", options=QUICK)


def test_a_loss_that_is_not_finite_names_epoch_and_rate(cache: Path) -> None:
    with pytest.raises(DataError, match=r"diverged in epoch 1: .* learning rate of 1e\+20"):
        finetune(cache, "features.8", options=QUICK, learning_rate=1e20, optimizer="sgd")


def test_one_class_is_told(embed: Embed, photos: Path, elsewhere: Path) -> None:
    for name in CLASSES[1:]:
        shutil.rmtree(photos / name)
    with pytest.raises((JobError, DataError), match="class"):
        finetune(embed().cache, "features.8", options=QUICK)


@pytest.mark.parametrize(
    ("value", "p", "words"),
    [(0.1, 0.2, "not better than chance"), (0.1, 0.01, "is better"), (-0.1, 0.01, "is worse")],
)
def test_the_verdict_says_no_more_than_the_paired_test(value: float, p: float, words: str) -> None:
    found = Difference(metric="accuracy", value=value, low=0, high=0, p_value=p, n_images=50, test="exact McNemar")
    assert words in verdict(found)
