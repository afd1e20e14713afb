"""Several layers and rates are candidates: by the folds of all heads, without the test images, halved on the way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning import sweep as tail_sweep
from headstart.flows.fitting.finetuning.kept import KeptTraining
from headstart.flows.fitting.finetuning.sweep import n_kept, n_trainings
from headstart.flows.fitting.finetuning.trainer import TailTrainer
from headstart.flows.options import FinetuneOptions
from headstart.heads.errors import DataError
from headstart.heads.saving import load_model

LAYERS = ["features.4", "features.8"]
QUICK = FinetuneOptions(
    epochs=2, batch_size=8, min_steps=1, folds=3, learning_rate=[0.05, 1e-7], start="fresh", optimizer="adamw"
)


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=["penultimate"])


def test_candidates_stand_with_the_linear_heads_in_one_leaderboard_by_the_same_folds(cache: Path) -> None:
    summary = finetune(cache, LAYERS, options=QUICK)
    tails = [row for row in summary.candidates if row.head == "tail"]
    assert {(row.params["from"], row.params["learning_rate"]) for row in tails} == {
        (layer, rate) for layer in LAYERS for rate in (0.05, 1e-7)
    }
    assert {row.head for row in summary.candidates} == {"tail", "logreg", "ridge", "lda"}
    assert {row.split for row in summary.candidates} == {"3-fold CV"}
    scores = [row.score for row in summary.candidates]
    assert scores == sorted(scores, reverse=True)
    assert summary.candidates[0].tied is None
    assert any(row.tied is False for row in summary.candidates)  # a rate that teaches nothing
    table = pd.read_csv(summary.table)
    assert table["head"].tolist() == [row.head for row in summary.candidates]
    assert "3-fold CV" in Path(summary.report).read_text()
    best = tails[0]
    assert best.params["learning_rate"] == 0.05
    assert (summary.layer, summary.tap, summary.winner.params) == (best.params["from"], best.tap, best.params)
    assert summary.winner.split == "held-out fifth"


def test_maps_of_several_layers_are_extracted_in_one_go(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = finetune(cache, LAYERS, options=QUICK, progress=True)
    lines = capsys.readouterr().err.replace("\n", " ")
    assert lines.count("the cache lacks features.3:map, features.7:map: it is extracted from") == 1
    assert lines.count("embedding small_cnn") == 1
    assert summary.extracted == 36
    first = summary.candidates[0]
    note = f"by 3-fold CV, {first.head} stands above every tail"
    assert (note in summary.notes) == (first.head != "tail")


@pytest.mark.usefixtures("ridge_alone")
def test_the_chosen_one_is_what_it_would_be_alone(cache: Path) -> None:
    swept = finetune(cache, LAYERS, options=QUICK, out="swept")
    alone = finetune(cache, swept.layer, options=QUICK, learning_rate=0.05, out="alone")
    assert alone.candidates == []
    ends = [load_model(one.model)[0].weights_ for one in (swept, alone)]
    assert all(np.array_equal(one, two) for one, two in zip(*ends, strict=True))
    assert swept.test.scores == alone.test.scores


@pytest.mark.usefixtures("ridge_alone")
def test_no_test_image_is_looked_at_before_the_choice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[int]] = []
    plain = TailTrainer.predict

    def watched(self: TailTrainer, head: Any, choice: Any, rows: Any) -> Any:
        asked.append(set(rows.tolist()))
        return plain(self, head, choice, rows)

    monkeypatch.setattr(TailTrainer, "predict", watched)
    finetune(cache, LAYERS, options=QUICK)
    *before, test = asked
    assert len(before) == 4 * 3
    assert len(test) == 8
    assert not set().union(*before) & test


@pytest.mark.usefixtures("ridge_alone")
def test_the_worse_half_is_dropped_after_each_fold_and_that_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_sweep, "FINALISTS", 1)
    monkeypatch.setattr("headstart.flows.fitting.finetuning.conclusion.FINALISTS", 1)
    summary = finetune(cache, LAYERS, options=QUICK)
    tails = [row for row in summary.candidates if row.head == "tail"]
    assert [row.split for row in tails] == ["3-fold CV", "2 of 3 folds", "1 of 3 folds", "1 of 3 folds"]
    assert [row.p_value for row in tails[1:]] == [None] * 3
    assert [row.split for row in summary.candidates[-3:]] == [row.split for row in tails[1:]]
    assert any("4 candidates: after each fold the worse half was dropped, down to 1" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("n_candidates", "n_folds", "n_each"), [(4, 5, [4] * 5), (12, 5, [12, 6, 4, 4, 4]), (9, 1, [9])]
)
def test_four_go_through_every_fold(n_candidates: int, n_folds: int, n_each: list[int]) -> None:
    assert n_trainings(n_candidates, n_folds) == sum(n_each)
    assert n_kept(n_each[0]) == n_each[min(1, len(n_each) - 1)] or n_folds == 1


@pytest.mark.usefixtures("ridge_alone")
def test_a_candidate_that_diverges_is_told_and_the_others_go_on(cache: Path) -> None:
    summary = finetune(cache, "features.8", options=QUICK, optimizer="sgd", learning_rate=[0.01, 1e30])
    assert summary.candidates[-1].error is not None
    assert "diverged in epoch 1" in summary.candidates[-1].error
    assert summary.winner.params["learning_rate"] == 0.01
    with pytest.raises(DataError, match="none of 2 candidates could be trained, the first because training diverged"):
        finetune(cache, "features.8", options=QUICK, optimizer="sgd", learning_rate=[1e30, 1e31])


@pytest.mark.usefixtures("ridge_alone")
def test_an_interrupted_sweep_trains_nothing_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(QUICK, learning_rate=[0.05, 0.02])
    whole = finetune(cache, "features.8", options=options, out="whole")
    plain, saved = KeptTraining.save, []

    def dying(self: KeptTraining, arrays: Any) -> None:
        plain(self, arrays)
        saved.append(self.identity)
        if len(saved) in (3, 6, 13):
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptTraining, "save", dying)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            finetune(cache, "features.8", options=options, out="cut")
    again = finetune(cache, "features.8", options=options, out="cut")
    assert len(saved) == (2 * 3 + 1) * 2  # no epoch twice
    assert again.candidates == [replace(row, fit_seconds=other.fit_seconds) for row, other in _pairs(whole, again)]
    assert again.test == whole.test


def _pairs(one: Any, two: Any) -> Any:
    return zip(one.candidates, two.candidates, strict=True)
