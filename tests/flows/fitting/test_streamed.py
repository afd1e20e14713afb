"""Fits whose features do not fit in memory: when they are read in blocks, what they find, and what they leave out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.array_cache import cache_of
from support.streaming_example import X, Y

from headstart.flows.errors import JobError
from headstart.flows.fitting.job import fit
from headstart.heads.saving.model_file import load_model

HEADS = ["ridge", "logreg", "centroid"]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache_of(tmp_path_factory.mktemp("streamed"), X[:600], [f"class {code}" for code in Y[:600]])


def scores_of(found):
    return {(row.head, str(row.params)): row.score for row in found.leaderboard}


def test_a_fit_in_blocks_finds_what_a_fit_in_memory_finds(cache: Path, tmp_path: Path) -> None:
    inside = fit(cache, HEADS, out=tmp_path / "inside", workers=1)
    outside = fit(cache, HEADS, out=tmp_path / "outside", memory=20_000)
    assert scores_of(outside) == pytest.approx(scores_of(inside), abs=0.0022)  # one of 480 images
    accuracy = outside.test.scores["accuracy"].value
    assert accuracy == pytest.approx(inside.test.scores["accuracy"].value, abs=0.01)
    assert not any("in float32" in note for note in inside.notes)
    assert (tmp_path / "outside" / "report.html").exists()


def test_a_fit_in_blocks_saves_a_model_that_predicts(cache: Path, tmp_path: Path) -> None:
    found = fit(cache, ["ridge"], out=tmp_path / "out", memory=20_000, no_report=True)
    model, _ = load_model(found.model)
    accuracy = np.mean(model.predict(X[:600].astype(np.float32)) == Y[:600])
    assert accuracy == pytest.approx(found.winner.score, abs=0.1)


def test_a_note_says_why_and_what_is_left_out(cache: Path, tmp_path: Path) -> None:
    found = fit(cache, ["ridge", "knn", "dummy"], out=tmp_path / "out", memory=20_000)
    assert {row.head for row in found.leaderboard} == {"ridge", "dummy"}
    results = [note for note in found.notes if "in float32" in note]
    assert len(results) == 1
    assert results[0].startswith("the features take 57.6 kB in float32, more than 20.0 kB: they were read in blocks")
    assert "knn cannot be fitted on features read in blocks and were left out" in found.notes


def test_a_fit_that_fits_in_its_memory_holds_all_heads(cache: Path, tmp_path: Path) -> None:
    found = fit(cache, ["knn", "dummy"], out=tmp_path / "out", memory=600 * X.shape[1] * 4)
    assert {row.head for row in found.leaderboard} == {"knn", "dummy"}


def test_a_quarter_of_the_free_memory_is_the_limit(cache: Path, tmp_path: Path, monkeypatch) -> None:
    class Memory:
        available = 200_000

    monkeypatch.setattr("headstart.flows.fitting.streamed.psutil.virtual_memory", lambda: Memory)
    found = fit(cache, ["ridge"], out=tmp_path / "out")
    assert any("more than a quarter of the 200.0 kB that are free" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ["knn", "lda"]}, "which knn, lda cannot do without; these can: --head dummy centroid logreg ridge"),
        (
            {"heads": ["ridge"], "calibrate": True},
            "--calibrate, --coverage, --repeats and --nested need them in memory",
        ),
    ],
)
def test_what_cannot_be_done_in_blocks_is_refused(cache: Path, tmp_path: Path, options, message: str) -> None:
    with pytest.raises(JobError, match=message):
        fit(cache, out=tmp_path / "out", memory=20_000, **options)


PEAK = """
import json, sys
sys.path[:0] = ["tests", "benchmarks"]
from pathlib import Path
import numpy as np

def peak():
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1000

from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.splits import plan_splits
from headstart.heads.solvers.sums import Stream
from headstart.heads.sweep import fit_final, sweep
import headstart.heads.solvers.streamed.logreg  # torch, before the clock starts

X = np.load(sys.argv[1], mmap_mode="r")
class View:
    shape = X.shape
    def take(self, rows):
        return np.load(sys.argv[1], mmap_mode="r")[rows]
y = np.load(sys.argv[2])
plan = plan_splits(y, folds=2)
grid = {"ridge": {"alpha": (1.0, 100.0)}, "logreg": {"C": (0.01,)}, "centroid": {}}
stream = Stream(features=View(), sample_bytes=8_000_000, block_bytes=2_000_000)
some = expand([FeatureSet(features=stream, backbone="b", tap="t", key="k")], list(grid), grid)
before = peak()
found = sweep(some, y, plan)
fit_final(found[0].candidate, stream, y, plan)
print(json.dumps({"grew": peak() - before, "failed": [one.error for one in found if one.error]}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads peak memory from /proc")
def test_memory_grows_by_a_fraction_of_the_features(tmp_path: Path) -> None:
    n_images, n_features = 160_000, 256
    features = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float16, (n_images, n_features))
    y = np.arange(n_images) % 3
    noise = np.random.default_rng(0).standard_normal((20_000, n_features), np.float32)
    for at in range(0, n_images, len(noise)):
        features[at : at + len(noise)] = noise + y[at : at + len(noise), None]
    features.flush()
    np.save(tmp_path / "y.npy", y)
    # Not forked: what a fork touches of its parent's memory would count as grown.
    command = [sys.executable, "-c", PEAK, tmp_path / "X.npy", tmp_path / "y.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == []
    assert found["grew"] < 80  # MB; the features are 164 in float32, and 82 in their own dtype
