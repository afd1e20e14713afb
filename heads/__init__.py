"""(X, y) → fitted heads, scores, saved models: knows arrays; knows no image files, no torchvision, no h5py, no Prefect.

Here stand the registry and the errors, which load nothing but the standard library. Modules are imported by name
(`from heads.sweep.run import sweep`), so that listing the heads never loads scikit-learn or torch.
"""

from headstart.heads.errors import (
    DataError,
    DuplicateHeadError,
    HeadError,
    ModelFileError,
    OwnHeadError,
    UnknownHeadError,
)
from headstart.heads.registry.head import Head
from headstart.heads.registry.lookup import all_heads, find_head
from headstart.heads.registry.table import HEADS, register

__all__ = [
    "HEADS",
    "DataError",
    "DuplicateHeadError",
    "Head",
    "HeadError",
    "ModelFileError",
    "OwnHeadError",
    "UnknownHeadError",
    "all_heads",
    "find_head",
    "register",
]
