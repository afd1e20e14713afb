"""What there is can be found: heads with what they try, backbones by a word, layers to tap, on 80 columns."""

import json
from collections.abc import Callable

import pytest

from headstart.flows.cli.app import main
from headstart.heads.registry import HEADS, REGRESSORS

Shown = Callable[..., str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        assert (end.value.code or 0) == status
        captured = capsys.readouterr()
        return captured.out if status == 0 else captured.err

    return run


def test_heads_are_listed_with_what_they_are_try_and_are_for(shown: Shown) -> None:
    rows = {row["name"]: row for row in json.loads(shown("heads", "--json"))["heads"]}
    assert set(rows) >= {*HEADS, *REGRESSORS}
    assert rows["logreg"]["grid"] == {"C": [0.001, 0.01, 0.1, 1.0, 10.0]}
    assert (rows["logreg"]["tasks"], rows["logreg"]["fits"], rows["logreg"]["streams"]) == (["classes"], "fast", True)
    assert (rows["logreg"]["weighs"], rows["knn"]["weighs"]) == (True, False)
    assert (rows["ridge"]["tasks"], rows["linear-svm"]["fits"]) == (["classes", "numbers"], "stock")
    out = shown("heads")
    assert max(map(len, out.splitlines())) <= 80
    assert all(name in out for name in HEADS)
    assert "C=0.001,0.01,0.1,1.0,10.0" in out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "logreg",
            [
                "Logistic regression",
                "classes",
                "fast:",
                "C=0.001,0.01,0.1,1.0,10.0",
                "class_weight=None",
                "  weighed by",
            ],
        ),
        ("knn", ["classes and numbers", "n_neighbors=1,5,20", "not weighed by"]),
        ("sklearn.svm.SVC", ["sklearn.svm:SVC", "stock:", "kernel='rbf'"]),
        ("sklearn.svm:SVR", ["numbers", "epsilon=0.1"]),
    ],
)
def test_one_head_is_described(shown: Shown, name: str, words: list[str]) -> None:
    out = shown("heads", name)
    assert [word for word in words if word not in out] == []
    assert max(map(len, out.splitlines())) <= 80


def test_a_head_that_is_unknown_is_answered_with_the_nearest(shown: Shown) -> None:
    assert "did you mean logreg" in shown("heads", "logrge", status=1)


def test_backbones_come_with_six_to_begin_with(shown: Shown) -> None:
    out = shown("backbones")
    assert max(map(len, out.splitlines())) <= 80
    end = out[out.index("to begin with") :]
    assert [end.count(word) for word in ("CPU", "GPU", "fast", "good", "best")] == [3, 3, 2, 2, 2]
    assert out.index("vit_h_14") < out.index("resnet50") < out.index("alexnet")


def test_long_names_are_shown_whole_with_their_short_ones(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    for columns in ("80", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        out = shown("backbones", "dinov2")
        assert "timm/vit_giant_patch14_reg4_dinov2.lvd142m " in out
        assert "dinov2-giant-reg " in out


def test_layers_of_a_backbone_are_named_whole_with_shapes_and_poolings(shown: Shown) -> None:
    found = json.loads(shown("backbones", "resnet18", "--layers", "--json"))
    assert found["backbone"] == "torchvision/resnet18"
    assert next(layer["shape"] for layer in found["layers"] if layer["name"] == "layer4") == [512, 7, 7]
    lines = shown("backbones", "resnet18", "--layers").splitlines()
    row = next(line for line in lines if line.strip().startswith("layer4.1"))
    assert row.split() == ["layer4.1", "512×7×7", "512", "avg,", "max,", "flatten"]
    assert "no backbone is called 'resnet1*'" in shown("backbones", "resnet1*", "--layers", status=1)
