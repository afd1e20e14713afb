import base64
import os
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_example import HEADLINE, candidate, history, mistake, report_data, thumbnail

import heads.report
from heads.errors import DataError
from heads.report import render_report
from heads.report_table import candidate_table, score_scale, seconds_text
from heads.report_text import candidate_text, gain_text, interval_text, metric_name, params_text, score_text

CSS = (Path(heads.report.__file__).parent / "report.css").read_text(encoding="utf-8")
HOSTILE = "<script>window.pwned = 1</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Every tag with its attributes, and all text outside the style sheets."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.text = ""
        self._inside = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):  # noqa: ARG002 - the parser passes it
        self._inside = None

    def handle_data(self, data):
        if self._inside != "style":
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(**changes):
    return Page(render_report(report_data(**changes)))


def words(**changes):
    return " ".join(page(**changes).text.split())


@pytest.fixture(scope="module")
def plain():
    return page()


# the result


def test_the_headline_is_one_sentence_to_quote(plain):
    assert HEADLINE in plain.text


def test_the_title_of_the_page_carries_the_headline():
    assert f"<title>hymenoptera: {HEADLINE}</title>" in render_report(report_data())


def test_a_single_test_image_is_counted_in_the_singular():
    test = {"n_images": 1, "split": "val", "scores": {"accuracy": {"value": 1.0, "low": 0.2, "high": 1.0}}}
    one = {"test": test, "y_test": np.array([0]), "predicted": np.array([0]), "probability": None}

    assert "100.0 % accuracy [20.0, 100.0] on val, 1 image, scored once" in words(**one)


def test_metrics_that_the_head_cannot_have_are_left_out():
    scores = {"accuracy": {"value": 0.5, "low": 0.2, "high": 0.8}, "log_loss": None}

    assert "lower is better" not in words(test={"n_images": 6, "split": "val", "scores": scores})


def test_the_notes_and_the_time_are_shown(plain):
    assert "3 duplicates of test images were dropped from train" in plain.text
    assert "2026-11-21 07:40 UTC" in plain.text


def test_the_same_data_give_the_same_bytes():
    embedding = np.random.default_rng(0).normal(size=(8, 5))

    assert render_report(report_data(embedding=embedding)) == render_report(report_data(embedding=embedding.copy()))


# the candidates


def test_the_page_says_which_numbers_choose_and_which_is_the_honest_one():
    assert "Dots come from cross-validation inside train. They chose the winner" in words()
    assert "Dots come from the validation split." in words(selection="val")
    assert "The diamond is the winner on val, which took no part in the choice." in words()


def test_the_gap_to_the_floor_is_written_in_points():
    assert "without looking at the features, 55.0 %. The winner's dot lies 40.0 points above it" in words()


def test_without_a_dummy_the_page_says_that_no_floor_is_drawn():
    assert "No dummy head was tried, so no floor is drawn." in words(leaderboard=report_data().leaderboard[:2])


def test_a_candidate_that_failed_shows_its_reason(plain):
    failed = candidate("lda", None)

    assert "failed: DataError: too few images" in words(leaderboard=[*report_data().leaderboard, failed])


@pytest.mark.parametrize(("n_rows", "folded"), [(15, 0), (16, 1)])
def test_more_than_fifteen_rows_fold_all_but_the_best_of_each_head(n_rows, folded):
    rows = [candidate("logreg", 0.95 - i / 100, C=float(i)) for i in range(n_rows)]

    assert len(page(leaderboard=rows, winner=rows[0]).all("details")) == folded


def test_the_front_rows_are_the_best_setting_of_each_backbone_and_head_in_order():
    rows = [
        candidate("logreg", 0.95 - i / 100, C=float(i), backbone=("resnet18", "vit_b_16")[i % 2]) for i in range(16)
    ]
    table = candidate_table(rows, rows[0], report_data().test, "accuracy")

    assert [(row["rank"], row["backbone"]) for row in table["rows"]] == [(1, "resnet18"), (2, "vit_b_16")]
    assert [row["rank"] for row in table["folded"]] == list(range(3, 17))


def test_only_the_winner_is_marked_as_chosen():
    data = report_data()

    table = candidate_table(data.leaderboard, data.winner, data.test, "accuracy")

    assert [row["is_winner"] for row in table["rows"]] == [True, False, False]


def test_the_bar_reaches_from_the_floor_to_the_score():
    data = report_data()

    table = candidate_table(data.leaderboard, data.winner, data.test, "accuracy")
    mark = table["rows"][0]["mark"]

    assert mark["bar_at"] == table["floor_at"]
    assert mark["bar_at"] + mark["bar_width"] == pytest.approx(mark["at"], abs=0.02)
    assert mark["whisker"][0] < mark["at"] < mark["whisker"][1]


def test_the_lowest_loss_is_the_floor_of_a_loss():
    rows = [candidate("logreg", 0.2), candidate("dummy", 0.7), candidate("dummy", 1.4, strategy="uniform")]

    table = candidate_table(rows, rows[0], report_data().test, "log_loss")

    assert (table["floor"], table["gain"]) == ("0.700", "0.500 below")


@pytest.mark.parametrize(
    ("metric", "values", "low", "high"),
    [
        ("accuracy", [0.5, 0.95, 1.0], 0.4, 1.0),
        ("accuracy", [0.0, 0.03], 0.0, 0.03),
        ("accuracy", [0.9], 0.85, 0.95),
        ("log_loss", [0.12, 1.9], 0.0, 2.0),
    ],
)
def test_the_axis_holds_all_values_and_no_share_above_one(metric, values, low, high):
    scale = score_scale(metric, values)

    assert (scale.low, scale.high) == (pytest.approx(low), pytest.approx(high))
    assert all(0 <= scale.position(value) <= 100 for value in values)
    assert all(0 <= scale.position(tick) <= 100 for tick in scale.ticks)


def test_a_position_is_a_share_of_the_axis():
    assert score_scale("accuracy", [0.0, 1.0]).position(0.25) == 25.0


# wording


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
    [("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro F1"), ("log_loss", "log-loss"), ("auc", "auc")],
)
def test_metrics_have_names_in_words(metric, expected):
    assert metric_name(metric) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.034, "0.03 s"), (1.86, "1.9 s"), (312.4, "312 s"), (None, "–")],
)
def test_seconds_keep_the_digits_that_matter(seconds, expected):
    assert seconds_text(seconds) == expected


# confusions, map, mistakes, curves, provenance


def test_the_most_frequent_confusions_are_counted_against_their_true_class():
    classes = {"y_test": np.array([0, 0, 0, 1, 1, 1]), "predicted": np.array([0, 1, 1, 1, 0, 1])}

    assert "ants → bees 2 of 3 bees → ants 1 of 3" in words(**classes)


def test_without_a_mistake_the_page_says_so():
    right = {"predicted": report_data().y_test, "mistakes": []}

    assert words(**right).count("None: every") == 2
    assert not page(**right).all("img")


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

    (image,) = page(mistakes=[mistake(thumbnail=jpeg)]).all("img")

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


@pytest.mark.parametrize("curves", [[], [{"name": "mlp", "history": []}]])
def test_without_curves_there_is_no_section_and_no_link_to_it(curves):
    assert "torch heads" not in words(curves=curves)
    assert "Training" not in words(curves=curves)


def test_curves_beyond_six_are_counted_and_not_drawn():
    curves = [{"name": f"mlp {i}", "history": history(0.5, 0.4)} for i in range(8)]

    assert "2 more are not drawn." in words(curves=curves)


def test_what_was_run_is_listed_in_full(plain):
    assert "7f3a" * 16 in plain.text
    assert "headstart run hymenoptera.toml" in plain.text


# what a page that is passed around must keep


@pytest.fixture(scope="module")
def hostile():
    rows = [candidate(HOSTILE, 0.9, backbone=HOSTILE, C=HOSTILE), candidate("lda", None) | {"error": HOSTILE}]
    return page(
        title=HOSTILE,
        class_names=[HOSTILE, "bees"],
        test_name=HOSTILE,
        selection=HOSTILE,
        notes=[HOSTILE],
        leaderboard=rows,
        winner=rows[0],
        mistakes=[mistake(path=HOSTILE, true=HOSTILE, predicted=HOSTILE)],
        curves=[{"name": HOSTILE, "history": history(0.5, 0.4)}],
        provenance=[(HOSTILE, HOSTILE)],
    )


def test_hostile_names_are_shown_as_text(hostile):
    assert hostile.text.count(HOSTILE) > 15


def test_hostile_names_add_no_element_and_no_handler(hostile, plain):
    added = {tag for tag, _ in hostile.tags} - {tag for tag, _ in plain.tags}

    assert added == {"code"}  # where the page says that no dummy was tried
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere(hostile):
    links = [attributes.get(name, "#") for _, attributes in hostile.tags for name in ("src", "href", "xlink:href")]

    assert all(link.startswith(("data:image/", "#")) for link in links)
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_the_policy_forbids_everything_but_inline_style_and_embedded_images(plain):
    (policy,) = (meta["content"] for meta in plain.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")

    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_ids_are_unique_and_links_lead_somewhere():
    curves = [{"name": "mlp", "history": history(0.5, 0.4)}] * 3
    tags = page(curves=curves).tags
    ids = Counter(attributes["id"] for _, attributes in tags if "id" in attributes)

    assert max(ids.values()) == 1
    assert {attributes["href"].removeprefix("#") for tag, attributes in tags if tag == "a"} <= set(ids)
    assert {attributes.get("aria-labelledby") for tag, attributes in tags if tag == "section"} <= set(ids)


def test_a_path_that_is_no_utf8_can_be_written():
    path = os.fsdecode(b"val/ants/\xff.jpg")

    page_bytes = render_report(report_data(mistakes=[mistake(path=path)], class_names=[path, "bees"])).encode("utf-8")

    assert b"val/<wbr>ants/<wbr>\\udcff.jpg" in page_bytes


def test_a_full_page_stays_below_one_and_a_half_megabytes(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(heads.report, "project", lambda embedding: rng.normal(size=(len(embedding), 2)))

    html = render_report(
        report_data(
            mistakes=[mistake(thumbnail=rng.bytes(15_000))] * 24,
            embedding=np.zeros((2000, 4)),
            embedding_labels=rng.integers(0, 2, 2000),
            embedding_is_test=rng.random(2000) < 0.3,
        )
    )

    assert len(html.encode()) < 1_500_000


def test_figures_speak_or_are_hidden_from_readers_who_cannot_see(plain):
    outer = [svg for svg in plain.all("svg") if svg.get("class") != "mark"]

    assert all(svg.get("aria-label") or svg.get("aria-hidden") == "true" for svg in outer)
    assert all(image["alt"] for image in plain.all("img"))


def test_table_headers_say_what_they_head(plain):
    assert plain.all("th")
    assert all(header["scope"] in {"col", "row"} for header in plain.all("th"))


def test_there_is_one_top_heading_and_one_of_each_landmark(plain):
    assert [len(plain.all(tag)) for tag in ("h1", "main", "header", "footer", "nav")] == [1, 1, 1, 1, 1]


def colours_of(theme):
    """Return the custom properties of the light (first) or dark (second) theme."""
    block = re.findall(r":root \{([^}]*)\}", CSS)[("light", "dark").index(theme)]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, "page") for text in ("ink", "soft", "accent", "honest", "failure")),
        *((text, "raised") for text in ("ink", "soft")),
        *((text, "honest-page") for text in ("ink", "soft", "honest")),
    ],
)
def test_text_has_the_contrast_of_wcag_aa(theme, text, ground):
    colours = colours_of(theme)
    darker, lighter = sorted((luminance(colours[text]), luminance(colours[ground])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


# data that do not fit


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
        ({"test": {"n_images": 7, "split": "val", "scores": {}}}, "test counts 7 images, y_test holds 6"),
    ],
)
def test_data_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        report_data(**changes)


def test_names_reach_the_page_unescaped_exactly_once():
    assert "A &amp; B" in unescape(render_report(report_data(title="A &amp; B")))
    assert "A &amp;amp; B" in render_report(report_data(title="A &amp; B"))
