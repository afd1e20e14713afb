"""What the report tells of the result, the mistakes, the map and the curves."""

import base64
from html import unescape

import numpy as np
import pytest
from support.report_example import HEADLINE, history, mistake, report_data, score_of_val, thumbnail
from support.report_page import page, words

from headstart.heads.errors import DataError
from headstart.heads.report.exhibits import Curve
from headstart.heads.report.page import render_report
from headstart.heads.report.rows import ScoreRow


def test_the_headline_is_one_sentence_to_quote(plain):
    assert HEADLINE in plain.text


def test_the_title_of_the_page_carries_the_headline():
    assert f"<title>hymenoptera: {HEADLINE}</title>" in render_report(report_data())


def test_a_single_test_image_is_counted_in_the_singular():
    test = score_of_val(1, accuracy=ScoreRow(1.0, 0.2, 1.0))
    one = {"test": test, "y_test": np.array([0]), "predicted": np.array([0]), "probability": None}

    assert "100.0 % accuracy [20.0, 100.0] on val, 1 image, scored once" in words(**one)


def test_metrics_that_the_head_cannot_have_are_left_out():
    assert "lower is better" in words()
    assert "lower is better" not in words(test=score_of_val(accuracy=ScoreRow(0.5, 0.2, 0.8)))


def test_the_notes_and_the_time_are_shown(plain):
    assert "3 duplicates of test images were dropped from train" in plain.text
    assert "2026-11-21 07:40 UTC" in plain.text


def test_the_same_data_give_the_same_bytes():
    embedding = np.random.default_rng(0).normal(size=(8, 5))

    assert render_report(report_data(embedding=embedding)) == render_report(report_data(embedding=embedding.copy()))


def test_the_most_frequent_confusions_are_counted_against_their_true_class():
    classes = {"y_test": np.array([0, 0, 0, 1, 1, 1]), "predicted": np.array([0, 1, 1, 1, 0, 1])}

    assert "ants → bees 2 of 3 bees → ants 1 of 3" in words(**classes)


def test_without_a_mistake_the_page_says_so():
    right = {"predicted": report_data().y_test, "mistakes": []}

    assert words(**right).count("None: every") == 2
    assert not page(**right).all("img")
    assert not [link for link in page(**right).all("a") if "data-pair" in link]


def test_the_legend_counts_the_images_of_each_class_and_of_the_test():
    assert "ants 4 bees 4 in val 3" in words()


def test_the_caption_of_the_map_says_how_it_was_made():
    assert "8 images as mobilenet_v2 sees them, before any head, by PCA alone." in words()
    many = {
        "embedding": np.random.default_rng(0).normal(size=(12, 4)),
        "embedding_labels": np.zeros(12, dtype=int),
        "embedding_is_test": np.zeros(12, dtype=bool),
    }
    assert "by PCA to 4 dimensions and then t-SNE. Neighbours mean likeness" in words(**many)


def test_more_classes_than_colours_have_names_on_the_map_instead_of_a_legend():
    assert "Ten colours repeat with another shape" in words(class_names=[*"abcdefghijk"], probability=None)


def test_a_thumbnail_is_embedded_byte_for_byte():
    jpeg = thumbnail("crimson")

    images = page(mistakes=[mistake(thumbnail=jpeg)]).all("img")

    assert len(images) == 2  # on the first screen, and among the mistakes
    for image in images:
        kind, encoded = image["src"].split(",")
        assert (kind, base64.b64decode(encoded)) == ("data:image/jpeg;base64", jpeg)
        assert image["alt"] == "ants, taken for bees"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ants → bees 97 % sure val/ants/a.jpg"),
        ({"probability": None}, "ants → bees val/ants/a.jpg"),
        ({"thumbnail": None}, "no thumbnail ants → bees 97 % sure val/ants/a.jpg"),
    ],
)
def test_a_mistake_shows_what_is_known_of_it(changes, expected):
    assert expected in words(mistakes=[mistake(**changes)])


def test_the_gallery_compares_the_confidence_of_right_and_wrong_answers():
    assert "Where it is right, the winner is 80 % sure on average; where it is wrong, 70 %." in words()
    assert "sure on average" not in words(probability=None)


def test_mistakes_without_probabilities_are_not_called_confident():
    ranked, unranked = words(), words(probability=None, mistakes=[mistake(probability=None)])
    assert "Most confident mistakes" in ranked
    assert "onfident" not in unranked.replace("in no order of confidence", "")
    assert "greatest confidence" not in unranked
    assert "turn up here first" not in unranked


@pytest.mark.parametrize(
    ("selection", "expected"),
    [("cv", "that of the first fold of the cross-validation"), ("val", "the fit on train that the validation split")],
)
def test_a_curve_says_which_fit_it_is_of(selection, expected):
    assert f"Each curve is {'that of ' if selection == 'val' else ''}{expected}" in words(selection=selection)


def test_a_curve_names_its_best_epoch():
    assert "Best of 3 epochs: 2, with validation loss 0.400 and accuracy 90.0 %" in words()


@pytest.mark.parametrize("curves", [[], [Curve("mlp", [])]])
def test_without_curves_there_is_no_section_and_no_link_to_it(curves):
    assert "torch heads" not in words(curves=curves)
    assert "Training" not in words(curves=curves)


def test_curves_beyond_six_are_counted_and_not_drawn():
    curves = [Curve(f"mlp {i}", history(0.5, 0.4)) for i in range(8)]

    assert "2 more are not drawn." in words(curves=curves)


def test_what_was_run_is_listed_in_full(plain):
    assert "7f3a" * 16 in plain.text
    assert "headstart run hymenoptera.toml" in plain.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicted": np.array([0, 1])}, r"predicted has shape \(2,\), expected \(6,\)"),
        ({"probability": np.zeros(6)}, r"probability has shape \(6,\), expected \(6, 2\)"),
        ({"embedding_labels": np.zeros(3, dtype=int)}, r"embedding_labels has shape \(3,\), expected \(8,\)"),
        ({"embedding_is_test": np.zeros(9, dtype=bool)}, r"embedding_is_test has shape \(9,\), expected \(8,\)"),
        ({"predicted": np.array([0, 0, 0, 1, 1, 2])}, "predicted holds classes 0…2, expected 0…1 for 2 class names"),
        ({"y_test": np.array([-1, 0, 0, 1, 1, 1])}, "y_test holds classes -1…1, expected 0…1"),
        ({"metric": "macro_f1"}, "chosen by 'macro_f1', but the test images were scored by accuracy, log_loss"),
        ({"embedding_paths": ["a.jpg"]}, "embedding_paths holds 1 entries, expected 8, one per image, or none"),
        ({"embedding_thumbnails": [None] * 9}, "embedding_thumbnails holds 9 entries, expected 8"),
        ({"test": score_of_val(7)}, "test counts 7 images, y_test holds 6"),
    ],
)
def test_data_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        report_data(**changes)


def test_names_reach_the_page_unescaped_exactly_once():
    assert "A &amp; B" in unescape(render_report(report_data(title="A &amp; B")))
    assert "A &amp;amp; B" in render_report(report_data(title="A &amp; B"))
