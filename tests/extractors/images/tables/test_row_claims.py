"""A Parquet file of a few bytes that claims millions of rows is refused before there is memory for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, ImageSetError
from headstart.extractors.images.manifests import read_manifest
from headstart.extractors.images.sources import list_images
from headstart.extractors.images.tables.row_claims import FEW_ROWS, ROWS_A_BYTE, check_rows_claimed
from headstart.extractors.listing import check_left_out, read_other_sets

MANY = 5_000_000


def nothing() -> pa.Table:
    return pa.table({name: pa.nulls(MANY, pa.string()) for name in ("path", "label", "digest")})


def the_same() -> pa.Table:
    numbers = pa.array(np.zeros(MANY, np.int32))
    return pa.table({"path": pa.DictionaryArray.from_arrays(numbers, pa.array(["a.png"]))})


def no_images() -> pa.Table:
    return pa.table({"image": pa.nulls(MANY, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))})


@pytest.mark.parametrize("table", [nothing, the_same, no_images])
def test_rows_of_nothing_and_rows_alike_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Callable[[], Any]
) -> None:
    pq.write_table(table(), tmp_path / "birds.parquet")
    for name in ("read", "iter_batches", "read_row_group"):  # nothing of the rows is read
        monkeypatch.delattr(pq.ParquetFile, name)
    with pytest.raises(ImageSetError, match=rf"birds\.parquet: not .*it claims {MANY} rows, in [0-9]+ bytes"):
        list_images(tmp_path / "birds.parquet")


@pytest.mark.parametrize(("name", "read"), [("digests", check_left_out), ("other-sets", read_other_sets)])
def test_so_are_those_of_a_cache(cache: EmbeddingCache, name: str, read: Callable[[EmbeddingCache], Any]) -> None:
    pq.write_table(nothing(), cache.path / f"{name}.parquet")
    with pytest.raises(CacheError, match=rf"{name}\.parquet: cannot be read \(it claims {MANY} rows"):
        read(cache)


def test_names_that_count_up_are_read_however_tersely_they_are_written(tmp_path: Path) -> None:
    names = [f"images/{number:08d}.jpg" for number in range(2 * FEW_ROWS)]
    encoded: dict[str, Any] = {"use_dictionary": False, "column_encoding": {"path": "DELTA_BYTE_ARRAY"}}
    file = tmp_path / "birds.parquet"
    pq.write_table(pa.table({"path": names}), file, compression="brotli", **encoded)
    assert len(names) > 10 * file.stat().st_size
    assert read_manifest(file)["path"].tolist() == names


def test_the_bound_is_where_it_says() -> None:
    check_rows_claimed(FEW_ROWS, 1)
    check_rows_claimed(ROWS_A_BYTE * 10**6, 10**6)
    with pytest.raises(ValueError, match="it claims 32000001 rows, in 1000000 bytes"):
        check_rows_claimed(ROWS_A_BYTE * 10**6 + 1, 10**6)
