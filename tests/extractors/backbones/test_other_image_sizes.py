"""Weights of a ViT that was trained on images of another size: its positions are resampled as timm does, or kept."""

import warnings

import pytest
import torch

from headstart.extractors.backbones import load_backbone
from headstart.extractors.errors import WeightsError

timm = pytest.importorskip("timm")


def saved_vit(path, **options) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        module = timm.create_model(options.pop("name", "test_vit"), **options).eval()
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in module.state_dict().items()}}, path)
    return module


@pytest.mark.parametrize(
    ("name", "size"),
    [("test_vit", 96), ("test_vit", 224), ("test_vit4", 96), ("test_coatnet", 96), ("test_maxvit", 224)],
)
def test_positions_are_resampled_as_timm_does_and_it_is_said(tmp_path, name, size):
    trained = saved_vit(tmp_path / "vit.ckpt", name=name, img_size=size, num_classes=3)
    backbone = load_backbone(f"timm/{name}", weights=str(tmp_path / "vit.ckpt"))
    with warnings.catch_warnings():  # timm's own, of how it calls torch
        warnings.simplefilter("ignore")
        own = timm.create_model(
            name,
            num_classes=3,
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": trained.state_dict(), "num_classes": 3},
        ).eval()
    state = backbone.module.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in own.state_dict().items())
    assert any("resampled" in note for note in backbone.notes)
    assert backbone.weights.startswith("state-sha256:")  # of what timm's version makes of the file


def test_positions_of_images_that_are_no_squares_are_refused(tmp_path):
    saved_vit(tmp_path / "vit.pth", img_size=(96, 160))
    with pytest.raises(WeightsError, match=r"no squares.*give weights for square images"):
        load_backbone("timm/test_vit", weights=str(tmp_path / "vit.pth"))


def test_a_file_of_the_models_own_size_is_read_as_it_is(tmp_path):
    trained = saved_vit(tmp_path / "vit.pth")
    backbone = load_backbone("timm/test_vit", weights=str(tmp_path / "vit.pth"))
    images = torch.rand(2, 3, 160, 160)
    assert torch.equal(backbone.module(images), trained(images))
    assert not backbone.notes
    assert backbone.weights.startswith("sha256:")


def test_another_width_is_no_other_size(tmp_path):
    saved_vit(tmp_path / "vit.pth", img_size=96, embed_dim=128)
    with pytest.raises(WeightsError, match="does not fit this architecture"):
        load_backbone("timm/test_vit", weights=str(tmp_path / "vit.pth"))
