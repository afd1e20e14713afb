"""The commands `summary`, `finetune` and `graft` as people type them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.flows.cli.app import main
from headstart.flows.exploring import summarize


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0


def test_summary_shows_a_row_a_block_and_what_would_be_trained(capsys: pytest.CaptureFixture[str]) -> None:
    run("summary", "small_cnn", "--from", "features.8")
    told = capsys.readouterr()
    assert "features.8" in told.out
    assert "trained from features.8 on" in told.out
    assert "finetune --from features.8 trains on features.7:map" in " ".join(told.err.split())


def test_summary_as_json_holds_every_layer(capsys: pytest.CaptureFixture[str]) -> None:
    run("summary", "small_cnn", "--image-size", "64", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["image_size"] == [64, 64]
    assert found["layers"][0]["name"] == "features"
    assert {"shape", "parameters", "trainable", "multiply_adds", "can_cut", "can_start"} <= set(found["layers"][1])


def test_a_tail_is_trained_shown_and_summarised_from_its_folder(
    embed: Callable[..., Any], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = str(embed().cache)
    run("finetune", cache, "--from", "features.8", "--epochs", "2", "--unfreeze", "progressive")
    told = " ".join(capsys.readouterr().out.split())
    assert "8 images of held-out fifth, trained on 28" in told
    assert "tail features.7:map" in told
    assert "best epoch" in told
    run("finetune", cache, "--from", "features.8", "--epochs", "1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["winner"]["head"] == "tail"
    assert len(found["history"]) == 1
    assert summarize("cache.results").tap == "features.7:map"


def test_what_cannot_be_trained_from_is_one_line(
    embed: Callable[..., Any], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["finetune", str(embed().cache), "--from", "features.0"])
    assert end.value.code == 1
    assert "nothing lies before 'features.0'" in " ".join(capsys.readouterr().err.split())
