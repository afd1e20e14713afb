"""Sums over parts of the images, against what scikit-learn finds in each fold's images."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from support.streaming_example import N_CLASSES, N_FEATURES, PLAN, X, Y

from headstart.heads.errors import DataError
from headstart.heads.solvers.streamed.data import gather, scaler_of
from headstart.heads.solvers.sums.blocks import Stream
from headstart.heads.solvers.sums.part_sums import part_of_train, parts_of_folds

BLOCK = 4 * N_FEATURES * 130


def gathered(features=X, plan=PLAN):
    parts = parts_of_folds(plan, len(Y))
    return gather(Stream(features=features, block_bytes=BLOCK), Y, N_CLASSES, parts, with_gram=True, sample_bytes=9000)


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_a_folds_scaler_is_the_one_that_scikit_learn_fits(shift):
    features = np.round(X.astype(np.float32) * 16) / 16 + np.float32(shift)
    features[:, 3] = 0.1  # never changes
    data = gathered(features)
    for fit, (rows, _) in enumerate(PLAN.folds):
        ours, theirs = scaler_of(data, data.moments(fit)), StandardScaler().fit(features[rows])
        assert ours.n_samples_seen_ == theirs.n_samples_seen_
        np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-6)
        np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-5)
        assert ours.scale_[3] == 1.0


def test_counts_and_products_of_a_fold_add_up_over_its_parts():
    data = gathered()
    rows = PLAN.folds[1][0]
    assert np.array_equal(data.counts(1), np.bincount(Y[rows]))
    used = data.parts.fits[1]
    gram = np.sum([data.sums.grams[part] for part in np.flatnonzero(used)], axis=0)
    centred = (X[rows].astype(np.float32) - data.sums.centre).astype(np.float64)
    np.testing.assert_allclose(np.triu(gram), np.triu(centred.T @ centred), rtol=1e-9, atol=1e-6)


def test_images_that_no_fold_uses_are_in_no_part():
    parts = parts_of_folds(PLAN, len(Y))
    assert (parts.of_image[PLAN.test] == -1).all()
    assert np.array_equal(parts.rows, PLAN.train)
    assert np.array_equal(part_of_train(PLAN, len(Y)).rows, PLAN.train)


def test_every_fit_uses_its_own_fold_and_no_image_that_it_scores():
    parts = parts_of_folds(PLAN, len(Y))
    for fit, (fitted, scored) in enumerate(PLAN.folds):
        used = np.flatnonzero(parts.fits[fit][parts.of_image] & (parts.of_image >= 0))
        assert np.array_equal(used, fitted)
        assert not np.intersect1d(used, scored).size


def test_folds_that_are_no_unions_of_parts_are_refused():
    (fitted, scored), *others = PLAN.folds
    twice = replace(PLAN, folds=[(fitted, scored), (fitted, scored), *others])
    with pytest.raises(DataError, match="fold 2 scores images that another fold scores"):
        parts_of_folds(twice, len(Y))
    partly = replace(PLAN, folds=[(fitted[10:], scored), *others])
    with pytest.raises(DataError, match="fold 1 is fitted on some of what another fold scores"):
        parts_of_folds(partly, len(Y))
