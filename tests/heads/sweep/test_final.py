"""The winner is fitted by one thread of BLAS where its features are small, and by all threads otherwise."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from headstart.heads import isolation
from headstart.heads.estimators import stock
from headstart.heads.registry import FeatureSet, expand
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import fit_final

Y = np.tile([0, 1], 20)
X = (np.random.default_rng(0).normal(size=(40, 4)) + Y[:, None]).astype(np.float32)


@pytest.mark.parametrize(("few_bytes", "n_threads"), [(X.nbytes, {1}), (10, {2})])
def test_the_winner_has_one_blas_thread_where_it_is_small(few_bytes, n_threads, monkeypatch):
    seen = []

    def fit(self, X, y, sample_weight=None):
        seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return plain(self, X, y, sample_weight)

    plain = stock.LogisticRegression.fit
    monkeypatch.setattr(stock.LogisticRegression, "fit", fit)
    monkeypatch.setattr(isolation, "_FEW_BYTES", few_bytes)
    (winner,) = expand([FeatureSet(features=X, backbone="made", tap="up", key="0")], ["logreg(C=1)"])
    with threadpool_limits(2, user_api="blas"):
        model = fit_final(winner, X, Y, plan_splits(Y))
    assert seen == [n_threads]
    assert model.score(X, Y) > 0.7
