"""A compiled forward pass gives the features of the other, and where it cannot be had that is said."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import cache_dir

import headstart.extractors.network.compilation
import headstart.extractors.network.kept
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.network.compilation import CannotCompile, compile_forward
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.network.kept import NotPrivateError
from headstart.extractors.spec import Mixed
from headstart.extractors.spec.tap import Tap
from headstart.extractors.tuning.fidelity import compare_features

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
TAPS = (Tap(), Tap.parse("features.0:max"))

needs_compiler = pytest.mark.skipif(
    not headstart.extractors.network.compilation.find_compiler(), reason="needs a C++ compiler"
)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder to keep a network in, so that it is compiled for this process."""

    def refuses() -> Path:
        raise NotPrivateError("none here")

    monkeypatch.setattr(headstart.extractors.network.kept, "private_folder", refuses)


def forward(*, compiled: bool, precision: str = "fp32") -> ForwardPass:
    backbone = load_backbone("small_cnn", weights="none")
    options = {"device": torch.device("cpu"), "precision": precision, "batch_size": 4, "compiled": compiled}
    return ForwardPass(backbone, TAPS, **options)  # type: ignore[arg-type]


@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_features_are_those_of_the_eager_pass(nowhere: None, precision: str) -> None:
    eager, compiled = (forward(compiled=compiled, precision=precision)(IMAGES[:4]) for compiled in (False, True))
    assert list(compiled) == ["penultimate", "features.0:max"]
    assert compare_features(eager, compiled).cosine > 0.9999


@needs_compiler
def test_a_layer_in_float32_stays_so_when_compiled(nowhere: None) -> None:
    backbone = load_backbone("support.rounded_networks:Ruined")
    plain, mixed, whole = (
        ForwardPass(backbone, [Tap()], device=torch.device("cpu"), batch_size=4, **options)(IMAGES[:4])  # type: ignore[arg-type]
        for options in (
            {"precision": "fp32"},
            {"precision": Mixed(("cancel",)), "compiled": True},
            {"precision": "bf16"},
        )
    )
    assert compare_features(plain, whole).cosine < 0.99
    assert compare_features(plain, mixed).cosine > 0.9995


@needs_compiler
def test_the_bits_of_a_compiled_row_do_not_depend_on_what_came_with_it(nowhere: None) -> None:
    compiled = forward(compiled=True)
    together = compiled(IMAGES[:4])["penultimate"]
    alone = np.concatenate([compiled(IMAGES[row : row + 1])["penultimate"] for row in range(4)])
    assert together.tobytes() == alone.tobytes()


@needs_compiler
def test_a_kept_network_computes_what_it_did_and_loads_without_a_pickle_or_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", cache_dir())  # what torch tries of the compiler, it tries once
    first = forward(compiled=True, precision="bf16")
    made = [first(IMAGES[:4]), first(IMAGES[1:2])]
    assert (first.kept.loaded, first.kept.reason) == (False, "")  # type: ignore[union-attr]  # it is compiled
    assert compare_features(forward(compiled=False, precision="bf16")(IMAGES[:4]), made[0]).cosine > 0.9999
    np.testing.assert_array_equal(made[0]["penultimate"][1:2], made[1]["penultimate"])

    def fails(*_: object, **_options: object) -> object:
        raise AssertionError("compiled or unpickled")

    for owner, name in ((torch, "load"), (torch, "compile"), (torch.export, "export"), (pickle, "loads")):
        monkeypatch.setattr(owner, name, fails)
    monkeypatch.setattr(pickle, "Unpickler", fails)
    again = forward(compiled=True, precision="bf16")
    assert again.is_kept
    for tap, values in again(IMAGES[:4]).items():
        np.testing.assert_array_equal(values, made[0][tap])
    with pytest.raises(ValueError, match=r"a batch of shape \(2, 32, 32, 3\); compiled for \(4, 32, 32, 3\)"):
        again.kept.compute(torch.zeros((2, 32, 32, 3), dtype=torch.uint8))  # type: ignore[union-attr]  # as above


@needs_compiler
def test_the_weights_of_a_compiled_network_are_frozen() -> None:
    network = torch.nn.Linear(4, 4)
    compiled = compile_forward(lambda batch: {"tap": network(batch)})
    with torch.no_grad():
        before = compiled(torch.ones(2, 4))["tap"]
        network.weight.zero_()
        assert compiled(torch.ones(2, 4))["tap"].equal(before)


def test_a_network_that_torch_cannot_compile_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def fails(*_: object, **_options: object) -> object:
        def run(*_arguments: object) -> object:
            raise TorchDynamoException("\nloops of unknown length\nand more")

        return run

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(CannotCompile, match=r"^torch cannot compile this network: loops of unknown length$"):
        compile_forward(lambda batch: {"tap": batch})(torch.zeros(1))


def test_without_a_compiler_the_reason_is_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.cpp_builder import cpp_compiler_search

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    cpp_compiler_search.cache_clear()  # or a process that has found one looks for no other
    with pytest.raises(CannotCompile, match=r"^there is no C\+\+ compiler here$"):
        compile_forward(lambda batch: {"tap": (batch * 2).sin()})(torch.ones(64))
