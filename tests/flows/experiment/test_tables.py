"""An experiment file is checked whole before anything runs."""

from pathlib import Path

import pytest

from headstart.flows.errors import JobError
from headstart.flows.experiment.reading import read_experiment

GOOD = """
images = "photos"
[[extract]]
backbone = "small_cnn"
weights = "encoder.safetensors"
[fit]
head = ["logreg"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "birds.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file_and_names_follow_from_it(tmp_path: Path) -> None:
    (tmp_path / "encoder.safetensors").touch()
    experiment = read_experiment(write(tmp_path, GOOD))
    assert experiment.name == "birds"
    assert experiment.images == str(tmp_path / "photos")
    assert experiment.cache == tmp_path / "birds.headstart"
    assert experiment.out == tmp_path / "birds.results"
    assert experiment.extract[0].weights == str(tmp_path / "encoder.safetensors")


def test_weights_that_are_no_file_are_names(tmp_path: Path) -> None:
    assert read_experiment(write(tmp_path, GOOD)).extract[0].weights == "encoder.safetensors"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('images = "photos"', ""), "images: Field required"),
        (GOOD.replace("head =", "heads ="), r"fit\.heads: Extra inputs are not permitted"),
        (GOOD.replace('head = ["logreg"]', 'sweep = "slow"'), r"fit\.sweep: Input should be 'quick', 'standard' or"),
        (GOOD.replace("[fit]", "[fit]\nfolds = 1"), r"fit\.folds: Input should be greater than or equal to 2"),
        ('precision = "fp8"' + GOOD, "precision: Input should be 'auto', 'fp32' or 'bf16'"),
        (
            GOOD.replace('[fit]\nhead = ["logreg"]', "").replace('images = "photos"', 'images = "photos"\nfit = []'),
            "fit: List should have at least 1 item",
        ),
        (GOOD.replace('[fit]\nhead = ["logreg"]', ""), "fit: Field required"),
        ("images = photos", "is no TOML"),
        (
            'extract = "resnet50"\n'
            + GOOD.replace('[[extract]]\nbackbone = "small_cnn"\nweights = "encoder.safetensors"', ""),
            "extract: Input should be a valid list",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(JobError, match=rf"birds\.toml: .*{message}"):
        read_experiment(write(tmp_path, text))


SEVERAL = GOOD.replace(
    "[fit]",
    '[[fit]]\nname = "species"\nlabels = "species.csv"\nfolds = 3\nhead = ["knn"]\n[[fit]]\nsweep = "quick"\n[[fit]]',
)


def test_one_table_writes_into_out_itself(tmp_path: Path) -> None:
    for text in (GOOD, GOOD.replace("[fit]", '[[fit]]\nname = "any"')):
        experiment = read_experiment(write(tmp_path, text))
        (table,) = experiment.fit
        assert table.head == ["logreg"]
        assert experiment.folder_of(table) == tmp_path / "birds.results"


def test_of_several_tables_each_has_a_folder_of_its_own(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, SEVERAL))
    assert [table.head for table in experiment.fit] == [["knn"], [], ["logreg"]]
    assert experiment.fit[0].labels == tmp_path / "species.csv"
    names = [str(experiment.folder_of(table).relative_to(tmp_path)) for table in experiment.fit]
    assert names == ["birds.results/species", "birds.results/fit-2", "birds.results/fit-3"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folds = 3", "folds = 1", r"fit\.0\.folds: Input should be greater than or equal to 2"),
        ('sweep = "quick"', 'sweep = "slow"', r"fit\.1\.sweep: Input should be"),
        ('"species"', '"Fit-2"', "fit: Value error, the name 'fit-2' is given twice"),
        ('"species"', '"../species"', r"fit\.0\.name: String should match pattern"),
    ],
)
def test_of_several_tables_the_one_at_fault_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        read_experiment(write(tmp_path, SEVERAL.replace(old, new)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"nothing\.toml: cannot be read \(No such file or directory\)"):
        read_experiment(tmp_path / "nothing.toml")
