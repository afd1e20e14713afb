"""What `finetune` leaves for a person: a page beside the model, and a command that makes the same again."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.flows.cli.app import app
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning.command import command_of
from headstart.flows.options import FinetuneOptions
from headstart.heads.saving import load_model

Embed = Callable[..., Path]
MAPS = ["penultimate", "features.7:map"]
QUICK = FinetuneOptions(epochs=2, batch_size=8, optimizer="adamw", learning_rate=0.01, min_steps=1)


def test_the_page_stands_beside_the_model_and_says_how_the_tail_compares(embedded: Embed, elsewhere: Path) -> None:
    summary = finetune(embedded(tap=MAPS), "features.8", options=QUICK, unfreeze="progressive")
    assert Path(summary.report) == Path(summary.model).parent / "report.html"
    page = Path(summary.report).read_text()
    assert Path("cache.results/report.html").resolve() == Path(summary.report).resolve()
    for words in (
        "Beside the linear heads",
        "Fine-tuning is not better than chance allows",
        summary.command,
        summary.run,
    ):
        assert words in page
    assert summary.heads[0] == summary.linear
    assert sorted(row.head for row in summary.heads) == ["lda", "logreg", "ridge"]
    assert {row.split for row in summary.heads} == {"held-out fifth"}
    assert {entry["phase"] for entry in summary.history} == {1, 2}
    assert all(0 <= entry["accuracy"] <= 1 for entry in summary.history)


@pytest.mark.usefixtures("ridge_alone")
def test_the_command_makes_the_same_weights_again(embedded: Embed, elsewhere: Path) -> None:
    first = finetune(embedded(tap=MAPS), "features.8", options=QUICK, layer_decay=0.3, name="first", out="one.results")
    words = shlex.split(first.command)
    assert words[:2] == ["headstart", "finetune"]
    app([*words[1:], "--out", "two.results", "--json"], standalone_mode=False)
    ends = [load_model(Path(out) / "model")[0].weights_ for out in ("one.results", "two.results")]
    assert all(np.array_equal(one, two) for one, two in zip(*ends, strict=True))


def test_every_option_of_the_command_stands_in_the_line_that_repeats_it() -> None:
    options = replace(
        QUICK, learning_rate=[0.1, 0.03], batch_norm="train", labels=Path("my labels.csv"), momentum=0.5, views=True
    )
    line = command_of(Path("c.headstart"), ["layer3", "layer4"], options)
    assert line == (
        "headstart finetune c.headstart --from layer3 layer4 --learning-rate 0.1 0.03 --optimizer adamw --momentum 0.5 "
        "--epochs 2 --batch-size 8 --min-steps 1 --batch-norm train --views --labels 'my labels.csv'"
    )


@pytest.mark.parametrize("layers", [["layer4"], ["layer3", "layer4"]])
def test_what_no_command_can_say_is_a_call(layers: list[str]) -> None:
    line = command_of(Path("c.headstart"), layers, FinetuneOptions(block_rates={"fc": 0.1}, name="x"))
    named = repr(layers[0]) if len(layers) == 1 else repr(layers)
    assert line == f"headstart.finetune('c.headstart', {named}, block_rates={{'fc': 0.1}})"


@pytest.mark.usefixtures("ridge_alone")
def test_a_table_of_rates_is_the_blocks_rates(embedded: Embed, elsewhere: Path) -> None:
    summary = finetune(embedded(tap=MAPS), "features.8", options=QUICK, block_rates={"features.8": 0.5})
    rates = {block.name: block.learning_rate for block in summary.blocks}
    assert rates == {"features.8": 0.5, "features.9": 0.01, "classifier": 0.01}
    assert summary.winner.params["block_rates"] == {"features.8": 0.5}
    assert "block_rates={" in summary.command
