"""When heads have to be fitted again: only where something changed that a fit goes by, and the reason names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draw

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.extractors.listing.update import update_listing
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment, FitTable
from headstart.flows.nightly.inputs import describe_inputs, why_refit

IMAGES_CHANGED = "the labelled images, their labels, splits or groups changed"


@pytest.fixture
def experiment(photos: Path, tmp_path: Path) -> Experiment:
    (tmp_path / "results" / "model").mkdir(parents=True)
    return Experiment(
        name="birds",
        images=str(photos),
        cache=tmp_path / "cache",
        out=tmp_path / "results",
        extract=[{"backbone": "small_cnn"}],
        fit=[{"head": ["logreg"]}],
    )


@pytest.fixture
def listed(experiment: Experiment) -> Callable[[], CacheListing]:
    cache = EmbeddingCache(experiment.cache, create=True)
    return lambda: update_listing(cache, list_images(experiment.images), workers=1)


def rename(photos: Path) -> None:
    (photos / "cat" / "00.png").rename(photos / "cat" / "zz.png")


def relabel(photos: Path) -> None:
    (photos / "cat" / "00.png").rename(photos / "dog" / "zz.png")


def add(photos: Path) -> None:
    draw(photos / "cat" / "new.png", 0, seed=99)


def copy(photos: Path) -> None:
    (photos / "cat" / "copy.png").write_bytes((photos / "cat" / "00.png").read_bytes())


def damage(photos: Path) -> None:
    (photos / "cat" / "00.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (lambda _: None, []),
        (rename, []),
        (relabel, [IMAGES_CHANGED]),
        (add, [IMAGES_CHANGED]),
        (copy, [IMAGES_CHANGED]),
        (damage, [IMAGES_CHANGED]),
    ],
    ids=["nothing", "a renamed file", "a file of another class", "a new one", "a copy", "an empty one"],
)
def test_images_and_labels_matter_and_names_do_not(
    experiment: Experiment,
    listed: Callable[[], CacheListing],
    photos: Path,
    change: Callable[[Path], None],
    reasons: list[str],
) -> None:
    before = describe_inputs(experiment, listed(), ["key-1"])
    change(photos)
    assert why_refit(experiment, before, describe_inputs(experiment, listed(), ["key-1"])) == reasons


@pytest.mark.parametrize(
    ("table", "reasons"),
    [
        ({"dask": "processes"}, []),
        ({"head": ["logreg", "knn"]}, ["the experiment's fit changed: head"]),
        ({"folds": 3, "seed": 1}, ["the experiment's fit changed: folds, seed"]),
    ],
)
def test_what_is_asked_of_a_fit_matters_and_where_it_runs_does_not(
    experiment: Experiment, listed: Callable[[], CacheListing], table: dict[str, Any], reasons: list[str]
) -> None:
    listing = listed()
    other = experiment.model_copy(update={"fit": [FitTable(**{"head": ["logreg"], **table})]})
    before, now = (describe_inputs(one, listing, ["key-1"]) for one in (experiment, other))
    assert why_refit(other, before, now) == reasons


def test_other_embeddings_and_versions_matter(
    experiment: Experiment, listed: Callable[[], CacheListing], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = describe_inputs(experiment, listed(), ["key-1"])
    monkeypatch.setattr(
        "headstart.flows.nightly.inputs.version", lambda name: "99" if name == "headstart" else before_of[name]
    )
    before_of = before["fit"].versions
    now = describe_inputs(experiment, listed(), ["key-2"])
    assert why_refit(experiment, before, now) == [
        "the embeddings are others: key-2",
        f"headstart 99 is installed, it was {before_of['headstart']}",
    ]


def test_a_model_that_is_gone_is_fitted_again(experiment: Experiment, listed: Callable[[], CacheListing]) -> None:
    inputs = describe_inputs(experiment, listed(), ["key-1"])
    (experiment.out / "model").rmdir()
    assert why_refit(experiment, inputs, inputs) == [f"there is no model in {experiment.out / 'model'}"]


def test_a_fit_that_the_last_night_did_not_know_is_a_reason(
    experiment: Experiment, listed: Callable[[], CacheListing]
) -> None:
    inputs = describe_inputs(experiment, listed(), ["key-1"])
    assert why_refit(experiment, {"other": inputs["fit"]}, inputs) == ["there are other fits in the experiment"]


def test_the_first_night_always_fits(experiment: Experiment, listed: Callable[[], CacheListing]) -> None:
    assert why_refit(experiment, None, describe_inputs(experiment, listed(), ["key-1"])) == ["it is the first night"]


def test_a_file_of_labels_matters_by_what_it_says(
    experiment: Experiment, listed: Callable[[], CacheListing], tmp_path: Path
) -> None:
    listing = listed()

    def inputs(name: str, kinds: list[str]) -> dict[str, Any]:
        rows = [f"{path},{kind}" for path, kind in zip(listing.rows["path"], kinds, strict=False)]
        (tmp_path / name).write_text("\n".join(["path,kind", *rows, ""]))
        table = FitTable(head=["logreg"], labels=tmp_path / name)
        return describe_inputs(experiment.model_copy(update={"fit": [table]}), listing, ["key-1"])

    first = inputs("labels.csv", ["a", "b", "a", "b"])
    assert why_refit(experiment, first, inputs("moved.csv", ["a", "b", "a", "b"])) == []
    assert why_refit(experiment, first, inputs("labels.csv", ["a", "b", "a", "a"])) == [IMAGES_CHANGED]


def test_one_label_column_has_to_be_meant(
    experiment: Experiment, listed: Callable[[], CacheListing], tmp_path: Path
) -> None:
    listing = listed()
    (tmp_path / "labels.csv").write_text(f"path,kind,place\n{listing.rows['path'].iloc[0]},a,b\n")
    table = FitTable(head=["logreg"], labels=tmp_path / "labels.csv", target="all")
    with pytest.raises(JobError, match="one label column is fitted here; name it: kind, place"):
        describe_inputs(experiment.model_copy(update={"fit": [table]}), listing, ["key-1"])
