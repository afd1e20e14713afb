"""Weights: read without running code, loaded strictly, fetched or refused with the ways out."""

import contextlib
import functools
import hashlib
import http.server
import os
import pickle
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.backbones.weights import (
    CONNECT_SECONDS,
    read_checkpoint,
    sha256_of_file,
    sha256_of_state,
    short_timeouts,
)
from headstart.extractors.errors import WeightsError


@pytest.fixture(scope="module")
def state() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(7)
    return models.squeezenet1_1(weights=None).state_dict()


@pytest.fixture
def torch_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_args, **_kwargs):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def saved(content: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


def same(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = module.state_dict()
    return all(torch.equal(own[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("name", ["own.pth", "own.pt", "own.safetensors", "OWN.PTH"])
def test_a_file_is_read_and_told_by_its_hash(tmp_path, state, name):
    path = saved(state, tmp_path / name)
    backbone = load_backbone("squeezenet1_1", weights=str(path))
    assert same(backbone.module, state)
    assert backbone.weights == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert backbone.weights_name == name


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_safetensors_file_is_one_whatever_the_length_of_its_header_begins_with(tmp_path, start):
    short = int.from_bytes(safetensors.torch.save({"part": torch.ones(2)}, {"note": ""})[:8], "little")
    note = "x" * (int.from_bytes(start, "little") + 0x100 * (len(start) == 1) - short)
    content = safetensors.torch.save({"part": torch.ones(2)}, {"note": note})
    assert content.startswith(start)
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="part"):
        load_backbone("squeezenet1_1", weights=str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("wrap", ["state_dict", "model", "model_state_dict"])
def test_a_training_scripts_dictionary_is_unwrapped(tmp_path, state, wrap):
    path = saved({"epoch": 3, wrap: state, "optimizer": {"lr": 0.1}}, tmp_path / "run.pth")
    assert same(load_backbone("squeezenet1_1", weights=str(path)).module, state)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


def test_a_checkpoint_that_could_run_code_is_refused_and_does_not(tmp_path, state):
    target = tmp_path / "boom"
    path = saved({"state_dict": state, "extra": Bomb(target)}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"more than tensors.*mkdir.*save a state_dict"):
        load_backbone("squeezenet1_1", weights=str(path))
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.pth", b"", "is empty"),
        ("empty.safetensors", b"", "is empty"),
        ("text.pth", b"this is not a checkpoint", "damaged"),
        ("text.safetensors", b"this is not a checkpoint", "damaged"),
        ("pickle.pth", pickle.dumps([1, 2]), "damaged|expected a state dict"),
        ("weights.onnx", b"abc", "found the suffix '.onnx', expected one of"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path, state, suffix, kept):
    path = saved(state, tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(WeightsError, match="damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_missing_file_and_a_folder_are_told_apart(tmp_path, suffix):
    with pytest.raises(WeightsError, match="no such file"):
        load_backbone("resnet18", weights=str(tmp_path / f"gone{suffix}"))
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(WeightsError, match="is a folder"):
        load_backbone("resnet18", weights=str(tmp_path / f"folder{suffix}"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(1)], "found a list, expected a state dict"),
        (torch.zeros(1), "found a Tensor"),
        ({}, "is empty"),
        ({"b": 3}, "no tensors by name.*'b': int"),
        ({"a": {"b": [torch.zeros(1)]}}, "no tensors by name.*'a': dict"),
    ],
)
def test_content_that_is_no_state_dict_is_refused(tmp_path, content, reason):
    with pytest.raises(WeightsError, match=reason):
        read_checkpoint(saved(content, tmp_path / "x.pth"))


def publish(monkeypatch, member, state, folder: Path, *, kept: int | None = None) -> Path:
    """Write `state` under a name with its true hash, as torchvision does, and let the member's URL end in it."""
    draft = saved(state, folder / "draft.pth")
    path = folder / f"squeezenet1_1-{sha256_of_file(draft)[:8]}.pth"
    draft.rename(path)
    path.write_bytes(path.read_bytes()[:kept])
    monkeypatch.setattr(member.value, "url", f"http://127.0.0.1:9/{path.name}")
    return path


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


MEMBER = models.SqueezeNet1_1_Weights.IMAGENET1K_V1


@pytest.mark.parametrize("weights", ["default", "IMAGENET1K_V1"])
def test_published_weights_on_disk_need_no_network(monkeypatch, torch_home, no_network, state, weights):
    path = publish(monkeypatch, MEMBER, state, torch_home)
    backbone = load_backbone("squeezenet1_1", weights=weights)
    assert same(backbone.module, state)
    assert backbone.weights == f"sha256:{sha256_of_file(path)}"
    assert backbone.weights_name == "IMAGENET1K_V1"


def test_published_weights_are_fetched_and_kept_without_a_word_on_standard_output(
    monkeypatch, torch_home, tmp_path, state, capsys
):
    (tmp_path / "site").mkdir()
    source = publish(monkeypatch, MEMBER, state, tmp_path / "site")
    with served(source.parent) as address:
        monkeypatch.setattr(MEMBER.value, "url", f"{address}/{source.name}")
        backbone = load_backbone("squeezenet1_1")
    assert same(backbone.module, state)
    assert (torch_home / source.name).read_bytes() == source.read_bytes()
    assert capsys.readouterr().out == ""


def test_a_download_that_broke_off_is_not_used_and_not_kept(monkeypatch, torch_home, tmp_path, state):
    (tmp_path / "site").mkdir()
    source = publish(monkeypatch, MEMBER, state, tmp_path / "site", kept=1000)
    with served(source.parent) as address:
        monkeypatch.setattr(MEMBER.value, "url", f"{address}/{source.name}")
        with pytest.raises(WeightsError, match="invalid hash value"):
            load_backbone("squeezenet1_1")
    assert list(torch_home.iterdir()) == []


def test_a_damaged_published_file_on_disk_is_not_used(monkeypatch, torch_home, no_network, state):
    path = publish(monkeypatch, MEMBER, state, torch_home, kept=1000)
    with pytest.raises(WeightsError, match=r"expected a file whose SHA-256 begins with .*1000 bytes.*Delete it"):
        load_backbone("squeezenet1_1")
    assert path.exists()


def test_without_network_the_error_names_the_file_and_the_ways_out(torch_home, no_network):
    with pytest.raises(WeightsError) as caught:
        load_backbone("resnet18")
    message = str(caught.value)
    for part in ("torchvision/resnet18", "IMAGENET1K_V1", str(torch_home / "resnet18-f37072fd.pth"), "name resolution"):
        assert part in message
    assert f"put the file resnet18-f37072fd.pth into {torch_home}" in message
    assert "--weights FILE" in message
    assert "--weights none" in message


def test_a_server_without_the_file_gives_the_same_error(monkeypatch, torch_home, tmp_path):
    with served(tmp_path) as address:
        monkeypatch.setattr(MEMBER.value, "url", f"{address}/gone-12345678.pth")
        with pytest.raises(WeightsError, match=r"404.*Ways out"):
            load_backbone("squeezenet1_1")


def test_a_silent_server_is_given_up_and_the_processs_timeout_restored():
    before = socket.getdefaulttimeout()
    with short_timeouts():
        inside = socket.getdefaulttimeout()
    assert (inside, socket.getdefaulttimeout()) == (CONNECT_SECONDS, before)


@pytest.mark.parametrize(("weights", "hint"), [("IMAGENET1K_V3", "IMAGENET1K_V"), ("defaults", "default")])
def test_an_unknown_name_of_weights_is_answered_with_the_nearest(weights, hint):
    with pytest.raises(WeightsError, match=f"no weights are called '{weights}'.*IMAGENET1K_V1.*Did you mean '{hint}"):
        load_backbone("resnet50", weights=weights)


def test_random_weights_follow_the_seed_and_say_so():
    first, again, other = (load_backbone("squeezenet1_1", weights="none", seed=seed) for seed in (0, 0, 1))
    assert first.weights == again.weights
    assert first.weights != other.weights
    assert first.weights == f"random:{sha256_of_state(first.module.state_dict())}"
    assert other.weights_name == "none (random, seed 1)"


def test_building_a_backbone_leaves_the_processs_random_state_alone():
    before = torch.get_rng_state()
    load_backbone("squeezenet1_1", weights="none", seed=5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor(3)},
        {"a": torch.tensor([1.0, 2.5]), "b": torch.tensor(3)},
        {"a": torch.tensor([1.0, 2.0], dtype=torch.float64), "b": torch.tensor(3)},
        {"a": torch.tensor([1.0, 2.0]), "c": torch.tensor(3)},
        {"a": torch.tensor([1.0, 2.0])},
    ],
)
def test_the_hash_of_a_state_tells_values_shapes_dtypes_and_names_apart(other):
    state = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3)}
    assert sha256_of_state(state) != sha256_of_state(other)


def test_the_hash_of_a_state_does_not_depend_on_order_or_memory_layout():
    tensor = torch.randn(2, 3, 4, 4)
    first = {"a": tensor, "b": torch.tensor([1], dtype=torch.bfloat16)}
    second = {"b": torch.tensor([1], dtype=torch.bfloat16), "a": tensor.to(memory_format=torch.channels_last)}
    assert sha256_of_state(first) == sha256_of_state(second)
