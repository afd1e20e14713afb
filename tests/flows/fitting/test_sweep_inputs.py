"""What a sweep sends to processes: paths and row numbers of the cache, never the embeddings."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster
from support.array_cache import cache_of

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.problem.problem import pose_problem
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import cluster as sweep_cluster
from headstart.heads.sweep.run import Running, sweep

N_IMAGES, N_FEATURES = 400, 256


def test_workers_get_some_bytes_an_image_however_wide_the_embeddings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ["cat", "dog"] * (N_IMAGES // 2)
    features = np.random.default_rng(0).normal(size=(N_IMAGES, N_FEATURES))
    problem = pose_problem(EmbeddingCache(cache_of(tmp_path, features, labels)))
    sizes: list[int] = []
    place = sweep_cluster.place

    def weighed(client: Any, value: object) -> Any:
        np.asarray(value)  # also once it was read here, nothing of it travels
        sizes.append(len(pickle.dumps(value)))
        return place(client, value)

    monkeypatch.setattr("headstart.heads.sweep.cluster.place", weighed)
    view = problem.embedded[0].features
    source = FeatureSet(features=view, backbone="b", tap="t", key="k")
    plan = plan_splits(problem.y)
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "protocol": "tcp://"}
    with LocalCluster(processes=False, n_workers=1, threads_per_worker=2, **quiet) as cluster:
        candidates = expand([source], ["dummy", "centroid", "ridge"])
        assert len(sweep(candidates, problem.y, plan, running=Running(dask=cluster.scheduler_address))) == len(
            candidates
        )
    view_bytes, task_bytes = sizes  # each once, for all candidates and folds
    assert view_bytes < 16 * N_IMAGES + 1000
    assert task_bytes < 8 * N_IMAGES * (len(plan.folds) + 3) + 2000
    assert features.astype(np.float32).nbytes > 20 * view_bytes
