"""The file of labels: nothing that a person typed is ever lost, and columns stay as they are written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

from headstart.flows.errors import JobError
from headstart.flows.exploring.choosing import choose_next


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 20 images without labels: 00000.png, …"""
    features = np.random.default_rng(0).normal(size=(20, 8))
    return cache_of(tmp_path_factory.mktemp("labels"), features, ["."] * 20)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(file: str, rows: list[str]) -> str:
    Path(file).write_text("\n".join(rows) + "\n")
    return file


def read(file: str) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def refused(cache: Path, message: str, **options) -> None:
    """Nothing is written where it says so."""
    before = {path: path.read_bytes() for path in Path().iterdir()}
    with pytest.raises(JobError, match=message):
        choose_next(cache, count=3, **options)
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_labels_that_were_typed_are_not_written_over(cache: Path) -> None:
    write("images.next.csv", ["path,label", "00001.png,ant", "00002.png,"])
    refused(cache, "holds 1 labels that would be lost; give it as --labels images.next.csv, or name another file")
    choose_next(cache, count=3, labels="images.next.csv")
    assert read("images.next.csv")["label"].tolist() == ["", "", "", "ant"]


def test_a_label_that_is_known_otherwise_is_not_written_over(cache: Path) -> None:
    write("old.csv", ["path,label", "00001.png,ant"])
    write("new.csv", ["path,label", "00001.png,bee"])
    refused(cache, "old.csv: holds 1 labels that would be lost", labels="new.csv", out="old.csv")


def test_a_file_without_labels_is_written_over(cache: Path) -> None:
    write("images.next.csv", ["path,label", "00001.png,", "00002.png,"])
    assert len(choose_next(cache, count=3).chosen) == 3
    assert len(read("images.next.csv")) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["some text"], "is there, and no table of labels"),
        (["path,size", "00001.png,7"], "is there, without a column 'label'"),
        (["path,label", "gone.png,ant"], "holds 1 labels that would be lost"),
    ],
)
def test_another_file_is_not_written_over(cache: Path, rows: list[str], message: str) -> None:
    write("images.next.csv", rows)
    refused(cache, message)


def test_labels_of_images_that_are_gone_are_not_lost_either(cache: Path) -> None:
    write("labels.csv", ["path,label", "00001.png,ant", "gone.png,bee"])
    refused(cache, "holds 1 labels that would be lost", labels="labels.csv", out="labels.csv")
    assert len(choose_next(cache, count=3, labels="labels.csv", out="other.csv").chosen) == 3


def test_labels_are_written_as_csv(cache: Path) -> None:
    refused(cache, r"labels are written as CSV; end the name in \.csv", out="labels.parquet")


def test_other_columns_splits_and_groups_stay(cache: Path) -> None:
    rows = [
        "path,split,group,label,colour",
        "00001.png,train,g1,ant,red",
        "00002.png,,g2,,blue",
        "00003.png,test,,bee,",
    ]
    write("labels.csv", rows)
    found = choose_next(cache, count=20, labels="labels.csv", target="label", out="labels.csv")
    table = read("labels.csv").set_index("path")
    assert table.columns.tolist() == ["split", "group", "label", "colour"]
    assert table.loc["00001.png"].tolist() == ["train", "g1", "ant", "red"]
    assert table.loc["00002.png"].tolist() == ["", "g2", "", "blue"]
    assert table.loc["00003.png"].tolist() == ["test", "", "bee", ""]
    assert "00002.png" in {one.path for one in found.chosen}
    assert "00003.png" not in {one.path for one in found.chosen}


@pytest.mark.parametrize(
    "labels", [["0", "1", "0"], ["007", "010", "007"], ["True", "False", "True"], ["1.5", "2.0", "1.5"]]
)
def test_classes_that_look_like_numbers_stay_as_they_are_written(cache: Path, labels: list[str]) -> None:
    write("labels.csv", ["path,label", *(f"0000{number}.png,{label}" for number, label in enumerate(labels))])
    choose_next(cache, count=2, labels="labels.csv", out="labels.csv")
    assert read("labels.csv")["label"].tolist() == ["", "", *labels]
    choose_next(cache, count=2, labels="labels.csv", out="labels.csv")
    assert read("labels.csv")["label"].tolist() == ["", "", *labels]


def test_an_empty_column_may_be_begun(cache: Path) -> None:
    write("labels.csv", ["path,quality", "00001.png,", "00002.png,"])
    found = choose_next(cache, count=2, labels="labels.csv", out="labels.csv")
    assert found.target == "quality"
    assert read("labels.csv").columns.tolist() == ["path", "quality"]


def test_without_any_column_its_name_is_at_choice(cache: Path) -> None:
    choose_next(cache, count=2, target="species")
    assert read("images.next.csv").columns.tolist() == ["path", "species"]


def test_it_has_to_be_clear_which_column_is_meant(cache: Path) -> None:
    write("labels.csv", ["path,colour,shape", "00001.png,red,", "00002.png,,round"])
    refused(cache, "which of the label columns is meant.*--target colour or --target shape", labels="labels.csv")
    refused(cache, "no label column 'size'; there are colour, shape", labels="labels.csv", target="size")


def test_paths_as_on_windows_are_those_of_the_listing(cache: Path) -> None:
    write("labels.csv", ["path,label", ".\\00001.png,ant"])
    choose_next(cache, count=2, labels="labels.csv", out="labels.csv")
    assert read("labels.csv")["path"].tolist()[2:] == ["00001.png"]
