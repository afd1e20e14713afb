"""A ranking: the layer that tells comes first, test images are not looked at, and controls stand beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headstart.extractors.backbones import load_backbone
from headstart.extractors.network import depth_of
from headstart.extractors.spec import Tap
from headstart.flows.cli.app import main
from headstart.flows.transfer.ranking import job as ranking_job
from headstart.flows.transfer.ranking import rank
from headstart.flows.transfer.ranking.order import static_ranks
from headstart.heads.errors import HeadError
from headstart.heads.transfer import QuickScores, quick_scores

TAPS = ["features.1:avg", "penultimate", "features.7:avg"]


@pytest.fixture
def cache(embed: Callable[..., Any], elsewhere: Path) -> str:
    return str(embed(tap=TAPS).cache)


def scored(score: float) -> QuickScores:
    right = (np.arange(28) < round(28 * score)).astype(float)
    return QuickScores(knn=score, ridge=score, neighbours=1, right=right, log_evidence=score, h_score=score)


def test_the_layers_of_a_cache_are_ranked_with_a_table_and_a_page(cache: str) -> None:
    found = rank(cache)
    assert [row.rank for row in found.rows] == [1, 2, 3]
    assert [row.score for row in found.rows] == sorted((row.score for row in found.rows), reverse=True)
    assert found.rows[0].tied is None
    assert {row.tap: row.depth for row in found.rows} == {"features.1:avg": 1, "features.7:avg": 2, "penultimate": 3}
    assert pd.read_csv(found.table)["tap"].tolist() == [row.tap for row in found.rows]
    page = Path(found.page).read_text()
    assert "Layer by layer" in page
    assert "<script" not in page
    assert "random weights, a control: small_cnn" in found.notes[0]


def test_the_score_is_that_of_the_images_that_a_fit_trains_on(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def seen(*given: Any) -> QuickScores:
        asked.append(given)
        return quick_scores(*given)

    monkeypatch.setattr(ranking_job, "quick_scores", seen)
    assert rank(cache).images == len(asked[0][0]) == 28  # of 36, a fifth is held back
    few = rank(cache, images=12)
    assert few.images == 12
    assert np.bincount(asked[-1][1]).tolist() == [4, 4, 4]
    assert any("ranked on 12 of 28 images" in note for note in few.notes)


def test_what_is_ahead_by_chance_alone_is_said_to_be_tied(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([scored(0.5), scored(1.0), scored(27 / 28)])
    monkeypatch.setattr(ranking_job, "quick_scores", lambda *_: next(scores))
    found = rank(cache)
    assert [(row.score, row.tied) for row in found.rows] == [(1.0, None), (27 / 28, True), (0.5, False)]


def test_the_static_order_is_by_published_accuracy_then_size_and_random_weights_are_last() -> None:
    class Named:
        def __init__(self, backbone: str, source: str) -> None:
            self.backbone = backbone
            self.store = type("Store", (), {"about": {"weights_source": source}})

    some: Any = [
        Named("torchvision/resnet18", "x"),
        Named("torchvision/resnet50", "x"),
        Named("torchvision/resnet50", "x"),
    ]
    assert static_ranks(some, [1, 1, 2]) == ([3, 2, 1], "published accuracy")
    control: Any = Named("torchvision/resnet152", "none")
    assert static_ranks([*some, control], [1, 1, 2, 1]) == ([3, 2, 1, 4], "published accuracy")
    own: Any = Named("mine:build", "x")
    assert static_ranks([*some, own], [1, 1, 2, 1]) == ([None] * 4, None)
    assert static_ranks([control, control], [1, 2]) == ([None] * 2, None)  # nothing published holds


def test_a_layer_stands_where_the_last_of_its_parts_does() -> None:
    backbone = load_backbone("resnet18", weights="none")
    taps = ["penultimate", "layer4.0", "layer3", "layer4", "layer3.0.conv1", "conv1"]
    assert sorted(taps, key=lambda tap: depth_of(backbone, Tap.parse(tap))) == [
        *("conv1", "layer3.0.conv1", "layer3", "layer4.0", "layer4", "penultimate"),
    ]


def test_numbers_are_ranked_by_r_squared(cache: str, photos: Path) -> None:
    paths = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    weights = [0.5 + ["cat", "dog", "owl"].index(path.split("/")[0]) for path in paths]
    pd.DataFrame({"path": paths, "weight": weights}).to_csv("weights.csv", index=False)
    found = rank(cache, labels="weights.csv", target="weight", task="regress")
    assert found.task == "regress"
    assert found.rows[0].h_score is None
    assert found.rows[0].ridge > 0.9


def test_a_class_of_one_image_is_told(cache: str, photos: Path) -> None:
    paths = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    pd.DataFrame({"path": paths, "kind": ["rare", *["common"] * 35]}).to_csv("kinds.csv", index=False)
    with pytest.raises(HeadError, match="rare"):
        rank(cache, labels="kinds.csv")


def test_the_command_prints_the_order_or_json(cache: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["rank", cache])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "28 images, none of them for test" in shown
    assert "static: by" not in shown
    assert max(map(len, shown.splitlines()[:-2])) <= 80
    with pytest.raises(SystemExit):
        main(["rank", cache, "--json"])
    assert [row["rank"] for row in json.loads(capsys.readouterr().out)["rows"]] == [1, 2, 3]
