"""Results of `reduce`, as its page, its command and its callers read it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.extractors.results import JobResult
from headstart.heads.transfer.reduction import Kept

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, repr=False)
class ReduceSummary(
    JobResult,
    says="{images:n image} of {cache} by {backbone} ({tap}): {features:n feature} in {size:n dimension}\npage {page}",
    tables=("table", "kept"),
):
    """Features in fewer dimensions.

    Attributes
    ----------
    cache, backbone, key, tap : str
        What was reduced.
    images : int
        That went through the transform.
    fitted_on : int
        Images that it was fitted on; 0 where an earlier one was taken.
    features, size : int
        Before and after.
    whiten : bool
    variance : float
        Share of the variance that is kept, of the images that it was fitted on.
    kept : list of Kept
        Neighbours that are kept on images held back, beside a random projection; empty where an earlier transform was
        taken, and with very few images.
    unreadable : list of str
    transform : str
        Folder of the transform, for ``--by``.
    table : str
        CSV with ``path`` and a column for each dimension.
    page : str
        HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    key: str
    tap: str
    images: int
    fitted_on: int
    features: int
    size: int
    whiten: bool
    variance: float
    kept: list[Kept]
    unreadable: list[str]
    transform: str
    table: str
    page: str
    notes: list[str]
    seconds: float

    def to_numpy(self) -> "npt.NDArray[np.float32]":
        """Return the reduced features, float32 (n_images, n_dimensions), in the order of the table."""
        import numpy as np  # noqa: PLC0415 - a summary is made without it

        table: Any = self.to_pandas("table")
        return np.ascontiguousarray(table.drop(columns="path").to_numpy(), np.float32)
