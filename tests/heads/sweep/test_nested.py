"""Nested folds as arrays: every image is held out once, with its group, from all that chooses and fits."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.report.nested_text import stability_text
from headstart.heads.report.rows import NestedRows
from headstart.heads.scoring.classification import score_predictions
from headstart.heads.scoring.regression import score_numbers
from headstart.heads.sweep.final import FinalScore
from headstart.heads.sweep.nested import _notes_of, plan_nested, pool_scores

Y = np.tile([0, 1, 2], 20)  # 60 images
PAIRS = np.arange(60) // 2  # groups of two


def plans_of(nested):
    """Every pair of row sets that must not share a group."""
    for plan in nested.outer:
        yield plan.train, plan.test
        yield from plan.folds
    yield from nested.whole.folds


@pytest.mark.parametrize("groups", [None, PAIRS], ids=["images", "groups"])
@pytest.mark.parametrize("stratify", [True, False])
def test_every_image_is_held_out_once(groups, stratify):
    nested = plan_nested(Y, n_outer=4, folds=3, groups=groups, stratify=stratify)
    assert sorted(np.concatenate([plan.test for plan in nested.outer])) == list(range(60))
    for number, plan in enumerate(nested.outer):
        assert sorted([*plan.train, *plan.test]) == list(range(60))
        assert np.flatnonzero(nested.fold_of == number).tolist() == plan.test.tolist()


def test_outer_folds_hold_their_share_of_every_class():
    nested = plan_nested(Y, n_outer=4, folds=3)
    assert [np.bincount(Y[plan.test]).tolist() for plan in nested.outer] == [[5, 5, 5]] * 4


@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_on_two_sides_of_anything(seed):
    for fitted, scored in plans_of(plan_nested(Y, n_outer=4, folds=3, groups=PAIRS, seed=seed)):
        assert not set(PAIRS[fitted]) & set(PAIRS[scored])


def test_what_chooses_without_a_fold_never_holds_its_images():
    for plan in plan_nested(Y, n_outer=4, folds=3, repeats=2).outer:
        assert len(plan.folds) == 6
        for rows in plan.folds:
            assert sorted(np.concatenate(rows)) == plan.train.tolist()


def test_the_model_that_is_kept_is_chosen_and_fitted_on_all_images_and_has_none_to_be_scored_on():
    whole = plan_nested(Y, n_outer=4, folds=3).whole
    assert whole.train.tolist() == list(range(60))
    assert sorted(np.concatenate([scored for _, scored in whole.folds])) == list(range(60))
    assert (len(whole.test), whole.test_name, whole.selection) == (0, "4 nested folds", "cv")


def test_names_of_groups_do_not_matter():
    plain, renamed = (plan_nested(Y, n_outer=4, groups=groups).fold_of for groups in (PAIRS, 900 - 7 * PAIRS))
    assert plain.tolist() == renamed.tolist()


@pytest.mark.parametrize("split", [["train"] * 60, [None] * 60, ["train", None] * 30], ids=["train", "none", "both"])
def test_splits_that_set_nothing_apart_are_no_obstacle(split):
    assert len(plan_nested(Y, n_outer=2, split=split).outer) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_outer": 1}, "nested is 1, expected at least 2 outer folds"),
        ({"split": ["test"] * 9 + ["train"] * 51}, r"the images bring splits \(9 test images\).*: leave out --nested"),
        ({"split": ["val", "test", None] * 20}, r"bring splits \(20 val and 20 test images\)"),
        ({"y": Y[:9]}, "'class 0' has 3 images .* each of the 5 folds: use --nested 3, or add images"),
        ({"groups": np.arange(60) // 15}, "'class 0' has 4 groups .* each of the 5 folds: use --nested 4"),
        ({"y": Y[:18]}, "without outer fold 1: 'class 0' has 4 images .* each of the 5 folds: use --folds 4"),
        ({"y": np.zeros(60, int)}, "a head needs images of at least two classes"),
        ({"folds": 1}, "folds is 1, expected at least 2"),
    ],
)
def test_what_cannot_be_nested_is_refused_with_the_way_out(options, message):
    given = {"y": Y, "n_outer": 5} | options
    with pytest.raises(DataError, match=message):
        plan_nested(given.pop("y"), **given)


def test_notes_say_without_which_outer_fold_and_of_many_the_first_are_told():
    outer = [replace(plan, notes=["a", "b"]) for plan in plan_nested(Y, n_outer=3).outer]
    assert _notes_of(outer[:1]) == ["without outer fold 1: a", "without outer fold 1: b"]
    noted = [f"without outer fold {number}: {note}" for number, note in ((1, "a"), (1, "b"), (2, "a"))]
    assert _notes_of(outer) == [*noted, "3 more such notes on outer folds"]


def part(rows, *, probability=True, number=False):
    rows = np.asarray(rows)
    if number:
        return FinalScore(rows=rows, predictions=Y[rows] + 0.1 * rows, probability=None, scores={})
    columns = np.random.default_rng(len(rows)).dirichlet(np.ones(3), size=len(rows))
    return FinalScore(
        rows=rows, predictions=columns.argmax(axis=1), probability=columns if probability else None, scores={}
    )


PARTS = [part(np.arange(start, 60, 3)) for start in (2, 0, 1)]


def test_pooled_rows_are_those_of_the_images_in_order():
    pooled = pool_scores(PARTS, Y)
    assert pooled.rows.tolist() == list(range(60))
    for one in PARTS:
        assert pooled.predictions[one.rows].tolist() == one.predictions.tolist()
        assert np.array_equal(pooled.probability[one.rows], one.probability)


@pytest.mark.parametrize("groups", [None, PAIRS], ids=["images", "groups"])
def test_pooled_scores_are_those_of_all_predictions_together(groups):
    pooled = pool_scores(PARTS, Y, groups=groups, seed=3)
    assert pooled.scores == score_predictions(Y, pooled.probability, pooled.predictions, 3, groups=groups, seed=3)


def test_without_the_probabilities_of_one_fold_there_is_no_log_loss():
    pooled = pool_scores([part(np.arange(30)), part(np.arange(30, 60), probability=False)], Y)
    assert pooled.probability is None
    assert pooled.scores["log_loss"] is None
    assert pooled.scores["accuracy"] is not None


def test_numbers_are_pooled_as_numbers():
    true = Y.astype(float)
    pooled = pool_scores([part(np.arange(40, 60), number=True), part(np.arange(40), number=True)], true)
    assert pooled.predictions == pytest.approx(true + 0.1 * np.arange(60))
    assert pooled.scores == score_numbers(true, pooled.predictions)


@pytest.mark.parametrize("parts", [PARTS[:2], [*PARTS, PARTS[0]]], ids=["missing", "twice"])
def test_an_image_that_is_missing_or_scored_twice_is_refused(parts):
    with pytest.raises(DataError, match="expected each of 60 images once"):
        pool_scores(parts, Y)


@pytest.mark.parametrize(
    ("n_same", "n_same_head", "noted"),
    [
        (5, 5, "The saved model's choice won in all 5 outer folds."),
        (2, 2, "The saved model's choice won in 2 of 5 outer folds."),
        (0, 4, "The saved model's choice won in none of 5 outer folds, and its head, with whatever parameters, in 4."),
    ],
)
def test_how_stable_the_choice_was_is_told(n_same, n_same_head, noted):
    nested = NestedRows(meaning="", n_same=n_same, n_same_head=n_same_head, folds=[None] * 5)
    assert stability_text(nested) == noted
