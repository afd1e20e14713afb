"""The few-shot curves as a file, for figures of one's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.heads.analysis import FewShotPoint

COLUMNS = ["images_per_class", "n_train", "n_short", "accuracy", "low", "high"]


def write_few_shot(file: Path, curves: Mapping[str, Sequence[FewShotPoint]]) -> None:
    """Write a row for each head and size: ``head`` and `COLUMNS`; all images have no ``images_per_class``."""
    rows = [{"head": head} | vars(point) for head, points in curves.items() for point in points]
    table = pd.DataFrame(rows)[["head", *COLUMNS]].astype({"images_per_class": "Int64"})
    write_atomically(file, table.to_csv(index=False).encode())
