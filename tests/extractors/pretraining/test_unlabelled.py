"""Learning without labels: it learns, goes on after a kill with the same weights, and hands on the encoder alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from headstart.extractors.backbones import load_backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.pretraining import (
    Checkpoint,
    Encoder,
    Images,
    Pretraining,
    PretrainingError,
    Recipe,
    make_encoder,
)

SIDE = 16
TASKS = ("rotation", "masked", "denoise")
CPU = torch.device("cpu")


def pictures(n_images: int = 40, seed: int = 0) -> np.ndarray:
    """Draw bars above squares, wherever they stand: up and down differ, and a part tells of the rest."""
    generator = np.random.default_rng(seed)
    found = generator.integers(0, 30, (n_images, SIDE, SIDE, 3))
    for image, (across, bright) in zip(found, generator.integers([0, 120], [6, 220], (n_images, 2)), strict=True):
        image[2:5, across : across + 10] += bright
        image[9:13, across + 3 : across + 7] += bright
    return found.clip(0, 255).astype(np.uint8)


def images_of(pixels: np.ndarray, n_held: int = 8) -> Images:
    rows = np.arange(len(pixels))
    return Images(pixels, rows[n_held:], rows[:n_held])


def encoder_of(name: str = "small_cnn", seed: int = 0) -> Encoder:
    return make_encoder(name, seed=seed, image_size=SIDE)


def training(encoder: Encoder | None = None, pixels: np.ndarray | None = None, **recipe: Any) -> Pretraining:
    given = Recipe(**{"task": "rotation", "epochs": 2, "batch_size": 8, "augment": "none", **recipe})
    return Pretraining(encoder or encoder_of(), images_of(pictures() if pixels is None else pixels), given, CPU)


def state_of(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in encoder.module.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(values, other[name]) for name, values in one.items())


@pytest.mark.parametrize(("task", "epochs"), [("rotation", 8), ("masked", 20), ("denoise", 10)])
def test_the_loss_on_images_that_only_measure_falls_below_that_of_not_looking(task: str, epochs: int) -> None:
    history = training(task=task, epochs=epochs, learning_rate=0.004).run()
    assert len(history) == epochs
    assert history[-1]["val_loss"] < 0.7 * history[-1]["trivial"]  # type: ignore[operator]  # numbers
    assert history[-1]["loss"] < history[0]["loss"]  # type: ignore[operator]  # likewise
    if task == "rotation":
        assert history[-1]["trivial"] == pytest.approx(np.log(4))
        assert history[-1]["val_accuracy"] > 0.6  # type: ignore[operator]  # likewise
    else:
        assert history[-1]["val_accuracy"] is None


def test_what_does_not_look_has_the_trivial_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in ("masked", "denoise"):
        one = training(task=task, noise=5.0)
        monkeypatch.setattr(
            one._decoder, "forward", lambda features, size=SIDE: features.new_zeros(len(features), 3, size, size)
        )
        found = one._asked(np.arange(8), np.random.SeedSequence(1), augmented=False)
        assert float(found.loss) == pytest.approx(found.trivial, rel=1e-5)


def test_little_noise_is_beaten_by_no_more_than_what_it_takes() -> None:
    little = training(task="denoise", noise=0.01)._asked(np.arange(8), np.random.SeedSequence(1), augmented=False)
    assert little.trivial < 0.05, "the noisy image itself is the better answer, and the mean image no measure"


@pytest.mark.parametrize("task", TASKS)
def test_the_file_holds_the_encoder_and_nothing_that_asked_it(task: str, tmp_path: Path) -> None:
    encoder = encoder_of()
    one = training(encoder, task=task, epochs=1)
    one.run()
    (tmp_path / "encoder.safetensors").write_bytes(encoder.as_file())
    state, own = (
        load_file(tmp_path / "encoder.safetensors"),
        load_backbone("small_cnn", weights="none").module.state_dict(),
    )
    assert {name for name in own if name not in state} == {"classifier.weight", "classifier.bias"}
    assert not state.keys() - own.keys()
    shapes = {tuple(values.shape) for values in one._decoder.state_dict().values() if values.ndim > 1}
    assert not {tuple(values.shape) for values in state.values()} & shapes
    backbone = load_backbone("small_cnn", weights=str(tmp_path / "encoder.safetensors"), image_size=SIDE)
    some = torch.rand(3, 3, SIDE, SIDE)
    torch.testing.assert_close(backbone.module(some).flatten(1), encoder.features(some))  # its classifier passes on


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet"])
def test_any_network_hands_on_what_its_backbone_puts_out(name: str, tmp_path: Path) -> None:
    encoder = make_encoder(name, seed=1, image_size=64)
    (tmp_path / "encoder.safetensors").write_bytes(encoder.as_file())
    backbone = load_backbone(name, weights=str(tmp_path / "encoder.safetensors"), image_size=64)
    assert backbone.preprocessing == encoder.backbone.preprocessing
    some = torch.rand(2, 3, *encoder.backbone.preprocessing.crop)
    with torch.no_grad():
        torch.testing.assert_close(backbone.module(some).flatten(1), encoder.features(some))


def dropping() -> Encoder:
    """Return an encoder that draws numbers of torch's own while it is trained."""
    made = encoder_of()
    module = nn.Sequential(made.module, nn.Dropout(0.5))
    return replace(made, module=module.requires_grad_(requires_grad=True))


class Killed(Exception):  # noqa: N818 - no error of ours
    pass


def killed_after(n_steps: int) -> Callable[[int], None]:
    steps = iter(range(n_steps + 1))

    def on_step(_: int) -> None:
        if next(steps, None) is None:
            raise Killed

    return on_step


@pytest.mark.parametrize(
    ("task", "n_steps", "make"),
    [("rotation", 3, encoder_of), ("masked", 5, dropping), ("denoise", 1, encoder_of)],
)
def test_a_killed_training_goes_on_where_it_was_and_ends_with_the_same_weights(
    make: Callable[[], Encoder], task: str, n_steps: int, tmp_path: Path
) -> None:
    whole, begun, gone_on = make(), make(), make()
    recipe: dict[str, Any] = {"task": task, "augment": "strong"}
    history = training(whole, **recipe).run()
    checkpoint = Checkpoint(tmp_path / "unfinished.safetensors", training(make(), **recipe).identity)
    with pytest.raises(Killed):
        training(begun, **recipe).run(checkpoint, on_step=killed_after(n_steps), saved_every=0)
    done: list[int] = []
    assert training(gone_on, **recipe).run(checkpoint, on_step=done.append) == history
    assert done[0] == n_steps
    assert equal(state_of(gone_on), state_of(whole))
    done.clear()
    again = make()
    assert training(again, **recipe).run(checkpoint, on_step=done.append) == history
    assert done == [8], "nothing is done twice of a training that has ended"
    assert equal(state_of(again), state_of(whole))


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_a_checkpoint_that_is_damaged_or_of_another_training_is_as_good_as_none(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "unfinished.safetensors"
    if content is None:
        other = training(seed=1)
        other.run(Checkpoint(path, other.identity))
    else:
        path.write_bytes(content)
    one, done = training(), list[int]()
    one.run(Checkpoint(path, one.identity), on_step=done.append)
    assert done[0] == 0


def test_whatever_decides_the_weights_tells_trainings_apart() -> None:
    others = [
        training(seed=1),
        training(task="masked"),
        training(learning_rate=0.1),
        training(encoder_of(seed=1)),
        training(pixels=pictures(seed=1)),
    ]
    assert len({training().identity, *(one.identity for one in others)}) == 6
    assert training().identity == training().identity


def test_training_leaves_torch_s_own_random_numbers_alone_and_the_seed_decides() -> None:
    before = torch.get_rng_state()
    first, again, other = encoder_of(), encoder_of(), encoder_of()
    for encoder, seed in ((first, 0), (again, 0), (other, 1)):
        training(encoder, seed=seed, epochs=1, augment="strong").run()
    assert torch.equal(before, torch.get_rng_state())
    assert equal(state_of(first), state_of(again))
    assert not equal(state_of(first), state_of(other))


def test_the_rate_grows_then_falls_to_nothing_or_stays() -> None:
    falling = [Recipe(task="masked", learning_rate=1.0).rate(step, 100) for step in range(100)]
    assert falling[:10] == sorted(falling[:10])
    assert falling[10:] == sorted(falling[10:], reverse=True)
    assert max(falling) == falling[10] == 1.0
    assert 0 < falling[-1] < 0.001
    assert Recipe(task="masked", schedule="constant", warmup=0.0, learning_rate=1.0).rate(99, 100) == 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: training(pixels=pictures(20)), "12 different images to learn from, expected at least 16; give more"),
        (lambda: training(task="masked", pixels=np.full((40, 16, 16, 3), 9, np.uint8)), "the same picture.*give other"),
        (
            lambda: training(pixels=pictures()[:, :8]),
            "8 × 16 pixels, and only squares can be turned; give --image-size",
        ),
        (lambda: training(learning_rate=1e30, warmup=0.0).run(), "training diverged in epoch 1.*lower --learning-rate"),
        (lambda: encoder_of("pixels"), "headstart/pixels has no weights, so there is nothing to learn; name a network"),
    ],
)
def test_what_cannot_be_learned_is_said_in_one_line(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((PretrainingError, BackboneError), match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
