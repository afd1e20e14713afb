"""Pre-training learns, leaves the encoder frozen, and gives the same weights for the same seed."""

from pathlib import Path

import numpy as np
import torch

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.backbones.small_cnn import SmallCNN
from headstart.extractors.pretraining.supervised import pretrain_small_cnn, save_encoder

LABELS = np.arange(48) % 2
# Bright above or bright below: no colour gives the class or the turn away.
IMAGES = np.random.default_rng(0).integers(0, 100, (48, 32, 32, 3)).astype(np.uint8)
IMAGES[LABELS == 0, :12, :20] += 150
IMAGES[LABELS == 1, :6, :] += 150


def trained(seed: int, epochs: int = 1) -> tuple[SmallCNN, list[float]]:
    losses: list[float] = []
    return pretrain_small_cnn(IMAGES, LABELS, epochs=epochs, batch_size=16, seed=seed, on_epoch=losses.append), losses


def test_the_loss_falls_far_below_guessing_and_the_encoder_is_left_frozen() -> None:
    module, losses = trained(seed=0, epochs=25)
    assert len(losses) == 25
    assert losses[-1] < np.log(8) / 2
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (trained(seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(values, again[name]) for name, values in first.items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_training_leaves_torch_s_own_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    trained(seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_a_saved_encoder_loads_strictly_as_a_backbone(tmp_path: Path) -> None:
    module, _ = trained(seed=0)
    save_encoder(module, tmp_path / "encoder.safetensors")
    loaded = load_backbone("small_cnn", weights=str(tmp_path / "encoder.safetensors"))
    assert all(torch.equal(values, loaded.module.state_dict()[name]) for name, values in module.state_dict().items())
