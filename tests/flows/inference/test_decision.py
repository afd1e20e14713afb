"""A saved model decides as was chosen on the folds; its probabilities, and what is taken away of it, stay."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, draw

from headstart.flows.fitting import fit
from headstart.flows.inference import graft, load, predict
from headstart.flows.inference.how_to import on_weights
from headstart.heads.saving import CARD_FILE


@pytest.fixture
def model(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    found = fit(embedded(), "logreg", folds=2, no_report=True, out="results", costs="owl:cat=200,owl:dog=200")
    return Path(found.model)


@pytest.fixture
def photographs(photos: Path) -> list[str]:
    for label, name in enumerate(CLASSES):
        draw(photos.parent / "new" / f"{name}.png", label, seed=label)
    return sorted(str(path) for path in (photos.parent / "new").iterdir())


def plain_copy(model: Path) -> Path:
    card = json.loads((model / CARD_FILE).read_text())
    del card["decision"]
    (model / CARD_FILE).write_text(json.dumps(card))
    return model


def test_predict_takes_the_class_that_costs_least_and_leaves_probabilities_as_they_are(
    model: Path, photographs: list[str]
) -> None:
    loaded = load(model)
    assert loaded.decision is not None
    decided = predict(model, photographs, all_classes=True)
    columns = [f"probability_{name}" for name in CLASSES]
    taken = loaded.decision.classes(decided[columns].to_numpy())
    assert decided["label"].tolist() == [CLASSES[number] for number in taken]
    assert decided["probability"].tolist() == [decided[columns].to_numpy()[row, one] for row, one in enumerate(taken)]
    _, notes = loaded.predict_noted(photographs)
    assert any("decided as the fit chose it on its folds (by cost)" in note for note in notes)
    assert [one["value"]["by"] for one in loaded.about if one["what"] == "decision"] == ["cost"]
    plain = predict(plain_copy(model), photographs, all_classes=True)
    np.testing.assert_array_equal(plain[columns], decided[columns])


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ({"by": "mcc", "multipliers": [1e-9, 1e-9, 1e9]}, "owl"),
        ({"by": "cost", "costs": [[0, 0, 0], [0, 0, 0], [9, 9, 0]]}, "owl"),
        ({"by": "cost", "costs": [[1, 0, 1], [1, 0, 1], [1, 0, 1]]}, "dog"),
    ],
)
def test_whatever_the_card_decides_by_is_followed(
    model: Path, photographs: list[str], decision: dict[str, Any], expected: str
) -> None:
    card = json.loads((model / CARD_FILE).read_text())
    (model / CARD_FILE).write_text(json.dumps(card | {"decision": decision}))
    assert predict(model, photographs)["label"].tolist() == [expected] * 3


def test_weights_that_are_taken_away_say_how_to_decide(model: Path) -> None:
    text = on_weights(Path("birds.pth"), loaded := load(model), "torchvision.models.resnet18(num_classes=3)")
    decision = loaded.decision
    assert decision is not None
    assert (
        "The file gives probabilities alone. 'headstart predict' takes of them the column of the smallest sum" in text
    )
    assert json.dumps(decision.costs) in text
    assert "probabilities alone" not in on_weights(Path("birds.pth"), load(plain_copy(model)), "…")


def test_an_onnx_file_holds_the_decision_among_its_metadata(
    model: Path, elsewhere: Path, request: pytest.FixtureRequest
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    request.getfixturevalue("tables_of_operators")
    summary = graft(model, onnx="birds.onnx")
    found = {one.key: one.value for one in onnx.load(summary.onnx).metadata_props}
    decision = load(model).decision
    assert decision is not None
    assert json.loads(found["decision"]) == json.loads(json.dumps(decision.as_dict()))
    assert summary.decision == decision.as_dict()
    assert "probabilities alone" in Path(summary.readme).read_text()
