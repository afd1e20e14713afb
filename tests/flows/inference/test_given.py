"""What `predict` takes: each file that is named is a row, a reason, or counted in a note."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from PIL import Image
from support.tar_shards import write_tar
from support.zip_files import zip_folder

from headstart import Model, load
from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of three classes, loaded from the folder of its results."""
    folder = tmp_path_factory.mktemp("fitted")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    embedded = extract(folder / "photos", "pixels", cache=folder / "cache", precision="fp32")
    fit(embedded.cache, "logreg", out=folder / "results", no_report=True)
    return load(folder / "results")


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image of each class, which is the current one."""
    for label, name in enumerate(CLASSES):
        draw(tmp_path / "new" / f"{name}.png", label, seed=3000 + 10 * label)
    monkeypatch.chdir(tmp_path / "new")
    return tmp_path / "new"


def answers(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["path"], table["label"], strict=True))


CAT, DOG, OWL = (f"{name}.png" for name in CLASSES)


def as_zip(new: Path) -> Path:
    return zip_folder(new, new / "x.zip")


def as_tar(new: Path) -> Path:
    return write_tar(new / "x.tar", {path.name: path.read_bytes() for path in sorted(new.glob("*.png"))})


def as_manifest(new: Path) -> Path:
    (new / "x.csv").write_text("path\n" + "".join(f"{path.name}\n" for path in sorted(new.glob("*.png"))))
    return new / "x.csv"


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (DOG, [(DOG, "dog")]),
        (Path(DOG), [(DOG, "dog")]),
        ([OWL, CAT], [(OWL, "owl"), (CAT, "cat")]),
        ([CAT, CAT], [(CAT, "cat"), (CAT, "cat")]),
        ("*.png", [(CAT, "cat"), (DOG, "dog"), (OWL, "owl")]),
        ("[co]*", [(CAT, "cat"), (OWL, "owl")]),
        ("../new/d?g.png", [("../new/dog.png", "dog")]),
        (".", [(CAT, "cat"), (DOG, "dog"), (OWL, "owl")]),
        ([OWL, "../new"], [(OWL, "owl"), *((f"../new/{name}.png", name) for name in CLASSES)]),
        (as_zip, [(f"x.zip/{name}.png", name) for name in CLASSES]),
        (as_tar, [(f"x.tar/{name}.png", name) for name in CLASSES]),
        (as_manifest, [(f"{name}.png", name) for name in CLASSES]),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_places_of_every_kind(loaded: Model, new: Path, given: Any, rows: list[tuple[str, str]]) -> None:
    assert answers(loaded.predict(given(new) if callable(given) else given)) == rows


def test_several_archives_and_folders_keep_their_names_apart(loaded: Model, new: Path) -> None:
    as_zip(new)
    as_tar(new)
    table = loaded.predict(["x.zip", CAT, "x.tar", str(new)])
    assert table["path"].tolist() == [
        *(f"x.zip/{name}.png" for name in CLASSES),
        CAT,
        *(f"x.tar/{name}.png" for name in CLASSES),
        *(f"{new}/{name}.png" for name in CLASSES),
    ]
    assert table["label"].tolist() == [*CLASSES, "cat", *CLASSES, *CLASSES]


def test_each_file_named_is_a_row_whatever_it_is_called_or_a_reason(loaded: Model, new: Path) -> None:
    names = ["a.jpg", "b.JPEG", "c.jfif", "d.ppm", "e", "f.avif", "g.jpg_large", "h.jp2"]
    kinds = dict(zip(names, ["JPEG", "JPEG", "JPEG", "PPM", "PNG", "AVIF", "JPEG", "JPEG2000"], strict=True))
    for name in names:
        file = io.BytesIO()
        Image.open(DOG).convert("RGB").save(file, kinds[name])
        Path(name).write_bytes(file.getvalue())
    Path("notes.txt").write_text("no image")
    Path("empty").touch()
    os.mkfifo("pipe")
    table = loaded.predict([*names, "notes.txt", "gone.png", "empty", "pipe"])
    assert table["label"].tolist()[:8] == ["dog"] * 8
    assert table["reason"].tolist()[:8] == [""] * 8
    assert table["label"].isna().tolist()[8:] == [True] * 4
    for reason, expected in zip(
        table["reason"][8:], ["not an image", "no such file", "empty file", "is a device"], strict=True
    ):
        assert reason.startswith(expected)
    Path("pipe").unlink()
    rows, notes = loaded.predict_noted(".")
    assert len(rows) == 11
    assert notes == ["passed over 2 files that are no images (no suffix 1, .txt 1)"]


def test_pixels_at_hand_are_predicted_as_their_files_are(loaded: Model, new: Path) -> None:
    expected = loaded.predict(list(map(str, sorted(new.iterdir()))))
    images = [Image.open(path) for path in sorted(new.iterdir())]
    arrays = [np.asarray(image) for image in images]
    tables = {
        "bytes": loaded.predict([path.read_bytes() for path in sorted(new.iterdir())]),
        "opened": loaded.predict(images),
        "made": loaded.predict([Image.fromarray(array) for array in arrays]),
        "arrays": loaded.predict(arrays),
        "one array of several": loaded.predict(np.stack(arrays)),
        "mixed": loaded.predict([CAT, arrays[1], images[2]]),
    }
    for table in tables.values():
        assert table.drop(columns="path").equals(expected.drop(columns="path"))
    assert tables["arrays"]["path"].tolist() == ["image 0", "image 1", "image 2"]
    assert tables["mixed"]["path"].tolist() == [CAT, "image 1", images[2].filename]
    assert loaded.predict(arrays[1])["label"].tolist() == ["dog"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "La", "RGBa"])
def test_an_image_of_any_mode_is_taken(loaded: Model, new: Path, mode: str) -> None:
    middle = "RGBA" if mode == "RGBa" else "LA" if mode == "La" else "L" if mode == "I;16" else "RGB"
    image = Image.open(DOG).convert(middle).convert(mode)
    (reason,) = loaded.predict(image)["reason"]
    assert reason == ""


def test_the_orientation_of_an_image_at_hand_counts(loaded: Model, new: Path) -> None:
    turned = Image.open(DOG).convert("RGB")
    turned.getexif()[274] = 6
    turned.save("turned.png", exif=turned.getexif())
    assert loaded.predict(turned)["probability"].equals(loaded.predict("turned.png")["probability"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"image 0: an array of uint8 \(3, 8, 8\); give uint8 \(height"),
        ([CAT, np.zeros((8, 8, 3))], r"image 1: an array of float64"),
        ([b"", object()], "image 1: object is no image"),
    ],
)
def test_what_is_no_image_is_refused_by_its_place(loaded: Model, new: Path, given: Any, message: str) -> None:
    with pytest.raises(JobError, match=message):
        loaded.predict(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no image was given"),
        ("gone.png", r"gone\.png: no such file or folder; check the path"),
        ("*.webp", r"\*\.webp: no file is called so; check the pattern"),
        ("{0..99999999}.png", "stands for 100000000 names, over the limit of 100000; give a folder"),
    ],
)
def test_what_is_not_there_is_said(loaded: Model, new: Path, given: Any, message: str) -> None:
    with pytest.raises(ImageSetError, match=message):
        loaded.predict(given)


def test_head_and_network_are_loaded_once(loaded: Model, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.flows.inference import network

    made: list[str] = []

    def counting(original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append(name)
            return original(*arguments, **named)

        return call

    for name in ("load_backbone", "ForwardPass"):
        monkeypatch.setattr(network, name, counting(getattr(network, name), name))
    model = load(loaded.folder)
    assert made == []
    for given in (CAT, [DOG, OWL], ".", np.zeros((8, 8, 3), np.uint8)):
        model.predict(given)
    assert made == ["load_backbone", "ForwardPass"]


def test_an_image_is_predicted_alike_alone_and_among_others(loaded: Model, new: Path) -> None:
    together = loaded.predict(".")
    alone = pd.concat([loaded.predict(path) for path in together["path"]], ignore_index=True)
    assert alone.equals(together)


def test_what_goes_while_it_is_embedded_gives_a_reason_to_each_of_its_copies(
    loaded: Model, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(CAT, "copy.png")

    def gone(*_: object) -> bytes:
        raise NotReadError("no such file")

    monkeypatch.setattr("headstart.extractors.decoding.prefetch.read_bytes", gone)
    assert loaded.predict([CAT, "copy.png", DOG])["reason"].tolist() == ["no such file"] * 3


def test_a_loaded_model_says_what_it_is(loaded: Model) -> None:
    assert loaded.classes == list(CLASSES)
    assert "3 classes: cat, dog, owl, on pixels, in " in repr(loaded)


def test_results_with_several_models_are_not_guessed_at(loaded: Model, tmp_path: Path) -> None:
    for name in ("colour", "shape"):
        shutil.copytree(loaded.folder, tmp_path / "results" / name / "model")
    with pytest.raises(JobError, match=r"holds 2 models; name one, such as .*colour/model"):
        load(tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "shape")
    assert load(tmp_path / "results").folder == tmp_path / "results" / "colour" / "model"
