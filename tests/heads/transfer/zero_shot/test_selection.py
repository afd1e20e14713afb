"""Zero-shot on classes that are made of attributes: they are recovered, and what should not help does not."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.scoring import Score
from headstart.heads.transfer.zero_shot import (
    Chosen,
    Outcome,
    ZeroShotClassifier,
    choose_methods,
    nearest_seen,
    score_outcome,
    shuffle_vectors,
)
from headstart.heads.transfer.zero_shot.draws import draw_classes
from headstart.heads.transfer.zero_shot.outcome import harmonic_mean
from headstart.heads.transfer.zero_shot.selection import find_constant, margins_of

UNSEEN = np.array([3, 6, 9, 13])


def make(seed: int, own: float = 0.0) -> SimpleNamespace:
    """Sixteen classes of four attributes: an image shows its class's, mixed, with noise and what is its class's own."""
    rng = np.random.default_rng(seed)
    vectors = np.array(list(product([0.0, 1.0], repeat=4)))
    y = np.repeat(np.arange(16), 12)
    X = vectors[y] @ rng.normal(size=(4, 20)) + own * rng.normal(size=(16, 20))[y] + 1.5 * rng.normal(size=(len(y), 20))
    test = np.isin(y, UNSEEN) | (np.arange(len(y)) % 4 == 0)
    rows = {"fit": np.flatnonzero(~test), "test": np.flatnonzero(test), "groups": np.arange(len(y))}
    return SimpleNamespace(vectors=vectors, y=y, X=X, **rows)


def choose(made: SimpleNamespace, *methods: str) -> list[Chosen]:
    given = made.X[made.fit], made.y[made.fit], made.groups[made.fit], made.vectors
    return choose_methods(*given, methods=methods, n_unseen=len(UNSEEN))


@pytest.fixture(scope="module")
def made() -> SimpleNamespace:
    return make(0)


@pytest.fixture(scope="module")
def chosen(made: SimpleNamespace) -> list[Chosen]:
    return choose(made, "eszsl", "ridge")


def outcome_of(made: SimpleNamespace, one: Chosen, constant: float) -> Outcome:
    lam = one.lam or 1.0
    model = ZeroShotClassifier(made.vectors, method=one.method, gamma=one.gamma, lam=lam, constant=constant)
    model.fit(made.X[made.fit], made.y[made.fit])
    scores = model.decision_function(made.X[made.test])
    return score_outcome(scores, made.y[made.test], UNSEEN, made.groups[made.test])


def test_unseen_classes_are_recovered_and_shuffled_vectors_give_chance(
    made: SimpleNamespace, chosen: list[Chosen]
) -> None:
    of_unseen = made.test[np.isin(made.y[made.test], UNSEEN)]
    for one in chosen:
        found = outcome_of(made, one, one.constant).zero_shot
        assert found.value > 0.7
        fitted = made.X[made.fit], made.y[made.fit]
        tested = made.X[of_unseen], made.y[of_unseen]
        shuffled = shuffle_vectors(fitted, tested, made.vectors, gamma=one.gamma, lam=one.lam, unseen=UNSEEN, seed=0)
        assert abs(shuffled.mean - 1 / len(UNSEEN)) < 0.06
        assert shuffled.high < found.low
        assert shuffled.p_value == 1 / 201
        rival = nearest_seen(fitted, made.X[of_unseen], made.vectors, UNSEEN)[1]
        assert found.low > (rival == made.y[of_unseen]).mean()


@pytest.mark.parametrize("method", ["eszsl", "ridge"])
def test_calibration_raises_the_harmonic_mean(method: str) -> None:
    gains = []
    for seed in range(4):
        made = make(seed, own=0.8)
        (one,) = choose(made, method)
        without, calibrated = outcome_of(made, one, 0.0), outcome_of(made, one, one.constant)
        assert calibrated.zero_shot == without.zero_shot, "a constant changes nothing among the unseen"
        gains.append(calibrated.harmonic.value - without.harmonic.value)
    assert np.mean(gains) > 0.03


def test_noise_in_place_of_vectors_is_no_better_than_its_shuffles(made: SimpleNamespace) -> None:
    noise = np.random.default_rng(5).normal(size=made.vectors.shape)
    (one,) = choose(SimpleNamespace(**{**vars(made), "vectors": noise}), "ridge")
    of_unseen = made.test[np.isin(made.y[made.test], UNSEEN)]
    tested = made.X[of_unseen], made.y[of_unseen]
    fitted = made.X[made.fit], made.y[made.fit]
    assert shuffle_vectors(fitted, tested, noise, gamma=one.gamma, lam=None, unseen=UNSEEN, seed=0).p_value > 0.05


def test_text_vectors_in_the_space_of_the_features_are_used_as_they_are(made: SimpleNamespace) -> None:
    texts = np.stack([made.X[made.y == one].mean(axis=0) for one in range(16)])
    (best,) = choose(SimpleNamespace(**{**vars(made), "vectors": texts}), "clip")
    assert (best.gamma, best.lam, best.temperature) == (None, None, 1.0)
    assert best.accuracy > 0.7
    fitted, tested = (made.X[made.fit], made.y[made.fit]), (made.X[made.test[-9:]], made.y[made.test[-9:]])
    assert shuffle_vectors(fitted, tested, texts, gamma=None, lam=None, unseen=np.array([13, 15]), seed=0).p_value < 0.2


def test_the_choice_knows_nothing_of_what_is_unseen(made: SimpleNamespace, chosen: list[Chosen]) -> None:
    vectors = made.vectors.copy()
    vectors[UNSEEN] = 99.0
    assert choose(SimpleNamespace(**{**vars(made), "vectors": vectors}), "eszsl", "ridge") == chosen


def test_every_class_is_held_out_and_no_group_stands_on_two_sides(made: SimpleNamespace) -> None:
    y, groups = made.y[made.fit], np.arange(len(made.fit)) // 2
    draws = draw_classes(y, groups, 4, 0)
    assert {int(one) for draw in draws for one in draw.classes} == set(range(16)) - set(UNSEEN.tolist())
    for draw in draws:
        assert len(draw.classes) == 4
        assert not set(groups[draw.fit]) & set(groups[np.concatenate([draw.unseen, draw.seen])])
        assert set(y[draw.fit]) == set(draw.others.tolist()) == set(y[draw.seen])
        assert set(y[draw.unseen]) == set(draw.classes.tolist())


def test_too_few_classes_are_told() -> None:
    with pytest.raises(DataError, match="3 classes have both labelled images and a vector, expected 4 or more"):
        draw_classes(np.repeat(np.arange(3), 5), np.arange(15), 2, 0)


def test_the_constant_is_the_one_with_the_best_harmonic_mean() -> None:
    rng = np.random.default_rng(1)
    scores, true = rng.normal(size=(60, 5)), rng.integers(0, 5, 60)
    scores[np.arange(60), true] += 1.0
    scores[:, :3] += 0.8  # of seen classes, which are said too often
    columns, seen = np.arange(5), np.arange(3)
    constant, best = find_constant([margins_of(scores, columns, seen, true)])

    def harmonic(c: float) -> float:
        told = (scores - c * (columns < 3)).argmax(axis=1)
        recalls = [(told[true == k] == k).mean() for k in range(5)]
        u, s = np.mean(recalls[3:]), np.mean(recalls[:3])
        return float(2 * u * s / (u + s))

    assert best == pytest.approx(harmonic(constant))
    assert best >= max(harmonic(c) for c in np.linspace(-3, 3, 200)) - 0.02
    assert best > harmonic(0.0)


def test_the_harmonic_mean_has_the_ends_that_its_parts_have() -> None:
    same = Score(0.5, 0.4, 0.6)
    found = harmonic_mean(same, same)
    assert (found.value, found.low) == (0.5, pytest.approx(0.5 - 0.05 * 2**0.5))
    surer = harmonic_mean(same, replace(same, low=0.5, high=0.5))
    assert found.low < surer.low < surer.value
    assert harmonic_mean(Score(0.0, 0.0, 0.2), Score(0.0, 0.0, 0.2)) == Score(0.0, 0.0, pytest.approx(0.2))
