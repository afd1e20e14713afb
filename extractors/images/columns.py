"""Columns of cells as they are written: numbers only where writing the numbers back gives every cell, else text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headstart.extractors.images.image_set import text_series

# Not 007, which is a name; and at most 18 digits, which fit int64.
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMALS = re.compile(r"-?(0|[1-9][0-9]*)\.([0-9]+)", re.ASCII)
_TRUTHS = {"True": True, "False": False}


def typed_column(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of text as int64, float64, bool, or text: 007, 1.10 beside 1.1, and 1e3 keep their spelling.

    Numbers with a fraction may all have the same number of decimals, as instruments write them.

    Parameters
    ----------
    cells : Series of str (n_rows,)
        None, NaN or an empty text is missing; whole numbers with missing cells become Int64, truths boolean.
    """
    absent = (cells.isna() | (cells == "")).tolist()
    values = [None if none else str(cell) for cell, none in zip(cells, absent, strict=True)]
    different = list(dict.fromkeys(value for value in values if value is not None))
    for kind in _KINDS if different else ():
        if kind.holds(different):
            number_of = {text: kind.read(text) for text in different}
            typed = [None if value is None else number_of[value] for value in values]
            return pd.Series(typed, dtype=kind.with_missing if any(absent) else kind.dtype)
    return text_series(values)


def are_whole_numbers(texts: Sequence[str]) -> bool:
    """Tell whether all texts are whole numbers that would be written so again."""
    return all(_WHOLE_NUMBER.fullmatch(text) and text != "-0" for text in texts)


def _are_decimal(texts: Sequence[str]) -> bool:
    """Tell whether each text is what Python writes for its number, or all have one number of decimals."""
    decimals = [_DECIMALS.fullmatch(text) for text in texts]
    if all(decimals) and len({len(match[2]) for match in decimals if match}) == 1:
        return True
    return all(_is_written_back(text) for text in texts)


def _is_written_back(text: str) -> bool:
    if _WHOLE_NUMBER.fullmatch(text):  # 2 among 1.5 and 2.25
        return text != "-0"
    try:
        return repr(float(text)) == text and text != "nan"
    except ValueError:
        return False


def _are_truths(texts: Sequence[str]) -> bool:
    return all(text in _TRUTHS for text in texts)


@dataclass(frozen=True)
class _Kind:
    """Cells of one kind: whether all are, how to read one, and the column's dtype, also with missing cells."""

    holds: Callable[[Sequence[str]], bool]
    read: Callable[[str], Any]
    dtype: str
    with_missing: str


_KINDS = (
    _Kind(are_whole_numbers, int, "int64", "Int64"),
    _Kind(_are_decimal, float, "float64", "float64"),
    _Kind(_are_truths, _TRUTHS.__getitem__, "bool", "boolean"),
)
