"""What the tests of heads, their files and their reports share."""

from shutil import copytree

import pytest
from support.model_example import CARD, fitted
from support.report_page import page
from support.sweep_example import X

from headstart.heads import Head
from headstart.heads.registry import table as registry
from headstart.heads.registry.candidates import Candidate
from headstart.heads.saving.model_file import save_model


@pytest.fixture(scope="session")
def _saved(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("saved") / "model", fitted(), CARD)


@pytest.fixture
def saved(_saved, tmp_path):
    return copytree(_saved, tmp_path / "model")


@pytest.fixture(scope="module")
def plain():
    return page()


@pytest.fixture
def temporary_head(monkeypatch):
    """Return a function that registers a head for this test."""

    def add(make):
        monkeypatch.setitem(
            registry._registered["classify"], "temporary", Head(name="temporary", summary=".", make=make, grid={})
        )
        return Candidate(features=X, backbone="pixels", tap="raw", key="k", head="temporary", params={})

    return add
