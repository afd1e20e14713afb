"""What headstart doctor finds of an experiment that could not start."""

from pathlib import Path
from typing import Any

import pytest

from headstart.flows.doctor.experiment import check_experiment
from headstart.flows.experiment.tables import Experiment


def experiment_in(folder: Path, **changes: Any) -> Experiment:
    given: dict[str, Any] = {
        "name": "birds",
        "images": str(folder),
        "cache": folder / "cache",
        "out": folder / "results",
        "extract": [{"backbone": "pixels"}],
        "fit": [{"head": ["centroid"]}],
    }
    return Experiment(**given | changes)


def test_an_experiment_that_can_start_has_its_images(tmp_path: Path) -> None:
    (finding,) = check_experiment(experiment_in(tmp_path))
    assert (finding.name, finding.state, finding.found) == ("images", "ok", f"{tmp_path} is there")


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"images": "/no/such/folder"}, "images", "/no/such/folder: no such file or folder"),
        ({"images": "/no/such-*.tar"}, "images", "/no/such-*.tar: no such file or folder"),
        ({"fit": [{"head": ["centriod"]}]}, "experiment", "no head is called 'centriod'; did you mean centroid"),
        ({"extract": [{"backbone": "pixel"}]}, "experiment", "no backbone is called 'pixel'"),
        ({"security": {"roots": ["/data"]}}, "experiment", "lies outside the allowed roots"),
        ({"scale": {"dask": "cuda", "workers": 99}}, "scale", "dask = 'cuda' needs 99 GPUs and torch sees"),
    ],
)
def test_what_would_end_a_run_at_once_is_told(tmp_path: Path, changes: dict[str, Any], name: str, says: str) -> None:
    finding = check_experiment(experiment_in(tmp_path, **changes))[-1]
    assert (finding.name, finding.state) == (name, "fail")
    assert says in finding.found
    assert finding.advice
