"""The cache's contract: rows are found by content, shards are sealed plain HDF5, and what does not fit is refused."""

import errno
import fcntl
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.cache.shards import find_damage
from headstart.extractors.errors import CacheError
from headstart.extractors.spec.key import FORMAT_VERSION, EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing

ROOT = Path(__file__).parent.parent.parent.parent
KEY = EmbeddingKey(
    backbone="torchvision/resnet18",
    weights="sha256:aa",
    taps=("layer3:max", "penultimate"),
    preprocessing=Preprocessing(),
    dtype="float16",
)
DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(10)]
FEATURES = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float16)


def rows(numbers: range) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    digests = np.frombuffer(bytes.fromhex("".join(DIGESTS[n] for n in numbers)), np.uint8).reshape(-1, 32)
    return digests, {"penultimate": FEATURES[numbers], "layer3:max": -FEATURES[numbers]}


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    """Seven of ten images, in two shards."""
    store = EmbeddingCache(tmp_path / "cache", create=True).store(KEY)
    store.create({"weights_name": "IMAGENET1K_V1"})
    store.seal(*rows(range(4)))
    store.seal(*rows(range(4, 7)))
    return store


def test_rows_come_back_in_the_order_asked_for_whatever_shard_they_lie_in(store: EmbeddingStore) -> None:
    order = [5, 0, 6, 3, 0]
    view = store.view("penultimate", [DIGESTS[n] for n in order])
    assert view.shape == (5, 5)
    np.testing.assert_array_equal(np.asarray(view), FEATURES[order])
    np.testing.assert_array_equal(np.asarray(view.take([1, 2])), FEATURES[[0, 6]])


def test_each_tap_has_its_own_rows(store: EmbeddingStore) -> None:
    np.testing.assert_array_equal(np.asarray(store.view("layer3:max", DIGESTS[:7])), -FEATURES[:7])


def test_missing_names_exactly_the_images_without_a_row(store: EmbeddingStore) -> None:
    assert store.missing(DIGESTS).tolist() == [False] * 7 + [True] * 3
    assert store.missing([]).tolist() == []


def test_a_digest_that_shares_its_first_half_with_another_is_not_taken_for_it(store: EmbeddingStore) -> None:
    impostor = DIGESTS[0][:32] + DIGESTS[1][32:]
    assert store.missing([impostor]).tolist() == [True]


def test_a_view_of_missing_rows_says_how_many_and_what_to_do(store: EmbeddingStore) -> None:
    with pytest.raises(CacheError, match="3 of 10 images have no embedding; run 'headstart extract' again"):
        store.view("penultimate", DIGESTS)


def test_a_view_of_an_unknown_tap_names_the_taps_there_are(store: EmbeddingStore) -> None:
    with pytest.raises(CacheError, match="no tap 'layer2'; it has layer3:max, penultimate"):
        store.view("layer2", DIGESTS[:7])


def test_a_view_pickles_as_paths_and_row_numbers(store: EmbeddingStore) -> None:
    view = store.view("penultimate", DIGESTS[:7])
    pickled = pickle.dumps(view)
    assert FEATURES[0].tobytes() not in pickled
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickled)), FEATURES[:7])  # noqa: S301 - our own bytes


def test_one_whole_shard_is_the_memory_map_itself_and_a_cast_is_a_copy(tmp_path: Path) -> None:
    store = EmbeddingCache(tmp_path / "cache", create=True).store(KEY)
    store.create({})
    store.seal(*rows(range(10)))
    view = store.view("penultimate", DIGESTS)
    assert isinstance(np.asarray(view).base, np.memmap)
    wide = np.asarray(view, dtype=np.float32)
    assert wide.flags.c_contiguous
    np.testing.assert_array_equal(wide, FEATURES.astype(np.float32))
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(view, dtype=np.float32, copy=False)


def test_a_shard_is_plain_hdf5_that_says_what_it_is(store: EmbeddingStore) -> None:
    shard = store.shards()[0]
    with h5py.File(shard, "r") as file:
        assert EmbeddingKey.from_dict(json.loads(file.attrs["key"])) == KEY
        digests = [row.tobytes().hex() for row in file["digest"][...]]
        numbers = [DIGESTS.index(digest) for digest in digests]
        np.testing.assert_array_equal(file["features/penultimate"][...], FEATURES[numbers])
        assert file["features/penultimate"].id.get_offset() % 4096 == 0


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump (Debian: hdf5-tools) is not installed")
def test_h5dump_reads_a_shard(store: EmbeddingStore) -> None:
    shown = subprocess.run(
        ["h5dump", "-d", "/features/penultimate", store.shards()[0]], capture_output=True, text=True, check=True
    )
    assert "16-bit little-endian floating-point" in shown.stdout


def test_a_shard_is_read_and_proved_while_another_process_holds_it_locked(store: EmbeddingStore) -> None:
    with store.shards()[0].open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        np.testing.assert_array_equal(np.asarray(store.view("penultimate", DIGESTS[:4])), FEATURES[:4])
        assert find_damage(store.shards()[0], KEY) == ""


def test_sealing_the_same_rows_twice_changes_nothing(store: EmbeddingStore) -> None:
    before = {path: path.read_bytes() for path in store.shards()}
    store.seal(*rows(range(4)))
    assert {path: path.read_bytes() for path in store.shards()} == before


def test_rows_of_another_shape_dtype_or_tap_are_refused(store: EmbeddingStore) -> None:
    digests, features = rows(range(7, 10))
    with pytest.raises(CacheError, match="must have 3 rows of float16, got 2 of float16"):
        store.seal(digests, features | {"penultimate": FEATURES[:2]})
    with pytest.raises(CacheError, match="got 3 of float32"):
        store.seal(digests, features | {"penultimate": FEATURES[7:].astype(np.float32)})
    with pytest.raises(CacheError, match=r"must have the taps \['layer3:max', 'penultimate'\], got \['penultimate'\]"):
        store.seal(digests, {"penultimate": FEATURES[7:]})


def test_a_flipped_bit_is_found_by_the_checksum(store: EmbeddingStore) -> None:
    shard = store.shards()[0]
    with h5py.File(shard, "r") as file:
        offset = file["features/penultimate"].id.get_offset()
    content = bytearray(shard.read_bytes())
    content[offset + 3] ^= 1
    shard.write_bytes(content)
    assert store.damaged() == {
        shard: "features/penultimate: its bytes do not give the checksum that was kept when it was sealed"
    }


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_shard_is_reported_with_the_way_out(store: EmbeddingStore, kept: int) -> None:
    shard = store.shards()[0]
    shard.write_bytes(shard.read_bytes()[:kept])
    assert shard in store.damaged()
    with pytest.raises(CacheError, match=f"{shard}: .*run 'headstart verify CACHE --repair'"):
        store.view("penultimate", DIGESTS[:7])


def test_a_key_with_other_weights_has_other_rows(store: EmbeddingStore) -> None:
    other = EmbeddingCache(store.path.parent.parent).store(replace(KEY, weights="sha256:bb"))
    assert other.missing(DIGESTS).all()


def test_stores_lists_every_key_with_what_helps_people(store: EmbeddingStore) -> None:
    (found,) = EmbeddingCache(store.path.parent.parent).stores()
    assert found.key == KEY
    assert found.about == {"weights_name": "IMAGENET1K_V1"}
    assert found.n_rows() == 7
    assert found.n_bytes() == sum(path.stat().st_size for path in store.shards())


def test_a_cache_of_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path / "cache", create=True)
    (tmp_path / "cache" / "cache.json").write_text('{"format_version": 99}')
    with pytest.raises(
        CacheError,
        match=f"written in cache format 99, this version reads {FORMAT_VERSION}; extract into another folder",
    ):
        EmbeddingCache(tmp_path / "cache")


def test_a_folder_with_other_files_is_never_made_a_cache(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CacheError, match=r"holds other files \(thesis\.tex\) and is no cache"):
        EmbeddingCache(tmp_path, create=True)


def test_a_folder_that_is_not_writable_says_so(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write anywhere; nobody may not
    try:
        with pytest.raises(CacheError, match="permission denied; choose another folder"):
            EmbeddingCache(tmp_path / "locked" / "cache", create=True)
    finally:
        if root:
            os.seteuid(0)


def test_a_missing_cache_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"no cache here .* make one with 'headstart extract"):
        EmbeddingCache(tmp_path / "nowhere")


def test_a_shard_of_another_key_is_never_read(store: EmbeddingStore) -> None:
    other = EmbeddingCache(store.path.parent.parent).store(replace(KEY, precision="bf16"))
    other.create({})
    digests, features = rows(range(7, 10))
    strayed = shutil.copy(other.seal(digests, features), store.path)
    with pytest.raises(CacheError, match=r"made under another key \(precision: bf16 here, fp32 there\); move it out"):
        store.missing(DIGESTS)
    assert store.damaged() == {Path(strayed): "made under another key (precision: bf16 here, fp32 there)"}


def test_a_folder_that_holds_another_key_than_its_name_says_is_refused(store: EmbeddingStore) -> None:
    other = replace(KEY, precision="bf16")
    shutil.copytree(store.path, store.path.parent / other.id)
    with pytest.raises(CacheError, match=r"holds another key than its name says \(precision: fp32 here, bf16 there\)"):
        EmbeddingCache(store.path.parent.parent).store(other)


def test_more_shards_than_a_process_may_open_are_read(tmp_path: Path) -> None:
    store = EmbeddingCache(tmp_path / "cache", create=True).store(KEY)
    store.create({})
    for number in range(10):
        store.seal(*rows(range(number, number + 1)))
    code = f"""
import resource
import numpy as np
from headstart.extractors.cache.cache import EmbeddingCache
cache = EmbeddingCache({str(tmp_path / "cache")!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
print(np.asarray(cache.stores()[0].view("penultimate", {DIGESTS!r})).tolist())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    np.testing.assert_array_equal(np.array(json.loads(ran.stdout), np.float16), FEATURES)


def test_a_first_start_that_was_cut_short_is_no_obstacle_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CacheError, match="run the same command again"):
            EmbeddingCache(tmp_path / "cache", create=True)
    (tmp_path / "cache" / "cache.json.otherhost-1.part").touch()  # what a kill at that moment would leave
    assert EmbeddingCache(tmp_path / "cache", create=True).stores() == []


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense"])
def test_a_damaged_marker_says_so(tmp_path: Path, content: str) -> None:
    EmbeddingCache(tmp_path, create=True)
    (tmp_path / "cache.json").write_text(content)
    with pytest.raises(CacheError, match=r"cache\.json: damaged; restore it"):
        EmbeddingCache(tmp_path)


def test_a_damaged_key_file_names_itself(store: EmbeddingStore) -> None:
    (store.path / "key.json").write_text("{")
    with pytest.raises(CacheError, match=r"key\.json: cannot be read .*'headstart verify CACHE' says what to do"):
        EmbeddingCache(store.path.parent.parent).stores()
