"""A SIGKILL at any moment costs at most the shard in hand; what follows is bit for bit what would have been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from cache_contract import check_cache
from conftest import draw

from extractors.cache import EmbeddingCache
from extractors.cache_listing import read_listing

# Small shards and a slow backbone, so that kills fall into every part of the work.
PROGRAM = """
import sys, time, json
import extractors.extraction, extractors.forward
extractors.extraction._SHARD_ROWS = 10
original = extractors.forward.ForwardPass.__call__
def slow(self, images):
    time.sleep(0.02)
    return original(self, images)
extractors.forward.ForwardPass.__call__ = slow
from flows.extraction import extract
options = {"cache": sys.argv[2], "precision": "fp32", "batch_size": 4, "workers": 2}
summary = extract(sys.argv[1], "small_cnn", weights="none", **options)
print(json.dumps({"embedded": summary.embedded, "reused": summary.reused}))
"""


def start(photos: Path, cache: Path) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, photos, cache]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def features(cache: Path) -> dict[str, bytes]:
    opened = EmbeddingCache(cache)
    digests = read_listing(opened).distinct["digest"].tolist()
    view = opened.stores()[0].view("penultimate", digests)
    return {digest: row.tobytes() for digest, row in zip(digests, np.asarray(view), strict=True)}


def test_kills_at_random_moments_lose_nothing_that_was_sealed(tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    for number in range(200):
        draw(photos / f"{number:03d}.png", number % 3, seed=number)
    moments = np.random.default_rng(0)
    sealed_before: set[Path] = set()
    for _ in range(4):
        process = start(photos, cache)
        while len(list(cache.rglob("shard-*.h5"))) == len(sealed_before):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        sealed = set(cache.rglob("shard-*.h5"))
        assert sealed > sealed_before
        sealed_before = sealed
    assert 0 < len(sealed_before) < 20
    out, _ = start(photos, cache).communicate(timeout=120)
    assert json.loads(out) == {"embedded": 200 - 10 * len(sealed_before), "reused": 10 * len(sealed_before)}
    check_cache(EmbeddingCache(cache))
    start(photos, tmp_path / "whole").communicate(timeout=120)
    assert features(cache) == features(tmp_path / "whole")
