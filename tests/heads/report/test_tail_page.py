"""The page about a tail: beside the linear heads, epoch by epoch; it writes names as text, loads and runs nothing."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.report_example import candidate

from headstart.heads.report.charts import epochs_chart, intervals_chart
from headstart.heads.report.rows import ScoreRow, TestResult
from headstart.heads.report.tail_page import TailReport, render_tail_report
from headstart.heads.scoring import Difference


def scored(head: str, value: float, **params: object) -> Any:
    row = replace(candidate(head, value, backbone="resnet18", **params), split="val")
    return replace(row, scores={"accuracy": ScoreRow(value, value - 0.05, value + 0.05)})


TAIL = replace(scored("tail", 0.90, **{"from": "layer4"}), tap="layer3:map")
HEADS = [scored("logreg", 0.93, C=0.1), scored("ridge", 0.91), scored("lda", 0.89)]
HISTORY = [
    {"epoch": at, "phase": 1 if at < 3 else 2, "loss": 1.0 / at, "accuracy": 0.5 + at / 10}
    | {"val_loss": 1.2 / at, "val_accuracy": 0.4 + at / 10, "learning_rate": 0.1}
    for at in range(1, 6)
]


def page(**changes: Any) -> str:
    given: dict[str, Any] = {
        "title": "birds",
        "created": "2026-01-02T03:04:05+00:00",
        "winner": TAIL,
        "heads": HEADS,
        "test": TestResult(split="val", n_images=40, n_train=80, scores=TAIL.scores),
        "difference": Difference(
            metric="accuracy", value=-0.03, low=-0.08, high=0.02, p_value=0.25, n_images=40, test="exact McNemar"
        ),
        "verdict": "fine-tuning is not better than chance allows (paired test on 40 images, p = 0.25)",
        "metric": "accuracy",
        "class_names": ["crow", "owl"],
        "y_test": np.arange(40) % 2,
        "predicted": np.where(np.arange(40) == 3, 0, np.arange(40) % 2),
        "candidates": [],
        "history": HISTORY,
        "best_epoch": 5,
        "blocks": [("layer4.0", 73984, 0.001), ("fc", 1026, 0.003)],
        "mistakes": [("owl/3.png", 1, 0, 0.875)],
        "notes": ["mind the gap"],
        "provenance": [("seed", "0")],
        "command": "headstart finetune birds.headstart --from layer4",
    }
    return render_tail_report(TailReport(**(given | changes)))


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.mark.parametrize(
    "sentence",
    [
        "tail (from = layer4): 90.0 % accuracy [85.0, 95.0] on val, 40 images, scored once",
        "Fine-tuning is not better than chance allows (paired test on 40 images, p = 0.25).",
        "best linear head, chosen without these images: -3.0 points [-8.0, +2.0], p = 0.25 (exact McNemar)",
        "logreg C = 0.1 penultimate 93.0 % [88.0, 98.0]",
        "lda penultimate 89.0 %",
        "It was trained in 2 phases",
        "Epoch 5 of 5 was kept: the lowest loss on the images that choose, 0.240, at an accuracy of 90.0 %",
        "layer4.0 73 984 0.001",
        "owl/3.png owl crow 87.5 %",
        "mind the gap",
        "the same again headstart finetune birds.headstart --from layer4",
    ],
)
def test_the_page_says_how_the_tail_stands_how_it_learned_and_how_to_repeat_it(sentence: str) -> None:
    assert sentence in words(page()).replace(" ,", ",").replace(" .", ".").replace("\u00a0", " ")


def test_of_few_images_the_last_epoch_is_kept_and_no_curve_of_others_drawn() -> None:
    alone = [entry | {"val_loss": None, "val_accuracy": None, "phase": 1} for entry in HISTORY]
    text = words(page(history=alone))
    assert "Epoch 5 of 5 was kept, the last one: there are too few images for some to choose." in text
    assert "chooses the epoch" not in text
    assert "phases" not in text


def test_candidates_of_a_sweep_are_ranked_with_what_was_dropped_and_what_failed() -> None:
    dropped = replace(TAIL, score=0.5, split="1 of 5 folds")
    failed = replace(TAIL, score=None, low=None, high=None, error="training diverged in epoch 1")
    text = words(page(candidates=[replace(TAIL, split="5-fold CV", tied=True, p_value=0.5), dropped, failed]))
    assert "Candidates These scores chose, and no test image took part. The best of 3" in text
    assert "1 of 5 folds" in text
    assert "tied" in text
    assert "training diverged in epoch 1" in text


def test_names_are_written_as_text_and_nothing_is_loaded_or_run() -> None:
    assert "img-src data:" in page()  # colours of the confusion matrix
    text = page(class_names=["<script>alert(1)</script>", "b"], mistakes=[("<img src=x>", 1, 0, 0.5)], command="<b>")
    assert "<script" not in text
    assert "<img" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_figure_has_a_curve_for_each_part_and_a_line_for_each_phase() -> None:
    both, alone = (
        epochs_chart(history, "loss", 5, name="x")
        for history in (HISTORY, [entry | {"val_loss": None, "phase": 1} for entry in HISTORY])
    )
    assert 'aria-label="Loss over 5 epochs in 2 phases; epoch 5 was kept."' in both
    assert 'aria-label="Loss over 5 epochs; epoch 5 was kept."' in alone
    assert both.count("#3b7dd8") > alone.count("#3b7dd8") == 0
    assert "accuracy of 2 heads with 95 % intervals: tail, logreg." in intervals_chart([TAIL, HEADS[0]], "accuracy")


@pytest.mark.parametrize("accuracy", [1.0, 0.999, 0.5])
def test_accuracies_are_in_per_cent_and_no_tick_is_above_all(accuracy: float) -> None:
    history = [entry | {"accuracy": accuracy, "val_accuracy": None} for entry in HISTORY]
    ticks = [float(one) for one in re.findall(r">([\d.]+) %<", epochs_chart(history, "accuracy", 5, name="x"))]
    assert len(ticks) >= 2
    assert max(ticks) <= 100
    assert min(ticks) <= 100 * accuracy


def test_the_same_data_give_the_same_page() -> None:
    assert page() == page()
