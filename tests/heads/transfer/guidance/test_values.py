"""Guide values on movements that can be computed by hand, and the values of the controls."""

from typing import Any

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.transfer.guidance import GuideRule, constant, shuffled

A, B = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), np.array([11.0], np.float32)
MOVED = {"a": A, "b": B}


def guide(**rule: Any) -> dict[str, list[Any]]:
    return {name: np.round(values, 6).tolist() for name, values in GuideRule(**rule).of(MOVED).items()}


@pytest.mark.parametrize(
    ("focus", "of_a", "of_b"),
    [
        ("raw", [[1, 2], [3, 5]], [11]),
        ("zero", [[0, 1], [2, 4]], [0]),
        ("normalised", [[0.2, 0.4], [0.6, 1]], [1]),
        ("both", [[0, 0.25], [0.5, 1]], [1]),  # one weight alone has nothing to be held against
    ],
)
def test_the_focus_of_each_tensor(focus: Any, of_a: list[Any], of_b: list[Any]) -> None:
    found = guide(focus=focus)
    assert found["a"] == [pytest.approx(row) for row in of_a]
    assert found["b"] == pytest.approx(of_b)


@pytest.mark.parametrize(
    ("focus", "of_a", "of_b"),
    [
        ("raw", [[1, 2], [3, 5]], [11]),
        ("zero", [[0, 1], [2, 4]], [10]),
        ("normalised", [[1 / 11, 2 / 11], [3 / 11, 5 / 11]], [1]),
        ("both", [[0, 0.1], [0.2, 0.4]], [1]),
    ],
)
def test_the_focus_of_the_whole_model(focus: Any, of_a: list[Any], of_b: list[Any]) -> None:
    found = guide(focus=focus, scope="model")
    assert found["a"] == [pytest.approx(row, abs=1e-6) for row in of_a]
    assert found["b"] == pytest.approx(of_b)


@pytest.mark.parametrize(
    ("temperature", "of_a"),
    [
        ("freezing", [[0, 0], [0, 1]]),
        ("icy", [[0, 0], [0, 1]]),
        ("room", [[0, 0.25], [0.5, 1]]),
        ("warm", [[0.5, 0.625], [0.75, 1]]),
        ("evaporating", [[1, 1.0625], [1.125, 1.25]]),
    ],
)
def test_the_temperatures(temperature: Any, of_a: list[Any]) -> None:
    assert guide(temperature=temperature)["a"] == [pytest.approx(row) for row in of_a]


def test_icy_lets_the_upper_half_through() -> None:
    moved = {"a": np.arange(5, dtype=np.float32)}  # shares 0, 1/4, 1/2, 3/4, 1
    assert GuideRule(temperature="icy").of(moved)["a"].tolist() == [0, 0, 0, 0.5, 1]


@pytest.mark.parametrize("focus", ["raw", "zero", "normalised", "both"])
def test_freezing_frees_the_top_hundredth_of_the_scope(focus: Any) -> None:
    moved = {"a": np.arange(100, dtype=np.float32), "b": np.arange(300, 600, dtype=np.float32).reshape(3, 100)}
    by_tensor = GuideRule(temperature="freezing", focus=focus).of(moved)
    assert {name: np.flatnonzero(one).tolist() for name, one in by_tensor.items()} == {"a": [99], "b": [297, 298, 299]}
    of_all = GuideRule(temperature="freezing", focus=focus, scope="model").of(moved)
    assert {name: np.flatnonzero(one).tolist() for name, one in of_all.items()} == {"a": [], "b": [296, 297, 298, 299]}


def test_weights_that_all_moved_alike_take_whole_steps_and_none_where_none_moved() -> None:
    moved = {"same": np.full(3, 0.5, np.float32), "still": np.zeros(3, np.float32)}
    assert {name: one.tolist() for name, one in GuideRule().of(moved).items()} == {"same": [1] * 3, "still": [0] * 3}


@pytest.mark.parametrize("temperature", ["icy", "warm", "evaporating"])
@pytest.mark.parametrize("focus", ["raw", "zero"])
def test_a_temperature_between_0_and_1_is_refused_for_values_that_may_be_above(temperature: Any, focus: Any) -> None:
    with pytest.raises(DataError, match=f"temperature {temperature} is of values between 0 and 1, and focus {focus}"):
        GuideRule(temperature=temperature, focus=focus)


def test_a_shuffled_guide_has_the_same_values_in_other_places() -> None:
    own = {"a": np.arange(50, dtype=np.float32), "b": np.arange(50, 110, dtype=np.float32).reshape(6, 10)}
    by_tensor, of_all = shuffled(own, "tensor", 0), shuffled(own, "model", 0)
    for found in (by_tensor, of_all):
        assert {name: one.shape for name, one in found.items()} == {"a": (50,), "b": (6, 10)}
        assert np.sort(np.concatenate([one.ravel() for one in found.values()])).tolist() == list(range(110))
        assert not np.array_equal(found["a"], own["a"])
    assert sorted(by_tensor["a"].tolist()) == list(range(50))
    assert of_all["a"].max() >= 50
    assert not np.array_equal(by_tensor["b"], shuffled(own, "tensor", 1)["b"])


def test_a_constant_guide_is_the_mean_of_each_tensor_or_of_all() -> None:
    by_tensor, of_all = constant(MOVED, "tensor"), constant(MOVED, "model")
    assert by_tensor["a"].tolist() == [[2.75, 2.75], [2.75, 2.75]]
    assert by_tensor["b"].tolist() == [11]
    assert {float(value) for one in of_all.values() for value in one.ravel()} == {np.float32(22 / 5)}
