"""The benchmarks of episodes and clusters run, at a tiny size, and score what they say."""

from pathlib import Path

import numpy as np
from support.array_cache import cache_of
from test_benchmarks import load


def test_the_benchmark_of_episodes_tells_batched_what_it_tells_one_by_one(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(210) % 6
    X = generator.normal(size=(6, 8))[y] + generator.normal(size=(210, 8))
    cache = cache_of(tmp_path, X, [str(code) for code in y])
    found = load("bench_episodes").compare_times(cache, 12)
    assert found["apart"] == 0
    assert min(found["batched_seconds"], found["one_by_one_seconds"]) >= 0


def test_the_benchmark_of_clusters_scores_each_way_to_choose_a_layer() -> None:
    names = ("gain", "stability", "silhouette", "last", "random", "ari")
    rows = [(0.3, 0.5, 0.1, True, False, 0.8), (0.2, 0.6, 0.4, False, False, 0.2), (0.9, 0.9, 0.9, True, True, 0.0)]
    found = load("bench_clusters").score_orders([dict(zip(names, row, strict=True)) for row in rows])
    assert found["gain"] == {"tau": 1.0, "ari": 0.8}
    assert found["silhouette"] == {"tau": -1.0, "ari": 0.2}
    assert (found["a layer at random"]["ari"], found["the best layer"]["ari"]) == (0.5, 0.8)
