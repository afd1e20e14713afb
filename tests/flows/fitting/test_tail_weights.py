"""Class weights of a fine-tuning: of the tail and of the linear heads beside it, and refused where they are none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.flows.errors import JobError
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning.kept import KeptTraining
from headstart.flows.options import FinetuneOptions
from headstart.heads.finetuning import TailClassifier
from headstart.heads.saving import load_model

QUICK = FinetuneOptions(epochs=2, batch_size=8, min_steps=1, folds=3, optimizer="adamw", precision="fp32")


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=["penultimate", "features.7:map"])


def test_tail_and_linear_heads_are_weighed_alike_and_that_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, plain = [], TailClassifier.fit

    def seen(self: TailClassifier, *arguments: Any, **named: Any) -> TailClassifier:
        given.append(self.class_weight)
        return plain(self, *arguments, **named)

    monkeypatch.setattr(TailClassifier, "fit", seen)
    found = finetune(cache, "features.8", options=QUICK, class_weight={"owl": 5, "cat": 0.5})
    assert given == [{0: 0.5, 1: 1.0, 2: 5.0}]  # cat, dog, owl
    assert found.winner.params["class_weight"] == "owl=5,cat=0.5"
    assert {str(row.params["class_weight"]) for row in found.heads} == {"{0: 0.5, 1: 1.0, 2: 5.0}"}
    assert "--class-weight owl=5,cat=0.5" in Path(found.report).read_text()
    unweighed = finetune(cache, "features.8", options=QUICK)
    ends = [load_model(one.model)[0].weights_ for one in (found, unweighed)]
    assert any(np.abs(one - two).max() > 1e-4 for one, two in zip(*ends, strict=True))
    assert "class_weight" not in unweighed.winner.params


def test_a_training_with_other_weights_is_not_gone_on_with(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = KeptTraining.save

    def dying(self: KeptTraining, arrays: Any) -> None:
        plain(self, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(KeptTraining, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        finetune(cache, "features.8", options=QUICK, out="cut")
    monkeypatch.setattr(KeptTraining, "save", plain)
    ends = [
        load_model(finetune(cache, "features.8", options=QUICK, class_weight="cat=9", out=out).model)[0].weights_
        for out in ("cut", "whole")
    ]
    assert all(np.array_equal(one, two) for one, two in zip(*ends, strict=True))


def test_weights_that_are_none_are_refused_before_anything_is_embedded(cache: Path) -> None:
    with pytest.raises(JobError, match="the weight of class 'cat' is -1, expected above 0"):
        finetune("no-cache", "features.8", options=QUICK, class_weight="cat=-1")
    with pytest.raises(JobError, match=r"owll.*owl"):
        finetune(cache, "features.8", options=QUICK, class_weight="owll=2")
