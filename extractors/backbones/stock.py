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

        return StockModel(
            f"timm.create_model({architecture!r}, {_written(options)})", timm.create_model(architecture, **options)
        )
    raise BackboneError(
        f"{backbone.name} is no model of torchvision or timm, so there is no stock model to give its weights to; use "
        "'headstart predict'"
    )


def _written(options: dict[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())
