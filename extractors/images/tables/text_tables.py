"""CSV as programs and countries write it: any usual separator, any encoding; what had to be guessed is said."""

import codecs
import csv
import gzip
import io
import re
import zlib

import pandas as pd

from headstart.extractors.images.tables.names import names_images

_PACKED = b"\x1f\x8b"  # by gzip
_MOST_BYTES = 2 * 2**30  # that a packed table may unfold to
_SEPARATORS = (",", ";", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HINT = re.compile(r'"?sep=(.)"?\r?\n')  # spreadsheets write and obey such a first line
_DECIMAL_COMMA = re.compile(r"-?[0-9]+(,[0-9]+)?", re.ASCII)


def read_text_table(content: bytes, notes: list[str]) -> pd.DataFrame:
    """Read a CSV file into columns of text, with NaN in empty cells; `notes` takes what was guessed.

    Raises
    ------
    ValueError
        The parser's and the codec's errors.
    """
    text = _decoded(_unpacked(content) if content.startswith(_PACKED) else content, notes)
    separator = ""
    if hint := _HINT.match(text):
        text, separator = text[hint.end() :], hint[1]
    header = next((line for line in text[: 1 << 16].splitlines() if line.strip()), "")
    separator = separator or _separator_of(header)
    table = pd.read_csv(
        io.BytesIO(text.encode("utf-8", "surrogatepass")),  # as text it would take four times the memory
        sep=separator,
        dtype=str,  # 001 stays 001
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=f"{separator} " in header,
    )
    table.columns = [str(name).strip() for name in table.columns]
    table = _without_row_numbers(table)
    return _with_points(table, notes) if separator == ";" else table


def _unpacked(content: bytes) -> bytes:
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(content)).read(_MOST_BYTES + 1)
    except (EOFError, zlib.error) as error:
        raise ValueError(f"it is packed and damaged: {error}") from error
    if len(unpacked) > _MOST_BYTES:
        raise ValueError(f"it unfolds to more than {_MOST_BYTES} bytes")
    return unpacked


def _decoded(content: bytes, notes: list[str]) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise  # no text of one byte a sign
        place = error.start
    try:
        text = content.decode("cp1252")  # Latin-1 with signs of Windows where Latin-1 has none
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    line = text[text.rfind("\n", 0, place) + 1 :].partition("\n")[0].strip()
    notes.append(
        f"the table is not UTF-8 and was read as Latin-1: see that {line[:60]!r} is right, or save the table as UTF-8"
    )
    return text


def _separator_of(header: str) -> str:
    """Return the separator by which the header names images, or else the one that gives most columns."""
    fields = {one: next(csv.reader([header], delimiter=one), []) for one in _SEPARATORS}
    naming = [one for one in _SEPARATORS if any(names_images(field) for field in fields[one])]
    return max(naming or _SEPARATORS, key=lambda one: len(fields[one]))


def _without_row_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the index that pandas writes in front under no name, where it only counts the rows."""
    first = str(table.columns[0]) if table.columns.is_unique else ""
    if len(table.columns) > 1 and first.startswith("Unnamed:"):
        cells = table[first].tolist()
        if any(cells == [str(number) for number in range(start, start + len(cells))] for start in (0, 1)):
            return table.drop(columns=first)
    return table


def _with_points(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Write 1,5 as 1.5 where all of a column is so: where lists are separated by ; decimals have a comma."""
    for name in table.columns if table.columns.is_unique else ():
        cells = table[name].dropna()
        if cells.str.contains(",", regex=False).any() and cells.map(_DECIMAL_COMMA.fullmatch).notna().all():
            table[name] = table[name].str.replace(",", ".", regex=False)
            notes.append(f"numbers of column {name!r} have a decimal comma, and were read as such")
    return table
