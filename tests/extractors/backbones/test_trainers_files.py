"""Checkpoints as trainers write them: the network is found in them whole, or it is said why not."""

import argparse
import collections
import os
import pathlib
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision import models

from headstart.extractors.backbones import Backbone, SmallCNN, load_backbone
from headstart.extractors.backbones.weights import read_checkpoint
from headstart.extractors.errors import WeightsError
from headstart.extractors.network.taps import Tap, TapReader

State = dict[str, torch.Tensor]


def drawn(seed: int) -> State:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SmallCNN().state_dict()


STATE, OTHER = drawn(1), drawn(2)
BACKBONE = {name: tensor for name, tensor in STATE.items() if not name.startswith("classifier")}


def prefixed(prefix: str, state: State = STATE) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def loaded(content: object, folder: pathlib.Path, name: str = "run.pth") -> Backbone:
    torch.save(content, folder / name)
    return load_backbone("small_cnn", weights=str(folder / name))


def is_whole(backbone: Backbone, state: State = BACKBONE) -> bool:
    own = backbone.module.state_dict()
    return all(torch.equal(own[name], state[name]) for name in BACKBONE)


LIGHTNING = {
    "epoch": 3,
    "global_step": 12,
    "pytorch-lightning_version": "2.5.0",
    "loops": {"fit_loop": {"state_dict": {}}},
    "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "best_model_path": "x"}},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}],
    "hyper_parameters": {"lr": 0.1},
}


@pytest.mark.parametrize("prefix", ["model.", "net.", "backbone.", "model.backbone.", "cnn.", "model._orig_mod."])
def test_a_lightning_checkpoint_is_read_whatever_the_module_calls_its_network(tmp_path, prefix):
    beside = {"criterion.weight": torch.ones(3), "train_acc.total": torch.tensor(1)}
    backbone = loaded(LIGHTNING | {"state_dict": prefixed(prefix) | beside}, tmp_path, "last.ckpt")
    assert is_whole(backbone)
    (note,) = backbone.notes
    assert "criterion.weight, train_acc.total" in note
    assert not loaded(LIGHTNING | {"state_dict": prefixed(prefix)}, tmp_path).notes


@pytest.mark.parametrize("name", ["best.pth.tar", "pytorch_model.bin", "last.ckpt", "model.th", "checkpoint", "A.BIN"])
def test_what_torch_saved_is_known_by_its_first_bytes_whatever_its_name(tmp_path, name):
    assert is_whole(loaded({"state_dict": prefixed("module.")}, tmp_path, name))


@pytest.mark.parametrize(
    "wrapper",
    ["net", "model_state", "params", "weights", "ema", "teacher", "state_dict_ema", "network", "student", "generator"],
)
def test_the_one_entry_that_fits_is_taken_whatever_it_is_called(tmp_path, wrapper):
    others = {"optimizer": {"state": {"a": torch.zeros(2)}}, "discriminator": {"weight": torch.zeros(3, 3)}}
    assert is_whole(loaded({"epoch": 3, **others, wrapper: STATE}, tmp_path))
    assert is_whole(loaded({"run": {"inner": {wrapper: prefixed("module.")}}}, tmp_path))


def test_the_network_goes_before_its_average_and_both_are_named(tmp_path):
    backbone = loaded({"ema": OTHER, "model": STATE}, tmp_path)
    assert is_whole(backbone)
    assert "holds 2 networks that fit ('ema', 'model'); 'model' is taken" in backbone.notes[0]
    backbone = loaded({"state_dict": prefixed("ema_model.", OTHER) | prefixed("model.")}, tmp_path)
    assert is_whole(backbone)
    assert "'state_dict.model' is taken" in backbone.notes[0]


def test_of_twins_none_is_taken_by_chance(tmp_path):
    with pytest.raises(WeightsError, match=r"2 networks that fit \('student', 'teacher'\).*save that one alone"):
        loaded({"student": STATE, "teacher": OTHER}, tmp_path)
    assert is_whole(loaded({"student": STATE, "teacher": STATE}, tmp_path))  # equal ones are one


def test_an_averaged_model_is_the_average_without_its_count(tmp_path):
    model = SmallCNN()
    averaged = AveragedModel(model)
    model.load_state_dict(STATE)
    averaged.update_parameters(model)
    state = {**averaged.module.state_dict()}
    backbone = loaded(averaged.state_dict(), tmp_path)
    assert is_whole(backbone, state)
    assert not backbone.notes


HEADS = {
    "layers": {"classifier.0.weight": torch.ones(64, 256), "classifier.2.weight": torch.ones(3, 64)},
    "no bias": {"classifier.weight": torch.ones(3, 256)},
    "weight norm": {"classifier.weight_g": torch.ones(3, 1), "classifier.weight_v": torch.ones(3, 256)},
    "deeper": {"classifier.head.fc1.weight": torch.ones(3, 256)},
    "another width": {"classifier.weight": torch.ones(3, 512), "classifier.bias": torch.ones(3)},
    "another name": {"head.0.weight": torch.ones(3, 256), "head.0.bias": torch.ones(3)},
    "a projection": {"projection_head.weight": torch.ones(64, 256)},
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_replaced_head_of_any_shape_is_left_out_and_said(tmp_path, kind):
    backbone = loaded(prefixed("module.", BACKBONE | HEADS[kind]), tmp_path)
    assert is_whole(backbone)
    (note,) = backbone.notes
    assert "classifier of the weights is left out" in note
    assert next(iter(HEADS[kind])) in note


def test_another_number_of_classes_keeps_the_head(tmp_path):
    fine_tuned = SmallCNN(3).eval()
    backbone = loaded(fine_tuned.state_dict(), tmp_path)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(backbone.module(images), fine_tuned(images))
    assert not backbone.notes


def test_where_layers_of_the_head_are_replaced_too_features_are_what_goes_into_it(tmp_path):
    trained = models.mobilenet_v3_small(weights=None).eval()
    trained.classifier = nn.Sequential(nn.Linear(576, 20), nn.ReLU(), nn.Linear(20, 3))
    torch.save({"net": trained.state_dict()}, tmp_path / "x.pth")
    backbone = load_backbone("mobilenet_v3_small", weights=str(tmp_path / "x.pth"))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad(), TapReader(backbone, [Tap()]) as read:
        features = read(images)["penultimate"]
        assert torch.equal(features, trained.avgpool(trained.features(images)).flatten(1))
    assert "classifier.0.weight" in backbone.notes[0]

    trained.classifier = nn.Identity()
    torch.save(trained.state_dict(), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"missing: classifier\.0"):  # of which features depend
        load_backbone("mobilenet_v3_small", weights=str(tmp_path / "x.pth"))


@pytest.mark.parametrize(
    "changed",
    [
        {"features.12.weight": torch.ones(3)},  # a layer that the architecture has not
        {"features.0.weight": torch.ones(16, 3, 5, 5)},
        {"attention.weight": torch.ones(3)},
    ],
)
def test_a_backbone_that_is_not_whole_is_refused_behind_any_wrapper(tmp_path, changed):
    for content in (STATE | changed, {"net": prefixed("model.", STATE | changed)}):
        with pytest.raises(WeightsError, match=f"does not fit.*{next(iter(changed))}"):
            loaded(content, tmp_path)
    lacking = {name: tensor for name, tensor in STATE.items() if name != "features.0.weight"}
    with pytest.raises(WeightsError, match=r"missing: features\.0\.weight"):
        loaded({"model": lacking, "head": HEADS["layers"]}, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a"), np.arange(3), np.array(["a"])),
        *(argparse.Namespace(lr=np.float64(1)), pathlib.PurePosixPath("a/b"), collections.defaultdict(list, a=[1])),
        *({"best": [np.float64(0.5)]}, slice(3), frozenset({1})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_and_settings_beside_the_tensors_are_no_obstacle(tmp_path, value):
    assert is_whole(loaded({"state_dict": STATE, "beside": value}, tmp_path))
    assert is_whole(loaded({**STATE, "beside": value}, tmp_path))


def test_numbers_of_older_numpy_are_read_too(tmp_path):
    torch.save({"state_dict": STATE, "best": np.float64(0.5)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert b"cnumpy.core.multiarray\n" in (tmp_path / "x.pth").read_bytes()
    assert is_whole(load_backbone("small_cnn", weights=str(tmp_path / "x.pth")))


class Planted:
    """Makes a folder through numpy's own constructor of scalars, if anything of it is called."""

    def __init__(self, target: pathlib.Path) -> None:
        self.target = target

    def __reduce__(self):
        return (np.dtype, (Bomb(self.target),))


class Bomb:
    def __init__(self, target: pathlib.Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


def test_what_stands_beside_the_tensors_runs_nothing(tmp_path):
    with pytest.raises(WeightsError, match="could run code"):
        loaded({"state_dict": STATE, "best": Planted(tmp_path / "boom")}, tmp_path)
    assert not (tmp_path / "boom").exists()
    torch.save(np.float64(1), tmp_path / "number.pth")
    with pytest.raises(pickle.UnpicklingError):  # what is let through is let through for the one file alone
        torch.load(tmp_path / "number.pth", weights_only=True)


def test_a_dict_that_stands_in_itself_many_times_is_looked_at_once(tmp_path):
    inner: dict[str, object] = {"a": torch.zeros(1)}
    for _ in range(6):
        inner = {f"entry{number}": inner for number in range(30)} | {"me": inner}
    torch.save(inner, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="no tensors by name"):
        read_checkpoint(tmp_path / "x.pth")


def test_another_architecture_is_named_behind_wrappers_and_beside_other_weights(tmp_path):
    other = models.squeezenet1_1(weights=None).state_dict()
    state = prefixed("model.net.", other) | {"criterion.weight": torch.ones(3)}
    with pytest.raises(WeightsError, match="it is for torchvision/squeezenet1_1"):
        loaded(LIGHTNING | {"state_dict": state}, tmp_path)


@pytest.mark.parametrize("n_channels", [1, 5])
def test_other_numbers_of_channels_are_said_plainly(tmp_path, n_channels):
    changed = STATE | {"features.0.weight": torch.ones(16, n_channels, 3, 3)}
    for content in (changed, LIGHTNING | {"state_dict": prefixed("net.", changed)}):
        with pytest.raises(WeightsError, match=rf"trained on images of {n_channels} channels?, and images here have 3"):
            loaded(content, tmp_path)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_program_is_called_one(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"is a TorchScript program.*save the weights alone"):
        load_backbone("small_cnn", weights=str(tmp_path / "x.pt"))


def test_an_archive_of_another_kind_is_called_one(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(WeightsError, match=r"zip file that torch\.save did not write"):
        load_backbone("small_cnn", weights=str(tmp_path / "x.npz"))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:TypedStorage", "ignore:.*torch.ao")
@pytest.mark.parametrize("kind", ["a module of torch", "one tensor", "eight bits", "observed"])
def test_quantised_weights_are_called_so(tmp_path, kind):
    first = "features.0.weight"
    if kind == "a module of torch":
        content = prefixed("0.", torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2))).state_dict())
    elif kind == "one tensor":
        content = STATE | {first: torch.quantize_per_tensor(STATE[first], 0.1, 0, torch.qint8)}
    elif kind == "eight bits":
        content = STATE | {first: torch.ones(16, 3, 3, 3, dtype=torch.int8), "features.0.SCB": torch.ones(16)}
    else:
        content = STATE | {"features.0.weight_fake_quant.scale": torch.ones(1)}
    with pytest.raises(WeightsError, match="quantised; give those in floating-point numbers"):
        loaded(content, tmp_path)
