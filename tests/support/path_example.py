"""A small problem for the heads that are solved for a whole grid at once."""

import numpy as np


def problem(n_images, n_features, n_classes, seed=0):
    """Return features, codes, scored features and noise: overlapping classes, features of unlike scales, float32."""
    generator = np.random.default_rng(seed)
    n_scored = 150
    codes = np.resize(np.arange(n_classes), n_images + n_scored)
    means = generator.normal(size=(n_classes, n_features))
    noise = generator.normal(size=(n_images + n_scored, n_features))
    scales = np.exp(generator.normal(size=n_features))
    rows = ((0.7 * means[codes] + 1.5 * noise + 2.0) * scales).astype(np.float32)
    return rows[:n_images], codes[:n_images], rows[n_images:], noise.astype(np.float32)
