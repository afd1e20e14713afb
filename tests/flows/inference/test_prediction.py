"""The job `predict`: new images, the same key, and no guessing where it does not fit."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.errors import WeightsError
from headstart.extractors.pretraining.supervised import save_encoder
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit
from headstart.flows.inference.prediction import predict, write_predictions
from headstart.heads.errors import ModelFileError

Embed = Callable[..., Any]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(load_backbone("small_cnn", weights="none", seed=4).module, file)
    return file


@pytest.fixture(scope="module")
def fitted(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three classes; its tests take copies."""
    folder = tmp_path_factory.mktemp("fitted")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    weights = str(encoder)
    embedded = extract(folder / "photos", "small_cnn", weights=weights, cache=folder / "cache", precision="fp32")
    return Path(fit(embedded.cache, "logreg", out=folder / "results", no_report=True).model)


@pytest.fixture
def model(fitted: Path, elsewhere: Path) -> str:
    return str(shutil.copytree(fitted, elsewhere / "model"))


@pytest.fixture
def new_images(tmp_path: Path) -> Path:
    """Two images of each class, flat, without labels."""
    for label, name in enumerate(CLASSES):
        for number in range(2):
            draw(tmp_path / "new" / f"{name}{number}.png", label, seed=3000 + 10 * label + number)
    return tmp_path / "new"


def test_new_images_get_their_class_and_its_probability(model: str, new_images: Path) -> None:
    table = predict(model, new_images)
    assert list(table.columns) == ["path", "label", "probability", "reason"]
    assert table["path"].tolist() == sorted(path.name for path in new_images.iterdir())
    assert table["label"].tolist() == [path[:3] for path in table["path"]]
    assert table["probability"].between(1 / 3, 1).all()


def test_every_class_s_probability_is_given_on_demand(model: str, new_images: Path) -> None:
    table = predict(model, new_images, all_classes=True)
    columns = [f"probability_{name}" for name in CLASSES]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1.0)
    assert (table[columns].max(axis=1) == table["probability"]).all()


def test_an_image_that_cannot_be_read_keeps_its_row_with_the_reason(model: str, new_images: Path) -> None:
    (new_images / "dog0.png").write_bytes(b"no image")
    table = predict(model, new_images).set_index("path")
    assert pd.isna(table.loc["dog0.png", "label"])
    assert table.loc["dog0.png", "reason"] != ""
    assert table["label"].notna().sum() == 5
    assert table.loc["owl1.png", "label"] == "owl"


def test_a_head_without_probabilities_gives_labels_alone(embed: Embed, new_images: Path, elsewhere: Path) -> None:
    model = fit(embed().cache, "linear-svm", no_report=True).model
    table = predict(model, new_images, all_classes=True)
    assert table["label"].tolist() == [path[:3] for path in table["path"]]
    assert table["probability"].isna().all()


def test_predictions_can_keep_their_embeddings(model: str, new_images: Path, tmp_path: Path) -> None:
    first = predict(model, new_images, cache=tmp_path / "kept")
    assert (tmp_path / "kept" / "cache.json").exists()
    assert predict(model, new_images, cache=tmp_path / "kept").equals(first)


@pytest.fixture
def put_back(encoder: Path, tmp_path: Path) -> Iterator[None]:
    """The file of the weights is as it was for the tests that follow."""
    shutil.copy(encoder, tmp_path / "kept")
    yield
    shutil.copy(tmp_path / "kept", encoder)


def test_weights_that_changed_are_refused_with_both_digests(
    model: str, new_images: Path, encoder: Path, put_back: None
) -> None:
    save_encoder(load_backbone("small_cnn", weights="none", seed=5).module, encoder)
    with pytest.raises(
        JobError,
        match=r"fitted on other embeddings than this backbone gives .*weights: sha256:.* here, sha256:.*--weights FILE",
    ):
        predict(model, new_images)


def test_weights_that_moved_can_be_named(
    model: str, new_images: Path, encoder: Path, put_back: None, tmp_path: Path
) -> None:
    moved = shutil.move(encoder, tmp_path / "moved.safetensors")
    with pytest.raises(WeightsError, match=r"encoder\.safetensors"):
        predict(model, new_images)
    assert predict(model, new_images, weights=str(moved))["label"].iloc[0] == "cat"


def test_a_model_of_another_preprocessing_is_refused(model: str, new_images: Path) -> None:
    card = Path(model) / "model.json"
    content = json.loads(card.read_text())
    content["embedding"]["preprocessing"]["resize"] = 48
    card.write_text(json.dumps(content))
    with pytest.raises(JobError, match="preprocessing: "):
        predict(model, new_images)


def test_a_folder_that_is_no_model_is_refused(new_images: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="give a folder that 'headstart fit' wrote"):
        predict(tmp_path / "nothing", new_images)


def plant(model: str, **embedding: str) -> None:
    card = Path(model) / "model.json"
    content = json.loads(card.read_text())
    content["embedding"] |= embedding
    card.write_text(json.dumps(content))


def test_a_planted_backbone_is_not_imported(
    model: str, new_images: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "planted.py").write_text("open('PWNED', 'w').close()\ndef build(): open('PWNED', 'w').close()\n")
    monkeypatch.syspath_prepend(elsewhere)
    plant(model, backbone="planted:build")
    for named in (None, "planted:other"):
        with pytest.raises(JobError, match="planted:build, which is code that would run now; if you trust it, say so"):
            predict(model, new_images, backbone=named)
    assert not (elsewhere / "PWNED").exists()


def test_a_model_on_code_of_one_s_own_predicts_once_that_is_named(
    embed: Embed, new_images: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "net_of_ones_own.py").write_text(
        "from headstart.extractors.backbones.small_cnn import SmallCNN\ndef build(): return SmallCNN(3)\n"
    )
    monkeypatch.syspath_prepend(elsewhere)
    model = fit(embed(backbone="net_of_ones_own:build", weights="none").cache, "centroid", no_report=True).model
    with pytest.raises(JobError, match="say so with --backbone net_of_ones_own:build"):
        predict(model, new_images)
    assert predict(model, new_images, backbone="net_of_ones_own:build")["label"].notna().all()


def test_predicting_leaves_the_listing_of_a_cache_alone(
    embed: Embed, model: str, new_images: Path, encoder: Path
) -> None:
    cache = embed(weights=str(encoder)).cache
    predict(model, new_images, cache=cache)
    again = embed(weights=str(encoder))
    assert (again.images, again.embedded) == (36, 0)
    assert fit(cache, "centroid", no_report=True).winner.head == "centroid"


def test_a_folder_without_one_readable_image_gives_reasons_and_no_label(model: str, new_images: Path) -> None:
    for path in new_images.iterdir():
        path.write_bytes(b"no image")
    table = predict(model, new_images, all_classes=True)
    assert len(table) == 6
    assert table["label"].isna().all()
    assert (table["reason"] != "").all()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_are_written_whole(model: str, new_images: Path, tmp_path: Path, suffix: str) -> None:
    table = predict(model, new_images)
    out = tmp_path / f"predictions{suffix}"
    write_predictions(table, out)
    found = pd.read_csv(out, keep_default_na=False) if suffix == ".csv" else pd.read_parquet(out)
    assert found["path"].tolist() == table["path"].tolist()
    assert found["label"].tolist() == table["label"].tolist()
    np.testing.assert_allclose(found["probability"], table["probability"], atol=5e-5 if suffix == ".csv" else 0)


def test_an_unknown_kind_of_output_is_refused(model: str, new_images: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"predictions\.xlsx: unknown kind of file; name a \.csv or a \.parquet file"):
        write_predictions(predict(model, new_images), tmp_path / "predictions.xlsx")
