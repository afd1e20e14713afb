"""An experiment file is checked whole before anything runs."""

from pathlib import Path

import pytest

from flows.errors import JobError
from flows.experiment import read_experiment

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


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"nothing\.toml: cannot be read \(No such file or directory\)"):
        read_experiment(tmp_path / "nothing.toml")
