"""A saved model, its classifier included, as the weights of a stock torchvision or timm model, or as an ONNX file."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import torch

from headstart.extractors.atomic import write_atomically
from headstart.extractors.backbones import StockModel, stock_model
from headstart.extractors.results import JobResult
from headstart.flows.errors import JobError
from headstart.flows.inference.grafted import grafted_network
from headstart.flows.inference.how_to import on_onnx, on_weights, write_how_to
from headstart.flows.inference.model import Model
from headstart.flows.inference.onnx_file import check_onnx, write_onnx
from headstart.flows.inference.options import GraftKeywords, GraftOptions, PredictOptions
from headstart.flows.options import taken

_SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True, kw_only=True, repr=False)
class GraftSummary(JobResult, says="{head} in {backbone}: {class_names}\n{_files}{_decision}", tables=("class_names",)):
    """Files that were written, how they are used, and the classes in their order.

    Attributes
    ----------
    weights, onnx : str, optional
        The state dict and the ONNX file, where they were asked for.
    readme : str
        Says how the first of them is used, with classes and preprocessing.
    onnx_readme : str, optional
        The same of the ONNX file; one file with `readme` where both have one name.
    code : str, optional
        Python that makes the stock model.
    class_names : list of str
    backbone, head : str
    decision : dict, optional
        How a class is made of probabilities, where it is not the likeliest: the files do not hold it, `readme` says it.
    """

    weights: str | None
    onnx: str | None
    readme: str
    onnx_readme: str | None
    code: str | None
    class_names: list[str]
    backbone: str
    head: str
    decision: dict[str, object] | None = field(default=None, metadata={"unsaid_if_none": True})

    @property
    def _decision(self) -> str:
        return f"\nthe files give probabilities; {Path(self.readme).name} says how to decide" if self.decision else ""

    @property
    def _files(self) -> str:
        written = {"weights": self.weights, "onnx": self.onnx}
        return "\n".join(f"{kind} {file}" for kind, file in written.items() if file)


def graft(
    model: str | Path,
    out: str | Path | None = None,
    *,
    options: GraftOptions | None = None,
    **named: Unpack[GraftKeywords],
) -> GraftSummary:
    """Write a saved model as a state dict that loads strictly into the stock model of its backbone, or as an ONNX file.

    Scaler and linear head become the classifier's weights; a fine-tuned tail goes back to its layers.

    Parameters
    ----------
    model : path-like
        What `fit` or `finetune` saved.
    out : path-like, optional
        A ``.pth``, ``.pt`` or ``.safetensors`` file; a ``.md`` of the same name says how to load it.
    options : GraftOptions, optional
        All else that is asked for, see `flows.inference.options.GraftOptions`: an ONNX file beside `out` or instead.
    **named
        Options by their names, such as ``onnx="birds.onnx"``; they go before those of `options`.

    Raises
    ------
    JobError
        No file is asked for, one cannot be of that kind, the extra ``onnx`` is not installed, or the model predicts
        numbers, averages views, or reads another layer than the classifier does.
    HeadError
        The head is not linear.
    BackboneError
        The backbone is no model of torchvision or timm, and `out` is asked for.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> cache = headstart.extract("photos", "resnet18", weights="none", image_size=32, cache="graft.headstart").cache
    >>> found = headstart.fit(cache, "ridge", folds=3)
    >>> headstart.graft(found.model, "photos.pth").code
    'torchvision.models.resnet18(num_classes=3)'
    """
    asked = taken("graft", options or GraftOptions(), named, beside=["out"])
    weights, onnx = (None if one is None else Path(one) for one in (out, asked.onnx))
    _check_asked(weights, onnx, asked.pixels)
    loaded = Model(
        Path(model), PredictOptions(weights=asked.weights, backbone=asked.backbone, trust=asked.trust, device="cpu")
    )
    if not loaded.classes:
        what = "several label columns" if loaded.columns else "numbers"
        raise JobError(
            f"{loaded.folder}: predicts {what}, for which no classifier has a place; use 'headstart predict'"
        )
    if loaded.averages_views:
        raise JobError(
            f"{loaded.folder}: its answers are means over views of an image, which weights alone do not give; fit it "
            "without --average-views, or use 'headstart predict'"
        )
    backbone, code, readmes = loaded.backbone, None, list[str]()
    stock = _stock_model(loaded) if weights else None
    network = grafted_network(loaded)
    if weights and stock:
        code = stock.code
        _write(network.state_dict(), weights, stock.module)
        readmes.append(str(write_how_to(weights, on_weights(weights, loaded, code))))
    if onnx:
        write_onnx(network, loaded, onnx, asked.pixels)
        readmes.append(str(write_how_to(onnx, on_onnx(onnx, loaded, asked.pixels))))
    return GraftSummary(
        weights=str(weights) if weights else None,
        onnx=str(onnx) if onnx else None,
        readme=readmes[0],
        onnx_readme=readmes[-1] if onnx else None,
        code=code,
        class_names=loaded.classes,
        backbone=backbone.name,
        head=str(loaded.card["head"]),
        decision=None if loaded.decision is None else loaded.decision.as_dict(),
    )


def _check_asked(weights: Path | None, onnx: Path | None, pixels: str) -> None:
    if weights is None and onnx is None:
        raise JobError("graft: no file is asked for; give --out birds.pth, --onnx birds.onnx, or both")
    if weights and (weights.suffix not in _SUFFIXES or not weights.absolute().parent.is_dir()):
        raise JobError(
            f"{weights}: expected a {', '.join(_SUFFIXES)} file in a folder that is there; name another --out"
        )
    if onnx:
        check_onnx(onnx)
    if pixels not in ("uint8", "float32"):
        raise JobError(f"pixels are {pixels!r}, expected uint8 or float32; give one of these")


def _stock_model(loaded: Model) -> StockModel:
    backbone = loaded.backbone
    stock = stock_model(backbone, len(loaded.classes))
    if backbone.head is None:
        raise JobError(
            f"{loaded.folder}: {backbone.name} has not one classifier but several or none, so no stock model takes the "
            "weights; write --onnx birds.onnx, or use 'headstart predict'"
        )
    return stock


def _write(state: dict[str, torch.Tensor], target: Path, stock: torch.nn.Module) -> None:
    """Read the tensors into the stock model as its user will, then write them.

    Raises
    ------
    JobError
        It does not take them.
    """
    if target.suffix == ".safetensors":
        from safetensors.torch import load, save  # noqa: PLC0415 - only for this suffix

        content = save({name: values.clone().contiguous() for name, values in state.items()})
        read = load(content)
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        buffer.seek(0)
        read = torch.load(buffer, weights_only=True)
    try:
        stock.load_state_dict(read, strict=True)
    except (RuntimeError, ValueError) as error:  # a safetensors file has no versions of layers
        raise JobError(
            f"{target}: the stock model does not take these weights ({error}); write a .pth file, or use "
            "'headstart predict'"
        ) from error
    write_atomically(target, content)
