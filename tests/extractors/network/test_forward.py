"""The forward pass gives what the plain module gives, whatever the batch looks like."""

import threading

import numpy as np
import pytest
import torch
from support.pretended_cuda import pretended_cuda
from torchvision.transforms import functional

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.casting import store_as
from headstart.extractors.errors import FeatureError
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.network.taps import Tap

CPU = torch.device("cpu")
OF = {"backbone": "x/net", "paths": ["a.png", "b.png"]}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def forward(precision: str = "fp32", batch_size: int = 8, taps: tuple[Tap, ...] = (Tap(),)) -> ForwardPass:
    backbone = load_backbone("small_cnn", weights="none")
    return ForwardPass(backbone, taps, device=CPU, precision=precision, batch_size=batch_size)  # type: ignore[arg-type]


def test_features_equal_those_of_the_module_on_normalised_images() -> None:
    backbone = load_backbone("small_cnn", weights="none")
    pixels = torch.stack([functional.to_tensor(image) for image in IMAGES])
    normalised = functional.normalize(pixels, backbone.preprocessing.mean, backbone.preprocessing.std)
    with torch.inference_mode():
        expected = backbone.module.pool(backbone.module.features(normalised)).numpy()
    np.testing.assert_allclose(forward()(IMAGES)["penultimate"], expected, rtol=1e-4, atol=1e-5)


def test_the_bits_of_a_row_do_not_depend_on_what_came_with_it() -> None:
    together = forward()(IMAGES)["penultimate"]
    alone = np.concatenate([forward()(IMAGES[row : row + 1])["penultimate"] for row in range(len(IMAGES))])
    assert together.tobytes() == alone.tobytes()


def test_several_taps_come_from_one_pass() -> None:
    features = forward(taps=(Tap(), Tap.parse("features.0:max"), Tap.parse("features.0:flatten")))(IMAGES)
    assert {tap: values.shape for tap, values in features.items()} == {
        "penultimate": (5, 256),
        "features.0:max": (5, 16),
        "features.0:flatten": (5, 16 * 32 * 32),
    }
    folded = features["features.0:flatten"].reshape(5, 16, -1)
    np.testing.assert_array_equal(folded.max(axis=2), features["features.0:max"])


def test_bf16_comes_near_float32_and_not_equal_to_it() -> None:
    exact, reduced = forward("fp32")(IMAGES)["penultimate"], forward("bf16")(IMAGES)["penultimate"]
    assert reduced.dtype == np.float32
    assert 0 < np.abs(exact - reduced).max() < 0.05 * np.abs(exact).max()


def test_the_backbone_given_is_left_as_it_was() -> None:
    backbone = load_backbone("small_cnn", weights="none")
    before = {name: values.clone() for name, values in backbone.module.state_dict().items()}
    ForwardPass(backbone, [Tap()], device=CPU, precision="bf16", batch_size=4)(IMAGES[:2])
    assert all(torch.equal(values, before[name]) for name, values in backbone.module.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.module.modules())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_with_their_place(value: float) -> None:
    features = {"penultimate": np.array([[1, 2], [3, value]], np.float32)}
    with pytest.raises(
        FeatureError,
        match=r"x/net, tap penultimate: 1 of 2 images in a batch .* not finite, first b\.png; try --precision fp32",
    ):
        store_as(features, "float16", **OF)


@pytest.mark.parametrize(
    "size", [70000.0, 1e20, 1e-7, 1e-25], ids=["too large", "far too large", "too small", "far too small"]
)
def test_features_that_float16_would_lose_name_float32(size: float) -> None:
    features = {"penultimate": np.array([[1.0, 2.0], [size, 0.6 * size]], np.float32)}
    with pytest.raises(
        FeatureError,
        match=r"x/net, tap penultimate: features of size .* do not fit float16, first b\.png; use --dtype float32",
    ):
        store_as(features, "float16", **OF)
    np.testing.assert_array_equal(store_as(features, "float32", **OF)["penultimate"], features["penultimate"])


def test_ordinary_features_and_zeros_fit_float16() -> None:
    features = {"penultimate": np.array([[0.1, 300.0], [0.0, 0.0]], np.float32)}
    stored = store_as(features, "float16", **OF)["penultimate"]
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, features["penultimate"], rtol=5e-4)


def test_on_a_pretended_gpu_features_are_fetched_behind_the_next_batch_and_waited_for() -> None:
    backbone = load_backbone("small_cnn", weights="none")
    expected = ForwardPass(backbone, [Tap()], device=CPU, precision="fp32", batch_size=4, plain=True)(IMAGES[:3])
    with pretended_cuda() as copies:
        there = ForwardPass(backbone, [Tap()], device=torch.device("cuda"), precision="fp32", batch_size=4, plain=True)
        first, second = there.start(IMAGES[:3]), there.start(IMAGES[3:])
        assert copies.n_waits == 0
        late, early = second()["penultimate"], first()["penultimate"]
        assert (copies.n_waits, early.shape, late.shape) == (2, (3, 256), (2, 256))
        there.start(torch.from_numpy(IMAGES[:3]).to("cuda"))()  # as nvJPEG leaves them
    np.testing.assert_allclose(early, expected["penultimate"], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_features_of_the_cpu() -> None:
    backbone = load_backbone("small_cnn", weights="none")
    gpu = ForwardPass(backbone, [Tap()], device=torch.device("cuda"), precision="fp32", batch_size=8)
    np.testing.assert_allclose(gpu(IMAGES)["penultimate"], forward()(IMAGES)["penultimate"], rtol=1e-4, atol=1e-4)


def test_a_network_runs_while_another_thread_opens_one() -> None:
    running, expected, done = forward(), forward()(IMAGES)["penultimate"].tobytes(), threading.Event()

    def open_networks() -> None:
        for _ in range(30):
            forward()
        done.set()

    thread = threading.Thread(target=open_networks)
    thread.start()
    found = set()
    while not done.is_set():
        found.add(running(IMAGES)["penultimate"].tobytes())
    thread.join()
    assert found == {expected}
