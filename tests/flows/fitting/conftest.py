"""Caches that tests of fits begin with."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.copied_caches import embedded, made_caches  # noqa: F401 - fixtures


@pytest.fixture
def cache(embedded: Callable[..., Path]) -> Path:  # noqa: F811 - the fixture
    """A cache of the photographs, which the test may change."""
    return embedded()


@pytest.fixture
def ridge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare tails with one kind of linear head, where nothing is about these: all of them take longer than a tail."""
    monkeypatch.setattr("headstart.flows.fitting.finetuning.linear.LINEAR_HEADS", ("ridge",))
