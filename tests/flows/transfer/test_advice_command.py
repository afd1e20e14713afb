"""The command `advise` on images: controls are embedded on the way, once, where the images can be read."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.extractors.backbones import load_backbone
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_usable
from headstart.extractors.pretraining import save_encoder
from headstart.flows.cli.app import main
from headstart.flows.extraction import extract
from headstart.flows.problem import pose_problem
from headstart.flows.transfer.advice import advise, controls
from headstart.flows.transfer.advice.commands import commands_for

TAPS = ["features.4:avg", "penultimate"]


@pytest.fixture
def cache(photos: Path, elsewhere: Path) -> str:
    """Photographs of three colours, through an encoder with weights of a file, which have learned nothing."""
    save_encoder(load_backbone("small_cnn", weights="none", seed=1).module, elsewhere / "encoder.safetensors")
    given = {"weights": "encoder.safetensors", "tap": TAPS, "cache": "photos.headstart", "precision": "fp32"}
    return extract(photos, "small_cnn", **given).cache


def keys_of(cache: str) -> list[str]:
    return [one.key.id for one in EmbeddingCache(cache).stores()]


def test_missing_controls_are_embedded_on_the_way_and_only_once(cache: str) -> None:
    assert len(keys_of(cache)) == 1
    found = advise(cache)
    assert [layer.kind for layer in found.layers] == ["learned", "learned", "raw pixels", *["random weights"] * 2]
    assert found.controls[0].second == "raw pixels"
    assert found.advice.transfer == "unproven"  # the colour of an image is all there is to tell
    assert found.transfer.startswith(
        "Warning: negative transfer is not ruled out. On 28 images, what the network learned tells no"
    )
    made = keys_of(cache)
    assert len(made) == 3
    again = advise(cache)
    assert keys_of(cache) == made
    assert [layer.score for layer in again.layers] == [layer.score for layer in found.layers]
    assert not any("extract" in command for command in again.commands)


def test_no_image_is_opened_where_none_is_to_be_or_can_be_or_there_are_many(
    cache: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = advise(cache, as_cached=True)
    assert found.advice.transfer == "no control"
    assert any("--backbone raw_pixels" in command for command in found.commands)
    with monkeypatch.context() as patch:
        patch.setattr(controls, "MOST_EMBEDDED", 10)
        assert "36 images are not embedded unasked" in " ".join(advise(cache).notes)
    photos.rename(photos.with_name("away"))
    assert "the images are not at" in " ".join(advise(cache).notes)
    assert len(keys_of(cache)) == 1


def test_the_command_prints_advice_and_reasons_on_80_columns_or_json(
    cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main(["advise", cache])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "Fit a linear head on an earlier layer: small_cnn · features.4:avg." in shown
    assert "· The best layer tells 0 of 28 images wrong" in shown
    assert max(len(line) for line in shown.split("\nnext")[0].splitlines()) <= 80
    with pytest.raises(SystemExit):
        main(["advise", cache, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["advice"]["action"], found["advice"]["transfer"]) == ("linear-earlier", "unproven")
    assert {one["about"] for one in found["findings"]} == {"size", "labels", "layers", "control", "errors", "matrix"}
    assert Path(found["table"]).read_text().startswith("name,network,tap,key,kind,score,low,high")


def test_an_error_is_one_line(cache: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["advise", cache, "--backbone", "resnet50"])
    assert done.value.code == 1
    assert "no embeddings of resnet50" in " ".join(capsys.readouterr().err.splitlines()[-2:])


def test_the_commands_that_are_given_run(cache: str, elsewhere: Path) -> None:
    found = advise(cache, as_cached=True)
    opened = EmbeddingCache(cache)
    layer = pose_problem(opened).embedded[0]
    trained = commands_for(replace(found.advice, action="finetune-tail"), layer, opened.path)
    for command in [*found.commands, *(f"{one} --epochs 1 --min-steps 1 --folds 2" for one in trained)]:
        with pytest.raises(SystemExit) as done:
            main(shlex.split(command)[1:])
        assert not done.value.code, command
    again = advise(cache)
    assert {layer.kind for layer in again.layers} == {"learned", "raw pixels", "random weights"}
    assert len(again.commands) == 1


def test_an_image_that_is_gone_when_controls_are_embedded_is_left_out_of_all(cache: str, photos: Path) -> None:
    (photos / "cat" / "03.png").write_bytes(b"no image any more")
    found = advise(cache)
    assert len(read_usable(EmbeddingCache(cache)).images) == 35
    assert {layer.kind for layer in found.layers} == {"learned", "raw pixels", "random weights"}
    assert advise(cache).findings == found.findings
