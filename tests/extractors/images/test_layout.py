"""Which first folders are splits and which are classes, as data sets in the wild call them."""

from pathlib import Path

import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.layout import split_folders, split_of
from headstart.extractors.images.sources import list_images


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Training", "train"),
        ("training_set", "train"),
        ("train2", "train"),
        ("my-TRAIN", "train"),
        ("dev", "val"),
        ("Validation", "val"),
        ("valid", "val"),
        ("test1", "test"),
        ("Testing", "test"),
        ("eval", "test"),
        ("evaluation.2024", "test"),
        ("trainer", None),
        ("contest", None),
        ("train_val", None),  # both
        ("cat", None),
        ("", None),
    ],
)
def test_a_split_is_named_by_a_word_among_others(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("first", "second"),
    [("Training", "Testing"), ("training_set", "test_set"), ("Training", "Test"), ("train", "test1"), ("dev", "eval")],
)
def test_two_folders_called_different_splits_are_splits(first: str, second: str) -> None:
    found = split_folders([f"{first}/cat/1.jpg", f"{first}/dog/2.jpg", f"{second}/cat/1.jpg"])
    assert found == {first: split_of(first), second: split_of(second)}


def test_splits_stay_so_beside_a_folder_of_other_images() -> None:
    paths = ["train/cat/1.jpg", "test/cat/1.jpg", "unlabelled/7.jpg", "old/cat/8.jpg"]
    assert split_folders(paths) == {"train": "train", "test": "test"}


@pytest.mark.parametrize("name", ["train", "Testing", "eval"])
def test_a_class_may_be_called_like_a_split(name: str) -> None:
    assert split_folders([f"{name}/1.jpg", "bus/1.jpg", "car/1.jpg"]) == {}


def test_a_split_beside_a_folder_of_the_same_classes_is_not_guessed() -> None:
    paths = ["train/cat/1.jpg", "train/dog/1.jpg", "holdout/cat/1.jpg"]
    message = r"pets: train is called a split \(train\), and holdout has the same folders and is not; rename it"
    with pytest.raises(ImageSetError, match=message):
        split_folders(paths, where="pets")
    assert split_folders(paths, "splits") == {"train": "train"}
    assert split_folders(paths, "classes") == {}


@pytest.mark.parametrize(("photographs", "drawn"), [("images", "annotations"), ("img", "Masks"), ("photos", "labels")])
def test_masks_beside_photographs_are_no_class(tmp_path: Path, photographs: str, drawn: str) -> None:
    for number in range(4):
        for folder, suffix in ((photographs, "jpg"), (drawn, "png")):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{number}.{suffix}").write_bytes(b"image")
    with pytest.raises(ImageSetError, match=f"{drawn} holds files of the same names as {photographs}"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    ("photographs", "drawn"),
    [
        ("images/{}.jpg", "annotations/{}_mask.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("train_images/{}.jpg", "train_masks/{}-mask.png"),
        ("images/cat/{}.jpg", "masks/cat/{}.png"),
        ("train/images/{}.jpg", "train/labels/{}.png"),
    ],
)
def test_masks_are_told_by_their_files_and_below_splits_too(photographs: str, drawn: str) -> None:
    paths = [place.format(number) for number in range(4) for place in (photographs, drawn)]
    with pytest.raises(ImageSetError, match="as masks or annotations of photographs do"):
        split_folders(paths)
    assert split_folders(paths, "classes") == {}


def test_people_with_masks_and_without_are_two_classes() -> None:
    names = ("with_mask", "without_mask", "mask_weared_incorrect")
    assert split_folders([f"{name}/{number}.jpg" for name in names for number in range(9)]) == {}


@pytest.mark.parametrize(
    ("first", "second"), [("TrainSet", "TestSet"), ("traindata", "validdata"), ("mytrain", "mytest")]
)
def test_names_in_which_the_word_of_a_split_is_not_delimited_are_not_guessed(first: str, second: str) -> None:
    paths = [f"{first}/cat/1.jpg", f"{second}/cat/1.jpg"]
    with pytest.raises(ImageSetError, match="look like splits"):
        split_folders(paths)
    assert set(split_folders(paths, "splits")) == {first, second}
    assert split_folders(paths, "classes") == {}
    assert split_folders([*paths, "owl/1.jpg"]) == {}  # among others, they are classes


def test_classes_whose_files_bear_the_same_numbers_are_classes() -> None:
    assert split_folders([f"{name}/{number}.jpg" for name in ("cat", "dog") for number in range(9)]) == {}


def test_splits_that_are_none_are_not_taken_on_a_person_s_word() -> None:
    with pytest.raises(ImageSetError, match=r"none of its folders is called a split \(cat, dog\)"):
        split_folders(["cat/1.jpg", "dog/1.jpg"], "splits", "pets")


@pytest.mark.parametrize("litter", ["@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "lost+found", "__MACOSX"])
def test_folders_of_thumbnails_and_deleted_files_are_counted_and_passed_over(tmp_path: Path, litter: str) -> None:
    for path in ("cat/1.jpg", f"{litter}/1.jpg", f"cat/{litter}/2.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"image")
    found = list_images(tmp_path)
    assert found.rows["path"].tolist() == ["cat/1.jpg"]
    assert found.ignored == {f"{litter}/": 2}


def test_a_person_s_word_holds_for_a_folder_and_is_refused_for_a_manifest(tmp_path: Path) -> None:
    for path in ("train/cat/1.jpg", "holdout/cat/1.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"image")
    assert list_images(tmp_path, layout="classes").rows["label"].tolist() == ["holdout", "train"]
    assert list_images(tmp_path, layout="splits").rows["split"].tolist() == [None, "train"]
    (tmp_path / "set.csv").write_text("path\ntrain/cat/1.jpg\n")
    with pytest.raises(ImageSetError, match="layout 'splits' is for folders; this is a CSV or Parquet manifest"):
        list_images(tmp_path / "set.csv", layout="splits")
