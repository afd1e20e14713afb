"""Supervised pre-training learns, leaves the encoder frozen, and gives the same weights for the same seed."""

from pathlib import Path

import numpy as np
import torch

from extractors.backbones import load_backbone
from extractors.preprocessing import Preprocessing
from extractors.pretrain import pretrain_supervised, save_encoder

LABELS = np.arange(60) % 3
IMAGES = (LABELS[:, None, None, None] * 80 + np.random.default_rng(0).integers(0, 60, (60, 16, 16, 3))).astype(np.uint8)
PREPROCESSING = Preprocessing(resize=16, crop=(16, 16))


def trained(seed: int) -> tuple[torch.nn.Module, list[float]]:
    module, losses = load_backbone("small_cnn", weights="none").module, []
    pretrain_supervised(module, IMAGES, LABELS, PREPROCESSING, epochs=4, batch_size=16, seed=seed, on_epoch=losses.append)
    return module, losses


def test_the_loss_falls_and_the_encoder_is_left_frozen() -> None:
    module, losses = trained(seed=0)
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (trained(seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(values, again[name]) for name, values in first.items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_a_saved_encoder_loads_strictly_as_a_backbone(tmp_path: Path) -> None:
    module, _ = trained(seed=0)
    save_encoder(module, tmp_path / "encoder.safetensors")
    loaded = load_backbone("small_cnn", weights=str(tmp_path / "encoder.safetensors"))
    assert all(torch.equal(values, loaded.module.state_dict()[name]) for name, values in module.state_dict().items())
