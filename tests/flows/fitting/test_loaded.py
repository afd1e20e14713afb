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
from headstart.heads.saving import list_no_estimators, load_model

list_no_estimators()  # as a command does
def loaded():
    return sorted({name.partition(".")[0] for name in sys.modules})

table = []
heads = ["ridge", "knn", "centroid", "dummy"]
found = fit(sys.argv[1], heads, out=sys.argv[2], on_scores=lambda _: table.extend(loaded()))
print(json.dumps([table, loaded(), [str(one) for one in load_model(found.model)[0].predict([[0.0] * 4, [9.0] * 4])]]))
"""


def test_a_fit_of_heads_without_torch_loads_neither_it_nor_dask_and_what_draws_only_after_the_table(
    tmp_path: Path,
) -> None:
    y = np.tile([0, 1], 30)
    features = np.random.default_rng(0).normal(size=(60, 4)) + y[:, None]
    cache = cache_of(tmp_path, features, np.array(["cat", "dog"])[y].tolist())
    run = [sys.executable, "-c", CODE, str(cache), str(tmp_path / "r")]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    *names, predicted = json.loads(done.stdout.splitlines()[-1])
    table, report = map(set, names)
    assert not table & {"torch", "torchvision", "distributed", "dask", "prefect", "matplotlib", "jinja2", "skops"}
    assert not report & {"torchvision", "distributed", "dask", "_pytest", "prefect", "timm", "onnx"}
    assert report >= {"sklearn", "matplotlib", "jinja2", "skops"}
    assert predicted == ["0", "1"]
