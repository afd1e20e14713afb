"""Weights, thresholds and costs that cannot be: each is refused before or after the sweep, with what can be done."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of

from headstart.flows.errors import JobError
from headstart.flows.fitting import fit
from headstart.heads.errors import DataError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    codes = np.arange(60) % 3 == 0
    features = generator.normal(size=(60, 4)) + codes[:, None]
    return cache_of(tmp_path_factory.mktemp("two"), features, np.where(codes, "bee", "ant").tolist())


def quick(cache: Path, heads: Any, out: Path, **options: Any) -> None:
    fit(cache, heads, out=out, folds=2, workers=1, no_report=True, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": "bes=3"}, r"class weights: no class is called 'bes'; did you mean 'bee'\?"),
        ({"class_weight": {"zebra": 2}}, "no class is called 'zebra'; The classes are ant, bee"),
        ({"class_weight": "bee=0"}, "the weight of class 'bee' is 0, expected above 0"),
        ({"class_weight": "bee=-1"}, "is -1, expected above 0"),
        ({"class_weight": "bee=x"}, "the weight of class 'bee' is 'x', expected a finite number"),
        ({"class_weight": {"bee": float("inf")}}, "expected a finite number"),
        ({"class_weight": "heavy"}, "'heavy' cannot be read; expected balanced, or bee=3,ant=1"),
        ({"class_weight": "bee=1,bee=2"}, "'bee' is given twice"),
        ({"class_weight": ""}, "no class is named"),
        ({"costs": "bee=3"}, "names one class, expected two, true:predicted"),
        ({"costs": "bee:an=3"}, r"costs: no class is called 'an'; did you mean 'ant'\?"),
        ({"costs": "bee:ant=-3"}, "is -3, expected at least 0"),
        ({"costs": {"bee": 3}}, "costs: 'bee' is 3, expected a table"),
        ({"costs": "nowhere.csv"}, "nowhere.csv: cannot be read"),
        ({"costs": "bee:ant=2", "threshold": "mcc"}, "two goals of one decision: leave one of the two out"),
        ({"threshold": "roc_auc"}, "no decision changes roc_auc"),
        ({"threshold": "mcc", "heads": "linear-svm"}, "linear-svm gives no probabilities to decide by"),
        ({"threshold": "mcc", "heads": "ridge", "memory": 500}, "--threshold and --costs need them in memory"),
        ({"threshold": "mcc", "task": "regress", "heads": "ridge"}, "threshold and costs are for classes"),
        ({"class_weight": "balanced", "task": "regress", "heads": "ridge"}, "costs are for classes"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_says_what_can(
    cache: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((JobError, DataError), match=message):
        quick(cache, options.pop("heads", "logreg(C=0.1)"), tmp_path, **options)


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "", "true,predicted,cost\nbee,ant\n", "true,predicted,cost\n"])
def test_a_file_that_holds_no_costs_is_refused(cache: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "costs.csv").write_text(content)
    with pytest.raises(JobError, match=r"expected true, predicted, cost|finite number|none is given"):
        quick(cache, "ridge", tmp_path / "out", costs=tmp_path / "costs.csv")
