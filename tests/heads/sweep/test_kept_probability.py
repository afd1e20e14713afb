"""Of the best of a sweep the probability of every class is kept, as a fit of it by itself gives it; of no other."""

import numpy as np
import pytest
from support.sweep_example import CHEAP, PIXELS, PLAN, X, Y

from headstart.heads.registry.candidates import expand
from headstart.heads.sweep import run
from headstart.heads.sweep.out_of_fold import predict_folds
from headstart.heads.sweep.run import Running, sweep
from headstart.heads.sweep.trial import Task


@pytest.mark.parametrize("heads", [["ridge", "dummy"], ["centroid", "dummy"], ["linear-svm(C=0.01)", "dummy"]])
def test_the_best_keeps_what_a_fit_of_it_alone_gives_and_the_others_nothing(heads):
    seen = []
    best, *rest = sweep(expand([PIXELS], heads), Y, PLAN, running=Running(on_result=seen.append))
    assert best.candidate.head != "dummy"
    task = Task(y=Y, n_classes=10, plan=PLAN, groups=None, seed=0)
    alone = predict_folds(best.candidate, X.astype(np.float32), task)
    if alone is None:  # a head without any
        assert best.probability is None
        assert rest[-1].probability is not None  # the best of those that have some
    else:
        np.testing.assert_allclose(best.probability, alone, atol=1e-6)
        np.testing.assert_array_equal(best.probability.argmax(axis=1), best.predictions.classes)
        assert [one.probability for one in rest] == [None] * len(rest)
    assert len(seen) == len(rest) + 1


def test_of_many_classes_and_images_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(run, "_MOST_KEPT", 10 * len(PLAN.train) - 1)
    assert [one.probability for one in sweep(expand([PIXELS], CHEAP), Y, PLAN)] == [None] * len(expand([PIXELS], CHEAP))
    monkeypatch.setattr(run, "_MOST_KEPT", 10 * len(PLAN.train))
    assert sweep(expand([PIXELS], CHEAP), Y, PLAN)[0].probability.shape == (len(PLAN.train), 10)
