"""What JSON cannot hold becomes what it can, in one place."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.flows.output.json_values import as_line, plain


@dataclass(frozen=True)
class Inner:
    value: float


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: list[Inner]
    absent: str | None = None
    unsaid: str | None = field(default=None, metadata={"unsaid_if_none": True})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]], dtype=np.int8), [[1, 2]]),
        ((1, (2.5, "x")), [1, [2.5, "x"]]),
        ({1: np.float32(0.25), "p": Path("a/b")}, {"1": 0.25, "p": "a/b"}),
        ([np.nan, -np.inf, float("inf")], [None, None, None]),
        (Outer(Inner(1), [Inner(np.nan)]), {"inner": {"value": 1.0}, "many": [{"value": None}], "absent": None}),
        (Outer(Inner(1.0), [], unsaid="x"), {"inner": {"value": 1.0}, "many": [], "absent": None, "unsaid": "x"}),
    ],
    ids=str,
)  # fmt: skip
def test_values_become_plain(value: object, expected: object) -> None:
    assert plain(value) == expected
    assert json.loads(as_line(value)) == expected


def test_what_says_its_own_values_is_asked() -> None:
    key = EmbeddingKey(backbone="b", weights="w", taps=("t",), preprocessing=Preprocessing())
    assert plain({"key": key}) == {"key": key.as_dict()}


def test_numbers_that_python_alone_reads_back_stay_where_they_are_wanted() -> None:
    found = json.loads(json.dumps(plain([np.inf, np.nan, 1], finite=False)))
    assert found == pytest.approx([np.inf, np.nan, 1], nan_ok=True)
