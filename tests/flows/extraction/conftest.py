"""What tests of reruns share: photographs at rest, and the backbones that were loaded."""

from pathlib import Path
from typing import Any

import pytest
from conftest import age

import headstart.extractors.extraction.known_requests
import headstart.extractors.images.folders
import headstart.flows.extraction.job


@pytest.fixture
def photos(photos: Path) -> Path:
    """The photographs, at rest."""
    age(photos)
    return photos


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The backbones that were loaded."""
    names: list[str] = []
    original = headstart.flows.extraction.job.open_extraction

    def recording(*arguments: Any) -> Any:
        names.append(arguments[2])
        return original(*arguments)

    monkeypatch.setattr(headstart.flows.extraction.job, "open_extraction", recording)
    return names


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that were written a moment ago count as settled, so that no test waits."""
    monkeypatch.setattr(headstart.extractors.extraction.known_requests, "RACY_NS", 0)
