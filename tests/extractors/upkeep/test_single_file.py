"""An export: rows in the listing's order, in three kinds of file, read back by plain tools."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.synthetic_cache import features_of, fill, flip_bit, make_images, relist

import headstart.extractors.upkeep.single_file
from headstart.extractors.cache.cache import EmbeddingStore
from headstart.extractors.errors import CacheError, FeatureError
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.extractors.upkeep.single_file import gather_export, write_hdf5, write_npy, write_parquet

SHAPES = {"penultimate": (4,), "layer3:flatten": (2, 3)}
Cached = tuple[EmbeddingStore, CacheListing]


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    """Twenty images, one a copy of another and one empty, in shards of three rows and two taps."""
    images = tmp_path / "images"
    make_images(images, 20)
    (images / "b" / "019.png").write_bytes((images / "a" / "000.png").read_bytes())
    (images / "a" / "004.png").write_bytes(b"")
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3, shapes=SHAPES)
    return store, read_listing(cache)


@pytest.fixture(autouse=True)
def pieces_of_five_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.upkeep.single_file, "PIECE_BYTES", 5 * 4 * 10)


def test_hdf5_has_a_row_a_usable_image_in_the_listings_order(cached: Cached, tmp_path: Path) -> None:
    store, listing = cached
    assert write_hdf5(gather_export(store, listing, list(SHAPES)), tmp_path / "x.h5") == [tmp_path / "x.h5"]
    usable = listing.usable
    assert len(usable) == 19
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["path"].asstr()[...].tolist() == usable["path"].tolist()
        assert file["digest"].asstr()[...].tolist() == usable["digest"].tolist()
        assert file["labels/label"].asstr()[...].tolist() == usable["label"].tolist()
        assert file["split"].asstr()[...].tolist() == [""] * 19
        for tap, shape in SHAPES.items():
            np.testing.assert_array_equal(file[f"features/{tap}"], features_of(usable["digest"], shape))
        assert json.loads(file.attrs["key"]) == json.loads(json.dumps(store.key.as_dict()))
        assert file.attrs["root"] == str(listing.root)


def test_a_copy_of_an_image_has_a_row_of_its_own(cached: Cached, tmp_path: Path) -> None:
    store, listing = cached
    write_hdf5(gather_export(store, listing, ["penultimate"]), tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        paths = file["path"].asstr()[...].tolist()
        features = file["features/penultimate"][...]
    np.testing.assert_array_equal(features[paths.index("a/000.png")], features[paths.index("b/019.png")])


def test_npy_is_a_matrix_with_its_images_and_its_key_beside_it(cached: Cached, tmp_path: Path) -> None:
    store, listing = cached
    files = write_npy(gather_export(store, listing, ["layer3:flatten"]), tmp_path / "x.npy")
    assert [file.name for file in files] == ["x.npy", "x.csv", "x.json"]
    matrix = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, features_of(listing.usable["digest"], (2, 3)))
    table = pd.read_csv(tmp_path / "x.csv")
    assert list(table) == ["path", "label", "split", "group", "digest"]
    assert table["path"].tolist() == listing.usable["path"].tolist()
    about = json.loads((tmp_path / "x.json").read_text())
    assert (about["key"]["weights"], about["tap"], about["dtype"]) == ("sha256:aa", "layer3:flatten", "float32")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_parquet_has_a_list_of_fixed_size_a_tap(cached: Cached, tmp_path: Path, dtype: Any) -> None:
    store, listing = cached
    write_parquet(gather_export(store, listing, ["penultimate"], dtype), tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert (
        str(table.schema.field("penultimate").type)
        == f"fixed_size_list<element: {'half' * (dtype == 'float16')}float>[4]"
    )
    assert table["path"].to_pylist() == listing.usable["path"].tolist()
    assert table["label"].to_pylist() == listing.usable["label"].tolist()
    found = np.array(table["penultimate"].to_pylist(), dtype)
    np.testing.assert_array_equal(found, features_of(listing.usable["digest"], (4,)).astype(dtype))
    assert json.loads(table.schema.metadata[b"headstart"])["key"]["backbone"] == "torchvision/resnet18"


def test_several_taps_of_vectors_lie_side_by_side_in_parquet(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 20)
    shapes = {"penultimate": (4,), "layer3:avg": (6,)}
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=7, shapes=shapes)
    listing = read_listing(cache)
    write_parquet(gather_export(store, listing, list(shapes)), tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    for tap, shape in shapes.items():
        np.testing.assert_array_equal(
            np.array(table[tap].to_pylist(), np.float32), features_of(listing.usable["digest"], shape)
        )


def test_parquet_refuses_features_that_are_no_vectors(cached: Cached, tmp_path: Path) -> None:
    store, listing = cached
    with pytest.raises(CacheError, match=r"layer3:flatten: features of 2×3 do not fit a column; export to \.h5 or"):
        write_parquet(gather_export(store, listing, list(SHAPES)), tmp_path / "x.parquet")
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1.5, None, 3.0, 4.0], [1.5, np.nan, 3.0, 4.0]),
        ([True, False, True, True], [True, False, True, True]),
        (["è", None, "", "日本"], ["è".encode(), b"", b"", "日本".encode()]),
        ([None, None, None, None], [b"", b"", b"", b""]),
    ],
    ids=["int", "float", "bool", "text", "none"],
)
def test_hdf5_holds_labels_of_any_kind(tmp_path: Path, labels: list[Any], expected: list[Any]) -> None:
    make_images(tmp_path / "images", 4)
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=4)
    listing = read_listing(cache)
    listing.rows["label"] = labels
    write_hdf5(gather_export(store, listing, ["penultimate"]), tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["labels/label"][...], np.array(expected))


def test_features_too_large_for_float16_are_refused_and_no_file_is_left(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 4)
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=4)
    listing = read_listing(cache)
    digests = listing.usable["digest"].tolist()
    store.shards()[0].unlink()
    features = features_of(digests, (4,))
    features[2, 1] = 1e5
    store.seal(np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32), {"penultimate": features})
    refusal = rf"penultimate: features of size 1\.0e\+05 do not fit float16, first {listing.usable['path'].iloc[2]}"
    for write, name in ((write_hdf5, "x.h5"), (write_npy, "x.npy"), (write_parquet, "x.parquet")):
        with pytest.raises(FeatureError, match=refusal):
            write(gather_export(store, listing, ["penultimate"], "float16"), tmp_path / name)
    assert not list(tmp_path.glob("x*"))


def test_a_damaged_shard_is_never_exported(cached: Cached) -> None:
    store, listing = cached
    with h5py.File(store.shards()[1]) as file:
        offset = file["features/penultimate"].id.get_offset()
    flip_bit(store.shards()[1], offset)
    with pytest.raises(CacheError, match=r"run 'headstart verify .* --repair' first"):
        gather_export(store, listing, ["penultimate"])


def test_an_image_without_a_row_is_an_error_and_no_gap(cached: Cached) -> None:
    store, listing = cached
    store.shards()[1].unlink()
    with pytest.raises(CacheError, match="3 of 19 images have no embedding; run 'headstart extract' again"):
        gather_export(store, listing, ["penultimate"])


@pytest.mark.parametrize(("write", "name"), [(write_hdf5, "x.h5"), (write_npy, "x.npy"), (write_parquet, "x.parquet")])
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, name: str
) -> None:
    """40 MB of features through pieces of 1 MB."""
    make_images(tmp_path / "images", 400)
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=40, shapes={"penultimate": (25_000,)})
    monkeypatch.setattr(headstart.extractors.upkeep.single_file, "PIECE_BYTES", 10**6)
    export = gather_export(store, relist(cache, tmp_path / "images"), ["penultimate"])
    tracemalloc.start()
    try:
        write(export, tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / name).stat().st_size > 20e6
    assert peak < 5e6
