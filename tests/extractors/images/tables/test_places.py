"""Names that are no paths as they stand: with separators of Windows, without folder or suffix; and labels."""

from pathlib import Path

import pandas as pd
import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.sources import list_images
from headstart.flows.errors import JobError
from headstart.flows.problem.label_columns import merge_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("images/1.jpg", "images/2.png", "images/b.v2.jpg", "more/3.jpg", "twice/x.jpg", "twice/y/x.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_bytes(path.encode())
    (tmp_path / "images/1.txt").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/3.jpg").write_bytes(b"hidden")
    return tmp_path


def listed(folder: Path, *names: str, column: str = "path") -> tuple[pd.DataFrame, str]:
    (folder / "set.csv").write_text("\n".join([f"{column},label", *(f"{name},x" for name in names)]) + "\n")
    found = list_images(folder / "set.csv")
    return found.rows, "\n".join(found.notes)


def test_separators_of_windows_are_read_as_slashes(folder: Path) -> None:
    rows, notes = listed(folder, "images\\1.jpg", "twice\\y\\x.jpg", ".\\more\\3.jpg", "set.csv")
    assert rows["path"].tolist() == ["images/1.jpg", "twice/y/x.jpg", "more/3.jpg", "set.csv"]
    assert "3 paths have the separators of Windows" in notes
    assert "images\\1.jpg is images/1.jpg" in notes


def test_a_file_whose_name_has_such_a_sign_is_itself(folder: Path) -> None:
    (folder / "a\\b.jpg").write_bytes(b"own")
    rows, notes = listed(folder, "a\\b.jpg")
    assert (rows["path"].tolist(), rows["status"].tolist(), notes) == (["a\\b.jpg"], ["ok"], "")


@pytest.mark.parametrize(
    ("name", "place"),
    [("1", "images/1.jpg"), ("images/2", "images/2.png"), ("3", "more/3.jpg"), ("3.jpg", "more/3.jpg"),
     ("b.v2", "images/b.v2.jpg")],
)  # fmt: skip
def test_a_name_without_folder_or_suffix_is_the_one_file_below_that_has_it(folder: Path, name: str, place: str) -> None:
    rows, notes = listed(folder, name, "gone", column="id")
    assert rows["path"].tolist() == [place, "gone"]
    assert rows["reason"].tolist() == ["", "no such file"]
    assert f"1 names without folder or suffix were found below: {name} is {place}" in notes


def test_ids_of_a_parquet_table_may_be_numbers(folder: Path) -> None:
    pd.DataFrame({"id": [1, 3], "label": ["x", "y"]}).to_parquet(folder / "set.parquet")
    assert list_images(folder / "set.parquet").rows["path"].tolist() == ["images/1.jpg", "more/3.jpg"]


def test_a_name_of_several_files_is_not_guessed(folder: Path) -> None:
    rows, notes = listed(folder, "x", "1")
    assert rows["path"].tolist() == ["x", "images/1.jpg"]
    assert rows["status"].tolist() == ["quarantined", "ok"]
    assert sorted(rows["reason"][0].partition(": ")[2].split(", ")) == ["twice/x.jpg", "twice/y/x.jpg"]
    assert "1 names stand for several files, first x" in notes


def test_where_a_path_is_right_as_it_stands_a_missing_one_is_missing(folder: Path) -> None:
    rows, notes = listed(folder, "images/1.jpg", "3.jpg")
    assert rows["reason"].tolist() == ["", "no such file"]
    assert not notes


def test_two_names_of_one_file_are_refused(folder: Path) -> None:
    with pytest.raises(ImageSetError, match=r"1 paths are listed more than once \('images/1\.jpg'\)"):
        listed(folder, "1", "1.jpg")


def rows_of(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"path": paths, "label": [None] * len(paths)}, dtype=object)


@pytest.mark.parametrize(
    "text",
    [
        "id;label\n1;ant\n2;bee\n",
        "file_name,label\n1.jpg,ant\n2.png,bee\n",
        "path\tlabel\nimages\\1.jpg\tant\nimages\\2.png\tbee\n",
        "image,label\nimages/1,ant\nimages/2,bee\n",
    ],
)
def test_labels_of_a_file_join_the_images_that_it_means(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_text(text)
    notes: list[str] = []
    merged = merge_labels(folder / "labels.csv", rows_of("images/2.png", "images/1.jpg"), folder, notes)
    assert merged["label"].tolist() == ["bee", "ant"]
    assert notes


def test_labels_that_mean_no_image_are_refused(folder: Path) -> None:
    (folder / "labels.csv").write_text("id,label\n7,ant\n")
    with pytest.raises(JobError, match="none of its 1 paths is among the images"):
        merge_labels(folder / "labels.csv", rows_of("images/1.jpg"), folder, [])
