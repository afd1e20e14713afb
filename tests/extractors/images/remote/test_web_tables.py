"""Tables of addresses, and Parquet files of images at an address."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.remote_servers import Web, web_server
from support.tar_shards import contents

from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.sources import list_images


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        server.files = {"set/a.png": b"first", "set/b.png": b"second"}
        yield server


@pytest.mark.parametrize("column", ["url", "image_url", "URL"])
def test_a_column_of_addresses_names_images(web: Web, tmp_path: Path, column: str) -> None:
    table = tmp_path / "set.csv"
    table.write_text(f"id;label;{column}\n1;ant;{web.url}/set/a.png\n2;bee;{web.url}/set/b.png\n")
    found = list_images(table)
    assert found.rows["path"].tolist() == [f"{web.url}/set/a.png", f"{web.url}/set/b.png"]
    assert label_columns(found.rows) == ["id", "label"]
    assert found.notes == (f"column {column!r} names the images",)
    assert list(contents(str(table)).values()) == [b"first", b"second"]


def test_a_parquet_file_of_images_is_read_where_it_lies(web: Web) -> None:
    images = [{"bytes": f"image {number}".encode(), "path": f"{number}.png"} for number in range(40)]
    file = io.BytesIO()
    pq.write_table(pa.table({"image": images}), file, row_group_size=16)
    web.files["set/some.parquet"] = file.getvalue()
    assert contents(f"{web.url}/set/some.parquet") == {
        f"some.parquet/{number}.png": f"image {number}".encode() for number in range(40)
    }
