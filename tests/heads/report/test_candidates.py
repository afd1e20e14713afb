"""The table of candidates: which rows it shows, and where their marks stand."""

from dataclasses import replace

import pytest
from support.report_example import candidate, report_data
from support.report_page import page, words

from headstart.heads.report.rows import ScoreRow
from headstart.heads.report.table import candidate_table, controls_table, score_scale


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


@pytest.mark.parametrize(("n_rows", "n_boxes"), [(20, 0), (21, 1)])
def test_more_than_twenty_rows_open_with_a_few_and_a_box_for_all(n_rows, n_boxes):
    rows = [candidate("logreg", 0.95 - i / 100, C=float(i)) for i in range(n_rows)]

    assert len(page(leaderboard=rows, winner=rows[0]).all("input")) == 1 + n_boxes  # the other one is for words


def test_the_table_opens_with_the_best_setting_of_each_backbone_and_head_in_order():
    rows = [
        candidate("logreg", 0.95 - i / 100, C=float(i), backbone=("resnet18", "vit_b_16")[i % 2]) for i in range(21)
    ]
    table = candidate_table(rows, rows[0], report_data().test, "accuracy")

    assert [(row["rank"], row["backbone"]) for row in table["rows"] if row["shown"]] == [
        (1, "resnet18"),
        (2, "vit_b_16"),
    ]
    assert [row["rank"] for row in table["rows"]] == list(range(1, 22))


def test_the_table_opens_with_no_more_than_twenty_of_many_heads():
    rows = [candidate(f"head {i}", 0.95 - i / 100) for i in range(30)]

    table = candidate_table(rows, rows[0], report_data().test, "accuracy")

    assert [row["shown"] for row in table["rows"]] == [True] * 20 + [False] * 10


def test_rows_that_are_tied_with_the_winner_say_so():
    first, second, third = (candidate(head, 0.9) for head in ("logreg", "knn", "lda"))
    rows = [
        first,
        replace(second, tied=True, p_value=0.3456),
        replace(third, tied=False, p_value=0.0000321),
    ]
    table = candidate_table(rows, rows[0], report_data().test, "accuracy")

    assert [(row["tied"], row["p"]) for row in table["rows"]] == [(False, ""), (True, "0.346"), (False, "< .001")]
    assert "tied marks 1 that a paired test" in words(leaderboard=rows, winner=rows[0])


def test_where_nothing_is_tied_the_winner_is_called_better():
    rows = [candidate("logreg", 0.9), replace(candidate("knn", 0.5), tied=False, p_value=0.001)]

    assert "finds the winner better than every other one" in words(leaderboard=rows, winner=rows[0])


def test_without_a_paired_test_there_is_no_column_for_it():
    assert not [header for header in page().all("th") if header.get("data-key") == "p"]


def test_numbers_are_sorted_at_full_length_and_missing_ones_are_empty():
    rows = [candidate("logreg", 0.123456789), candidate("lda", None)]
    table = candidate_table(rows, rows[0], report_data().test, "accuracy")

    assert [row["sort"]["score"] for row in table["rows"]] == ["0.123456789", ""]


def test_controls_stand_below_the_winner_with_their_scores_on_the_test_images():
    control = replace(candidate("knn", 0.99, backbone="pixels"), scores={"accuracy": ScoreRow(0.75, 0.7, 0.8)})
    data = report_data()

    table = controls_table([control], data.winner, data.test, "accuracy")

    assert table["metrics"] == ["accuracy", "log-loss"]
    assert [(row["backbone"], row["scores"][0]) for row in table["rows"]] == [
        ("mobilenet_v2", ("83.3 %", "[50.0, 97.8]")),
        ("pixels", ("75.0 %", "[70.0, 80.0]")),
    ]
    assert table["rows"][1]["scores"][1] == ("–", "")


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
