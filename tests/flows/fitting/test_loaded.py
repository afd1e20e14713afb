"""Libraries that a fit loads: those that it uses, and before the table none that only the report does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from support.array_cache import cache_of

ROOT = Path(__file__).parents[3]
CODE = """
import json, sys
from headstart.flows.fitting import fit

def loaded():
    return sorted({name.partition(".")[0] for name in sys.modules})

table = []
fit(sys.argv[1], ["ridge", "knn", "centroid", "dummy"], out=sys.argv[2], on_scores=lambda _: table.extend(loaded()))
print(json.dumps([table, loaded()]))
"""


def test_a_fit_of_heads_without_torch_loads_neither_it_nor_dask_and_what_draws_only_after_the_table(
    tmp_path: Path,
) -> None:
    y = np.tile([0, 1], 30)
    features = np.random.default_rng(0).normal(size=(60, 4)) + y[:, None]
    cache = cache_of(tmp_path, features, np.array(["cat", "dog"])[y].tolist())
    run = [sys.executable, "-c", CODE, str(cache), str(tmp_path / "r")]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    table, report = map(set, json.loads(done.stdout.splitlines()[-1]))
    assert not table & {"torch", "torchvision", "distributed", "dask", "prefect", "matplotlib", "jinja2", "skops"}
    assert not report & {"torchvision", "distributed", "prefect", "timm", "onnx"}
    assert report >= {"sklearn", "matplotlib", "jinja2", "skops"}
