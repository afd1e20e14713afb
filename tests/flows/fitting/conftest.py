"""Caches that tests of fits begin with."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.copied_caches import embedded, made_caches  # noqa: F401 - fixtures


@pytest.fixture
def cache(embedded: Callable[..., Path]) -> Path:  # noqa: F811 - the fixture
    """A cache of the photographs, which the test may change."""
    return embedded()
