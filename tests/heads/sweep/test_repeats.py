"""Rounds of choosing: other folds and other seeds each time, and intervals that know an image by its several scores."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from support.sweep_example import PIXELS, X, Y

from headstart.heads.errors import DataError
from headstart.heads.registry.candidates import Candidate, expand
from headstart.heads.registry.table import HEADS
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.run import sweep
from headstart.heads.sweep.trial import Task, run_trial

THREE_ROUNDS = plan_splits(Y, folds=3, repeats=3)


def test_every_round_scores_every_training_image_once_in_other_folds():
    assert (len(THREE_ROUNDS.folds), THREE_ROUNDS.repeats) == (9, 3)
    rounds = [THREE_ROUNDS.folds[at : at + 3] for at in (0, 3, 6)]
    for one in rounds:
        assert np.sort(np.concatenate([scored for _, scored in one])).tolist() == THREE_ROUNDS.train.tolist()
    assert len({one[0][1].tobytes() for one in rounds}) == 3
    assert [THREE_ROUNDS.round_of(fold) for fold in range(9)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_the_first_round_is_what_one_round_would_be():
    plain = plan_splits(Y, folds=3)
    for mine, theirs in zip(THREE_ROUNDS.first_folds, plain.folds, strict=True):
        assert mine[0].tolist() == theirs[0].tolist()
        assert mine[1].tolist() == theirs[1].tolist()
    assert THREE_ROUNDS.test.tolist() == plain.test.tolist()


def test_where_val_chooses_its_rounds_differ_in_the_seed_alone():
    plan = plan_splits(Y, split=np.repeat(["train", "val", "test"], 100), repeats=2)
    first, second = plan.folds
    assert first[0].tolist() == second[0].tolist()
    assert first[1].tolist() == second[1].tolist()


def test_no_round_at_all_is_refused():
    with pytest.raises(DataError, match="repeats is 0, expected at least 1"):
        plan_splits(Y, repeats=0)


@pytest.mark.parametrize("head", ["centroid", "ridge", "boosting"])
def test_the_score_is_the_mean_over_the_rounds_each_with_a_seed_of_its_own(head):
    """Two candidates go through a grid's path where there is one, a single one through the stock estimator."""
    fine = {"alpha": (0.1, 10.0)} if head == "ridge" else {}
    small = X[:, :12]
    source = PIXELS if head != "boosting" else type(PIXELS)(features=small, backbone="p", tap="raw", key="k")
    result = sweep(expand([source], [head], {head: fine} if fine else None)[:2], Y, THREE_ROUNDS, seed=5)[0]
    expected, within = [], []
    features = np.asarray(source.features, dtype=np.float32)
    for number, (fit, scored) in enumerate(THREE_ROUNDS.folds):
        model = HEADS[head].make(result.candidate.params, 5 + number // 3).fit(features[fit], Y[fit])
        right = model.predict(features[scored]) == Y[scored]
        expected.extend(right)
        within.append(right.mean())
    assert result.scores["accuracy"].value == pytest.approx(np.mean(expected))
    assert [fold["accuracy"] for fold in result.per_fold] == pytest.approx(within)


def test_rounds_do_not_make_images_out_of_nothing():
    """Scores of one image are one draw: three rounds of a head that always says the same leave its interval alone."""
    y = load_digits().target[:300] < 3

    def interval(repeats):
        plan = plan_splits(y.astype(int), folds=3, repeats=repeats)
        task = Task(y=y.astype(int), n_classes=2, plan=plan, groups=None, seed=0)
        dummy = Candidate(features=None, backbone="p", tap="raw", key="k", head="dummy", params={})
        return run_trial(dummy, HEADS["dummy"], X, task).scores["accuracy"]

    once, often = interval(1), interval(3)
    assert often.value == once.value
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.03)
