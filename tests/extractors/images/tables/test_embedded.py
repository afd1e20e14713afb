"""A Parquet file with the images in it is an image set of its own, read in place."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.image_set import ImageSet, label_columns
from headstart.extractors.images.reading import digest_bytes, image_sources, read_bytes
from headstart.extractors.images.sources import list_images
from headstart.extractors.images.tables.embedded_bytes import read_embedded

IMAGES = [f"image {number} ".encode() * (number + 1) for number in range(70)]
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def written(folder: Path, images: list[dict[str, Any] | None], *, rows_a_group: int = 1000, **columns: Any) -> Path:
    table = pa.table({"image": pa.array(images, STRUCT), **columns})
    pq.write_table(table, folder / "set.parquet", row_group_size=rows_a_group)
    return folder / "set.parquet"


def embedded(images: list[bytes], named: bool = True) -> list[dict[str, Any]]:
    return [{"bytes": data, "path": f"{number}.jpg" if named else None} for number, data in enumerate(images)]


def read_all(found: ImageSet, order: "np.ndarray[Any, Any] | None" = None) -> list[bytes]:
    sources = image_sources(found.rows)
    return [read_bytes(found.root, sources[number]) for number in (order if order is not None else range(len(sources)))]


@pytest.mark.parametrize("group", [7, 50, 1000])
def test_images_are_listed_in_order_and_read_in_any(tmp_path: Path, group: int) -> None:
    found = list_images(written(tmp_path, embedded(IMAGES), rows_a_group=group, label=pa.array(["ant", "bee"] * 35)))
    assert (found.kind, found.root) == ("parquet", tmp_path)
    assert found.rows["path"].tolist() == [f"set.parquet/{number}.jpg" for number in range(70)]
    assert found.rows["bytes"].tolist() == list(map(len, IMAGES))
    assert found.rows["archive"].tolist() == ["set.parquet"] * 70
    assert (label_columns(found.rows), found.rows["label"].tolist()) == (["label"], ["ant", "bee"] * 35)
    assert read_all(found) == IMAGES
    order = np.random.default_rng(0).permutation(70)
    assert read_all(found, order) == [IMAGES[number] for number in order]
    assert digest_bytes(found.root, image_sources(found.rows)[3]) == hashlib.sha256(IMAGES[3]).hexdigest()


@pytest.mark.parametrize("names", [[None, None, None], ["a.jpg", None, "b.jpg"], ["x/a.jpg", "y/a.jpg", "b.jpg"]])
def test_images_without_names_of_their_own_are_told_by_number(tmp_path: Path, names: list[str | None]) -> None:
    images = [{"bytes": data, "path": name} for data, name in zip(IMAGES, names, strict=False)]
    paths = list_images(written(tmp_path, images)).rows["path"].tolist()
    assert [path.removeprefix("set.parquet/")[:6] for path in paths] == ["000000", "000001", "000002"]


def test_numbers_of_classes_get_the_names_that_the_data_set_gives_them(tmp_path: Path) -> None:
    features = {"image": {"_type": "Image"}, "label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}
    table = pa.table({"image": pa.array(embedded(IMAGES[:3]), STRUCT), "label": pa.array([1, 0, -1])})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "set.parquet")
    assert list_images(tmp_path / "set.parquet").rows["label"].tolist() == ["bee", "ant", None]


def test_splits_groups_and_clashes_are_a_manifests_and_containers_are_left_out(tmp_path: Path) -> None:
    found = list_images(
        written(
            tmp_path,
            embedded(IMAGES[:2]),
            split=["train", "validation"],
            group=[1, 2],
            path=["p", "q"],
            status=["x", "y"],
            boxes=pa.array([[1], [2]]),
            mask=pa.array(embedded(IMAGES[:2]), STRUCT),
        )
    )
    assert found.rows[["split", "group"]].to_numpy().tolist() == [["train", "1"], ["val", "2"]]
    assert label_columns(found.rows) == ["label_status"]
    assert "columns that hold no labels are left out: boxes, mask" in found.notes
    assert read_all(found) == IMAGES[:2]


def test_shards_of_a_pattern_are_one_set_whose_names_tell_the_splits(tmp_path: Path) -> None:
    for number, split in enumerate(["train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"]):
        made = written(tmp_path, embedded(IMAGES[number * 3 : number * 3 + 3]), label=["ant", "bee", "ant"])
        made.rename(tmp_path / f"{split}.parquet")
    found = list_images(tmp_path / "*.parquet")
    assert found.root == tmp_path
    assert found.rows["split"].tolist() == ["train"] * 6 + ["val"] * 3
    assert found.rows["label"].tolist() == ["ant", "bee", "ant"] * 3
    assert found.rows["path"].iloc[4] == "train-00001-of-00002.parquet/1.jpg"
    assert read_all(found) == IMAGES[:9]
    assert list_images(tmp_path / "train-{00000..00001}-of-00002.parquet").rows["split"].isna().all()
    pd.DataFrame({"path": ["a.jpg"]}).to_parquet(tmp_path / "validation.parquet")
    with pytest.raises(ImageSetError, match=r"validation\.parquet: no column of images"):
        list_images(tmp_path / "*.parquet")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_plain_column_of_bytes_is_one_too(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"image": pa.array(IMAGES, kind)}), tmp_path / "set.parquet")
    assert read_all(list_images(tmp_path / "set.parquet")) == IMAGES


def test_what_has_no_bytes_is_quarantined(tmp_path: Path) -> None:
    images = [None, {"bytes": None, "path": "a.jpg"}, {"bytes": b"", "path": "b.jpg"}, {"bytes": b"x", "path": "c"}]
    rows = list_images(written(tmp_path, images)).rows
    assert rows["status"].tolist() == ["quarantined"] * 3 + ["ok"]
    assert set(rows["reason"][:3]) == {"empty file (0 bytes)"}


def test_a_table_of_paths_is_a_manifest_still(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a.jpg"]}).to_parquet(tmp_path / "set.parquet")
    assert list_images(tmp_path / "set.parquet").kind == "manifest"


def test_a_file_that_has_changed_since_is_not_read_for_another(tmp_path: Path) -> None:
    found = list_images(written(tmp_path, embedded(IMAGES)))
    assert read_all(found) == IMAGES
    written(tmp_path, embedded(IMAGES[::-1]))
    with pytest.raises(NotReadError, match="no longer as listed"):
        read_bytes(found.root, image_sources(found.rows)[0])
    written(tmp_path, embedded(IMAGES[:3]))
    with pytest.raises(NotReadError, match="damaged in the Parquet file"):
        read_bytes(found.root, image_sources(found.rows)[60])
    (tmp_path / "set.parquet").unlink()
    with pytest.raises(NotReadError, match="no such file"):
        read_bytes(found.root, image_sources(found.rows)[0])


def test_a_damaged_file_is_refused_or_its_images_say_so(tmp_path: Path) -> None:
    place = written(tmp_path, embedded([os.urandom(5000) for _ in range(50)]))
    found, whole = list_images(place), place.read_bytes()
    place.write_bytes(whole[:1000] + b"\xff" * 20000 + whole[21000:])
    with pytest.raises(NotReadError):
        read_all(found)
    place.write_bytes(whole[:-9000])
    with pytest.raises(ImageSetError, match="not a parquet table"):
        list_images(place)


def test_a_bomb_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    place = tmp_path / "set.parquet"
    table = pa.table({"image": pa.array([{"bytes": b"\0" * 2**25, "path": f"{n}"} for n in range(3)], STRUCT)})
    pq.write_table(table, place, compression="zstd", use_dictionary=False)
    with pytest.raises(ImageSetError, match="as in a bomb"):
        list_images(place)


def test_a_planted_row_of_a_listing_reads_nothing_else(tmp_path: Path) -> None:
    found = list_images(written(tmp_path, embedded(IMAGES)))
    source = image_sources(found.rows)[0]
    for offset in (-1, 70, 2**62):
        with pytest.raises(NotReadError):
            b"".join(read_embedded(found.root, source._replace(offset=offset), 1 << 20))
