"""A checkpoint goes into a module whole, or not at all."""

from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.network.taps import Tap, TapReader


@pytest.fixture(scope="module")
def state() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(7)
    return models.squeezenet1_1(weights=None).state_dict()


def saved(content: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


def same(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = module.state_dict()
    return all(torch.equal(own[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "encoder.", "module._orig_mod."])
def test_a_prefix_of_every_name_is_taken_off(tmp_path, state, prefix):
    path = saved({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "run.pth")
    assert same(load_backbone("squeezenet1_1", weights=str(path)).module, state)


def test_a_prefix_that_not_every_name_has_is_an_error_and_not_a_random_network(tmp_path, state):
    renamed = {(name if "features.0" in name else f"module.{name}"): tensor for name, tensor in state.items()}
    path = saved(renamed, tmp_path / "run.pth")
    with pytest.raises(WeightsError, match=r"missing: .*unexpected: module\."):
        load_backbone("squeezenet1_1", weights=str(path))


@pytest.mark.parametrize(("architecture", "head"), [("resnet18", "fc"), ("squeezenet1_1", "classifier.1")])
def test_a_checkpoint_with_another_number_of_classes_builds_its_own_head(tmp_path, architecture, head):
    fine_tuned = models.get_model(architecture, weights=None, num_classes=2).eval()
    path = saved(fine_tuned.state_dict(), tmp_path / "fine.pth")
    backbone = load_backbone(architecture, weights=str(path))
    images = torch.rand(1, 3, 64, 64)
    assert len(backbone.module.get_submodule(head).weight) == 2
    torch.testing.assert_close(backbone.module(images), fine_tuned(images), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_without_classifier_gives_the_same_features_and_no_logits(tmp_path):
    whole = models.resnet18(weights=None).state_dict()
    encoder = {name: tensor for name, tensor in whole.items() if not name.startswith("fc.")}
    images = torch.rand(1, 3, 64, 64)
    features = []
    for content, name in ((whole, "whole.pth"), (encoder, "encoder.pth")):
        backbone = load_backbone("resnet18", weights=str(saved(content, tmp_path / name)))
        with TapReader(backbone, [Tap()]) as read:
            features.append(read(images)["penultimate"])
    assert torch.equal(*features)
    with pytest.raises(BackboneError, match=r"encoder\.pth holds no classifier, so 'fc' cannot be read"):
        TapReader(backbone, [Tap("fc")])


def test_half_a_classifier_is_an_error(tmp_path):
    content = models.resnet18(weights=None).state_dict()
    del content["fc.bias"]
    with pytest.raises(WeightsError, match=r"missing: fc\.bias\."):
        load_backbone("resnet18", weights=str(saved(content, tmp_path / "x.pth")))


def test_weights_of_another_architecture_are_named(tmp_path, state):
    path = saved(state, tmp_path / "mystery.pth")
    with pytest.raises(WeightsError) as caught:
        load_backbone("resnet18", weights=str(path))
    message = str(caught.value)
    assert message.startswith(f"torchvision/resnet18: {path} does not fit this architecture; missing: ")
    assert "unexpected: features.0.weight, features.0.bias, features.3.squeeze.weight and 49 more" in message
    assert "it is for torchvision/squeezenet1_1: give --backbone torchvision/squeezenet1_1" in message


def test_another_architecture_is_recognised_after_fine_tuning_and_behind_a_prefix(tmp_path):
    content = models.mobilenet_v3_small(weights=None, num_classes=7).state_dict()
    path = saved({f"module.{name}": tensor for name, tensor in content.items()}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="it is for torchvision/mobilenet_v3_small"):
        load_backbone("mobilenet_v2", weights=str(path))


def test_other_shapes_are_shown(tmp_path, state):
    wider = state | {"features.0.weight": torch.zeros(64, 1, 3, 3)}
    with pytest.raises(WeightsError, match=r"features\.0\.weight expected \(64, 3, 3, 3\) found \(64, 1, 3, 3\)"):
        load_backbone("squeezenet1_1", weights=str(saved(wider, tmp_path / "x.pth")))


def test_quantised_integers_are_not_taken_for_weights(tmp_path, state):
    integers = state | {"features.0.weight": torch.ones(64, 3, 3, 3, dtype=torch.int8)}
    with pytest.raises(WeightsError, match=r"features\.0\.weight expected torch\.float32 found torch\.int8"):
        load_backbone("squeezenet1_1", weights=str(saved(integers, tmp_path / "x.pth")))


def test_half_precision_weights_become_float32(tmp_path, state):
    half = {name: tensor.half() for name, tensor in state.items()}
    module = load_backbone("squeezenet1_1", weights=str(saved(half, tmp_path / "x.pth"))).module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert same(module, {name: tensor.float() for name, tensor in half.items()})


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_mnasnet_loads_from_a_file_without_layout_version(tmp_path, suffix):
    content = dict(models.mnasnet0_5(weights=None).state_dict())
    path = saved({f"module.{name}": tensor for name, tensor in content.items()}, tmp_path / f"x{suffix}")
    assert same(load_backbone("mnasnet0_5", weights=str(path)).module, content)


def test_a_densenet_loads_under_the_names_of_the_published_file(tmp_path):
    content = models.densenet121(weights=None).state_dict()
    published = {name: tensor for name, tensor in content.items() if "num_batches" not in name}
    for number in "12":
        for kind in ("norm", "conv"):
            published = {name.replace(f".{kind}{number}.", f".{kind}.{number}."): t for name, t in published.items()}
    # transitions have one norm and one conv without number, which must not change
    path = saved(published, tmp_path / "densenet.pth")
    assert same(load_backbone("densenet121", weights=str(path)).module, content)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
@pytest.mark.parametrize("with_auxiliary", [True, False])
def test_auxiliary_classifiers_are_left_out_and_the_input_is_transformed(tmp_path, architecture, with_auxiliary):
    # torchvision's own model with weights has transform_input=True, and so has every checkpoint fine-tuned from it.
    reference = models.get_model(architecture, weights=None, aux_logits=True, init_weights=False, transform_input=True)
    content = reference.eval().state_dict()
    if not with_auxiliary:
        content = {name: tensor for name, tensor in content.items() if not name.lower().startswith("aux")}
    backbone = load_backbone(architecture, weights=str(saved(content, tmp_path / "x.pth")))
    images = torch.rand(1, 3, 75, 75)
    with torch.no_grad():
        assert torch.equal(backbone.module(images), reference(images))
    assert not any(name.lower().startswith("aux") for name in backbone.module.state_dict())
