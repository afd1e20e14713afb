"""Headstart's own backbones, and those that a callable gives."""

import importlib
import re
import sys

import pytest
import torch
from PIL import Image

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.backbones.small_cnn import SmallCNN
from headstart.extractors.decoding import decode_image
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.network.taps import Tap, TapReader
from headstart.extractors.spec.preprocessing import Preprocessing

OWN_MODULE = """
import torch
from headstart.extractors.spec.preprocessing import Preprocessing

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(12, 5)

    def forward(self, images):
        return self.encoder(images.flatten(1))

def build():
    return Net()

def build_small():
    net = Net()
    net.preprocessing = Preprocessing(resize=2, crop=(2, 2))
    return net

def build_wrong():
    net = Net()
    net.preprocessing = 224
    return net

def fail():
    raise RuntimeError("no licence")

text = "text"
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch) -> str:
    (tmp_path / "own_backbones_of_a_test.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_backbones_of_a_test"
    sys.modules.pop("own_backbones_of_a_test", None)


def test_a_small_cnn_trained_elsewhere_is_loaded_with_its_classes(tmp_path):
    net = SmallCNN(n_classes=5).eval()
    torch.save(net.state_dict(), tmp_path / "digits.pth")
    backbone = load_backbone("small_cnn", weights=str(tmp_path / "digits.pth"))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(backbone.module(images), net(images))
    with TapReader(backbone, [Tap()]) as read:
        features = read(images)["penultimate"]
    torch.testing.assert_close(net.classifier(features), net(images))
    assert features.shape == (2, 256)


def test_a_small_cnn_has_no_published_weights():
    with pytest.raises(WeightsError, match="no published weights; give your own by --weights FILE"):
        load_backbone("small_cnn")


@pytest.mark.parametrize("name", ["pixels", "raw_pixels"])
def test_pixels_have_no_weights(tmp_path, name):
    assert load_backbone(name).weights == load_backbone(name, weights="none").weights == "none"
    with pytest.raises(WeightsError, match="has no weights"):
        load_backbone(name, weights=str(tmp_path / "x.pth"))


@pytest.mark.parametrize("size", [224, 100, 16, 8])
def test_raw_pixels_are_mean_colours_on_a_grid_whatever_the_size(size):
    backbone = load_backbone("raw_pixels", image_size=size)
    images = torch.rand(2, 3, 1, 1).expand(2, 3, size, size).clone()
    images[:, 1, : size // 2] = 0
    with TapReader(backbone, [Tap()]) as read:
        grid = read(images)["penultimate"].reshape(2, 3, 16, 16)
    torch.testing.assert_close(grid[:, 0], images[:, 0, :1, :1].expand(2, 16, 16))
    assert not grid[:, 1, :8].any()
    torch.testing.assert_close(grid[:, 1, 8:], images[:, 1, -1:, :1].expand(2, 8, 16))


def test_raw_pixels_are_the_colours_of_the_file_as_networks_of_photographs_see_it(tmp_path):
    red = Image.new("RGB", (300, 260), (255, 0, 51))
    red.save(tmp_path / "red.png")
    backbone = load_backbone("raw_pixels")
    pixels = torch.tensor(decode_image((tmp_path / "red.png").read_bytes(), backbone.preprocessing))
    assert pixels.shape == (224, 224, 3)
    assert (backbone.preprocessing.mean, backbone.preprocessing.std) == ((0, 0, 0), (1, 1, 1))
    means = backbone.module(pixels.permute(2, 0, 1)[None] / 255).reshape(3, -1)
    torch.testing.assert_close(means, torch.tensor([1.0, 0.0, 0.2])[:, None].expand(3, 256))


def test_a_callable_gives_its_output_as_penultimate_and_its_own_preprocessing(own_module):
    backbone = load_backbone(f"{own_module}:build_small")
    images = torch.rand(2, 3, 2, 2)
    with TapReader(backbone, [Tap()]) as read:
        assert torch.equal(read(images)["penultimate"], backbone.module(images))
    assert backbone.preprocessing == Preprocessing(resize=2, crop=(2, 2))
    assert backbone.name == f"{own_module}:build_small"
    assert re.fullmatch("state-sha256:[0-9a-f]{64}[+]code-sha256:[0-9a-f]{64}", backbone.weights)


def test_a_callables_random_weights_follow_the_seed_and_say_so(own_module):
    first, again, other = (load_backbone(f"{own_module}:build", weights="none", seed=seed) for seed in (0, 0, 1))
    assert first.weights.startswith("random:")
    assert first.weights == again.weights != other.weights
    assert first.preprocessing == Preprocessing()


CODE = """
import torch

SIZE = 2

class Base(torch.nn.Module):
    def forward(self, images):
        return self.part(images)

class Part(torch.nn.Module):
    def forward(self, images):
        return images.flatten(1)

class Net(Base):
    def __init__(self):
        super().__init__()
        self.part = Part()
        self.pool = torch.nn.MaxPool2d(SIZE)
        self.extra = [object()]

    def __repr__(self):
        return super().__repr__() + repr(self.extra)

class Unused(torch.nn.Module):
    pass

def build():
    return Net()

def build_linear():
    net = Net()
    net.linear = torch.nn.Linear(2, 2)
    return net
"""


@pytest.fixture
def weights_for(tmp_path, monkeypatch):
    """Write code to a module of its own and return what identifies the backbone that it builds."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within one second would share it
    name = "code_of_a_test"

    def identify(code: str, build: str = "build", **options) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return load_backbone(f"{name}:{build}", **options).weights

    yield identify
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return images.flatten(1)", "return images.flatten(1) * 2"),
        ("return self.part(images)", "return self.part(images) + 1"),
        ("SIZE = 2", "SIZE = 3"),
        ("return Net()", "return Net().double()"),
    ],
    ids=["a part", "a base class", "a setting of a layer", "the callable"],
)
@pytest.mark.parametrize("build", ["build", "build_linear"])
def test_a_callable_whose_code_changed_is_another_backbone(weights_for, old, new, build):
    if build == "build_linear" and old == "return Net()":
        old, new = "    return net", "    return net.double()"
    assert weights_for(CODE, build) != weights_for(CODE.replace(old, new), build)


@pytest.mark.parametrize("build", ["build", "build_linear"])
def test_code_that_is_not_used_and_addresses_in_memory_change_nothing(weights_for, build):
    first = weights_for(CODE, build)
    assert (
        weights_for(CODE.replace("class Unused(torch.nn.Module):\n    pass", "class Other:\n    x = 1"), build) == first
    )


def test_a_callable_without_parameters_is_known_by_its_code(weights_for):
    assert re.fullmatch("none[+]code-sha256:[0-9a-f]{64}", weights_for(CODE))


def test_weights_from_a_file_go_with_the_code(weights_for, tmp_path):
    torch.save({"linear.weight": torch.eye(2), "linear.bias": torch.zeros(2)}, tmp_path / "x.pth")
    first = weights_for(CODE, "build_linear", weights=str(tmp_path / "x.pth"))
    changed = CODE.replace("images.flatten(1)", "images.flatten(2)")
    other = weights_for(changed, "build_linear", weights=str(tmp_path / "x.pth"))
    assert re.fullmatch("sha256:[0-9a-f]{64}[+]code-sha256:[0-9a-f]{64}", first)
    assert first.split("+")[0] == other.split("+")[0]
    assert first != other


def test_code_without_a_source_is_known_by_its_structure(monkeypatch):
    def no_source(_thing):
        raise OSError("could not get source code")

    monkeypatch.setattr("inspect.getsource", no_source)
    assert "+code-sha256:" in load_backbone("headstart.extractors.backbones.small_cnn:SmallCNN", weights="none").weights


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_callables_names_may_begin_like_a_wrapper(own_module, tmp_path, prefix):
    state = {"encoder.weight": torch.rand(5, 12), "encoder.bias": torch.rand(5)}
    torch.save({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "x.pth")
    module = load_backbone(f"{own_module}:build", weights=str(tmp_path / "x.pth")).module
    assert torch.equal(module.encoder.weight, state["encoder.weight"])


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("fail", "raised RuntimeError: no licence"),
        ("gone", "has no 'gone'"),
        ("text", "found a str, expected a callable"),
        ("Preprocessing", "returned a Preprocessing, expected a torch.nn.Module"),
        ("build_wrong", "its `preprocessing` is a int"),
    ],
)
def test_a_callable_that_gives_no_backbone_is_refused(own_module, attribute, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(f"{own_module}:{attribute}")


def test_a_module_that_cannot_be_imported_is_refused():
    with pytest.raises(
        BackboneError, match=r"importing 'no_such_package\.models' raised ModuleNotFoundError.*PYTHONPATH"
    ):
        load_backbone("no_such_package.models:build")


def test_a_module_of_the_current_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    (tmp_path / "only_here.py").write_text("from torch import nn\n\n\ndef build():\n    return nn.Flatten()\n")
    try:
        assert isinstance(load_backbone("only_here:build").module, torch.nn.Flatten)
    finally:
        sys.modules.pop("only_here", None)
