"""The stock model that weights go back into: how anybody makes it, as a line of Python and as a module."""

from dataclasses import dataclass

import torch

from headstart.extractors.backbones.backbone import Backbone
from headstart.extractors.errors import BackboneError


@dataclass(frozen=True)
class StockModel:
    """A model of torchvision or timm with a classifier of its own.

    Attributes
    ----------
    code : str
        Python that makes it, as in ``torchvision.models.resnet50(num_classes=2)``.
    module : torch.nn.Module
        Made so, with random weights.
    """

    code: str
    module: torch.nn.Module


def stock_model(backbone: Backbone, n_classes: int) -> StockModel:
    """Make the stock model of a backbone with so many classes.

    Raises
    ------
    BackboneError
        It is a model of neither torchvision nor timm.
    """
    source, _, architecture = backbone.name.partition("/")
    options: dict[str, object] = {"num_classes": n_classes}
    if source == "torchvision":
        from torchvision import models  # noqa: PLC0415 - takes longer to import than torch

        if architecture in ("googlenet", "inception_v3"):  # whose auxiliary classifiers no backbone has
            options |= {"aux_logits": False, "init_weights": False}
            options |= {"transform_input": bool(getattr(backbone.module, "transform_input", False))}
        if architecture.startswith("vit_"):
            options |= {"image_size": int(backbone.preprocessing.crop[0])}
        return StockModel(
            f"torchvision.models.{architecture}({_written(options)})", models.get_model(architecture, **options)
        )
    if source == "timm":
        import timm  # noqa: PLC0415 - optional

        made = timm.create_model(architecture, **options)
        if _are_of_another_size(made, backbone):
            options |= {"img_size": int(backbone.preprocessing.crop[0])}
            made = timm.create_model(architecture, **options)
        return StockModel(f"timm.create_model({architecture!r}, {_written(options)})", made)
    raise BackboneError(
        f"{backbone.name} is no model of torchvision or timm, so there is no stock model to give its weights to; write "
        "an ONNX file ('headstart graft --onnx'), or use 'headstart predict'"
    )


def _are_of_another_size(made: torch.nn.Module, backbone: Backbone) -> bool:
    """Tell whether tensors outside the classifier, such as positions, have other shapes than the backbone's."""
    own, head = backbone.module.state_dict(), f"{backbone.head}."
    shared = [(name, values) for name, values in made.state_dict().items() if name in own and not name.startswith(head)]
    return any(values.shape != own[name].shape for name, values in shared)


def _written(options: dict[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())
