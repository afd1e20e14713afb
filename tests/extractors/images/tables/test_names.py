"""The column that names images is found by its usual names; where none is, the line to write is said."""

from pathlib import Path

import pandas as pd
import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import LISTING_COLUMNS, label_columns
from headstart.extractors.images.sources import list_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"images/{name}.jpg").write_bytes(name.encode() * 7)
    return tmp_path


def listed(folder: Path, text: str) -> tuple[pd.DataFrame, str]:
    (folder / "set.csv").write_text(text)
    found = list_images(folder / "set.csv")
    return found.rows, "\n".join(found.notes)


@pytest.mark.parametrize(
    "name", ["file_name", "filename", "image", "image_path", "Image Path", "img_path", "FileName", "Image", "image-id"]
)
def test_the_column_of_images_may_have_any_usual_name(folder: Path, name: str) -> None:
    rows, notes = listed(folder, f"label,{name}\nant,images/a.jpg\nbee,images/b.jpg\n")
    assert rows["path"].tolist() == ["images/a.jpg", "images/b.jpg"]
    assert label_columns(rows) == ["label"]
    assert notes == f"column {name!r} names the images"


def test_the_surest_name_goes_first_and_the_others_stay_labels(folder: Path) -> None:
    rows, _ = listed(folder, "id,image,file_name,label\n1,x,images/a.jpg,ant\n")
    assert rows["path"].tolist() == ["images/a.jpg"]
    assert label_columns(rows) == ["id", "image", "label"]
    rows, notes = listed(folder, "image,path\n1,images/a.jpg\n")
    assert (rows["path"].tolist(), label_columns(rows), notes) == (["images/a.jpg"], ["image"], "")


@pytest.mark.parametrize("name", ["path", "file_name"])
def test_an_index_of_parquet_may_name_the_images(folder: Path, name: str) -> None:
    table = pd.DataFrame({"label": ["ant", "bee"]}, index=pd.Index(["images/a.jpg", "images/b.jpg"], name=name))
    table.to_parquet(folder / "set.parquet")
    rows = list_images(folder / "set.parquet").rows
    assert rows[["path", "label"]].to_numpy().tolist() == [["images/a.jpg", "ant"], ["images/b.jpg", "bee"]]


def test_a_column_of_addresses_names_images_elsewhere(folder: Path) -> None:
    with pytest.raises(ImageSetError, match="plain http"):  # as an address in `path` is
        listed(folder, "label,image_url\nant,http://pictures.example/a.jpg\n")


def test_columns_that_would_overwrite_the_listings_are_renamed_and_said(folder: Path) -> None:
    names = [name for name in (*LISTING_COLUMNS, "digest") if name not in ("path", "split", "group")]
    rows, notes = listed(folder, f"path,{','.join(names)}\nimages/a.jpg,{','.join(['x'] * len(names))}\n")
    assert label_columns(rows) == [f"label_{name}" for name in names]
    assert rows["status"].tolist() == ["ok"]
    assert "'bytes' is 'label_bytes'" in notes
    rows, _ = listed(folder, "path,bytes,label_bytes\nimages/a.jpg,1,2\n")
    assert rows[["label_bytes_", "label_bytes"]].to_numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\nimages/a.jpg,x\n", "if that is `file`, write as its first line: path,label$"),
        ("label,fichier\nx,images/a.jpg\n", "if that is `fichier`, write as its first line: label,path$"),
        ("label,img_pth\nx,17\n", "if that is `img_pth`, write as its first line: label,path$"),
        ("a,b\n1,2\n", "none that holds names of images; add one, so that its first line is: path,a,b$"),
    ],
)
def test_where_no_column_names_images_the_nearest_and_the_line_to_write_are_said(
    folder: Path, text: str, message: str
) -> None:
    with pytest.raises(ImageSetError, match=message):
        listed(folder, text)
