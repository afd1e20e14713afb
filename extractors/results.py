"""Results of jobs as people look at them: a few lines in a terminal, a table in a notebook, rows for pandas."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import fields, is_dataclass
from html import escape
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from headstart.extractors.atomic import errors_explained

if TYPE_CHECKING:  # takes longer to import than most results to make
    import pandas as pd

_MOST_ROWS, _MOST_NAMES = 10, 5
_Row = TypeVar("_Row")


class JobResult:
    """Result of a job; each class of results declares how it is shown.

    Parameters
    ----------
    says : str
        A few short lines, with attributes in braces: in ``"{images:n image}, {keys:n key}"`` these are counted.
    tables : sequence of str
        Attributes that `to_pandas` makes tables of, first the one that matters most: rows, or the path of a CSV
        file.
    columns : sequence of str
        Of the first table, those that a notebook shows where it has them; by default all.
    """

    _says: ClassVar[str] = ""
    _tables: ClassVar[tuple[str, ...]] = ()
    _columns: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls, *, says: str = "", tables: Sequence[str] = (), columns: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        cls._says, cls._tables, cls._columns = says, tuple(tables), tuple(columns)

    @property
    def _names(self) -> Sequence[str]:
        """Columns of CSV files that hold names, which are read as they are written, also where they look as numbers."""
        return ("path",)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {_Shown().vformat(self._says, (), _Attributes(self))}"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the same lines, and the first rows of the table that matters most."""
        name, *lines = repr(self).split("\n")
        parts = [f"<b>{escape(name)}</b>", *map(escape, lines)]
        table = self.to_pandas()
        if len(table):
            shown = table[[name for name in self._columns if name in table] or table.columns]
            parts.append(shown.head(_MOST_ROWS).to_html(index=False, border=0, na_rep="", float_format="{:.4g}".format))
        if len(table) > _MOST_ROWS:
            parts.append(f"{len(table) - _MOST_ROWS} more rows: to_pandas()")
        return "<div>" + "<br>\n".join(parts) + "</div>"

    def to_pandas(self, table: str | None = None) -> "pd.DataFrame":
        """Return the rows that matter as a data frame.

        A score has columns for the ends of its interval: ``accuracy``, ``accuracy_low``, ``accuracy_high``.

        Parameters
        ----------
        table : str, optional
            Another of the tables that the result has; a wrong name is told which.

        Raises
        ------
        ValueError
            It has no such table.
        CacheError
            The table lies in a file that is gone.
        """
        name = table or self._tables[0]
        if name not in self._tables:
            raise ValueError(f"{type(self).__name__} has no table {name!r}; it has {', '.join(self._tables)}")
        rows = getattr(self, name)
        if isinstance(rows, str):
            return read_table(rows, names=self._names)
        return tabulate(() if rows is None else rows, name)


class ResultList(JobResult, list[_Row]):
    """Result that is a list of rows."""

    @property
    def rows(self) -> list[_Row]:
        """The rows, as a table's."""
        return self


def tabulate(rows: Iterable[Any], name: str = "value") -> "pd.DataFrame":
    """Return dataclasses or mappings as a data frame, one row each; of plain values a column `name`."""
    import pandas as pd  # noqa: PLC0415 - a summary is made without it

    return rows.copy() if isinstance(rows, pd.DataFrame) else pd.DataFrame([dict(_cells_of(row, name)) for row in rows])


def read_table(path: str, *, names: Sequence[str]) -> "pd.DataFrame":
    """Read a CSV file of a run; columns that hold `names` stay as they are written: a class may be called "01" or "NA".

    Raises
    ------
    CacheError
        It is gone, or cannot be read.
    """
    import pandas as pd  # noqa: PLC0415 - a summary is made without it

    with errors_explained(Path(path)):
        return pd.read_csv(path, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=[""])


def _cells_of(row: Any, name: str) -> Iterable[tuple[str, Any]]:
    """Yield the columns of a row with their values."""
    if is_dataclass(row):
        row = {field.name: getattr(row, field.name) for field in fields(row)}
    for column, value in row.items() if isinstance(row, Mapping) else [(name, row)]:
        if isinstance(value, Mapping) and not any(map(is_dataclass, value.values())):
            yield column, ", ".join(f"{key}={one}" for key, one in value.items())
        elif isinstance(value, Mapping):
            yield from _cells_of(value, column)
        elif is_dataclass(value):
            inner = dict(_cells_of(value, column))
            yield from ((column if key == "value" else f"{column}_{key}", one) for key, one in inner.items())
        else:
            yield column, value


class _Attributes(Mapping[str, Any]):
    """The attributes of an object, by their names."""

    def __init__(self, owner: object) -> None:
        self._owner = owner

    def __getitem__(self, name: str) -> Any:
        return getattr(self._owner, name)

    def __iter__(self) -> Any:
        return iter(dir(self._owner))

    def __len__(self) -> int:
        return len(dir(self._owner))


class _Shown(Formatter):
    """Text with values in it, of which none breaks a line or steers a terminal."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("n "):
            number, word = len(value) if isinstance(value, Sized) else int(value), format_spec[2:]
            return f"{number} {word}" if number == 1 else f"{number} {word}s"
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value[:_MOST_NAMES])) + (", …" if len(value) > _MOST_NAMES else "")
        text = str(super().format_field(value, format_spec))
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
