"""A saved model as the weights of a stock torchvision or timm model, its own classifier included."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.extractors.atomic import write_atomically
from headstart.extractors.backbones import Backbone, StockModel, stock_model
from headstart.extractors.results import JobResult
from headstart.extractors.spec import PENULTIMATE
from headstart.flows.errors import JobError
from headstart.flows.inference.model import Model
from headstart.flows.inference.options import PredictOptions
from headstart.heads.finetuning import fold_linear

_SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True, repr=False)
class GraftSummary(
    JobResult,
    says="{head} in {backbone}: {class_names}\nweights {weights}",
    tables=("class_names",),
):
    """Files that were written, how the weights are loaded, and the classes in their order."""

    weights: str
    readme: str
    code: str
    class_names: list[str]
    backbone: str
    head: str


def graft(model: str | Path, out: str | Path, *, weights: str | None = None) -> GraftSummary:
    """Write a saved model as a state dict that loads strictly into the stock model of its backbone.

    Scaler and linear head become the classifier's weights; a fine-tuned tail goes back to its layers.

    Parameters
    ----------
    model : path-like
        What `fit` or `finetune` saved.
    out : path-like
        A ``.pth``, ``.pt`` or ``.safetensors`` file; a ``.md`` of the same name says how to load it.
    weights : str, optional
        Where the backbone's weights are now, if they were moved.

    Raises
    ------
    JobError
        The file cannot be of that kind, or the model predicts numbers, averages views, or reads another layer than the
        classifier does.
    HeadError
        The head is not linear.
    BackboneError
        The backbone is no model of torchvision or timm.

    Examples
    --------
    >>> cache = headstart.extract("photos", "resnet18", weights="none", image_size=32, cache="graft.headstart").cache
    >>> found = headstart.fit(cache, "ridge", folds=3)
    >>> headstart.graft(found.model, "photos.pth").code
    'torchvision.models.resnet18(num_classes=3)'
    """
    target = Path(out)
    if target.suffix not in _SUFFIXES or not target.absolute().parent.is_dir():
        raise JobError(
            f"{target}: expected a {', '.join(_SUFFIXES)} file in a folder that is there; name another --out"
        )
    loaded = Model(Path(model), PredictOptions(weights=weights))
    if not loaded.classes:
        raise JobError(
            f"{loaded.folder}: predicts numbers, for which no classifier has a place; use 'headstart predict'"
        )
    if loaded.averages_views:
        raise JobError(
            f"{loaded.folder}: its answers are means over views of an image, which weights alone do not give; fit it "
            "without --average-views, or use 'headstart predict'"
        )
    backbone = loaded.backbone
    state = backbone.module.state_dict()  # with the versions of its layers, which some models ask for
    state.update(loaded.head.state() if "tail" in loaded.card else _classifier(loaded, backbone))
    stock = stock_model(backbone, len(loaded.classes))
    _write(state, target, stock.module)
    readme = target.with_suffix(".md")
    write_atomically(readme, _readme(target, loaded, backbone, stock).encode())
    return GraftSummary(str(target), str(readme), stock.code, loaded.classes, backbone.name, str(loaded.card["head"]))


def _classifier(loaded: Model, backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return weights and bias of the network's classifier that say what a linear head says."""
    tap, name = loaded.card["tap"], loaded.card["head"]
    if tap != PENULTIMATE or backbone.head is None:
        raise JobError(
            f"{loaded.folder}: its head reads {tap}, and the classifier of {backbone.name} takes {PENULTIMATE}; fit on "
            "that, or use 'headstart predict'"
        )
    classifier = backbone.module.get_submodule(backbone.head)
    if not isinstance(classifier, torch.nn.Linear | torch.nn.Identity):
        raise JobError(
            f"{loaded.folder}: the classifier of {backbone.name} is a {type(classifier).__name__} before the pooling, "
            f"which does not say what {name} says; 'headstart finetune' trains it, or use 'headstart predict'"
        )
    folded, bias = fold_linear(loaded.head, len(loaded.classes), name)
    return {
        f"{backbone.head}.weight": torch.from_numpy(folded).float(),
        f"{backbone.head}.bias": torch.from_numpy(bias).float(),
    }


def _write(state: dict[str, torch.Tensor], target: Path, stock: torch.nn.Module) -> None:
    """Write the tensors beside their place, read them into the stock model as its user will, then rename."""
    with tempfile.TemporaryDirectory(prefix=f".{target.stem}-", dir=target.absolute().parent) as room:
        new = Path(room) / target.name
        if target.suffix == ".safetensors":
            from safetensors.torch import load_file, save_file  # noqa: PLC0415 - only for this suffix

            save_file({name: values.clone().contiguous() for name, values in state.items()}, new)
            read = load_file(new)
        else:
            torch.save(state, new)
            read = torch.load(new, weights_only=True)
        try:
            stock.load_state_dict(read, strict=True)
        except (RuntimeError, ValueError) as error:  # a safetensors file has no versions of layers
            raise JobError(
                f"{target}: the stock model does not take these weights ({error}); write a .pth file, or use "
                "'headstart predict'"
            ) from error
        new.replace(target)


def _readme(target: Path, loaded: Model, backbone: Backbone, stock: StockModel) -> str:
    prepared: dict[str, Any] = backbone.preprocessing.as_dict()
    read = (
        f'safetensors.torch.load_file("{target.name}")'
        if target.suffix == ".safetensors"
        else f'torch.load("{target.name}", weights_only=True)'
    )
    names = json.dumps(loaded.classes, ensure_ascii=False)
    return f"""# {target.name}

`model = {stock.code}; model.load_state_dict({read}, strict=True); model.eval()`

Classes, in the order of the logits, of which a softmax makes probabilities: `{names}`

Images are resized ({prepared["interpolation"]}) to `{prepared["resize"]}` (one number: the shorter side in pixels),
cropped in the centre to `{prepared["crop"]}` (height, width), scaled to 0…1, and normalised with mean
`{prepared["mean"]}` and deviation `{prepared["std"]}`, in RGB.

Backbone {backbone.name}, weights {backbone.weights_name} ({backbone.weights}); head {loaded.card["head"]}, reading
{loaded.card["tap"]}.
"""
