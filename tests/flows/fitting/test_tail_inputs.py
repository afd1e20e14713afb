"""What fine-tuning cannot use is told in one line, and what a person would not expect in a note."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES

from headstart.extractors.backbones import load_backbone
from headstart.extractors.errors import CacheError
from headstart.flows.cli.app import main
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning import precision as precision_room
from headstart.flows.fitting.finetuning.trainer import TailTrainer
from headstart.flows.options import FinetuneOptions
from headstart.heads.finetuning import training

Embed = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("ridge_alone")
QUICK = FinetuneOptions(epochs=3, batch_size=8, min_steps=1, optimizer="adamw", learning_rate=0.01)


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=["penultimate", "features.7:map"])


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command says that ends with status 1; it is one line on standard error, the last."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    *_, last = shown.err.splitlines()
    assert last.startswith("headstart: ")
    return last


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--from", "features.0"], "nothing lies before 'features.0'"),
        (["--from", "features.8", "nowhere"], "has no layer 'nowhere'"),
        (["--from", "features.8", "--metric", "log_loss", "--target", "colour"], "no label column 'colour'"),
        (["--from", "features.8", "--learning-rate", "0"], "learning_rate is 0.0, expected a number above 0"),
        (["--from", "features.8", "--layer-decay", "0.5", "0"], "layer_decay is 0.0, expected a number above 0"),
        (
            ["--from", "features.8", "--batch-size", "1", "--batch-norm", "train"],
            "batch_size is 1, expected at least 2",
        ),
    ],
)
def test_an_option_that_cannot_be_is_one_line(
    cache: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert expected in refused(capsys, "finetune", cache, *words)


def test_one_class_is_one_line(embed: Embed, photos: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in CLASSES[1:]:
        shutil.rmtree(photos / name)
    cache = embed().cache
    assert "class" in refused(capsys, "finetune", cache, "--from", "features.8")


def test_other_weights_and_two_of_one_backbone_are_one_line(
    embed: Embed, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embed().cache
    other = tmp_path / "other.pth"
    torch.save(load_backbone("small_cnn", weights="none", seed=1).module.state_dict(), other)
    words = refused(capsys, "finetune", cache, "--from", "features.8", "--weights", other)
    assert "embedded with weights random:" in words
    embed(weights=str(other))
    words = refused(capsys, "finetune", cache, "--from", "features.8", "--backbone", "small_cnn")
    assert words.endswith("name one with --backbone and --weights")
    found = finetune(cache, "features.8", options=QUICK, weights=str(other), backbone="small_cnn")
    assert found.winner.weights == "other.pth"


def test_a_map_in_a_linear_head_is_one_line(embed: Embed, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = embed(tap=["features.7:map"]).cache
    words = refused(capsys, "fit", cache, "--head", "logreg")
    assert "holds maps alone (features.7:map of 32×8×8)" in words
    assert "--tap features.7:avg' pools them" in words


def test_a_disk_that_cannot_hold_the_maps_is_one_line(
    embedded: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embedded()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, used=10**9 - 5, free=5))
    words = refused(capsys, "finetune", cache, "--from", "features.8")
    assert "0.0 MB are free" in words


def test_a_full_disk_while_training_is_told_and_nothing_is_half_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CacheError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("headstart.flows.fitting.finetuning.kept.write_atomically", full)
        with pytest.raises(CacheError, match="no space left"):
            finetune(cache, "features.8", options=QUICK, out="r")
    assert not (Path("r") / "model").exists()
    assert finetune(cache, "features.8", options=QUICK, out="r").best_epoch


def test_fewer_images_than_a_batch_are_noted(cache: Path) -> None:
    found = finetune(cache, "features.8", options=QUICK, batch_size=64, min_steps=30)
    assert any(note.startswith("28 images are fewer than a batch of 64: a step takes them all") for note in found.notes)
    assert any(
        note == "of few images, an epoch goes over all 10 times, for 30 steps (--min-steps)" for note in found.notes
    )
    assert not any("fewer than a batch" in note for note in finetune(cache, "features.8", options=QUICK).notes)


def test_a_loss_that_is_no_longer_finite_is_noted_and_the_model_is_of_an_epoch_before(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_epoch = training.Training._run_epoch

    def diverging(self: Any, epoch: int, *given: Any) -> Any:
        if epoch == 3:
            return self._diverge(epoch, float("nan"), 0.01)
        return run_epoch(self, epoch, *given)

    monkeypatch.setattr(training.Training, "_run_epoch", diverging)
    found = finetune(cache, "features.8", options=QUICK)
    assert (len(found.history), found.best_epoch) == (2, 2)
    expected = "training diverged in epoch 3: the loss is nan at a learning rate of 0.01; the epochs before are kept"
    assert any(note.startswith(expected) for note in found.notes)
    assert expected in Path(found.report).read_text()


def test_images_of_a_group_do_not_choose_the_epoch_of_each_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    fit = training.Training.__init__
    monkeypatch.setattr(
        training.Training, "__init__", lambda self, *values: (given.append(values), fit(self, *values))[1]
    )
    posed = TailTrainer.fit

    def grouped(self: TailTrainer, choice: Any, rows: Any, on_epoch: Any = None) -> Any:
        self.problem = replace(self.problem, groups=np.zeros_like(self.problem.groups))
        return posed(self, choice, rows, on_epoch)

    monkeypatch.setattr(TailTrainer, "fit", grouped)
    finetune(cache, "features.8", options=QUICK)
    *_, val_rows, _, _ = given[0]
    assert len(val_rows) == 0


@pytest.mark.parametrize(
    ("fast", "share", "cosine", "expected", "note"),
    [
        (True, 1.0, 0.9999, "bf16", "trained in bfloat16, whose logits have a cosine of 0.9999"),
        (True, 1.0, 0.9, "fp32", "trained in float32: in bfloat16 the cosine of the logits falls to 0.9000"),
        (True, 0.2, 1.0, "fp32", ""),
        (False, 1.0, 1.0, "fp32", ""),
    ],
)
def test_bfloat16_is_taken_where_it_is_fast_and_agrees_and_that_is_said(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    fast: bool,
    share: float,
    cosine: float,
    expected: str,
    note: str,
) -> None:
    monkeypatch.setattr(precision_room, "has_fast_bf16", lambda _: fast)
    monkeypatch.setattr(precision_room, "share_of_convolutions", lambda *_: share)
    monkeypatch.setattr(precision_room, "cosine_to_float32", lambda *_: cosine)
    found = finetune(cache, "features.8", options=QUICK, epochs=1)
    assert found.precision == expected
    assert [one for one in found.notes if "bfloat16" in one][:1] == (
        [one for one in found.notes if note in one] if note else []
    )
    assert finetune(cache, "features.8", options=QUICK, epochs=1, precision="fp32").precision == "fp32"


def test_convolutions_are_counted_and_attention_is_not() -> None:
    from support.small_networks import NETWORKS, small_backbone, some_images

    from headstart.extractors.network import cut_before
    from headstart.extractors.network.taps import TapReader

    shares = {}
    for family in ("resnet", "vit"):
        backbone = small_backbone(family)
        tail = cut_before(backbone, NETWORKS[family][2])
        with torch.no_grad(), TapReader(backbone, [tail.tap]) as read:
            rows = read(some_images(4))[str(tail.tap)].numpy()
        shares[family] = precision_room.share_of_convolutions(tail, rows)
        assert precision_room.cosine_to_float32(tail, rows) > 0.99
    assert shares["resnet"] > 0.9
    assert shares["vit"] == 0.0
