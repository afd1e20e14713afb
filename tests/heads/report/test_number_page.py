"""The page about predicted numbers: what it says, that it writes names as text, and that it loads nothing."""

from dataclasses import replace

import numpy as np
import pytest
from support.report_example import candidate

from headstart.heads.report.number_page import NumberReport, render_number_report, residual_chart, scatter_chart
from headstart.heads.report.rows import ScoreRow, TestResult
from headstart.heads.report.text import interval_text, score_text
from headstart.heads.scoring.metrics import metric_name

ROW = replace(candidate("ridge", 0.91, backbone="resnet18", alpha=10.0), metric="r2", low=0.85, high=0.95)
SCORES = {"r2": ScoreRow(0.9, 0.8, 0.95), "mae": ScoreRow(1.3, None, None)}
TRUE = np.linspace(0.0, 10.0, 21)


def page(**changes):
    failed = replace(ROW, head="mlp", score=None, low=None, high=None, error="it diverged")
    given = {
        "title": "apples",
        "target": "weight",
        "created": "2026-01-02T03:04:05+00:00",
        "metric": "r2",
        "leaderboard": [ROW, replace(ROW, head="knn", tied=True), failed],
        "test": TestResult(split="test", n_images=21, n_train=80, scores=SCORES),
        "true": TRUE,
        "predicted": TRUE + 0.5,
        "worst": [("a.png", 3.0, 5.5)],
        "notes": ["mind the gap"],
        "provenance": {"seed": "0"},
    }
    return render_number_report(NumberReport(**(given | changes)))


@pytest.mark.parametrize(
    "sentence",
    [
        "resnet18 · penultimate · ridge (alpha = 10): 0.900 R² [0.800, 0.950] on test, 21 images, scored once",
        "it diverged",
        ">tied<",
        "mind the gap",
        "+2.5",
        '<span class="value">1.300</span>',
    ],
)
def test_the_page_says_what_won_what_failed_and_where_it_errs(sentence):
    assert sentence in page()


def test_names_are_written_as_text_and_nothing_is_loaded():
    text = page(target="<script>alert(1)</script>", worst=[("<img src=x>", 1.0, 2.0)])
    assert "<script" not in text
    assert "<img" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_path_that_is_no_utf_8_can_be_written():
    assert r"\udcff.png" in page(worst=[("\udcff.png", 1.0, 2.0)]).encode("utf-8").decode()


@pytest.mark.parametrize("chart", [scatter_chart, residual_chart])
def test_a_chart_draws_every_image_and_of_very_many_some(chart):
    few, many = (chart(np.arange(float(n)), np.arange(float(n)), "weight") for n in (21, 9000))
    assert few.count("<use") >= 21
    assert 3000 <= many.count("<use") < 3100


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("r2", 0.98765, "0.988"),
        ("r2", -0.5, "-0.500"),
        ("mae", 1.3, "1.300"),
        ("rmse", 1234.0, "1234"),
        ("rmse", 0.00012345, "0.0001234"),
        ("mae", None, "–"),
    ],
)
def test_scores_of_numbers_are_not_written_in_per_cent(metric, value, text):
    assert score_text(metric, value) == text


def test_an_open_interval_is_not_written():
    assert interval_text("mae", 0.0, None) == ""


def test_metrics_of_numbers_have_their_usual_names():
    assert [metric_name(name) for name in ("r2", "mae", "rmse")] == ["R²", "MAE", "RMSE"]
