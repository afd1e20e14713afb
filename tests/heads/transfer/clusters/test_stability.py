"""Stability prefers the layer with groups, not the one that merely varies in few directions."""

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.transfer.clusters import measure_stability

RNG = np.random.default_rng(0)
Y = np.repeat(np.arange(5), 24)
GROUPED = RNG.normal(size=(5, 12))[Y] + 0.15 * RNG.normal(size=(120, 12))
LONG = RNG.normal(size=(120, 12)) * np.array([8.0, *[0.3] * 11]) + 5.0  # one direction that varies, and no groups
QUICK = {"ks": (3, 5, 8), "draws": 4}


def test_groups_are_more_stable_beyond_the_null_than_a_long_cloud_without_any() -> None:
    grouped, long = measure_stability(GROUPED, **QUICK), measure_stability(LONG, **QUICK)
    assert grouped.gain > 0.3
    assert abs(long.gain) < 0.2
    assert long.null > grouped.null, "a long cloud is cut in the same places without groups"
    assert long.is_behind(grouped)
    assert not grouped.is_behind(grouped)
    assert grouped.gain == pytest.approx(grouped.agreement - grouped.null)


def test_the_same_seed_measures_the_same() -> None:
    first, again = (measure_stability(GROUPED, **QUICK, seed=3) for _ in range(2))
    np.testing.assert_allclose(first.gains, again.gains)


def test_too_few_images_are_told() -> None:
    with pytest.raises(DataError, match=r"12 images are too few .* give 20, or name one \(--tap\)"):
        measure_stability(GROUPED[:12])
