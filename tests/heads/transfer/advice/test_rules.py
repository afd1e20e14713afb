"""The matrix: four cells, what overrules them, and negative transfer, on cases whose right answer is known."""

from typing import Any

import numpy as np
import pytest

from headstart.heads.transfer.advice import Lead, Measured, advise_by, lead_of_best


def lead(value: float, p_value: float = 0.001) -> Lead:
    return Lead(
        first="a",
        second="b",
        scores=(0.8 + value, 0.8),
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        p_value=p_value,
    )


def advice(**named: Any) -> Any:
    given: dict[str, Any] = {
        "images_per_class": 20,
        "enough": 100,
        "n_images": 500,
        "n_wrong": 50,
        "earlier": lead(-0.1),
        "near": None,
        "controls": [lead(0.2)],
    }
    return advise_by(Measured(**given | named))


@pytest.mark.parametrize(
    ("images", "near", "earlier", "action"),
    [
        (20, "similar", lead(-0.1), "linear-last"),
        (20, "different", lead(0.1), "linear-earlier"),
        (200, "similar", lead(-0.1), "finetune-tail"),
        (200, "different", lead(0.1), "retrain"),
    ],
)
def test_each_cell_of_the_matrix_is_advised_where_nothing_speaks_against_it(
    images: int, near: Any, earlier: Lead, action: str
) -> None:
    by_source = advice(images_per_class=images, near=near, earlier=earlier)
    by_layers = advice(images_per_class=images, earlier=earlier)
    assert (by_source.action, by_source.near_by, by_source.overruled) == (action, "source", None)
    assert (by_layers.action, by_layers.near_by, by_layers.near) == (action, "layers", near)


@pytest.mark.parametrize(
    ("near", "earlier", "action", "overruled"),
    [
        ("different", lead(-0.1), "linear-last", "layers"),
        ("different", lead(-0.1, 0.2), "linear-earlier", None),  # by chance alone: the matrix holds
        ("similar", lead(0.1, 0.2), "linear-last", None),
        ("similar", lead(0.1), "linear-earlier", "layers"),
        ("different", None, "linear-earlier", None),  # no earlier layer is known: the matrix is all there is
    ],
)
def test_the_layer_that_is_measured_to_tell_more_overrules_the_matrix(
    near: Any, earlier: Lead | None, action: str, overruled: str | None
) -> None:
    found = advice(near=near, earlier=earlier)
    assert (found.action, found.overruled) == (action, overruled)


@pytest.mark.parametrize(("n_wrong", "action"), [(11, "linear-last"), (12, "finetune-tail")])
def test_layers_are_trained_where_half_of_the_errors_less_would_be_more_than_chance(n_wrong: int, action: str) -> None:
    found = advice(images_per_class=200, near="similar", n_wrong=n_wrong)
    assert found.action == action
    assert (found.overruled == "room") == (n_wrong == 11)


@pytest.mark.parametrize(
    ("controls", "transfer"),
    [
        ([lead(0.2), lead(0.1)], "positive"),
        ([lead(0.2), lead(0.01, 0.4)], "unproven"),
        ([lead(0.2), lead(-0.1)], "negative"),
        ([], "no control"),
    ],
)
def test_features_have_to_be_ahead_of_every_control_beyond_chance(controls: list[Lead], transfer: str) -> None:
    found = advice(controls=controls)
    assert found.transfer == transfer
    assert (found.near_by == "controls") == (transfer in ("negative", "unproven"))
    assert (advice(controls=controls, near="similar").near_by == "controls") == (transfer == "negative")


def test_negative_transfer_is_that_of_another_domain_however_near_the_source_looks() -> None:
    found = advice(images_per_class=200, near="similar", controls=[lead(-0.1)])
    assert (found.near, found.action) == ("different", "retrain")


def test_a_lead_is_paired_by_image_and_pays_for_what_the_one_ahead_was_picked_of() -> None:
    right = np.repeat([1.0, 0.0], [80, 20])
    better, groups = np.where(np.arange(100) < 89, 1.0, 0.0), np.arange(100)
    found = lead_of_best({"a": better}, {"b": right}, groups)
    assert (found.first, found.second, round(found.value, 6)) == ("a", "b", 0.09)
    assert found.scores == (0.89, 0.8)
    assert found.p_value == pytest.approx(2 * 0.5**9)  # McNemar's exact test of nine images against none
    several = lead_of_best({"a": better, "c": right}, {"b": right, "d": 0 * right, "e": 0 * right}, groups)
    assert (several.first, several.second) == ("a", "b")
    assert several.p_value == pytest.approx(2 * found.p_value)
    behind = lead_of_best({"b": right, "d": 0 * right, "e": 0 * right}, {"a": better, "c": right}, groups)
    assert (behind.value, behind.p_value) == (-several.value, several.p_value)
