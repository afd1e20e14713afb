"""Aligned domains: CORAL's covariance is the target's, subspaces are turned, and a head on them is folded back."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from headstart.heads.transfer.adaptation.alignment import (
    align_correlations,
    align_subspaces,
    leave,
    standardise,
)
from headstart.heads.transfer.adaptation.domains import Domains
from headstart.heads.transfer.adaptation.linear import _fit, folded


def skewed(n: int, seed: int, d: int = 6) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) + draw.normal(size=d)).astype(np.float32)


def domains_of(source: np.ndarray, target: np.ndarray, n_classes: int = 3) -> Domains:
    groups = np.arange(len(source) + len(target))
    return Domains(
        source=source, y=np.arange(len(source)) % n_classes, target=target, groups=groups, n_classes=n_classes
    )


@pytest.fixture(scope="module")
def two() -> Domains:
    return domains_of(skewed(80, 0), skewed(70, 1))


def test_coral_gives_the_source_the_targets_covariance(two: Domains) -> None:
    aligned = align_correlations(two, ridge=0.0)
    wanted = np.cov(two.target.astype(np.float64), rowvar=False)
    assert np.abs(np.cov(aligned.source, rowvar=False) - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())
    assert np.abs(np.cov(aligned.place(two.target), rowvar=False) - wanted).max() <= 1e-12 * np.abs(wanted).max()
    assert np.abs(aligned.source.mean(axis=0)).max() < 1e-12
    assert np.abs(aligned.place(two.target).mean(axis=0)).max() < 1e-12


def test_coral_with_a_ridge_follows_the_formula(two: Domains) -> None:
    source, target = (one.astype(np.float64) for one in (two.source, two.target))
    own, other = (np.cov(one, rowvar=False) for one in (source, target))
    added = 0.1 * (np.trace(own) + np.trace(other)) / (2 * len(own)) * np.eye(len(own))

    def root(matrix: np.ndarray, exponent: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return np.asarray(vectors @ np.diag(values**exponent) @ vectors.T)

    wanted = (source - source.mean(axis=0)) @ root(own + added, -0.5) @ root(other + added, 0.5)
    np.testing.assert_allclose(align_correlations(two, ridge=0.1).source, wanted, atol=1e-10)


def test_coral_takes_more_features_than_images() -> None:
    few = domains_of(skewed(12, 2, d=30), skewed(11, 3, d=30))
    for ridge in (0.0, 0.1):
        assert np.isfinite(align_correlations(few, ridge=ridge).source).all()


def test_each_domain_gets_the_same_mean_and_deviation(two: Domains) -> None:
    aligned = standardise(two)
    there = aligned.place(two.target)
    np.testing.assert_allclose(aligned.source.mean(axis=0), there.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(aligned.source.std(axis=0), there.std(axis=0), rtol=1e-6)


def test_the_sources_directions_are_turned_into_the_targets(two: Domains) -> None:
    aligned = align_subspaces(two, dimensions=2)
    source, target = ((one - one.mean(axis=0)) / one.std(axis=0) for one in (two.source, two.target))
    own, other = (np.linalg.svd(one, full_matrices=False)[2][:2].T for one in (source, target))
    # A direction has no sign: products of both do.
    np.testing.assert_allclose(
        aligned.source @ aligned.place(two.target).T, source @ own @ own.T @ other @ (target @ other).T, atol=1e-3
    )
    assert align_subspaces(two, dimensions=50).source.shape[1] == 6


def test_directions_of_fewer_images_than_features_are_the_same(two: Domains) -> None:
    wide = domains_of(skewed(12, 4, d=20), skewed(11, 5, d=20))
    aligned = align_subspaces(wide, dimensions=100)
    assert aligned.source.shape == (12, 10)  # of eleven centred images
    assert np.linalg.matrix_rank(aligned.place(wide.target)) == 10


@pytest.mark.parametrize(
    "align",
    [leave, standardise, partial(align_correlations, ridge=0.1), partial(align_subspaces, dimensions=3)],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_folded_head_says_of_an_image_what_the_head_says_where_it_stands(align: Any, n_classes: int) -> None:
    two = domains_of(skewed(80, 0), skewed(70, 1), n_classes)
    aligned = align(two)
    wanted = _fit(aligned.source, two.y, None, 1.0, 0).predict_proba(aligned.place(two.target))
    model = folded(_fit(aligned.source, two.y, None, 1.0, 0), aligned)
    np.testing.assert_allclose(model.predict_proba(two.target.astype(np.float64)), wanted, atol=1e-8)
    assert model.n_features_in_ == 6
