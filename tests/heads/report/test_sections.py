"""The sections that a report may have: what they say, and that they are left out where there is nothing to say."""

from dataclasses import replace

import pytest
from support.report_example import candidate, everything, mistake, point, report_data, thumbnail
from support.report_page import page, words

from headstart.heads.analysis.calibration import CalibrationError
from headstart.heads.report.exhibits import CopyPairs, Reliability
from headstart.heads.report.galleries import mistakes_gallery, pair_of
from headstart.heads.report.page import render_report

OPTIONAL = {
    "few_shot": "few-shot",
    "doubt": "doubt",
    "reliability": "reliability",
    "suspects": "suspects",
    "outliers": "outliers",
    "near_copies": "copies",
}


def sections(**changes):
    return {section["id"] for section in page(**changes).all("section")}


def nav_links(**changes):
    return {link["href"].removeprefix("#") for link in page(**changes).all("a")}


@pytest.mark.parametrize(("field", "section"), OPTIONAL.items())
def test_a_section_and_its_link_are_there_with_its_data_and_not_without(field, section):
    given = {field: everything()[field]}

    assert section in sections(**given) & nav_links(**given)
    assert section not in sections() | nav_links()


@pytest.mark.parametrize(
    "changes",
    [
        {"near_copies": CopyPairs(n_found=0, threshold=0.92, pairs=[])},
        {"reliability": Reliability(bins=[], error=CalibrationError(0.0, 0.0), temperature=None)},
    ],
)
def test_a_section_with_nothing_in_it_is_left_out(changes):
    assert sections(**changes) == sections()


def test_the_curve_of_few_labels_is_also_there_in_numbers():
    assert "1 2 70.0 % [60.0, 80.0] all 244 95.4 % [91.0, 97.8]" in words(few_shot=everything()["few_shot"])


def test_other_heads_of_few_labels_stand_beside_the_winner_and_the_better_one_is_named():
    others = {"centroid": [point(1, 2, 0.9, 0.8, 0.95), point(None, 244, 0.9, 0.85, 0.95)]}
    text = words(few_shot=everything()["few_shot"], few_shot_others=others)

    assert "1 2 70.0 % [60.0, 80.0] 90.0 % all 244 95.4 % [91.0, 97.8] 90.0 %" in text
    assert "With 1 of each class, centroid does better than the winner." in text


def test_the_calibration_error_is_set_beside_what_chance_makes_of_it():
    text = words(reliability=everything()["reliability"])

    assert "Expected calibration error 4.3 %" in text
    assert "would show about 2.1 %" in text


@pytest.mark.parametrize(("temperature", "meaning"), [(1.25, "above 1, it is too sure"), (0.8, "below 1, it is surer")])
def test_the_temperature_says_what_it_means(temperature, meaning):
    text = words(reliability=replace(everything()["reliability"], temperature=temperature))

    assert f"{temperature:.2f} What the head's log-probabilities are best divided by: {meaning}" in text


def test_without_a_temperature_none_is_named():
    assert "Temperature" not in words(reliability=replace(everything()["reliability"], temperature=None))


def test_a_suspect_shows_both_classes_and_its_path():
    text = words(suspects=everything()["suspects"])

    assert "1 label looks wrong" in text
    assert "labelled ants, rather bees 91 % train/bees/b.jpg" in text


def test_of_many_suspects_some_are_folded_and_none_is_left_out():
    (one,) = everything()["suspects"]
    html = render_report(report_data(suspects=[replace(one, path=f"{number}.jpg") for number in range(40)]))
    assert "40 labels look wrong" in html
    assert html.count('data-likely="bees"') == 40
    assert html.count('data-likely="bees" class="more"') == 40 - 24
    assert "Show all 40 labels to check" in html


def test_a_suspect_without_a_probability_shows_none():
    (suspect,) = everything()["suspects"]

    assert "rather bees train/bees/b.jpg" in words(suspects=[replace(suspect, probability=None)])


def test_an_outlier_says_how_far_it_is():
    assert "no thumbnail bees 3.2 × as far train/bees/b.jpg" in words(outliers=everything()["outliers"])


def test_near_copies_are_counted_and_shown_side_by_side():
    text = words(near_copies=everything()["near_copies"])

    assert "3 pairs of almost the same image lie on different sides" in text
    assert "these 1 are the closest" in text
    assert "train train/bees/b.jpg no thumbnail bees train/bees/b.jpg2 cosine 0.987" in text


def test_controls_are_set_beside_the_winner_on_the_test_images():
    text = words(controls=everything()["controls"])

    assert "For comparison, on the same 6 images of val" in text
    assert "bees · penultimate knn 75.0 % [70.0, 80.0] –" in text


def test_without_controls_nothing_is_compared():
    assert "For comparison" not in words()


def test_with_one_candidate_there_is_no_figure_of_cost():
    assert "cost" in sections()
    only = candidate("logreg", 0.9)
    assert "cost" not in sections(leaderboard=[only], winner=only)


def test_a_cell_of_mistakes_leads_to_the_first_image_of_its_pair():
    whole = page()

    assert {link["href"] for link in whole.all("a") if link.get("data-pair") == "0-1"} == {"#pair-0-1"}
    assert [entry["id"] for entry in whole.all("li") if entry.get("data-pair") == "0-1"] == ["pair-0-1"]


def test_a_cell_whose_images_are_not_kept_leads_to_the_section():
    links = [link["href"] for link in page(mistakes=[]).all("a") if link.get("data-pair")]

    assert links == ["#mistakes", "#mistakes"]  # of the matrix and of the list


def test_of_many_classes_only_those_cells_lead_somewhere_whose_images_are_kept():
    names = ["ants", "bees", *(f"class {number}" for number in range(2, 25))]
    given = {"class_names": names, "probability": None, "predicted": report_data().predicted + 1}

    links = {link["data-pair"] for link in page(**given).all("a") if link.get("data-pair") and "aria-label" in link}

    assert links == {"0-1"}


def test_a_mistake_of_a_class_that_is_none_belongs_to_no_pair():
    assert pair_of(mistake(true="moths"), ["ants", "bees"]) is None
    assert pair_of(mistake(true="bees", predicted="ants"), ["ants", "bees"]) == (1, 0)


@pytest.mark.parametrize(("n_mistakes", "n_folded"), [(24, 0), (25, 1)])
def test_a_gallery_opens_with_twenty_four_pictures(n_mistakes, n_folded):
    listed = page(mistakes=[mistake()] * n_mistakes).all("li")

    assert [entry.get("class") for entry in listed if "data-pair" in entry].count("more") == n_folded


def test_only_the_first_image_of_a_pair_has_its_name():
    entries = mistakes_gallery(report_data(mistakes=[mistake(), mistake(thumbnail=thumbnail("red"))]))["mistakes"]

    assert [entry["is_first"] for entry in entries] == [True, False]
