"""One ONNX file from pixels to probabilities: on raw photographs it says what `predict` says, and says what it is."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, draw
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.flows.errors import JobError
from headstart.flows.extraction import extract
from headstart.flows.fitting import fit
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.inference import graft, load, onnx_file, predict
from headstart.flows.inference.how_to import write_how_to
from headstart.heads.errors import HeadError

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


pytestmark = pytest.mark.usefixtures("tables_of_operators")


def run_as_told(readme: str, photographs: list[Path]) -> Any:
    """Run the code that the neighbour shows; returns what the file gives of photographs."""
    (code,) = re.findall(r"```python\n(.*?)```", Path(readme).read_text(), re.DOTALL)
    names: dict[str, Any] = {"paths": photographs}
    exec(code, names)  # noqa: S102 - the lines are what a person is told to type
    return names["probabilities"] if "probabilities" in names else names["scores"]


def agree(readme: str, model: str, photographs: list[Path], **options: Any) -> None:
    table = predict(model, photographs, all_classes=True, **options)
    expected = table[[name for name in table if name.startswith("probability_")]].to_numpy(float)
    assert expected.std() > 0.01
    for some in (photographs, photographs[:1]):
        np.testing.assert_allclose(run_as_told(readme, some), expected[: len(some)], atol=1e-4)


@pytest.fixture
def photographs(photos: Path) -> list[Path]:
    """Images of other shapes than the network's, one of which the camera was turned for."""
    for label, size in enumerate(((90, 40), (41, 77), (64, 64))):
        draw(photos.parent / "new" / f"{label}.png", label, seed=label, size=size)
    return sorted((photos.parent / "new").iterdir())


def test_a_linear_head_behind_a_projection_says_of_raw_photographs_what_predict_says(
    embed: Callable[..., Any], elsewhere: Path, photographs: list[Path]
) -> None:
    steps = make_pipeline(StandardScaler(), PCA(8, random_state=0), LogisticRegression())
    found = fit(embed().cache, heads=[steps], folds=2, out="linear", calibrate=True, no_report=True)
    trust = ["sklearn.pipeline:Pipeline", "sklearn.decomposition:PCA", "sklearn.linear_model:LogisticRegression"]
    summary = graft("linear", onnx="birds.onnx", trust=trust)
    assert (summary.weights, summary.onnx) == (None, "birds.onnx")
    agree(summary.readme, found.model, photographs, trust=trust)


def test_a_tail_given_floats_says_of_raw_photographs_what_predict_says(
    embed: Callable[..., Any], elsewhere: Path, photographs: list[Path]
) -> None:
    cache = embed(tap=["penultimate", "features.7:map"]).cache
    found = finetune(cache, "features.8", epochs=2, batch_size=8, learning_rate=0.02, folds=2, out="tail")
    agree(graft("tail", onnx="birds.onnx", pixels="float32").readme, found.model, photographs)


@pytest.mark.parametrize(
    ("name", "image_size"),
    [("timm/test_vit", 64), ("timm/test_convnext", None), ("resnet18", 64)],
)
def test_weights_and_file_of_stock_networks_are_written_in_one_call_and_agree(
    photos: Path, elsewhere: Path, photographs: list[Path], name: str, image_size: int | None
) -> None:
    if name.startswith("timm/"):
        pytest.importorskip("timm", reason="needs the extra timm")
    cache = extract(photos, name, weights="none", precision="fp32", cache="cache", image_size=image_size).cache
    found = fit(cache, "ridge", folds=2, out="linear", no_report=True)
    summary = graft("linear", "birds.pth", onnx="birds.onnx")
    agree(summary.readme, found.model, photographs)
    text = Path(summary.readme).read_text()
    assert text.count("# birds.pth\n") == text.count("# birds.onnx\n") == 1
    (line,) = [line.strip("`") for line in text.splitlines() if line.startswith("`model = ")]
    names: dict[str, Any] = {"torch": torch}
    exec(f"import torchvision\nimport importlib.util\nif importlib.util.find_spec('timm'): import timm\n{line}", names)  # noqa: S102 - as told
    model = load(found.model).backbone
    images = torch.randn(2, 3, *model.preprocessing.crop)
    mean, std = (np.reshape(one, (1, 3, 1, 1)) for one in (model.preprocessing.mean, model.preprocessing.std))
    pixels = np.clip(255 * (images.numpy() * std + mean), 0, 255).astype(np.uint8)
    (given,) = onnxruntime.InferenceSession("birds.onnx").run(None, {"pixels": pixels})
    normalised = torch.from_numpy(((pixels / 255 - mean) / std).astype(np.float32))
    with torch.no_grad():
        np.testing.assert_allclose(names["model"](normalised).softmax(dim=1).numpy(), given, atol=1e-4)


def test_on_real_photographs_with_real_weights_a_tail_says_what_predict_says(
    real_data: Path, elsewhere: Path, tmp_path: Path
) -> None:
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for file in sorted((real_data / "data" / "hymenoptera" / "val" / name).iterdir())[:6]:
            (tmp_path / "photos" / name / file.name).symlink_to(file)
    weights = str(real_data / "weights" / "mobilenet_v2-imagenet.pth")
    how = {"precision": "fp32", "decode": "full", "tap": "features.16:map", "cache": "cache"}
    cache = extract(tmp_path / "photos", "mobilenet_v2", weights=weights, **how).cache
    found = finetune(cache, "features.17", start="linear", epochs=1, batch_size=8, folds=2, out="tail")
    others = sorted((real_data / "data" / "hymenoptera" / "train" / "bees").iterdir())[:3]
    agree(graft("tail", onnx="bees.onnx").readme, found.model, others)


def test_the_file_says_what_it_is_and_nothing_of_where_it_was_made(
    embed: Callable[..., Any], elsewhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = fit(embed().cache, "logreg", folds=2, out="linear", no_report=True)
    capfd.readouterr()
    graft("linear", onnx="birds.onnx")
    assert capfd.readouterr() == ("", "")
    file = onnx.load("birds.onnx")
    onnx.checker.check_model(file, full_check=True)
    about = {one.key: one.value for one in file.metadata_props}
    card = json.loads((Path(found.model) / "model.json").read_text())
    assert json.loads(about["class_names"]) == list(CLASSES)
    assert json.loads(about["embedding"]) == card["embedding"]
    assert json.loads(about["preprocessing"]) == card["embedding"]["preprocessing"]
    assert about["key"].startswith("small_cnn-")
    assert about["headstart_version"] == file.producer_version
    assert "uint8 from 0 to 255, RGB, (n_images, 3, 32, 32)" in about["input"]
    (given,), (put_out,) = file.graph.input, file.graph.output
    assert (given.name, put_out.name) == ("pixels", "probabilities")
    assert [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim] == ["n_images", 3, 32, 32]
    content = Path("birds.onnx").read_bytes()
    assert not any(place in content for place in (b".py", b"site-packages", str(elsewhere).encode()))
    graft("linear", onnx="birds.onnx")
    assert Path("birds.onnx").read_bytes() == content


def test_a_head_without_probabilities_gives_scores_and_says_so(
    embed: Callable[..., Any], elsewhere: Path, photographs: list[Path]
) -> None:
    found = fit(embed().cache, "linear-svm", folds=2, out="linear", no_report=True)
    summary = graft("linear", onnx="birds.onnx")
    scores = run_as_told(summary.readme, photographs)
    assert [CLASSES[number] for number in scores.argmax(axis=1)] == list(predict(found.model, photographs)["label"])
    assert "no probabilities" in Path(summary.readme).read_text()


def test_what_was_said_of_the_other_file_of_that_name_stays(elsewhere: Path) -> None:
    Path("birds.pth").touch()
    Path("birds.md").write_text("# birds.pth\n\nhow\n\n# birds.onnx\n\nold\n\n# birds.pt\n\ngone\n")
    write_how_to(Path("birds.onnx"), "# birds.onnx\n\nnew\n")
    assert Path("birds.md").read_text() == "# birds.pth\n\nhow\n\n# birds.onnx\n\nnew\n"


def test_a_head_that_cannot_be_folded_is_refused_by_its_name(embed: Callable[..., Any], elsewhere: Path) -> None:
    fit(embed().cache, "knn", folds=2, out="other", no_report=True)
    with pytest.raises(HeadError, match=r"knn: a \w+ is not linear in the features.*fit logreg"):
        graft("other", onnx="birds.onnx")
    assert not list(Path().glob("birds*"))


def test_an_onnx_file_that_differs_from_torch_is_not_written(
    embed: Callable[..., Any], elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(embed().cache, "logreg", folds=2, out="linear", no_report=True)
    monkeypatch.setattr(onnx_file, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(JobError, match=r"birds.onnx: ONNX Runtime gives 1 images other numbers than torch"):
        graft("linear", onnx="birds.onnx")
    monkeypatch.setattr(onnx_file, "_LARGEST", 100)
    with pytest.raises(JobError, match=r"GB of weights, and one ONNX file holds at most 2.1 GB; take them as --out"):
        graft("linear", onnx="birds.onnx")
    assert not Path("birds.onnx").exists()
