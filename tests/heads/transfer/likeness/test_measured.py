"""Likeness: equals are found apart as rarely as they should, a shift is found, a source's classes are a yardstick."""

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.transfer.likeness import Likeness, measure_likeness

MEASURES = ["proxy-A", "separation", "Fréchet", "MMD²"]


def normal(n: int, columns: int, seed: int, shift: float = 0.0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(n, columns))
    X[:, 0] += shift
    return X


def of(likeness: Likeness, name: str) -> float:
    return next(one.value for one in likeness.measures if one.name == name)


def test_each_measure_finds_equals_apart_about_one_time_in_twenty() -> None:
    n_rounds = 40
    beyond = np.zeros((n_rounds, len(MEASURES)))
    for seed in range(n_rounds):
        found = measure_likeness(normal(60, 40, 2 * seed), normal(30, 40, 2 * seed + 1), seed=seed, n_null=39)
        assert [one.name for one in found.measures] == MEASURES
        beyond[seed] = [one.p_value < 0.05 for one in found.measures]
    assert (beyond.mean(axis=0) <= 0.175).all()  # eight of forty happen once in a thousand at .05
    assert beyond.any()


@pytest.mark.parametrize("columns", [8, 600])
def test_a_shift_is_found_by_every_measure_also_where_columns_outnumber_images(columns: int) -> None:
    source, target = normal(120, columns, 0), normal(60, columns, 1, shift=3.0 if columns == 8 else 12.0)
    found = measure_likeness(source, target, n_null=39)
    assert found.verdict == "apart"  # the source's classes are not known
    assert all(one.p_value == 1 / 40 and one.value > one.null_high for one in found.measures)


def test_fewer_images_than_columns_leave_the_frechet_distance_of_equals_at_nothing() -> None:
    found = [measure_likeness(normal(80, 500, 2 * seed), normal(40, 500, 2 * seed + 1), n_null=19) for seed in range(5)]
    widths = [next(one for one in each.measures if one.name == "Fréchet") for each in found]
    assert abs(np.mean([one.value for one in widths])) < 0.02
    assert all(one.null == pytest.approx(0, abs=1e-12) for one in widths)


def test_separation_goes_on_where_the_proxy_a_distance_has_ended() -> None:
    source = normal(200, 10, 0)
    near, far = (measure_likeness(source, normal(100, 10, 1, shift), n_null=19) for shift in (8.0, 80.0))
    assert near.saturated
    assert far.saturated
    assert of(near, "proxy-A") == of(far, "proxy-A") == 2.0
    assert of(far, "separation") > 3 * of(near, "separation")


def sources_classes(columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Six classes around 0, 2 in every direction apart."""
    centres = 2 * np.random.default_rng(3).normal(size=(6, columns))
    classes = np.repeat(np.arange(6), 40)
    return centres[classes] + normal(240, columns, 0), classes


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "alike"), (2.0, "similar"), (30.0, "different")])
def test_the_yardstick_is_how_far_the_sources_own_classes_are_apart(shift: float, verdict: str) -> None:
    source, classes = sources_classes()
    order = np.random.default_rng(0).permutation(240)
    target = source[order[:80]] + shift * np.array([1.0, 0, 0, 0, 0, 0])
    found = measure_likeness(source[order[80:]], target, classes=classes[order[80:]], n_null=39)
    assert found.verdict == verdict
    assert all(one.between is not None and one.between > one.null_high for one in found.measures)


def test_a_source_of_one_class_has_no_yardstick() -> None:
    found = measure_likeness(normal(60, 4, 0), normal(30, 4, 1), classes=np.zeros(60), n_null=19)
    assert found.measures[0].between is None
    assert found.verdict == "alike"


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (normal(19, 4, 0), normal(30, 4, 1), "19 images and the target 30, expected at least 20 and 10"),
        (normal(30, 4, 0), normal(30, 5, 1), r"\(4,\) columns and those of the target \(5,\)"),
        (normal(30, 4, 0), np.full((30, 4), np.nan), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_told(source: np.ndarray, target: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        measure_likeness(source, target)


def test_equal_seeds_measure_equally_and_rows_in_another_order_are_the_same_set() -> None:
    source, target = normal(80, 5, 0), normal(40, 5, 1, 1.0)
    first, again = (measure_likeness(source, target, n_null=19) for _ in range(2))
    assert first == again
    turned = measure_likeness(source[::-1], target[::-1], n_null=19)
    assert [one.verdict for one in turned.measures] == [one.verdict for one in first.measures]
