"""The whole network of a saved model, its own classifier in place: from normalised images to scores of the classes."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.extractors.backbones import Backbone
from headstart.extractors.network import TapReader, cut_behind, pool
from headstart.extractors.spec import PENULTIMATE, Tap
from headstart.flows.errors import JobError
from headstart.flows.inference.model import Model
from headstart.heads.finetuning import fold_linear
from headstart.heads.prediction import predict

LARGEST_DIFFERENCE = 1e-3
"""Of probabilities in float32 from those in float64, on made-up images, whose scores may be large."""

_N_CHECKED = 4  # made-up images


def grafted_network(loaded: Model) -> nn.Module:
    """Return a copy of a model's network, in evaluation mode, that gives (n_images, n_classes) scores.

    The softmax of the scores are what the model predicts; of heads without probabilities the largest is the class. A
    network with a classifier keeps the names of its parameters.

    Raises
    ------
    HeadError
        The head is not linear.
    JobError
        The head reads another layer than the classifier does, or no classifier says what it says.
    BackboneError
        The network cannot be cut where a tail begins.
    """
    network = _with_tail(loaded) if loaded.tail_layer is not None else _with_linear(loaded)
    return network.eval().requires_grad_(requires_grad=False)


def gives_probabilities(loaded: Model) -> bool:
    """Tell whether the model predicts probabilities, or only classes."""
    return hasattr(loaded.head, "predict_proba")


def _with_tail(loaded: Model) -> nn.Module:
    backbone, layer = loaded.backbone, str(loaded.tail_layer)
    tail = cut_behind(backbone, layer).with_classes(len(loaded.classes))
    loaded.head.bind(tail.module)
    whole, classifier = copy.deepcopy(backbone.module), tail.module.get_submodule(tail.head)
    if backbone.head is not None:
        whole.set_submodule(backbone.head, classifier)
    state = whole.state_dict()  # with the versions of its layers, which some networks ask for
    state.update(tail.module.state_dict())
    whole.load_state_dict(state, strict=False)
    return whole if backbone.head is not None else nn.Sequential(whole, classifier)


def _with_linear(loaded: Model) -> nn.Module:
    backbone, tap, name = loaded.backbone, loaded.card["tap"], str(loaded.card["head"])
    if tap != PENULTIMATE:
        raise JobError(
            f"{loaded.folder}: its head reads {tap}, and the classifier of {backbone.name} takes {PENULTIMATE}; fit on "
            "that, or use 'headstart predict'"
        )
    whole = copy.deepcopy(backbone.module)
    old = None if backbone.head is None else whole.get_submodule(backbone.head)
    if not (old is None or isinstance(old, nn.Linear | nn.Identity) or _is_pointwise(old)):
        raise _refused(loaded, f"the classifier of {backbone.name} is a {type(old).__name__}")
    weights, bias = fold_linear(loaded.head, len(loaded.classes), name)
    shape = weights.shape[1], len(weights)
    new = nn.Conv2d(*shape, 1) if isinstance(old, nn.Conv2d) else nn.Linear(*shape)
    new.load_state_dict({"weight": torch.from_numpy(weights).reshape(new.weight.shape), "bias": torch.from_numpy(bias)})
    if backbone.head is not None:
        whole.set_submodule(backbone.head, new)
    grafted = whole if backbone.head is not None else _Appended(backbone, whole, new)
    _check(loaded, grafted.eval())
    return grafted


class _Appended(nn.Module):
    """Network whose output are features, and a classifier behind it."""

    def __init__(self, backbone: Backbone, network: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self._backbone, self.network, self.classifier = backbone, network, classifier

    def forward(self, images: torch.Tensor) -> Any:
        channels_last = self._backbone.channels_last
        return self.classifier(pool(self.network(images), Tap(), self._backbone, channels_last=channels_last))


def _is_pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1


def _check(loaded: Model, grafted: nn.Module) -> None:
    """Hold the network on made-up images against what the head says of its features.

    Raises
    ------
    JobError
        Something between features and scores is not linear, such as a ReLU behind the classifier, or float32 is too
        coarse for the weights.
    """
    backbone, generator = loaded.backbone, torch.Generator().manual_seed(0)
    images = torch.randn(_N_CHECKED, 3, *backbone.preprocessing.crop, generator=generator)
    with TapReader(backbone, [Tap()]) as read, torch.no_grad():
        features, scores = read(images)[PENULTIMATE], grafted(images)
    classes, expected = predict(loaded.head, features.numpy(), len(loaded.classes))
    if scores.shape != (len(images), len(loaded.classes)):
        off = float("nan")
    elif expected is None:
        off = float((scores.argmax(dim=1).numpy() != classes).mean())
    else:
        off = float(np.abs(scores.double().softmax(dim=1).numpy() - expected).max())
    if not off <= LARGEST_DIFFERENCE:
        raise _refused(
            loaded,
            f"with {loaded.card['head']} as its classifier {backbone.name} is off by {off:.1g} (scores go through "
            "something that is not linear, or features that hardly vary make them too large for float32)",
        )


def _refused(loaded: Model, reason: str) -> JobError:
    return JobError(
        f"{loaded.folder}: {reason}, so that it does not say what {loaded.card['head']} says; train it with 'headstart "
        "finetune', or use 'headstart predict'"
    )
