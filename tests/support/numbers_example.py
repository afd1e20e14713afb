"""A synthetic cache with a number, text labels and 0/1 columns that its embeddings tell, and gaps in some of them."""

from pathlib import Path

import numpy as np
import pandas as pd
from support.synthetic_cache import digest_of, features_of, fill, make_images

N_IMAGES = 120
N_WITHOUT_COLOUR = 20


def make_numbers_cache(folder: Path) -> tuple[Path, Path]:
    """Return a cache and its labels: `weight` (numbers), `colour` (20 missing), `shape`, `sunny` and `wet` (0/1)."""
    make_images(folder / "images", N_IMAGES)
    fill(folder / "things.headstart", folder / "images", n_rows_a_shard=64, shapes={"penultimate": (6,)})
    paths = sorted(path.relative_to(folder / "images").as_posix() for path in (folder / "images").rglob("*.png"))
    X = features_of([digest_of(int(Path(path).stem)) for path in paths], (6,)).astype(np.float64)
    colour = np.where(X[:, 0] > 0, "red", "blue").astype(object)
    colour[:N_WITHOUT_COLOUR] = None
    table = pd.DataFrame(
        {
            "path": paths,
            "weight": 50 + 3 * X[:, 0] - 2 * X[:, 1] + 0.2 * X[:, 5],
            "colour": colour,
            "shape": np.where(X[:, 1] > 0.3, "round", "square"),
            "sunny": (X[:, 2] > 0).astype(int),
            "wet": (X[:, 3] > 0.4).astype(int),
        }
    )
    table.to_csv(folder / "labels.csv", index=False)
    return folder / "things.headstart", folder / "labels.csv"
