"""The type of any numpy array: what is in it stands in each docstring."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
