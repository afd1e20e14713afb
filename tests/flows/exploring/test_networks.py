"""The job `summarize`: of a name, of a checkpoint of one's own, of a saved head's network and of a saved tail's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.extractors.backbones import load_backbone
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.exploring import summarize
from headstart.flows.fitting import fit
from headstart.flows.fitting.finetuning import finetune


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of one's own, as training leaves them."""
    path = tmp_path / "own.pth.tar"
    torch.save({"state_dict": load_backbone("small_cnn", weights="none", seed=5).module.state_dict()}, path)
    return path


def as_json(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--json"])
    assert end.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_a_checkpoint_is_loaded_into_its_network(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "summary", "small_cnn", "--weights", checkpoint, "--from", "features.8")
    assert found["weights"] == "own.pth.tar"
    assert found["tap"] == "features.7:map"
    trained = {row["name"] for row in found["layers"] if row["trainable"]}
    assert trained == {"features.8", "features.9", "classifier"}
    can = [f"can_{what}" for what in ("tap", "cut", "start")]
    tapped, cut, begun = ({row["name"] for row in found["layers"] if row[what]} for what in can)
    assert begun - {"classifier"} <= cut <= tapped


def test_a_checkpoint_without_its_network_is_told_what_to_do(checkpoint: Path) -> None:
    with pytest.raises(JobError, match=r"does not say of what network it is; .* headstart summary NETWORK --weights"):
        summarize(checkpoint)


def test_a_saved_head_has_the_network_that_it_was_fitted_on(
    embed: Callable[..., Any], checkpoint: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted = fit(embed(weights=str(checkpoint)).cache, "centroid")
    for place in (fitted.model, "cache.results"):
        found = as_json(capsys, "summary", place)
        assert (found["backbone"], found["weights"]) == ("headstart/small_cnn", "own.pth.tar")
        assert found["from_layer"] is None


def test_a_saved_tail_says_from_where_it_was_trained(
    embed: Callable[..., Any], checkpoint: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tail = finetune(embed(weights=str(checkpoint)).cache, "features.4", epochs=1, min_steps=1)
    found = as_json(capsys, "summary", tail.model)
    assert (found["from_layer"], found["tap"]) == ("features.4", "features.3:map")
    assert found["trainable"] == sum(block.parameters for block in tail.blocks) + 10 * 257 - 3 * 257
    assert as_json(capsys, "summary", tail.model, "--from", "features.8")["tap"] == "features.7:map"
