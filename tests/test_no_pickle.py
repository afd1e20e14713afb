"""What is read from a file never runs: no module of the packages unpickles one, and what was planted is refused."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from support.small_extraction import opened, run
from support.source_modules import MODULES, ROOT

from headstart.extractors.backbones.weights import read_checkpoint
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.shards import find_damage
from headstart.extractors.errors import CacheError, ImageSetError, WeightsError
from headstart.extractors.images.manifests import read_manifest
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import has_listing, read_listing

UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Where one of them is imported, and why that is no danger.
KNOWN = {
    "extractors/backbones/torch_files.py": "only to catch what torch's restricted reader raises",
    "flows/extraction/worker.py": "messages between a run and its own Dask workers; Dask unpickles all that it gets",
    "heads/sweep/run.py": "joblib counts the cores; nothing is read with it",
}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each call as it is written, with its keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}


def faults(source: str) -> list[str]:
    found = []
    for name, words in calls(ast.parse(source)):
        last = name.rpartition(".")[2]
        if name == "torch.load" and words.get("weights_only") != "True":
            found.append(f"{name} without weights_only=True")
        if words.get("allow_pickle", "False") != "False":
            found.append(f"{name} with allow_pickle")
        if last in {"read_pickle", "to_pickle", "unsafe_load", "full_load"} or name in {"eval", "exec", "yaml.load"}:
            found.append(name)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "eval(text)",
        "yaml.load(file)",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert len(faults(source)) == 1


def test_no_module_reads_what_can_run() -> None:
    found = {str(module): faults((ROOT / module).read_text()) for module in MODULES}
    assert {module: wrong for module, wrong in found.items() if wrong} == {}


def test_only_these_modules_know_how_to_unpickle() -> None:
    knowing = {str(path) for path in MODULES if UNPICKLERS & set(imported(ast.parse((ROOT / path).read_text())))}
    assert knowing <= set(KNOWN)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it ran"


@pytest.fixture
def payload(marker: Path) -> bytes:
    data = pickle.dumps(Payload(marker))
    pickle.loads(data)  # noqa: S301 - made in the line above
    assert marker.exists()  # it would run
    marker.unlink()
    return data


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors"])
def test_planted_weights_do_not_run(payload: bytes, marker: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(payload)

    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["listing.parquet", "digests.parquet", "requests.json"])
def test_a_planted_listing_does_not_run(payload: bytes, marker: Path, tmp_path: Path, photos: Path, name: str) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    run(opened(cache, photos))
    (cache.path / name).write_bytes(payload)

    if name == "listing.parquet":
        with pytest.raises(CacheError):
            read_listing(cache)
    else:
        assert has_listing(cache)
        assert len(opened(cache, photos).missing) == 0
    assert not marker.exists()


@pytest.mark.parametrize("name", ["key.json", "index", "shard"])
def test_a_planted_shard_does_not_run(payload: bytes, marker: Path, tmp_path: Path, photos: Path, name: str) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    extraction = opened(cache, photos)
    run(extraction)
    folder = extraction.store.path
    files = {
        "key.json": [folder / "key.json"],
        "index": list(folder.glob("*index*")),
        "shard": list(folder.glob("*.h5")),
    }
    for path in files[name]:
        path.write_bytes(payload)
    digests = extraction.listing.distinct["digest"].tolist()

    try:
        for store in EmbeddingCache(cache.path).stores():
            np.asarray(store.view("penultimate", digests))
    except CacheError:
        pass
    assert not marker.exists()


def test_a_shard_of_python_objects_is_damage_and_does_not_run(
    payload: bytes, marker: Path, tmp_path: Path, photos: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    extraction = opened(cache, photos)
    run(extraction)
    shard = extraction.store.shards()[0]
    with h5py.File(shard, "r+") as file:
        n_images = len(file["digest"])
        del file["features/penultimate"]
        planted = file.create_dataset("features/penultimate", (n_images,), h5py.special_dtype(vlen=np.uint8))
        planted[:] = [np.frombuffer(payload, np.uint8)] * n_images

    assert find_damage(shard, extraction.store.key)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["some.csv", "some.parquet"])
def test_a_planted_manifest_does_not_run(payload: bytes, marker: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(payload)

    with pytest.raises(ImageSetError):
        list_images(tmp_path / name)
    assert not marker.exists()


def test_bytes_in_a_parquet_column_stay_bytes(payload: bytes, marker: Path, tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a.png"], "label": [payload]}).to_parquet(tmp_path / "some.parquet")

    with pytest.raises(ImageSetError, match="holds bytes"):
        read_manifest(tmp_path / "some.parquet")
    assert not marker.exists()
