"""Graft: what was fitted goes back into a stock model, which says of raw photographs what `predict` says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from conftest import CLASSES
from PIL import Image
from torchvision import models
from torchvision.transforms.functional import center_crop, normalize, resize, to_tensor

from headstart.extractors.errors import BackboneError
from headstart.flows.errors import JobError
from headstart.flows.extraction import extract
from headstart.flows.fitting import fit
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.inference import graft, onnx_file, predict
from headstart.flows.options import FinetuneOptions
from headstart.heads.errors import HeadError

ARCHITECTURE = "mnasnet0_5"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of twelve photographs and a stock backbone with random weights: its features, and maps for a tail."""
    from conftest import draw

    folder = tmp_path_factory.mktemp("graft")
    for label, name in enumerate(CLASSES):
        for number in range(4):
            draw(folder / "photos" / name / f"{number}.png", label, seed=10 * label + number)
    torch.manual_seed(0)
    network = models.mnasnet0_5(num_classes=1000)
    for name, tensor in network.state_dict().items():  # or features of random weights vanish
        if name.endswith("running_var"):
            tensor.fill_(0.3)
    torch.save(network.state_dict(), folder / "weights.pth")
    extract(
        folder / "photos",
        ARCHITECTURE,
        weights=str(folder / "weights.pth"),
        tap=["penultimate", "layers.13:map"],
        cache=folder / "photos.headstart",
        precision="fp32",
        decode="full",
    )
    return folder / "photos.headstart"


def probabilities(weights: Path, photos: Path) -> torch.Tensor:
    """Return what the stock model says of photographs, prepared as torchvision does."""
    model = models.mnasnet0_5(num_classes=len(CLASSES)).eval()
    state = torch.load(weights, weights_only=True)
    model.load_state_dict(state, strict=True)
    batch = []
    for path in sorted(photos.rglob("*.png")):
        image = center_crop(resize(Image.open(path).convert("RGB"), 256), 224)
        batch.append(normalize(to_tensor(image), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        return model(torch.stack(batch)).softmax(dim=1)


def agree(weights: Path, model: str, photos: Path) -> None:
    table = predict(model, photos, all_classes=True)
    said = table[[f"probability_{name}" for name in CLASSES]].to_numpy(float)
    assert said.std() > 0.01
    np.testing.assert_allclose(probabilities(weights, photos).numpy(), said, atol=1e-4)


@pytest.mark.parametrize("head", ["logreg", "lda"])
def test_a_linear_head_is_folded_into_the_stock_models_classifier(cache: Path, elsewhere: Path, head: str) -> None:
    found = fit(cache, head, folds=2, out="linear", no_report=True)
    summary = graft("linear", "birds.pth")
    agree(Path(str(summary.weights)), found.model, cache.parent / "photos")


def test_a_support_vector_machine_keeps_its_classes_and_is_told_to_give_no_probabilities(
    cache: Path, elsewhere: Path
) -> None:
    found = fit(cache, "linear-svm", folds=2, out="linear", no_report=True)
    summary = graft("linear", "birds.pth")
    largest = probabilities(Path(str(summary.weights)), cache.parent / "photos").argmax(dim=1)
    labels = predict(found.model, cache.parent / "photos")["label"]
    assert [CLASSES[number] for number in largest] == labels.tolist()
    assert "of which the largest is the class, and which are no probabilities" in Path(summary.readme).read_text()


@pytest.mark.parametrize("start", ["fresh", "linear"])
def test_a_tail_goes_back_to_its_layers(cache: Path, elsewhere: Path, start: Any) -> None:
    options = FinetuneOptions(epochs=2, batch_size=4, folds=2, learning_rate=0.01, start=start)
    found = finetune(cache, "layers.14", options=options, out="tail")
    assert found.extracted == 0
    summary = graft("tail", "birds.pth")
    agree(Path(str(summary.weights)), found.model, cache.parent / "photos")
    trunk = torch.load(cache.parent / "weights.pth", weights_only=True)
    grafted = torch.load(str(summary.weights), weights_only=True)
    changed = {name for name in trunk if not torch.equal(trunk[name], grafted[name])}
    assert changed
    assert all(name.startswith(("layers.14", "layers.15", "layers.16", "classifier")) for name in changed)


def test_the_neighbour_says_how_to_load_it_with_classes_and_preprocessing(cache: Path, elsewhere: Path) -> None:
    fit(cache, "logreg", folds=2, out="linear", no_report=True)
    with pytest.raises(JobError, match=r"version should be set.*write a .pth file"):  # which this model asks for
        graft("linear", "birds.safetensors")
    summary = graft("linear", "birds.pth")
    text = Path(summary.readme).read_text()
    (line,) = [line.strip("`") for line in text.splitlines() if line.startswith("`model = ")]
    names: dict[str, Any] = {"torchvision": torchvision, "torch": torch}
    exec(line, names)  # noqa: S102 - the line is what a person is told to type
    assert names["model"].classifier[1].out_features == len(CLASSES)
    assert json.dumps(list(CLASSES)) in text
    assert "`[0.485, 0.456, 0.406]`" in text
    assert "`256`" in text


def test_a_head_that_is_not_linear_is_refused_by_its_name(cache: Path, elsewhere: Path) -> None:
    fit(cache, "centroid", folds=2, out="other", no_report=True)
    with pytest.raises(HeadError, match=r"centroid: a \w+ is not linear in the features.*fit logreg"):
        graft("other", "birds.pth")
    assert not Path("birds.pth").exists()


def test_what_no_stock_model_can_take_is_told(
    cache: Path, embed: Callable[..., Any], elsewhere: Path, photos: Path
) -> None:
    own = fit(embed(tap=["penultimate", "features.7:avg"]).cache, "logreg", folds=2, out="own", no_report=True)
    with pytest.raises((BackboneError, JobError), match=r"no model of torchvision or timm|its head reads features\.7"):
        graft(own.model, "birds.pth")
    with pytest.raises(JobError, match=r"birds.onxx: expected a .pth, .pt, .safetensors file"):
        graft(own.model, "birds.onxx")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, r"no file is asked for; give --out birds.pth, --onnx birds.onnx"),
        ({"onnx": "birds.pth"}, r"birds.pth: expected an .onnx file"),
        ({"onnx": "nowhere/birds.onnx"}, r"nowhere/birds.onnx: expected an .onnx file in a folder that is there"),
        ({"onnx": "birds.onnx", "pixels": "int8"}, r"pixels are 'int8', expected uint8 or float32"),
    ],
)
def test_files_that_cannot_be_written_are_told_before_anything_is_read(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda _: True)
    with pytest.raises(JobError, match=reason):
        graft("nothing", **asked)


def test_without_the_extra_one_line_says_what_to_install(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else True)
    with pytest.raises(JobError, match=r"birds.onnx: onnxscript is not installed.*pip install 'headstart\[onnx\]'$"):
        graft("nothing", onnx="birds.onnx")
