"""A tap: the name of a layer and a pooling; reading it out is `extractors.network.taps`, which needs torch."""

import difflib
from dataclasses import dataclass
from typing import Final, Self

from headstart.extractors.errors import BackboneError

PENULTIMATE: Final = "penultimate"
POOLINGS: Final = ("auto", "avg", "max", "cls", "flatten", "map")


@dataclass(frozen=True)
class Tap:
    """A layer that is read out, and how its output becomes one row per image.

    Parameters
    ----------
    layer : str
        Dotted module name such as "layer3" or "encoder.layers.encoder_layer_5"; "penultimate" is the head's input.
    pooling : {"auto", "avg", "max", "cls", "flatten", "map"}
        `avg` and `max` go over height and width, or over a ViT's image tokens; `cls` takes the class token; `flatten`
        keeps everything in one row, and `map` as the layer puts it out. `auto` is the class token where there is one,
        otherwise `avg`. Outputs (n_images, n_features) stay as they are.

    Raises
    ------
    BackboneError
        No layer is named, or the pooling is unknown.
    """

    layer: str = PENULTIMATE
    pooling: str = "auto"

    def __post_init__(self) -> None:
        if not self.layer:
            raise BackboneError("a tap needs a layer's name, such as 'layer3' or 'layer3:avg'")
        if self.pooling not in POOLINGS:
            nearest = difflib.get_close_matches(self.pooling, POOLINGS, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise BackboneError(
                f"tap {self.layer}: no pooling is called {self.pooling!r}; {', '.join(POOLINGS)}.{hint}"
            )

    @property
    def is_map(self) -> bool:
        """Whether a row is what the layer puts out, which a tail can be trained on, and not a row of features."""
        return self.pooling == "map"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "layer3" or "layer3:avg"; `str` of a tap writes it back."""
        layer, _, pooling = text.partition(":")
        return cls(layer, pooling or "auto")

    def __str__(self) -> str:
        return self.layer if self.pooling == "auto" else f"{self.layer}:{self.pooling}"
