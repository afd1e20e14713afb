"""What `listing.parquet` claims is checked: one line that names the file and what is wrong, whoever reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, UnavailableError
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.listing.usable_images import read_usable

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def listed(cache: EmbeddingCache, tree: Callable[..., Path]) -> Path:
    update_listing(cache, list_images(tree("cat/1.png", "cat/2.png", "dog/3.png")), workers=1)
    return cache.path / "listing.parquet"


def rewrite(file: Path, change: Change) -> None:
    table = pq.read_table(file)
    columns = {name: table.column(name) for name in table.column_names}
    changed = change(columns)
    columns = columns if changed is None else changed
    pq.write_table(pa.table(columns).replace_schema_metadata(table.schema.metadata), file)


def put(name: str, values: list[Any], kind: Any = None) -> Change:
    return lambda columns: columns.update({name: pa.array(values, kind)})


WRONG: dict[str, tuple[Change, str]] = {
    "no path": (lambda columns: columns.pop("path") and None, "it has no column 'path'"),
    "no digest": (lambda columns: columns.pop("digest") and None, "it has no column 'digest'"),
    "no status": (lambda columns: columns.pop("status") and None, "it has no column 'status'"),
    "no hex": (put("digest", ["x" * 64] * 3), "a digest is no 64 hexadecimal digits"),
    "too short": (put("digest", ["ab" * 31, "ab" * 33, "ab" * 32]), "a digest is no 64 hexadecimal digits"),
    "usable without a digest": (put("digest", [None] * 3, pa.string()), "not in quarantine has no digest"),
    "digest as a number": (put("digest", [1, 2, 3]), "column 'digest' holds int64"),
    "path as a number": (put("path", [1, 2, 3]), "column 'path' holds int64"),
    "size as text": (put("bytes", ["1", "2", "3"]), "column 'bytes' holds string"),
    "size below nothing": (put("bytes", [1, -2, 3]), "an image has no size"),
    "status of no kind": (put("status", ["ok", "fine", "ok"]), "the status of a row is 'fine'"),
    "labels that are lists": (put("label", [["a"], ["b"], []]), "column 'label' holds list"),
    "a path that is missing": (put("path", ["a", None, "b"]), "a row has no path"),
    "rows of nothing": (
        lambda _: (
            {
                name: pa.nulls(2_000_000, pa.string())
                for name in ("path", "archive", "split", "group", "status", "reason", "digest")
            }
            | {name: pa.nulls(2_000_000, pa.int64()) for name in ("offset", "bytes", "mtime_ns")}
        ),
        "it claims 2000000 rows, in",
    ),
}


@pytest.mark.parametrize("read", [read_listing, read_usable])
@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_a_listing_is_refused_by_name(
    listed: Path, cache: EmbeddingCache, read: Callable[..., Any], what: str
) -> None:
    change, message = WRONG[what]
    rewrite(listed, change)
    with pytest.raises(CacheError, match=f"{listed}: cannot be read .*{message}.*; delete this file and run"):
        read(cache)


def test_a_path_that_stands_twice_is_refused(listed: Path, cache: EmbeddingCache) -> None:
    rewrite(listed, put("path", ["a", "b", "a"]))
    with pytest.raises(CacheError, match=r"listing\.parquet: cannot be read \('a' stands twice\)"):
        read_listing(cache)


@pytest.mark.parametrize("origin", [b"{", b"[]", b'{"root": 1, "kind": "folder", "written_ns": 1}', b"[" * 100_000])
def test_an_origin_that_is_none_is_refused(listed: Path, cache: EmbeddingCache, origin: bytes) -> None:
    table = pq.read_table(listed)
    pq.write_table(table.replace_schema_metadata({b"headstart": origin}), listed)
    for read in (read_listing, read_usable):
        with pytest.raises(CacheError, match=r"listing\.parquet: cannot be read"):
            read(cache)


def test_any_flipped_bit_of_a_listing_is_found(listed: Path, cache: EmbeddingCache) -> None:
    """`label` becomes `larel` by one bit, and a file without a checksum of its own reads well."""
    sound = listed.read_bytes()
    before = read_listing(cache).rows
    unseen = []
    for at in range(0, len(sound), 5):
        content = bytearray(sound)
        content[at] ^= 1 << (at % 8)
        listed.write_bytes(content)
        try:
            if not read_listing(cache).rows.equals(before):
                unseen.append(at)
        except CacheError:
            continue
    assert unseen == []


def test_a_listing_is_plain_parquet(listed: Path) -> None:
    assert pq.read_table(listed, columns=["path"])["path"].to_pylist() == ["cat/1.png", "cat/2.png", "dog/3.png"]


def test_a_listing_that_cannot_be_read_now_is_not_called_damaged(
    listed: Path, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.open

    def failing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == listed:
            raise OSError(5, "Input/output error")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(UnavailableError, match="says nothing against the file") as caught:
        read_listing(cache)
    assert "delete" not in str(caught.value)
