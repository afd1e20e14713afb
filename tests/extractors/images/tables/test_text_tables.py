"""CSV tables as people have them are listed as a plain one is; what had to be guessed is said."""

import codecs
import gzip
from pathlib import Path

import pandas as pd
import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.sources import list_images
from headstart.extractors.images.tables import text_tables

PLAIN = 'path,label,age\nimages/a.jpg,ant,1\nimages/b.jpg,"bee, red",2\nimages/é.jpg,,3\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "é"):
        (tmp_path / f"images/{name}.jpg").write_bytes(name.encode() * 7)
    return tmp_path


def listed(folder: Path, content: str | bytes, name: str = "set.csv") -> tuple[pd.DataFrame, str]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = list_images(folder / name)
    return found.rows, "\n".join(found.notes)


def separated(by: str) -> str:
    return pd.read_csv(pd.io.common.StringIO(PLAIN), dtype=str).to_csv(sep=by, index=False)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("name", ["set.csv", "set.tsv", "SET.CSV"])
def test_any_usual_separator_is_found(folder: Path, separator: str, name: str) -> None:
    plain, _ = listed(folder, PLAIN)
    rows, notes = listed(folder, separated(separator), name)
    pd.testing.assert_frame_equal(rows, plain)
    assert rows["status"].tolist() == ["ok"] * 3
    assert not notes


@pytest.mark.parametrize(
    "text",
    [
        "path;label\nimages/a.jpg;1, 2\nimages/b.jpg;x\n",
        'sep=;\npath;label\nimages/a.jpg;"1, 2"\nimages/b.jpg;x\n',
        'path, label\nimages/a.jpg, "1, 2"\nimages/b.jpg, x\n',
        '"path"\t"label"\r\n"images/a.jpg"\t"1, 2"\r\n"images/b.jpg"\t"x"\r\n',
        ',path,label\n0,images/a.jpg,"1, 2"\n1,images/b.jpg,x\n',  # pandas' index
        '\n\npath,label\nimages/a.jpg,"1, 2"\n\nimages/b.jpg,x\n',
    ],
)
def test_what_else_programs_write_is_read(folder: Path, text: str) -> None:
    rows, _ = listed(folder, text)
    assert rows["path"].tolist() == ["images/a.jpg", "images/b.jpg"]
    assert label_columns(rows) == ["label"]
    assert rows["label"].tolist() == ["1, 2", "x"]


def test_a_header_with_several_separators_is_cut_where_it_names_the_images(folder: Path) -> None:
    rows, _ = listed(folder, "path,a;b;c;d\nimages/a.jpg,x\n")
    assert label_columns(rows) == ["a;b;c;d"]


def test_decimal_commas_of_a_table_with_semicolons_are_numbers(folder: Path) -> None:
    rows, notes = listed(folder, "path;weight;code\nimages/a.jpg;1,5;1,a\nimages/b.jpg;12,0;2\n")
    assert rows["weight"].tolist() == [1.5, 12.0]
    assert rows["code"].tolist() == ["1,a", "2"]
    assert notes == "numbers of column 'weight' have a decimal comma, and were read as such"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_an_encoding_that_a_mark_tells_is_not_guessed(folder: Path, encoding: str) -> None:
    rows, notes = listed(folder, PLAIN.encode(encoding))
    assert rows["path"].tolist() == ["images/a.jpg", "images/b.jpg", "images/é.jpg"]
    assert not notes


def test_marks_of_the_other_byte_order_are_known(folder: Path) -> None:
    rows, _ = listed(folder, codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"))
    assert rows["path"].iloc[2] == "images/é.jpg"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_latin_1_is_guessed_and_named(folder: Path, encoding: str) -> None:
    rows, notes = listed(folder, PLAIN.replace("bee", "“bee" if encoding == "cp1252" else "bee").encode(encoding))
    assert rows["status"].tolist() == ["ok"] * 3
    assert "not UTF-8 and was read as Latin-1" in notes
    assert ("images/é.jpg" if encoding == "latin-1" else "“bee, red") in notes
    assert rows["label"].iloc[1] == ("“bee, red" if encoding == "cp1252" else "bee, red")


def test_a_packed_table_is_unpacked(folder: Path) -> None:
    rows, _ = listed(folder, gzip.compress(PLAIN.encode()), "set.csv.gz")
    assert rows["path"].tolist() == ["images/a.jpg", "images/b.jpg", "images/é.jpg"]
    with pytest.raises(ImageSetError, match="not a gz table"):
        listed(folder, gzip.compress(PLAIN.encode())[:-20], "set.csv.gz")


def test_a_packed_table_unfolds_to_no_more_than_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_tables, "_MOST_BYTES", 1000)
    with pytest.raises(ImageSetError, match="unfolds to more than 1000 bytes"):
        listed(folder, gzip.compress(b"path\n" + b"a" * 10000), "set.csv.gz")


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    with pytest.raises(ImageSetError, match="not a csv table"):
        listed(folder, b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01")
