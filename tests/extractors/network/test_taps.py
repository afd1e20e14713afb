"""Taps: what is read out of a layer, and how it is pooled."""

import pytest
import torch
from torch import nn

from headstart.extractors.backbones.backbone import Backbone
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.layouts import is_channels_last
from headstart.extractors.network.taps import Tap, TapReader, feature_sizes, pool
from headstart.extractors.spec.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return load_backbone("resnet18", weights="none")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def backbone_of(module: nn.Module, **options) -> Backbone:
    values = {"name": "test/net", "weights": "none", "weights_name": "none", "head": None} | options
    return Backbone(module=module.eval(), preprocessing=Preprocessing(resize=8, crop=(8, 8)), **values)


class Gives(nn.Module):
    """Puts out what a function makes of the images, from an inner layer called `inner`."""

    def __init__(self, function) -> None:
        super().__init__()
        self.inner = Calls(function)

    def forward(self, images):
        self.inner(images)
        return images.flatten(1)


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def read(backbone: Backbone, images: torch.Tensor, *taps: str) -> dict[str, torch.Tensor]:
    with TapReader(backbone, [Tap.parse(tap) for tap in taps]) as reader:
        return reader(images)


@pytest.mark.parametrize(
    ("text", "tap", "written"),
    [
        ("penultimate", Tap("penultimate", "auto"), "penultimate"),
        ("layer3:avg", Tap("layer3", "avg"), "layer3:avg"),
        ("features.0.1:flatten", Tap("features.0.1", "flatten"), "features.0.1:flatten"),
        ("layer3:auto", Tap("layer3", "auto"), "layer3"),
    ],
)
def test_a_tap_is_read_from_text_and_written_back(text, tap, written):
    assert Tap.parse(text) == tap
    assert str(tap) == written


@pytest.mark.parametrize("text", ["layer3:average", "layer3:none", ":avg", ""])
def test_an_unknown_pooling_or_a_missing_layer_is_refused(text):
    with pytest.raises(BackboneError, match=r"pooling|needs a layer"):
        Tap.parse(text)


def test_the_penultimate_tap_through_the_classifier_gives_the_logits(resnet, images):
    features = read(resnet, images, "penultimate")["penultimate"]
    assert features.shape == (2, 512)
    torch.testing.assert_close(resnet.module.fc(features), resnet.module(images))


def test_all_taps_come_from_one_forward_pass(resnet, images):
    calls = []
    handle = resnet.module.conv1.register_forward_hook(lambda *_: calls.append(1))
    found = read(resnet, images, "layer3", "penultimate", "layer3:max", "layer4:flatten")
    handle.remove()
    assert len(calls) == 1
    assert list(found) == ["layer3", "penultimate", "layer3:max", "layer4:flatten"]


def test_the_average_of_the_last_block_is_the_penultimate_of_a_resnet(resnet, images):
    found = read(resnet, images, "layer4:avg", "penultimate")
    torch.testing.assert_close(found["layer4:avg"], found["penultimate"])


def test_a_layer_is_read_before_the_next_one_changes_it_in_place(resnet, images):
    found = read(resnet, images, "bn1:flatten", "relu")
    with torch.no_grad():
        expected = resnet.module.bn1(resnet.module.conv1(images)).flatten(1)
    assert (expected < 0).any()
    torch.testing.assert_close(found["bn1:flatten"], expected)


def test_closing_takes_every_hook_off(resnet, images):
    reader = TapReader(resnet, [Tap("layer1"), Tap()])
    reader.close()
    assert not resnet.module.layer1._forward_hooks
    assert not resnet.module.fc._forward_pre_hooks


def test_features_carry_no_gradient_even_if_the_images_do(resnet, images):
    assert not read(resnet, images.clone().requires_grad_(), "layer1")["layer1"].requires_grad


def test_features_keep_the_dtype_of_the_layer(resnet, images):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten()).to(torch.bfloat16)
    assert read(backbone_of(module), images.bfloat16(), "0")["0"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("layer", "hint"), [("layr3", "layer3"), ("layer3.0.conv9", "layer3.0.conv"), ("penultimat", "penultimate")]
)
def test_an_unknown_layer_is_answered_with_the_nearest(resnet, layer, hint):
    with pytest.raises(BackboneError, match=f"no layer '{layer}'.*Nearest: .*{hint}"):
        TapReader(resnet, [Tap(layer)])


def test_no_tap_at_all_is_refused(resnet):
    with pytest.raises(BackboneError, match="no tap"):
        TapReader(resnet, [])


TOKENS = torch.arange(24.0).reshape(2, 4, 3)  # (n_images, n_tokens, n_features)
MAP = torch.arange(48.0).reshape(2, 2, 3, 4)


@pytest.mark.parametrize(
    ("output", "pooling", "options", "expected"),
    [
        (MAP, "auto", {}, MAP.mean((2, 3))),
        (MAP, "avg", {"channels_last": True}, MAP.mean((1, 2))),
        (MAP, "max", {}, MAP.amax((2, 3))),
        (MAP, "max", {"channels_last": True}, MAP.amax((1, 2))),
        (MAP, "flatten", {"channels_last": None}, MAP.reshape(2, 24)),
        (TOKENS, "auto", {}, TOKENS.mean(1)),
        (TOKENS, "auto", {"prefix_tokens": 2}, TOKENS[:, 0]),
        (TOKENS, "auto", {"prefix_tokens": 2, "class_token": False}, TOKENS[:, 2:].mean(1)),
        (TOKENS, "cls", {"prefix_tokens": 1}, TOKENS[:, 0]),
        (TOKENS, "avg", {"prefix_tokens": 2}, TOKENS[:, 2:].mean(1)),
        (TOKENS, "max", {"prefix_tokens": 1}, TOKENS[:, 1:].amax(1)),
        (TOKENS, "flatten", {"prefix_tokens": 1}, TOKENS.reshape(2, 12)),
        (TOKENS[:, 0], "auto", {}, TOKENS[:, 0]),
        (TOKENS[:, 0], "avg", {}, TOKENS[:, 0]),
    ],
)
def test_pooling_by_shape(output, pooling, options, expected):
    options = dict(options)
    layout = options.pop("channels_last", False)
    pooled = pool(output, Tap("x", pooling), backbone_of(nn.Identity(), **options), channels_last=layout)
    assert torch.equal(pooled, expected)


@pytest.mark.parametrize(
    ("output", "pooling", "options"),
    [
        (TOKENS, "cls", {}),
        (TOKENS, "cls", {"prefix_tokens": 4, "class_token": False}),
        (MAP, "cls", {"prefix_tokens": 1}),
        (MAP, "avg", {"channels_last": None}),
        (MAP.unsqueeze(0), "avg", {}),
        (torch.zeros(2), "flatten", {}),
    ],
)
def test_a_pooling_that_does_not_go_with_the_shape_is_refused(output, pooling, options):
    options = dict(options)
    layout = options.pop("channels_last", False)
    with pytest.raises(BackboneError, match="layer 'x' puts out"):
        pool(output, Tap("x", pooling), backbone_of(nn.Identity(), **options), channels_last=layout)


def test_of_a_tuple_the_first_tensor_is_read(images):
    backbone = backbone_of(Gives(lambda x: ((x.mean((2, 3)), x), 5)))
    assert torch.equal(read(backbone, images, "inner")["inner"], images.mean((2, 3)))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: {"out": x}, "puts out a dict, expected a tensor"),
        (lambda _: None, "puts out a NoneType"),
        (lambda _: (), "puts out a tuple"),
        (lambda x: torch.cat([x, x]), "4 rows for 2 images"),
    ],
)
def test_an_output_without_a_row_per_image_is_refused(images, function, reason):
    with pytest.raises(BackboneError, match=reason):
        read(backbone_of(Gives(function)), images, "inner")


def test_a_layer_whose_weights_are_used_without_calling_it_is_refused(images):
    backbone = load_backbone("swin_t", weights="none")
    with pytest.raises(BackboneError, match="never called by itself"):
        read(backbone, images, "features.1.0.attn.qkv")


def test_the_class_token_of_a_vit_is_its_penultimate():
    backbone = load_backbone("vit_b_32", weights="none")
    found = read(backbone, torch.randn(1, 3, 224, 224), "encoder", "encoder:cls", "encoder:avg", "penultimate")
    torch.testing.assert_close(found["encoder"], found["penultimate"])
    torch.testing.assert_close(found["encoder:cls"], found["penultimate"])
    assert not torch.allclose(found["encoder:avg"], found["penultimate"])


def test_the_penultimate_map_of_a_squeezenet_is_averaged(images):
    backbone = load_backbone("squeezenet1_1", weights="none")
    found = read(backbone, images, "penultimate", "features:avg")
    assert found["penultimate"].shape == (2, 512)
    torch.testing.assert_close(found["penultimate"], found["features:avg"])


def test_feature_sizes_of_every_tap(resnet):
    taps = [Tap(), Tap("layer3"), Tap("layer4", "flatten")]
    assert feature_sizes(resnet, taps) == {"penultimate": (512,), "layer3": (256,), "layer4:flatten": (512 * 7 * 7,)}


def test_pixels_are_the_flattened_image():
    backbone = load_backbone("headstart/pixels")
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(read(backbone, images, "penultimate")["penultimate"], images.flatten(1))


# 4-D outputs of which one axis stays while the image grows: that axis is the channels'.
@pytest.mark.parametrize(
    ("name", "n_refused"),
    [
        ("swin_t", 0),
        ("convnext_tiny", 18),  # the stochastic depth beside each block's sequence
        ("resnet18", 0),
        ("squeezenet1_1", 0),
        ("mobilenet_v3_small", 0),
        ("timm/test_convnext", None),
        ("timm/test_mambaout", None),
        ("timm/test_efficientnet", 0),
    ],
)
def test_the_axis_of_the_channels_is_told_right_or_refused(name, n_refused):
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    backbone = load_backbone(name, weights="none")
    small, large = (_shapes(backbone.module, size) for size in ((32, 64), (64, 96)))
    noted = {}
    for layer, shape in small.items():
        unchanged = [axis for axis in (1, 2, 3) if shape[axis] == large[layer][axis]]
        if unchanged in ([1], [3]):
            noted[layer] = (is_channels_last(backbone, layer), unchanged == [3])
    wrong = {layer: answer for layer, (answer, truth) in noted.items() if answer is not None and answer is not truth}
    assert len(noted) > 20
    assert wrong == {}
    if n_refused is not None:
        assert sum(answer is None for answer, _ in noted.values()) == n_refused


def _shapes(module: nn.Module, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(layer: str, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            shapes[layer] = tuple(output.shape)

    handles = [
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
        for name, layer in module.named_modules()
        if name
    ]
    with torch.inference_mode():
        module(torch.zeros(1, 3, *size))
    for handle in handles:
        handle.remove()
    return shapes


def test_attention_inside_a_maxvit_is_refused_rather_than_averaged_over_the_wrong_axes():
    backbone = load_backbone("maxvit_t", weights="none")
    with pytest.raises(BackboneError, match="cannot be told"):
        read(backbone, torch.zeros(1, 3, 224, 224), "blocks.3.layers.0.layers.window_attention.partition_op")
