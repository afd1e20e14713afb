"""What docs/architecture.md lists under "An image source" is all that one needs: a toy goes from its row to scores."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES
from support import toy_source
from support.toy_source import TOY

from headstart import extract, fit, predict
from headstart.extractors.errors import ImageSetError, NotAllowedError
from headstart.extractors.images import list_images, sources, titles
from headstart.extractors.images.roots import ENVIRONMENT
from headstart.flows.doctor.experiment import check_experiment
from headstart.flows.experiment import read_experiment


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the toy's row to `extractors/images/sources.py` for this test."""
    monkeypatch.setattr(sources, "SOURCES", (TOY, *sources.SOURCES))
    monkeypatch.setattr(toy_source, "reads", [])
    generator = np.random.default_rng(0)

    def pixels(label: int) -> Any:
        noise = generator.normal(0, 12, (40, 48, 3))
        return (np.full(3, 60) + np.eye(3)[label] * 130 + noise).clip(0, 255).astype(np.uint8)

    known = {f"{name}/{number}": pixels(label) for label, name in enumerate(CLASSES) for number in range(12)}
    new = {f"new/{name}": pixels(label) for label, name in enumerate(CLASSES)}
    monkeypatch.setattr(toy_source, "SETS", {"known": known, "new": new})


def test_a_toy_source_is_extracted_fitted_and_predicted(row: None, elsewhere: Path) -> None:
    first = extract("toy://known", "small_cnn", weights="none", precision="fp32")
    assert (first.cache, first.images, first.embedded, first.quarantined) == ("known.headstart", 36, 36, 0)
    toy_source.reads.clear()

    again = extract("toy://known", "small_cnn", weights="none", precision="fp32")
    assert (again.embedded, toy_source.reads) == (0, [])

    found = fit(first.cache, ["centroid"], out=elsewhere / "results")
    assert found.test.scores["accuracy"].value == 1.0

    table = predict(found.model, "toy://new")
    assert table["path"].tolist() == ["new/cat", "new/dog", "new/owl"]
    assert table["label"].tolist() == list(CLASSES)


def test_what_a_source_says_reaches_the_user(row: None, elsewhere: Path) -> None:
    with pytest.raises(ImageSetError, match="toy://none: no such set; there are known, new"):
        extract("toy://none", "small_cnn", weights="none")
    assert "toys" in titles()


def test_the_doctor_knows_its_addresses(row: None, tmp_path: Path) -> None:
    (tmp_path / "toys.toml").write_text(
        'images = "toy://known"\n[[extract]]\nbackbone = "pixels"\n[fit]\nhead = ["knn"]\n'
    )

    (finding,) = check_experiment(read_experiment(tmp_path / "toys.toml"))

    assert (finding.name, finding.state) == ("images", "ok")


@pytest.mark.parametrize(("roots", "allowed"), [(["toy://known"], True), (["toy://kno"], False), (["/"], False)])
def test_it_is_held_to_the_roots_of_the_process(
    row: None, monkeypatch: pytest.MonkeyPatch, roots: list[str], allowed: bool
) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"roots": roots}))

    if allowed:
        assert len(list_images("toy://known").rows) == 36
    else:
        with pytest.raises(NotAllowedError, match="toy://known"):
            list_images("toy://known")


@pytest.mark.parametrize("source", sources.SOURCES, ids=lambda source: source.lists.partition(":")[2])
def test_every_row_names_functions_that_are_there(source: sources.Source) -> None:
    for named in filter(None, (source.lists, source.claims, source.reads)):
        module, _, name = named.partition(":")
        assert callable(getattr(import_module(module), name))


def test_no_other_source_claims_the_address_of_a_toy() -> None:
    with pytest.raises(ImageSetError, match="unknown kind of address toy://"):
        list_images("toy://known")
