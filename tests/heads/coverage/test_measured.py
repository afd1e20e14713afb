"""Coverage measured on test images, the rule by which answers are kept, and the curve of risk against coverage."""

import numpy as np
import pytest
from scipy.stats import binomtest
from support.report_example import measured

from headstart.heads.coverage.conformal import fit_sets
from headstart.heads.coverage.doubt import Doubt, Judged
from headstart.heads.coverage.measured import measure_doubt
from headstart.heads.coverage.outliers import fit_outliers
from headstart.heads.coverage.risk_coverage import risk_coverage
from headstart.heads.coverage.share import Share
from headstart.heads.errors import DataError


def judged(sets, outlier):
    n_images = len(sets)
    return Judged(np.array(sets, bool), np.linspace(1, 0.5, n_images), np.zeros(n_images), np.array(outlier, bool))


SOME = judged([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 0, 0, 1, 0])


def test_an_answer_is_kept_where_the_set_holds_it_alone_and_the_image_is_no_outlier():
    assert SOME.keeps([0, 0, 0, 1, 0, 0]).tolist() == [True, False, False, True, False, False]


def test_judgements_of_parts_are_joined_in_the_order_asked_for():
    parts = [judged([[1, 0]], [1]), judged([[0, 1], [1, 1]], [0, 0])]
    found = Judged.joined(parts, np.array([2, 0, 1]))
    assert found.sets.tolist() == [[True, True], [True, False], [False, True]]
    assert found.outlier.tolist() == [False, True, False]


def test_what_sets_and_outliers_came_to_is_counted_by_class_and_over_all():
    X, y = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 0, 1]], np.array([0, 1, 0, 1, 0, 1])
    sets = fit_sets(y, np.full((6, 2), 0.5), np.zeros(6), coverage=0.5)
    doubt = Doubt(sets=sets, outliers=fit_outliers(X, y), threshold=1.0, false_alarms=0.05)
    found = measure_doubt(doubt, SOME, y, [0, 0, 0, 1, 0, 0], ["ants", "bees"], held_out=True)
    assert (found.covered.count, found.covered.of) == (5, 6)
    assert found.sizes == [1, 4, 1]
    assert found.mean_size == pytest.approx(1.0)
    assert (found.flagged.count, found.answered.count, found.right.count, found.right.of) == (1, 2, 2, 2)
    assert [(one.name, one.covered.count, one.covered.of, one.answered.count) for one in found.classes] == [
        ("ants", 2, 3, 1),
        ("bees", 3, 3, 1),
    ]
    assert found.curve.answered[-1] == 1.0
    assert found.curve.risk[-1] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("count", "of"), [(0, 9), (9, 9), (137, 153)])
def test_the_interval_of_a_share_is_binomial(count, of):
    share = Share.counted(np.arange(of) < count)
    expected = binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert Share.counted([]).value is None


def test_folds_are_uneven_by_chance_as_rarely_as_stated():
    generator = np.random.default_rng(0)
    drawn = [[Share.counted(generator.random(80) < 0.9) for _ in range(5)] for _ in range(2000)]
    assert np.mean([measured(by_fold=one).uneven for one in drawn]) == pytest.approx(0.01, abs=0.008)
    assert measured(by_fold=[Share.counted([1] * n + [0] * (80 - n)) for n in (80, 60, 76)]).uneven
    assert not measured(by_fold=[Share.counted([1] * 80)] * 2).uneven
    assert not measured(by_fold=[]).uneven


def test_the_risk_is_that_of_the_surest_and_its_area_the_mean():
    curve = risk_coverage([0.9, 0.6, 0.8, 0.7], [1, 0, 0, 1])
    assert curve.answered == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert curve.best_area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_images_of_one_confidence_count_alike_whatever_their_order():
    right = np.random.default_rng(0).permutation([1] * 70 + [0] * 30)
    curve = risk_coverage(np.full(100, 0.5), right)
    assert curve.risk == pytest.approx([0.3] * len(curve.risk))


def test_a_long_curve_is_drawn_by_200_points():
    curve = risk_coverage(np.linspace(0, 1, 5000), np.ones(5000))
    assert len(curve.answered) == len(curve.risk) == 200
    assert curve.answered[-1] == 1.0


def test_a_curve_of_nothing_is_refused():
    with pytest.raises(DataError, match="at least one image"):
        risk_coverage([], [])
