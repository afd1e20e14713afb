import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.splits import plan_splits

Y = np.tile([0, 1, 2], 40)  # 120 images
SIDES = np.repeat(["train", "val", "test"], 40)


def parts_of(plan):
    """Every pair of row sets that must not share a group."""
    yield plan.train, plan.test
    yield from plan.folds


def given(*present):
    """Splits with only these names: the others' images become train."""
    return [name if name in present else "train" for name in SIDES]


@pytest.mark.parametrize(
    ("present", "selection", "test_name"),
    [
        (("val", "test"), "val", "test"),
        (("val",), "cv", "val"),
        (("test",), "cv", "test"),
        ((), "cv", "held-out fifth"),
    ],
)
def test_what_chooses_and_what_is_scored_last_follows_from_the_splits(present, selection, test_name):
    plan = plan_splits(Y, split=given(*present))
    assert (plan.selection, plan.test_name) == (selection, test_name)


def test_with_val_and_test_there_is_one_fold_from_train_to_val():
    plan = plan_splits(Y, split=SIDES)
    ((fit_rows, score_rows),) = plan.folds
    assert fit_rows.tolist() == plan.train.tolist() == list(range(40))
    assert score_rows.tolist() == list(range(40, 80))
    assert plan.test.tolist() == list(range(80, 120))


@pytest.mark.parametrize(("present", "test_rows"), [(("val",), range(40, 80)), (("test",), range(80, 120))])
def test_a_single_given_split_is_scored_last_and_folds_stay_inside_train(present, test_rows):
    plan = plan_splits(Y, split=given(*present))
    assert plan.test.tolist() == list(test_rows)
    assert sorted(np.concatenate([score for _, score in plan.folds])) == sorted(set(range(120)) - set(test_rows))


@pytest.mark.parametrize("split", [None, [None] * 120, ["train"] * 120])
def test_without_splits_a_fifth_of_each_class_is_held_back(split):
    plan = plan_splits(Y, split=split)
    assert np.bincount(Y[plan.test]).tolist() == [8, 8, 8]
    assert sorted([*plan.train, *plan.test]) == list(range(120))


def test_another_share_is_named_by_its_number():
    plan = plan_splits(Y, test_size=0.25)
    assert len(plan.test) == 30
    assert plan.test_name == "held-out 0.25 of the images"


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_are_stratified_and_cover_train_once(folds):
    plan = plan_splits(Y, split=given("test"), folds=folds)
    assert len(plan.folds) == folds
    assert sorted(np.concatenate([score for _, score in plan.folds])) == plan.train.tolist()
    for fit_rows, score_rows in plan.folds:
        assert sorted([*fit_rows, *score_rows]) == plan.train.tolist()
        assert np.ptp(np.bincount(Y[score_rows])) <= 1


def test_the_seed_decides_what_is_held_back():
    first, again, other = (plan_splits(Y, seed=seed).test.tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("split", [None, SIDES, given("val"), given("test")], ids=["none", "all", "val", "test"])
def test_no_group_is_ever_on_two_sides(split, seed):
    groups = np.random.default_rng(seed).integers(60, size=120)
    plan = plan_splits(Y, split=split, groups=groups, folds=3, seed=seed)
    for left, right in parts_of(plan):
        assert not set(groups[left]) & set(groups[right])
    assert not {*plan.train, *plan.test, *np.concatenate([rows for fold in plan.folds for rows in fold])} & {
        *plan.dropped
    }


@pytest.mark.parametrize("split", [None, SIDES])
def test_a_plan_without_repeated_groups_is_the_plan_without_groups(split):
    alone, grouped = plan_splits(Y, split=split), plan_splits(Y, split=split, groups=np.arange(120)[::-1])
    assert alone.test.tolist() == grouped.test.tolist()
    assert [score.tolist() for _, score in alone.folds] == [score.tolist() for _, score in grouped.folds]


def test_held_back_groups_keep_the_shares_of_the_classes():
    groups = np.arange(120) // 6  # groups of six images; every group has two of each class
    plan = plan_splits(Y, groups=groups)
    assert np.bincount(Y[plan.test]).tolist() == [8, 8, 8]


def test_groups_that_straddle_given_splits_leave_the_side_that_is_used_first():
    groups = np.arange(120)
    groups[0] = groups[40]  # train and val
    groups[1] = groups[80]  # train and test
    groups[41] = groups[81]  # val and test
    plan = plan_splits(Y, split=SIDES, groups=groups)
    assert plan.dropped.tolist() == [0, 1, 41]
    assert plan.test.tolist() == list(range(80, 120))
    assert plan.notes == [
        "2 train images are left out: their group or the same image is also in val or test",
        "1 val images are left out: their group or the same image is also in test",
    ]


def test_images_without_a_split_count_as_train_and_a_note_says_so():
    split = [None, None, *SIDES[2:]]
    plan = plan_splits(Y, split=split)
    assert plan.train.tolist() == list(range(40))
    assert plan.notes == ["2 images have no split while others do: they count as train"]


def test_a_class_that_only_test_has_is_noted():
    y = np.where(SIDES == "test", Y, Y % 2)
    plan = plan_splits(y, split=given("test"), class_names=["ant", "bee", "cat"])
    assert plan.notes == ["'cat' has 14 test images and none in train: all of them will count as wrong"]


def test_a_class_smaller_than_the_folds_is_named_with_the_next_step():
    y = np.array([0] * 20 + [1] * 3)
    split = ["train"] * 23 + ["test"] * 2
    with pytest.raises(DataError, match=r"'bee' has 3 images to train on.*each of the 5 folds: use --folds 3, or add"):
        plan_splits(np.append(y, [0, 1]), split=split, class_names=["ant", "bee"])


def test_a_class_with_fewer_groups_than_folds_is_told_in_groups():
    y, groups = np.repeat([0, 1], 20), np.concatenate([np.arange(20), 100 + np.arange(20) // 5])
    with pytest.raises(DataError, match=r"'class 1' has 4 groups to train on"):
        plan_splits(np.append(y, [0, 1]), split=["train"] * 40 + ["test"] * 2, groups=np.append(groups, [200, 201]))


def test_folds_that_fit_on_a_single_class_are_refused():
    y = [1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0]
    groups = np.repeat([0, 1, 2], [6, 4, 3])
    with pytest.raises(DataError, match=r"fold 2 of 2 fits on 4 images of one class.*use fewer folds"):
        plan_splits([*y, 0, 1], split=["train"] * 13 + ["test"] * 2, groups=[*groups, 8, 9], folds=2)


def test_a_fold_that_fits_without_a_class_is_noted():
    y = [2, 2, 2, 1, 2, 2, 0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1]
    groups = np.repeat([0, 1, 2, 3], [3, 7, 5, 6])
    plan = plan_splits([*y, 0, 1], split=["train"] * 21 + ["test"] * 2, groups=[*groups, 8, 9], folds=2)
    assert [note for note in plan.notes if note.startswith("fold 2 of 2 fits without 'class 0'")]


def test_what_is_held_back_is_named_by_its_real_share():
    y, groups = np.tile([0, 1], 50), np.concatenate([np.zeros(60), np.arange(1, 41)]).astype(int)
    names = set()
    for seed in range(20):
        plan = plan_splits(y, groups=groups, folds=2, seed=seed)
        share = len(plan.test) / 100
        assert plan.test_name == ("held-out fifth" if 0.15 <= share < 0.25 else f"held-out {share:.2g} of the images")
        names.add(plan.test_name)
    assert len(names) > 1


def test_a_class_of_one_image_cannot_be_held_back():
    with pytest.raises(DataError, match=r"'class 1' has 1 image; holding some back needs 2"):
        plan_splits([0] * 10 + [1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [1, 1, 1]}, r"hold one class \('class 1'\)"),
        ({"y": [0, 0], "class_names": ["cats"]}, r"hold one class \('cats'\)"),
        ({"y": np.zeros(0, dtype=int)}, "hold no image"),
        ({"y": [0.5, 1.0]}, "expected whole numbers"),
        ({"y": [-1, 0, 1]}, "labels go from -1 to 1, expected 0 to 1"),
        ({"y": [0, 1, 2], "class_names": ["ant", "bee"]}, "labels go from 0 to 2, expected 0 to 1"),
        ({"y": Y, "groups": [1, 2]}, r"groups shape \(2,\)"),
        ({"y": Y, "test_size": 0.0}, "test_size is 0.0, expected a share between 0 and 1"),
        ({"y": Y, "test_size": 1.0}, "test_size is 1.0"),
        ({"y": Y, "test_size": 0.01}, "at least one of each of the 3 classes on both sides"),
        ({"y": Y, "folds": 1}, "folds is 1, expected at least 2"),
        ({"y": Y, "split": ["train"]}, "1 splits were given for 120 labels"),
        ({"y": Y, "split": ["training"] * 120}, "unknown split 'training'; expected train, val, test"),
        ({"y": Y, "split": ["test"] * 120}, "train holds no image"),
        ({"y": [0, 1, 0, 1], "split": ["train", "test"] * 2}, "train holds only 'class 0'"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(arguments, message):
    with pytest.raises(DataError, match=message):
        plan_splits(**arguments)
