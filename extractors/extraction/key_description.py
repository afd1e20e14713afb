"""Description of a key: what people and programs are told of it, and what a cache remembers of a request."""

from dataclasses import dataclass, field
from typing import Any, Self

from headstart.extractors.extraction.missing_rows import MissingRows
from headstart.extractors.spec import Range, View, Whole, claimed


@dataclass(frozen=True)
class FidelityRow:
    """How near features are to those of plain float32, as `extractors.tuning.Fidelity` measured it: overall, by tap."""

    cosine: float
    relative_error: float
    taps: dict[str, dict[str, float]]
    n_images: int


@dataclass(frozen=True)
class KeyDescription:
    """A key of a cache.

    Attributes
    ----------
    id, backbone, weights : str
        The weights as people call them.
    taps : list of str
    precision, in_float32, decode, dtype, range, colour
        As the key has them.
    fidelity : FidelityRow or None
        None where features were computed without a shortcut.
    exact : bool
    image_size : int or None
    view : "whole" or View
        As the key has them.
    """

    id: str
    backbone: str
    weights: str
    taps: list[str]
    precision: str
    decode: str
    dtype: str
    fidelity: FidelityRow | None = field(repr=False)
    exact: bool = False
    range: Range | Whole = "whole"
    colour: str = "as-stored"
    image_size: int | None = None
    view: View | Whole = "whole"
    in_float32: tuple[str, ...] = ()

    @classmethod
    def of(cls, extraction: MissingRows) -> Self:
        """Say which key an extraction fills."""
        key, found = extraction.store.key, extraction.fidelity.features
        return cls(
            id=key.id,
            backbone=key.backbone,
            weights=extraction.weights_name,
            taps=list(key.taps),
            precision=key.precision,
            decode=key.decode,
            dtype=key.dtype,
            range=key.range,
            colour=key.colour,
            fidelity=FidelityRow(found.cosine, found.relative_error, found.taps, found.n_images) if found else None,
            exact=key.exact,
            image_size=key.image_size,
            view=key.view,
            in_float32=key.in_float32,
        )

    @classmethod
    def read(cls, values: Any) -> Self:
        """Rebuild what JSON made of one.

        Raises
        ------
        TypeError
            A field is unknown, missing, or of another type.
        """
        fidelity = values.get("fidelity")
        ends = values.get("range", "whole")
        view = values.get("view", "whole")
        plain: dict[str, Any] = {"range": ends if ends == "whole" else tuple(ends)}
        plain["in_float32"] = tuple(values.get("in_float32", ()))
        plain["view"] = view if view == "whole" else claimed(View, view)
        return claimed(cls, values | plain | {"fidelity": fidelity and claimed(FidelityRow, fidelity)})
