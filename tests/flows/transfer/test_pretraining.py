"""The job `pretrain`: from images to a backbone like any other, beside random weights and raw pixels."""

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from PIL import Image
from safetensors.torch import load_file

from headstart.extractors.backbones import load_backbone
from headstart.extractors.errors import ExtractorError
from headstart.extractors.pretraining import Pretraining, training
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.extraction import extract
from headstart.flows.transfer.pretraining import PretrainKeywords, PretrainOptions, pretrain

QUICK: dict[str, Any] = {"epochs": 1, "image_size": 16, "workers": 1, "batch_size": 16, "draws": 2}


@pytest.fixture
def here(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(photos.parent)
    return photos


def test_an_encoder_is_learned_and_held_against_its_controls_on_the_same_draws(here: Path) -> None:
    (here / "owl" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    shutil.copy(here / "owl" / "00.png", here / "cat" / "copy.png")
    found = pretrain("photos", **QUICK)
    assert (found.images, found.quarantined, found.learned_from, found.held_out) == (38, 1, 32, 4)
    assert found.image_size == [16, 16]
    taps = ["features.3:flatten", "features.7:flatten", "features.11:flatten", "penultimate"]
    assert [(row.weights, row.tap) for row in found.rows] == [
        *(("pre-trained", tap) for tap in taps),
        *(("random", tap) for tap in taps),
        ("raw pixels", "raw pixels"),
    ]
    encoder, random, pixels = found.rows[3], found.rows[7], found.rows[8]
    assert encoder.over_random is not None
    assert encoder.over_pixels is not None
    assert encoder.over_random.value == pytest.approx(encoder.accuracy.value - random.accuracy.value)
    assert encoder.over_pixels.value == pytest.approx(encoder.accuracy.value - pixels.accuracy.value)
    assert "With 5 labels a class, the encoder's last layer tells" in found.verdict
    assert pd.read_csv(found.curve)["val_loss"].tolist() == [found.loss]
    page = Path(found.page).read_text()
    assert found.verdict.partition("'s")[0] in page.replace("&#39;", "'")
    assert "Beside its controls" in page
    assert "<script" not in page
    assert not list(Path("photos.rotation").glob("unfinished*"))


def test_the_encoder_is_a_backbone_like_any_other_and_nothing_else_is_in_its_file(here: Path) -> None:
    found = pretrain("photos", task="masked", shots=0, **QUICK)
    own = load_backbone("small_cnn", weights="none").module.state_dict()
    assert own.keys() - load_file(found.weights).keys() == {"classifier.weight", "classifier.bias"}
    assert load_file(found.weights).keys() < own.keys()
    summary = extract("photos", "small_cnn", weights=found.weights, image_size=16, precision="fp32")
    assert (summary.keys[0].weights, summary.embedded) == ("masked.safetensors", 36)
    assert found.command.startswith("headstart extract photos --backbone small_cnn --weights photos.masked/")
    assert found.command.endswith("/masked.safetensors --image-size 16")


@pytest.mark.parametrize("kind", ["zip", "tar", "csv", "flat"])
def test_images_come_from_wherever_they_may_lie(kind: str, here: Path) -> None:
    if kind == "csv":
        paths = sorted(str(path) for path in here.rglob("*.png"))
        pd.DataFrame({"path": paths, "kind": ["a"] * 36}).to_csv("photos.csv", index=False)
    elif kind == "flat":
        Path("photos.flat").mkdir()
        for number, path in enumerate(here.rglob("*.png")):
            shutil.copy(path, f"photos.flat/{number}.png")
    else:
        shutil.make_archive("photos", kind, here)
    found = pretrain(f"photos.{kind}", cache="of.headstart", **QUICK | {"epochs": 1, "shots": 0})
    assert (found.images, found.learned_from) == (36, 32)


def test_images_of_any_size_and_colour_are_learned_from_and_what_is_none_is_counted(here: Path) -> None:
    for number, (mode, size) in enumerate([("L", (9, 70)), ("RGBA", (300, 20)), ("1", (16, 16)), ("P", (5, 5))]):
        draw(here / "odd" / f"{number}.png", 0, seed=number, size=size)
        Image.open(here / "odd" / f"{number}.png").convert(mode).save(here / "odd" / f"{number}.png")
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(here / "odd" / "deep.png")
    Image.new("CMYK", (12, 30)).save(here / "odd" / "ink.jpg")
    (here / "odd" / "empty.png").touch()
    (here / "odd" / "text.jpg").write_text("no image")
    found = pretrain("photos", shots=0, **QUICK)
    assert (found.images, found.quarantined, found.learned_from + found.held_out) == (44, 2, 42)


def test_what_a_fit_is_scored_on_is_not_learned_from_not_even_as_a_copy(here: Path) -> None:
    for name, split in (("cat", "train"), ("dog", "train"), ("owl", "train"), ("owl", "test")):
        shutil.copytree(here / name, Path("divided") / split / name)
    for number in range(3):
        draw(Path("divided/test/cat") / f"{number}.png", 0, seed=500 + number)
        draw(Path("divided/test/dog") / f"{number}.png", 1, seed=600 + number)
    found = pretrain("divided", **QUICK | {"shots": 0, "epochs": 1})
    assert found.learned_from + found.held_out == 24
    assert any("18 images of val and test are not learned from" in note for note in found.notes)


class Killed(Exception):  # noqa: N818 - no error of ours
    pass


def test_a_run_that_is_killed_goes_on_where_it_was_and_ends_with_the_same_weights(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = QUICK | {"shots": 0, "epochs": 2}
    whole = pretrain("photos", out="whole", **given)
    monkeypatch.setattr(training, "_SAVED_EVERY_S", 0.0)
    take_step, done = Pretraining._take_step, list[int]()

    def killed(self: Pretraining, *arguments: Any) -> None:
        if len(done) == 3:
            raise Killed
        done.append(1)
        take_step(self, *arguments)

    monkeypatch.setattr(Pretraining, "_take_step", killed)
    with pytest.raises(Killed):
        pretrain("photos", **given)
    monkeypatch.setattr(Pretraining, "_take_step", take_step)
    assert len(list(Path("photos.rotation").glob("unfinished*"))) == 1
    found = pretrain("photos", **given)
    assert found.resumed == 3
    assert found.history == whole.history
    assert Path(found.weights).read_bytes() == Path(whole.weights).read_bytes()
    assert not list(Path("photos.rotation").glob("unfinished*"))


def test_labels_come_from_a_table_and_without_any_it_is_said_how_to_compare_later(here: Path) -> None:
    Path("flat").mkdir()
    for path in here.rglob("*.png"):
        shutil.copy(path, f"flat/{path.parent.name}{path.name}")
    found = pretrain("flat", **QUICK)
    assert found.rows == []
    assert "not compared: the images have no labels" in found.verdict
    paths = sorted(path.name for path in Path("flat").iterdir())
    pd.DataFrame({"path": paths, "kind": [path[:3] for path in paths]}).to_csv("kinds.csv", index=False)
    found = pretrain("flat", labels="kinds.csv", tap=["features.7:avg"], **QUICK)
    assert [row.tap for row in found.rows][:2] == ["features.7:avg", "penultimate"]
    many = pretrain("flat", labels="kinds.csv", **QUICK | {"shots": 12})
    assert many.rows == []
    assert "not compared" in many.verdict
    assert "give a lower --shots" in many.verdict


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "pixels"}, "has no weights, so there is nothing to learn"),
        ({"backbone": "small_cn"}, "no backbone is called 'small_cn'"),
        ({"tap": ["features.99"]}, "features.99"),
        ({"labels": "none.csv"}, "none.csv: no such file; --labels takes"),
        ({"device": "tpu"}, "expected auto, cpu or cuda"),
        ({"task": "jigsaw"}, "--task jigsaw: is none of rotation, masked, denoise; take one"),
        ({"held_out": 1.0}, "--held-out 1.0: is out of bounds, expected more than 0 and less than 0.9; give another"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: is out of bounds, expected more than 0; give another"),
        ({"epochs": 0}, "--epochs 0: is out of bounds, expected at least 1; give another"),
        ({"limit": 6}, "images to learn from, expected at least 16; give more images"),
        ({"learning_rate": 1e30, "warmup": 0.0, "task": "denoise"}, "lower --learning-rate"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(options: dict[str, Any], words: str, here: Path) -> None:
    with pytest.raises((ExtractorError, JobError), match=words) as caught:
        pretrain("photos", **QUICK | options)
    assert "\n" not in str(caught.value)
    assert not list(Path().glob("photos.*/2*"))


def test_the_command_prints_the_comparison_or_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["pretrain", "photos", *(f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items())]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "small_cnn learned rotation from 32 images" in shown
    assert "the same, raw pixels" in shown
    assert max(map(len, shown.splitlines()[:16])) <= 80
    with pytest.raises(SystemExit):
        main([*words, "--shots", "0", "--json"])
    read = json.loads(capsys.readouterr().out)
    assert read["task"] == "rotation"
    assert len(read["history"]) == 1


def test_the_job_takes_no_option_that_there_is_not(here: Path) -> None:
    with pytest.raises(TypeError, match="did you mean 'epochs'"):
        pretrain("photos", epoch=3)  # type: ignore[call-arg]  # on purpose


def test_the_keywords_are_the_options() -> None:
    assert [field.name for field in fields(PretrainOptions)] == list(PretrainKeywords.__annotations__)
