"""Scores, curves and right answers of each class, as the page shows them."""

import base64
from dataclasses import replace

from support.report_example import candidate, class_score, everything, mistake, report_data, score_of_val, thumbnail
from support.report_page import data_of, page, words

from headstart.heads.report.classes import class_curves, classes_table, right_gallery
from headstart.heads.report.exhibits import RightAnswer
from headstart.heads.report.rows import ScoreRow
from headstart.heads.report.table import candidate_table


def right(name: str, kind: str, **changes: object) -> RightAnswer:
    given = {"path": "a.jpg", "true": name, "kind": kind, "probability": 0.9, "thumbnail": None}
    return RightAnswer(**(given | changes))


def test_classes_stand_in_the_order_given_with_all_their_scores():
    text = words(classes=[class_score("bees", 0.5, 2), class_score("ants", 0.75, 40)])

    assert "bees 50.0 % [30.0, 70.0] 80.0 % 60.0 % 70.0 % 2 ants 75.0 % [55.0, 95.0] 80.0 % 60.0 % 70.0 % 40" in text


def test_what_a_class_cannot_have_is_a_dash_and_sorts_as_nothing():
    (row,) = classes_table(report_data(classes=[class_score("bees", None, 0, precision=None)]))["rows"]

    assert (row["texts"]["recall"], row["texts"]["precision"], row["mark"], row["interval"]) == ("–", "–", None, "")
    assert (row["sort"]["recall"], row["sort"]["f1"]) == ("", "0.6")


def test_many_classes_open_with_the_first_dozen():
    rows = page(classes=[class_score(f"class {number}", 0.5, 2) for number in range(30)]).all("tr")

    folded = [row for row in rows if "data-support" in row and row.get("class") == "more"]
    assert len(folded) == 18


def test_without_classes_or_probabilities_there_is_no_section_of_them():
    assert "Class by class" not in words()
    assert class_curves(report_data(probability=None)) is None
    assert "average precision" not in words(
        classes=[class_score("bees", 0.5, 2, average_precision=None)], probability=None
    )


def test_curves_name_their_areas_the_lowest_precision_first():
    shown = class_curves(report_data())

    assert [entry["name"] for entry in shown["legend"]] == ["ants", "bees"]
    assert shown["mean_area"] == "88.9 %"
    assert "ROC AUC" in words(classes=everything()["classes"])


def test_right_answers_stand_by_class_and_kind():
    strips = right_gallery(report_data(right=[right("bees", "surest"), right("bees", "least sure"), right("ants", "")]))

    assert [(strip.name, [kind for kind, _ in strip.kinds]) for strip in strips] == [
        ("bees", ["surest", "least sure"]),
        ("ants", [""]),
    ]
    text = words(right=everything()["right"])
    assert "surest 99 % sure train/bees/b.jpg least sure no thumbnail 51 % sure train/bees/b.jpg" in text


def test_the_first_section_holds_pictures_of_mistakes_and_of_right_answers_of_each_class_in_turn():
    jpegs = [thumbnail(colour) for colour in ("red", "green", "blue")]
    given = [right(name, "surest", thumbnail=jpeg) for name, jpeg in zip(("bees", "bees", "ants"), jpegs, strict=True)]
    tags = page(right=given, mistakes=[mistake()]).tags
    sections = [at for at, (tag, _) in enumerate(tags) if tag == "section"]
    first = [attributes for tag, attributes in tags[sections[0] : sections[1]] if tag == "img"]

    assert [image["alt"] for image in first] == ["ants, taken for bees", "bees", "ants", "bees"]
    assert first[2]["src"].endswith(base64.b64encode(jpegs[2]).decode())


def test_the_map_comes_second():
    assert [section["id"] for section in page(**everything()).all("section")][:4] == [
        "result", "map", "candidates", "classes",
    ]  # fmt: skip


def test_all_mistakes_are_there_those_without_a_picture_as_a_list():
    many = [mistake(path=f"{number}.jpg", thumbnail=thumbnail() if number < 40 else None) for number in range(100)]
    shown = page(mistakes=many)

    assert all(f" {number}.jpg " in " ".join(shown.text.split()) for number in range(100))
    assert "The other 60, without pictures" in shown.text
    assert len([entry for entry in shown.all("li") if "data-pair" in entry]) == 100


def test_the_command_and_what_lies_beside_the_page_are_told():
    shown = page(command="headstart fit 'a b'", files={"predictions (CSV)": "a b#.csv"})

    assert "The same again: headstart fit 'a b'" in shown.text
    assert "a%20b%23.csv" in [link["href"] for link in shown.all("a")]
    assert "Beside this page" not in words()


def test_the_script_is_told_which_points_are_right():
    assert data_of(report_data(**everything()))["right"] == [1, 0, 1, -1, -1, -1, -1, -1]
    assert "right or wrong" not in words()


def test_the_axis_is_drawn_where_candidates_differ():
    best, other, dummy = report_data().leaderboard
    test = score_of_val(accuracy=ScoreRow(0.94, 0.91, 0.97))
    table = candidate_table([best, other, dummy], best, test, "accuracy")
    first, second, floor = (row["mark"] for row in table["rows"])

    assert (floor["beyond"], floor["at"], floor["caps"], table["floor_at"]) == ("left", 0.0, [], None)
    assert first["at"] - second["at"] > 25  # they are 5 points apart, and the floor lies 40 below
    assert (first["beyond"], table["n_beyond"]) == ("", 1)


def test_a_floor_that_is_near_is_drawn():
    best, dummy = candidate("logreg", 0.9), candidate("dummy", 0.88)
    table = candidate_table([best, dummy], best, score_of_val(accuracy=ScoreRow(0.9, 0.8, 0.95)), "accuracy")

    assert table["floor_at"] is not None
    assert table["n_beyond"] == 0


def test_a_table_opens_with_three_metrics_and_keeps_the_others():
    scores = {name: ScoreRow(0.9, 0.8, 0.95) for name in ("accuracy", "macro_f1", "mcc", "log_loss", "roc_auc")}
    row = replace(candidate("logreg", 0.9), scores=scores)
    shown = page(leaderboard=[row], winner=row)

    folded = [header.get("data-first") for header in shown.all("th") if "extra" in header.get("class", "")]
    assert folded == ["ascending", "descending"]  # log-loss and ROC AUC
    assert "Show all 5 metrics" in shown.text
    assert "Show all 2 metrics" not in words()
