"""`headstart.open`: embeddings, labels and images of a cache as arrays, of the images that a fit takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from support.array_cache import cache_of

import headstart
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError

Embed = Callable[..., Any]


def test_arrays_are_the_rows_of_the_images_in_the_order_of_the_listing(embed: Embed) -> None:
    cache = embed().cache
    X, y, images = headstart.open(cache).arrays()
    rows = read_listing(EmbeddingCache(cache)).usable
    (store,) = EmbeddingCache(cache).stores()
    assert np.array_equal(X, np.asarray(store.view("penultimate", rows["digest"].tolist())))
    assert X.dtype == np.float32
    assert y is not None
    assert y.tolist() == images["label"].tolist() == rows["label"].tolist()
    assert images["path"].tolist() == rows["path"].tolist()
    assert list(images) == ["path", "split", "group", "label"]


def test_what_fit_leaves_out_is_left_out_here(embed: Embed, photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "cut.png").write_bytes((photos / "cat" / "00.png").read_bytes()[:200])
    cache = embed().cache
    table = pd.DataFrame({"path": [f"cat/{n:02d}.png" for n in range(12)], "kind": ["a", "b"] * 5 + [None, None]})
    table.to_csv(tmp_path / "kinds.csv", index=False)
    X, y, images = headstart.open(cache).arrays(labels=tmp_path / "kinds.csv")
    found = headstart.fit(cache, "centroid", labels=tmp_path / "kinds.csv", folds=2, out=tmp_path / "r")
    assert y is not None
    assert len(X) == len(y) == len(images) == found.understood.images == 10  # type: ignore[union-attr]
    assert sorted(set(y)) == found.class_names
    assert len(headstart.open(cache).arrays().X) == len(headstart.open(cache).images) == 36


def test_splits_are_asked_for_by_name(tmp_path: Path) -> None:
    features = np.arange(12.0).reshape(6, 2)
    cache = cache_of(tmp_path, features, ["a", "b"] * 3, ["train"] * 2 + ["val"] * 2 + ["test"] * 2)
    X, y, images = headstart.open(cache).arrays(split="val")
    assert (X.tolist(), images["split"].unique().tolist()) == (features[2:4].tolist(), ["val"])
    assert y is not None
    assert y.tolist() == ["a", "b"]
    assert len(headstart.open(cache).arrays(split=["train", "test"]).X) == 4
    with pytest.raises(JobError, match="no image is of split trian; the splits are: "):
        headstart.open(cache).arrays(split="trian")


def test_numbers_are_numbers_and_without_labels_there_is_no_y(embed: Embed, tmp_path: Path) -> None:
    cache = cache_of(tmp_path, np.ones((4, 2)), ["1.5", "2", "3.25", "7"])
    y = headstart.open(cache).arrays(task="regress").y
    assert y is not None
    assert y.tolist() == [1.5, 2.0, 3.25, 7.0]
    for number in range(3):
        draw(tmp_path / "flat" / f"{number}.png", number, seed=number)
    found = embed(images=tmp_path / "flat", cache=tmp_path / "flat.headstart")
    X, nothing, images = headstart.open(found.cache).arrays()
    assert nothing is None
    assert len(X) == len(images) == 3


def test_which_embeddings_are_meant_has_to_be_clear_and_the_error_names_them(embed: Embed) -> None:
    cache = embed(tap=["penultimate", "features.4:avg", "features.7:map"]).cache
    opened = headstart.open(cache)
    with pytest.raises(JobError, match=r"which embeddings are meant\? Say one of: key='small_cnn-.*', tap='penult"):
        opened.arrays()
    assert opened.arrays(tap="penultimate").X.shape == (36, 256)
    assert opened.arrays(tap="features.7:map", dtype=None).X.ndim == 4
    assert opened.arrays(tap="penultimate", dtype="float16").X.dtype == np.float16
    with pytest.raises(JobError, match=r"no tap 'layer9'; there are features.4:avg, penultimate"):
        opened.arrays(tap="layer9")
    with pytest.raises(JobError, match="no embeddings of resnet50"):
        opened.arrays(backbone="resnet50")


def test_what_is_open_says_what_it_holds(embed: Embed) -> None:
    opened = headstart.open(embed().cache)
    assert "36 images" in repr(opened)
    assert "3 classes: cat, dog, owl" in repr(opened)
    assert "small_cnn (penultimate)" in repr(opened)
    assert opened.to_pandas().equals(opened.images)
    assert opened.to_pandas("keys")["rows"].tolist() == [36]
