"""What a head says about an image does not depend on the images beside it."""

import numpy as np
import pytest

from headstart.heads import HEADS
from headstart.heads.registry.table import REGRESSORS
from headstart.heads.row_by_row import ask_rows
from headstart.heads.solvers.sums.gram import ROWS_AT_ONCE

N_CLASSES, N_FEATURES = 5, 40
DIRECTIONS = np.random.default_rng(0).normal(size=(N_CLASSES, N_FEATURES))
OUTPUTS = ("predict_proba", "decision_function", "predict")


def draw(n_images, seed):
    """Return images of classes that overlap, so that probabilities are neither 0 nor 1."""
    generator = np.random.default_rng(seed)
    y = np.arange(n_images) % N_CLASSES
    return (0.3 * DIRECTIONS[y] + generator.normal(size=(n_images, N_FEATURES))).astype(np.float32), y


@pytest.mark.parametrize(
    ("registry", "name"),
    [(HEADS, name) for name in sorted(HEADS)] + [(REGRESSORS, name) for name in sorted(REGRESSORS)],
    ids=lambda value: value if isinstance(value, str) else "numbers" if value is REGRESSORS else "classes",
)
def test_any_few_images_are_given_what_they_are_given_among_all(registry, name):
    X, y = draw(200, seed=1)
    asked, _ = draw(ROWS_AT_ONCE + 77, seed=2)
    model = registry[name].make({}, 0).fit(X, y + 0.5 if registry is REGRESSORS else y)
    for output in (output for output in OUTPUTS if hasattr(model, output)):
        whole = getattr(model, output)(asked)
        for rows in (slice(0, 1), slice(5, 6), slice(-1, None), slice(1, 4), slice(3, 90, 7), slice(None, None, -1)):
            # Between float32's rounding, 1e-7, and float64's: it is the same sum in another order.
            np.testing.assert_allclose(getattr(model, output)(asked[rows]), whole[rows], rtol=1e-12, atol=1e-12)


def test_rows_are_asked_about_in_doubles_a_block_at_a_time_and_stay_in_order():
    X, blocks = np.arange(2 * ROWS_AT_ONCE + 1, dtype=np.float32)[:, None], []

    def doubled(rows):
        blocks.append((rows.dtype, len(rows)))
        return 2 * rows

    assert np.array_equal(ask_rows(doubled, X), 2 * X)
    assert blocks == [(np.float64, ROWS_AT_ONCE), (np.float64, ROWS_AT_ONCE), (np.float64, 1)]
