"""The guided beside its controls: on the same draws, and beaten only beyond chance."""

from typing import Any

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.transfer.guidance import CONTROLS, Compared, Target, compare_arms, fewest_draws, judge
from headstart.heads.transfer.guidance.bodies import Trained

CODES = np.repeat(np.arange(3), 20)
X = np.arange(60, dtype=np.float32)[:, None]
TRAIN, TEST = np.arange(0, 60, 2), np.arange(1, 60, 2)


class Recorded:
    """A body that writes down what it is trained on, and is right where its guide says so."""

    def __init__(self) -> None:
        self.weights = {"w": np.zeros((5, 4), np.float32)}
        self.calls: list[dict[str, Any]] = []

    def train(self, X: Any, codes: Any, *, guide: Any, seed: int) -> Trained:
        rows = np.asarray(X[np.arange(len(X))])[:, 0].tolist()
        self.calls.append({"rows": rows, "codes": codes.tolist(), "guide": guide, "seed": seed})
        right = guide is None
        return Trained({}, lambda asked: CODES[TEST] if right else np.zeros(len(asked), np.intp))


def compared(body: Any, **changes: Any) -> list[Compared]:
    given = {"scope": "tensor", "shots": [1, 3], "n_draws": 4, "seed": 5} | changes
    guide = {"w": np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4)}
    return compare_arms(body, guide, Target(X=X, codes=CODES, train=TRAIN, test=TEST), **given)


def test_all_four_are_trained_on_the_same_draws_by_the_same_seeds() -> None:
    body = Recorded()
    found = compared(body)
    assert [(one.shots, len(one.accuracy["guided"])) for one in found] == [(1, 4), (3, 4)]
    assert len(body.calls) == 2 * 4 * 4
    draws = [body.calls[first : first + 4] for first in range(0, 32, 4)]
    for draw in draws:
        assert all(call["rows"] == draw[0]["rows"] and call["seed"] == draw[0]["seed"] for call in draw)
        assert set(draw[0]["rows"]) <= set(TRAIN.astype(float))
        guided, unguided, shuffled, constant = (call["guide"] for call in draw)
        assert unguided is None
        assert sorted(shuffled["w"].ravel().tolist()) == sorted(guided["w"].ravel().tolist())
        assert not np.array_equal(shuffled["w"], guided["w"])
        assert np.unique(constant["w"]).tolist() == pytest.approx([0.5])
    assert [np.bincount(draw[0]["codes"]).tolist() for draw in draws] == [[1] * 3] * 4 + [[3] * 3] * 4
    assert len({tuple(draw[0]["rows"]) for draw in draws}) == 8
    assert [draw[0]["seed"] for draw in draws[:4]] == [5, 6, 7, 8]
    assert not np.array_equal(draws[0][2]["guide"]["w"], draws[1][2]["guide"]["w"])  # shuffled anew
    assert found[0].accuracy["unguided"].tolist() == [1.0] * 4
    assert found[0].accuracy["guided"].tolist() == pytest.approx([1 / 3] * 4)


def test_more_shots_than_the_rarest_class_has_are_refused() -> None:
    with pytest.raises(DataError, match=r"11 images a class, and the rarest class has 10 to train on; ask for fewer"):
        compared(Recorded(), shots=[1, 11])


def made_up(**ahead: float) -> Compared:
    noise = np.random.default_rng(0).normal(scale=0.01, size=(3, 20))
    guided = np.full(20, 0.7)
    less = {name: guided - ahead[name] + one for name, one in zip(CONTROLS, noise, strict=True)}
    return Compared(shots=1, accuracy={"guided": guided, **less})  # type: ignore[dict-item]  # the names of the arms


def test_the_guide_beats_what_it_is_ahead_of_beyond_chance() -> None:
    tests = judge([made_up(unguided=0.05, shuffled=0.0, constant=-0.05)])
    assert [(one.control, one.beats, one.loses) for one in tests] == [
        ("unguided", True, False),
        ("shuffled", False, False),
        ("constant", False, True),
    ]
    assert tests[0].low < 0.05 < tests[0].high
    assert tests[0].difference == pytest.approx(0.05, abs=0.01)


def test_p_values_are_corrected_for_all_that_are_tested_together() -> None:
    one = made_up(unguided=0.004, shuffled=0.0, constant=0.0)
    alone, among = judge([one])[0].p_value, judge([one] * 10)[0].p_value
    assert alone < among <= 1


@pytest.mark.parametrize("n_shots", [1, 2, 4, 7])
def test_with_fewer_draws_no_difference_is_more_than_chance(n_shots: int) -> None:
    for n_draws in (fewest_draws(n_shots) - 1, fewest_draws(n_shots) + 5):
        far = {arm: np.zeros(n_draws) for arm in CONTROLS} | {"guided": np.ones(n_draws)}
        tests = judge([Compared(shots=1, accuracy=far)] * n_shots)  # type: ignore[arg-type]  # the names of the arms
        assert {one.beats for one in tests} == {n_draws >= fewest_draws(n_shots)}


def test_equal_accuracies_beat_nothing() -> None:
    same = Compared(shots=1, accuracy={arm: np.full(5, 0.5) for arm in ("guided", *CONTROLS)})
    assert all(not test.beats and not test.loses and test.p_value == 1 for test in judge([same]))
