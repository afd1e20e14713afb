import pandas as pd
import pytest

from headstart.extractors.images.columns import typed_column


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "10", "-3"], "int64", [1, 10, -3]),
        (["1", None], "Int64", [1, pd.NA]),
        (["0.5", "2", "1e-05"], "float64", [0.5, 2.0, 1e-05]),
        (["1.50", "2.25", "10.00"], "float64", [1.5, 2.25, 10.0]),  # two decimals each, as instruments write
        (["True", "False"], "bool", [True, False]),
        (["True", ""], "boolean", [True, pd.NA]),
        (["ant", ""], "object", ["ant", None]),
    ],
)
def test_what_is_written_back_as_it_stands_is_a_number_or_a_truth(
    cells: list[str | None], dtype: str, values: list[object]
) -> None:
    column = typed_column(pd.Series(cells, dtype=object))
    assert str(column.dtype) == dtype
    assert column.tolist() == values


@pytest.mark.parametrize(
    "cells",
    [
        ["01", "1"],
        ["1.10", "1.1"],
        ["1e3", "5"],
        ["12345678901234567890", "1"],
        ["+5", "5"],
        ["1_000", "5"],
        ["-0", "1"],
        ["true", "false"],
        ["nan", "1.5"],
        ["9" * 10_000, "1"],
    ],
    ids=lambda cells: cells[0][:20],
)
def test_everything_else_keeps_its_spelling(cells: list[str]) -> None:
    column = typed_column(pd.Series(cells, dtype=object))
    assert column.tolist() == cells
