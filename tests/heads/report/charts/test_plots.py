"""The figures of scores: what is drawn where, and what is left out."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from support.report_example import candidate, everything, point

from headstart.heads.report.charts.charts import HEAT
from headstart.heads.report.charts.plots import cost_chart, few_shot_chart, reliability_chart


def parsed(svg):
    return ET.fromstring(f'<page xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</page>')[0]  # noqa: S314 - our own SVG


def texts(svg):
    return [element.text for element in parsed(svg).iter("text")]


def rows(*given):
    """Return rows of the leaderboard from (head, score, seconds)."""
    return [replace(candidate(head, score), fit_seconds=seconds) for head, score, seconds in given]


def dots(svg):
    """Return the places of the dots of the heads' best, from left to right."""
    used = [use for use in parsed(svg).iter("use") if f"fill: {HEAT}" in (use.get("style") or "")]
    return sorted((float(use.get("x")), float(use.get("y"))) for use in used)


def test_the_best_of_each_head_is_named_once():
    svg, _ = cost_chart(rows(("logreg", 0.95, 1), ("logreg", 0.94, 2), ("knn", 0.9, 0.1)), "accuracy")

    assert sorted(text for text in texts(svg) if text in ("logreg", "knn")) == ["knn", "logreg"]
    assert len(dots(svg)) == 2


def test_a_fit_that_takes_ten_times_as_long_lies_one_step_further_right():
    svg, _ = cost_chart(rows(("a", 0.95, 0.1), ("b", 0.94, 1.0), ("c", 0.93, 10.0)), "accuracy")

    (first, _), (second, _), (third, _) = dots(svg)
    assert second - first == pytest.approx(third - second, rel=1e-3)
    assert first < second


def test_a_better_score_lies_higher():
    svg, _ = cost_chart(rows(("a", 0.95, 0.1), ("b", 0.85, 1.0)), "accuracy")

    (_, better), (_, worse) = dots(svg)
    assert better < worse  # SVG counts downwards


def test_the_dummy_and_what_is_far_worse_are_counted_and_not_drawn():
    given = rows(("a", 0.95, 1), ("b", 0.9, 1), ("b", 0.5, 1), ("dummy", 0.2, 0.1), ("lda", None, 1))

    svg, n_left_out = cost_chart(given, "accuracy")

    assert n_left_out == 2
    assert "dummy" not in texts(svg)


@pytest.mark.parametrize(
    "given", [[], [("a", 0.9, 1)], [("a", 0.9, 1), ("dummy", 0.5, 1)], [("a", 0.9, 1), ("b", 0.9, None)]]
)
def test_fewer_than_two_candidates_make_no_figure(given):
    assert cost_chart(rows(*given), "accuracy") is None


def test_a_fit_of_no_time_at_all_still_has_a_place():
    svg, _ = cost_chart(rows(("a", 0.95, 0.0), ("b", 0.94, 1.0)), "accuracy")

    assert len(dots(svg)) == 2


@pytest.mark.parametrize("seconds", [0.0, 1e-4, 0.002, 1.0, 3600.0])
def test_candidates_that_took_the_same_time_are_drawn_without_a_warning(seconds: float) -> None:
    drawn = cost_chart(rows(("a", 0.95, seconds), ("a", 0.94, seconds), ("a", 0.93, seconds)), "accuracy")
    assert drawn is not None


def test_names_of_heads_beside_each_other_do_not_overlap():
    svg, _ = cost_chart(rows(*((f"head {number}", 0.95, 1 + number / 100) for number in range(6))), "accuracy")

    lines = [
        round(float(re.findall(r"[\d.]+", text.get("y") or text.get("transform"))[-1 if text.get("y") else 1]) / 9)
        for text in parsed(svg).iter("text")
        if text.text.startswith("head")
    ]
    assert len(lines) == 6
    assert len(set(lines)) >= 4  # no more than one on either side of the dots stands on a line


def test_the_cost_of_a_loss_is_labelled_as_one():
    svg, _ = cost_chart(rows(("a", 0.3, 0.1), ("b", 0.4, 1.0)), "log_loss")

    assert "log-loss, lower is better" in texts(svg)


def test_the_last_point_of_the_curve_of_few_labels_is_called_all():
    svg = few_shot_chart(everything()["few_shot"], 2)

    assert {"1", "all"} <= set(texts(svg))
    assert parsed(svg).get("aria-label") == "Accuracy against images per class: 70.0 % with 1, 95.4 % with all."


def test_curves_of_other_heads_stand_beside_the_winners_with_their_names():
    others = {"centroid": [point(1, 2, 0.8, 0.7, 0.9), point(None, 244, 0.9, 0.85, 0.95)]}
    svg = few_shot_chart(everything()["few_shot"], 2, winner="logreg", others=others)

    assert {"logreg", "centroid"} <= set(texts(svg))
    assert "centroid" not in texts(few_shot_chart(everything()["few_shot"], 2, winner="logreg"))


def test_a_label_too_close_to_all_makes_room():
    curve = [point(size, 2 * (size or 55), 0.7, 0.6, 0.8) for size in (1, 50, None)]

    assert "50" not in texts(few_shot_chart(curve, 2))


def test_the_reliability_of_each_bin_lies_at_its_confidence():
    svg = reliability_chart(everything()["reliability"])

    assert len(dots(svg)) == 2
    assert "in 2 groups of 84 images; the expected calibration error is 4.3 %" in parsed(svg).get("aria-label")


def test_a_bin_without_images_is_not_drawn():
    reliability = everything()["reliability"]
    empty = replace(reliability.bins[0], count=0)

    assert len(dots(reliability_chart(replace(reliability, bins=[empty, reliability.bins[1]])))) == 1
