"""Source moved onto the target by optimal transport, with the library POT, an extra."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.transfer.adaptation.alignment import Aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.transfer.adaptation.domains import Domains

MOST_TRANSPORTED = 2000
"""Images of each domain: time and memory grow with the product of both numbers."""


def has_transport() -> bool:
    """Tell whether POT is installed."""
    return find_spec("ot") is not None


def move_by_transport(domains: Domains) -> Aligned:
    """Move each image of the source to the mean of the images of the target that its mass goes to, at least cost.

    The plan is exact and has no parameter; the cost is the squared distance of features standardised by the source. Of
    more than `MOST_TRANSPORTED` images, as many are drawn from each domain, the same ones each time.

    References
    ----------
    Courty, Flamary, Tuia & Rakotomamonjy, "Optimal transport for domain adaptation", TPAMI 39, 2017 (equation 9,
    barycentric mapping). Flamary et al., "POT: Python optimal transport", JMLR 22, 2021.
    """
    import ot  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - optional, and slow to import

    rows, others = (_drawn(len(one)) for one in (domains.source, domains.target))
    source, target = domains.source[rows].astype(np.float64), domains.target[others].astype(np.float64)
    spread = source.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    cost = ot.dist(source / spread, target / spread)
    plan = ot.emd(ot.unif(len(rows)), ot.unif(len(others)), cost / cost.max(), numItermax=10_000_000)
    return Aligned(source=plan @ target * len(rows), rows=rows, centre=np.zeros(source.shape[1]))


def _drawn(n_images: int) -> NDArray[np.intp]:
    if n_images <= MOST_TRANSPORTED:
        return np.arange(n_images)
    return np.sort(np.random.default_rng(0).choice(n_images, MOST_TRANSPORTED, replace=False))
