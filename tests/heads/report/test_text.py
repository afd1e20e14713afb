"""How numbers and names are written in a report."""

import pytest
from support.report_example import candidate

from headstart.heads.errors import DataError
from headstart.heads.report.rows import ClassChange, DecisionRows
from headstart.heads.report.table import seconds_text
from headstart.heads.report.text import (
    candidate_text,
    change_texts,
    decision_gain,
    decision_text,
    gain_text,
    interval_text,
    params_text,
    score_text,
)
from headstart.heads.scoring.metrics import metric_name


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("accuracy", 0.9542, "95.4 %"),
        ("macro_f1", 1.0, "100.0 %"),
        ("log_loss", 0.3117, "0.312"),
        ("accuracy", None, "–"),
        ("log_loss", float("nan"), "–"),
    ],
)
def test_a_score_is_written_in_per_cent_and_a_loss_in_nats(metric, value, expected):
    assert score_text(metric, value) == expected


@pytest.mark.parametrize(
    ("metric", "ends", "expected"),
    [
        ("accuracy", (0.91, 0.9779), "[91.0, 97.8]"),
        ("log_loss", (0.1, 0.25), "[0.100, 0.250]"),
        ("accuracy", (None, 0.9), ""),
        ("accuracy", (0.2, float("nan")), ""),
    ],
)
def test_an_interval_is_written_in_brackets_or_not_at_all(metric, ends, expected):
    assert interval_text(metric, *ends) == expected


@pytest.mark.parametrize(
    ("metric", "score", "floor", "expected"),
    [
        ("accuracy", 0.954, 0.542, "41.2 points above"),
        ("accuracy", 0.5, 0.542, "4.2 points below"),
        ("log_loss", 0.2, 0.693, "0.493 below"),
        ("log_loss", 0.9, 0.693, "0.207 above"),
        ("accuracy", 0.9, None, ""),
        ("accuracy", None, 0.5, ""),
    ],
)
def test_the_gain_says_on_which_side_of_the_floor_a_score_lies(metric, score, floor, expected):
    assert gain_text(metric, score, floor) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"C": 0.01}, "C = 0.01"),
        ({"C": 1e-05, "k": 5, "weights": None}, "C = 1e-05, k = 5, weights = None"),
        ({}, ""),
    ],
)
def test_parameters_are_written_as_equations(params, expected):
    assert params_text(params) == expected


def test_a_candidate_without_parameters_has_no_brackets():
    assert candidate_text(candidate("centroid")) == "mobilenet_v2 · penultimate · centroid"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro F1"), ("log_loss", "log-loss")],
)
def test_metrics_have_names_in_words(metric, expected):
    assert metric_name(metric) == expected


def test_an_unknown_metric_is_refused_and_not_taken_for_a_share():
    for ask in (lambda: metric_name("auc"), lambda: score_text("auc", 0.5), lambda: gain_text("auc", 0.5, 0.4)):
        with pytest.raises(DataError, match=r"no metric is called 'auc'; expected one of accuracy, .*, rmse"):
            ask()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.034, "0.03 s"), (1.86, "1.9 s"), (312.4, "312 s"), (None, "–")],
)
def test_seconds_keep_the_digits_that_matter(seconds, expected):
    assert seconds_text(seconds) == expected


def decision(**given):
    classes = [
        ClassChange(name=name, support=support, right_before=1, right_after=2, taken_before=taken, taken_after=4)
        for name, support, taken in (("ant", 40, 0), ("bee", 5, 2))
    ]
    usual = {"by": "mcc", "threshold": None, "multipliers": None, "costs": None, "folds_before": 0.5}
    usual |= {"folds_after": 0.625, "before": 0.25, "after": 0.5, "low": -0.125, "high": 0.625, "p_value": 0.0312}
    return DecisionRows(**usual | given, plain={}, classes=classes)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"threshold": 0.2}, "bee where its probability is at least 0.200, else ant (MCC 0.500 → 0.625 on the folds"),
        ({"multipliers": {"ant": 1.0, "bee": 2.5}}, "the largest probability times ant 1, bee 2.5 (MCC"),
        ({"by": "cost", "costs": {}}, "least expected cost, by calibrated probabilities (mean cost 0.500 → 0.625"),
    ],
)
def test_a_decision_is_said_by_its_rule_and_what_the_folds_say_of_it(given, text):
    assert text in decision_text(decision(**given))
    assert "; in each outer fold its own)" in decision_text(decision(**given), nested=True)


def test_what_a_decision_wins_is_said_with_its_interval_and_of_each_class_with_counts():
    assert decision_gain(decision(threshold=0.2)) == "MCC 0.250 → 0.500, +0.250 [-0.125, +0.625], p = 0.031"
    shares = decision_gain(decision(by="accuracy", threshold=0.2, low=None))
    assert shares == "accuracy 25.0 % → 50.0 %, +25.0 %, p = 0.031"
    assert change_texts(decision().classes[0]) == ("2.5 → 5.0 % (1 → 2)", "– → 50.0 % (of 0 → 4)")
