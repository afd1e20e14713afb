"""The report's section on what the model does not know: coverage by class, set sizes, risk against coverage."""

import pytest
from support.report_example import measured
from support.report_page import page, words

from headstart.heads.coverage.measured import ClassCoverage
from headstart.heads.coverage.share import Share
from headstart.heads.report.charts.coverage import risk_chart, sizes_chart


def section(**changes):
    text = words(doubt=measured(**changes))
    return text[text.rindex("“I do not know”") :]


def test_what_was_asked_for_stands_beside_what_was_measured_with_its_interval():
    text = section()
    assert "a set of classes (RAPS), which is to hold the true one for 90 % of the images, and a distance" in text
    assert "class in its set 83.3 % [43.6, 97.0] asked for 90 %" in text
    assert "taken for outliers 16.7 % [3.0, 56.4] stated: 5 %" in text
    assert "answered, where it abstains 50.0 %" in text
    assert "right among these 100.0 %" in text
    assert "farther than 41.25 from those of the fit is taken for an outlier" in text


def test_classes_stand_with_their_coverage_its_interval_and_the_size_of_their_sets():
    assert "bees 3 66.7 % [20.8, 93.9] 1.25 33.3 % ants 3 100.0 % [43.9, 100.0] 1.00 66.7 %" in section()
    assert "for 90 % of the images of each class" in section(by_class=True)


def test_where_sets_were_calibrated_is_told_with_what_that_promises():
    assert "244 images of train, each said by a fit that had not seen it" in section()
    assert "that is measured here, and not proven" in section()
    assert "244 images of val, which fitted nothing" in section(held_out=True)
    assert "here val chose it among the candidates, too" in section(held_out=True)


@pytest.mark.parametrize(("n_covered", "missed"), [(89, True), (96, False)])
def test_a_coverage_that_is_missed_by_more_than_chance_is_said(n_covered, missed):
    covered = Share.counted([1] * n_covered + [0] * (100 - n_covered))
    assert ("by more than chance: val is not like what calibrated" in section(covered=covered, coverage=0.97)) is missed


def test_folds_that_are_covered_unevenly_are_said():
    even, uneven = (
        [Share.counted([1] * n + [0] * (50 - n)) for n in counts] for counts in ((44, 46, 45), (30, 50, 49))
    )
    assert "thresholds that hold for all of them" in section(by_fold=uneven)
    assert "thresholds that hold for all of them" not in section(by_fold=even)


def test_of_very_many_classes_the_worst_covered_stand_in_the_page():
    share = Share.counted([1, 0])
    text = section(classes=[ClassCoverage(f"class-{number}", share, 1.0, share) for number in range(50)])
    assert "class-29" in text
    assert "class-30" not in text
    assert "20 more classes are covered at least as well." in text


def test_a_model_that_answers_nothing_and_a_class_without_images_are_shown():
    none = Share.counted([])
    text = section(answered=Share.counted([0] * 6), right=none, classes=[ClassCoverage("bees", none, None, none)])
    assert "right among these –" in text
    assert "The dot is" not in text


def test_charts_say_what_they_show():
    assert "16.7 % where all images are answered, 0.0 % where the model abstains" in risk_chart(measured())
    assert "1 of 0, 3 of 1, 2 of 2" in sizes_chart(measured())
    assert "5 of 11, 40 of ≥ 12" in sizes_chart(measured(sizes=[0] * 11 + [5] + [10] * 4))
    assert page(doubt=measured()).all("svg")
