"""What a run's parameters may name when limits are set, by the experiment or by the process that serves it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import draw

from headstart.extractors.images.roots import ENVIRONMENT
from headstart.flows.errors import JobError
from headstart.flows.experiment.reading import read_experiment
from headstart.flows.experiment.security import check_allowed, export_limits
from headstart.flows.experiment.tables import Experiment, SecurityTable
from headstart.flows.orchestration.pipeline import run


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limits before a test, and none that it leaves."""
    monkeypatch.setenv(ENVIRONMENT, "")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Two folders that may be used, beside one that may not and whose name begins alike."""
    for name in ("photos", "work", "photos-of-others", "work/cache", "work/out"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def experiment(house: Path, security: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "name": "birds",
        "images": str(house / "photos"),
        "cache": house / "work" / "cache",
        "out": house / "work" / "out",
        "extract": [{"backbone": "small_cnn", "weights": "none"}],
        "fit": [{"head": ["logreg"]}],
        "security": security or {},
    }
    return Experiment(**(values | changes))


def limits(house: Path, **more: list[str]) -> dict[str, Any]:
    return {"roots": [str(house / "photos"), str(house / "work")], **more}


def test_without_roots_nothing_is_limited(house: Path) -> None:
    odd = experiment(house, images="/etc", fit=[{"head": ["os:system"], "dask": "tcp://192.0.2.1:8786"}])

    check_allowed(odd)

    assert export_limits(odd) == {}


def test_what_lies_below_the_roots_is_allowed(house: Path) -> None:
    check_allowed(experiment(house, limits(house)))


OUTSIDE = [
    ("images", {"images": "{house}/photos-of-others"}),
    ("images", {"images": "{house}/photos/../photos-of-others"}),
    ("images", {"images": "/etc/passwd"}),
    ("images", {"images": "~/photos"}),
    ("images", {"images": "{house}/photos/*/../x.tar"}),
    ("images", {"images": "s3://bucket/photos"}),
    ("images", {"images": "file:///etc/passwd"}),
    ("images", {"images": "photos"}),
    ("cache", {"cache": "{house}/elsewhere"}),
    ("out", {"out": "{house}/photos-of-others/out"}),
    ("out", {"out": "{house}"}),
    ("fit.labels", {"fit": [{"labels": "/etc/passwd"}]}),
    ("fit.costs", {"fit": [{"costs": "/etc/passwd"}]}),
    ("extract.weights", {"extract": [{"backbone": "resnet18", "weights": "/srv/weights.pth"}]}),
    ("extract.weights", {"extract": [{"backbone": "resnet18", "weights": "../weights.pth"}]}),
    ("extract.backbone", {"extract": [{"backbone": "os:getcwd"}]}),
    ("extract.backbone", {"extract": [{"backbone": "timm/hf-hub:someone/model"}]}),
    ("fit.head", {"fit": [{"head": ["logreg", "os:system"]}]}),
    ("fit.head", {"fit": [{"head": ["logreg(C=1)", "os.system"]}]}),
    ("fit.head", {"fit": [{"head": ["os:system(command=id)"]}]}),
    ("fit.dask", {"fit": [{"dask": "tcp://192.0.2.1:8786"}]}),
    ("scale.dask", {"scale": {"dask": "tcp://192.0.2.1:8786"}}),
    ("finetune.dask", {"finetune": [{"from": "layer4", "dask": "tcp://192.0.2.1:8786"}]}),
]


def filled(changes: Any, house: Path) -> Any:
    if isinstance(changes, dict):
        return {name: filled(value, house) for name, value in changes.items()}
    return changes.replace("{house}", str(house)) if isinstance(changes, str) else changes


@pytest.mark.parametrize(("field", "changes"), OUTSIDE)
def test_what_leads_outside_is_refused_by_its_field(house: Path, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=f"^{field}: "):
        check_allowed(experiment(house, limits(house), **filled(changes, house)))


@pytest.mark.parametrize(("field", "changes"), OUTSIDE)
def test_a_parameter_without_its_table_is_refused_by_what_the_server_pinned(
    house: Path, field: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, export_limits(experiment(house, limits(house)))[ENVIRONMENT])

    with pytest.raises(JobError, match=f"^{field}: "):
        check_allowed(experiment(house, **filled(changes, house)))


def test_a_table_cannot_widen_what_is_pinned(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps(limits(house)))
    wide = {"roots": ["/"], "code": ["os:system"], "dask": ["tcp://192.0.2.1:8786"]}

    check_allowed(experiment(house, wide))

    assert json.loads(os.environ[ENVIRONMENT]) == limits(house) | {"code": [], "dask": []}
    for changes in ({"images": "/etc"}, {"fit": [{"head": ["os:system"]}]}, {"fit": [{"dask": wide["dask"][0]}]}):
        with pytest.raises(JobError):
            check_allowed(experiment(house, wide, **changes))


def test_a_table_narrows_what_is_pinned(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {"roots": [str(house)], "code": ["a:b", "c:d"], "dask": ["tcp://192.0.2.1:8786"]}
    monkeypatch.setenv(ENVIRONMENT, json.dumps(pinned))
    own = limits(house, code=["c:d", "e:f"]) | {"dask": []}

    narrowed = json.loads(export_limits(experiment(house, own))[ENVIRONMENT])

    assert narrowed == limits(house, code=["c:d"], dask=[])


def test_code_and_schedulers_that_are_named_are_allowed(house: Path) -> None:
    named = limits(house, code=["mine:build", "mine:Head"], dask=["tcp://192.0.2.1:8786"])
    changes: dict[str, Any] = {
        "extract": [{"backbone": "mine:build"}],
        "fit": [{"head": ["mine.Head(C=1)"], "dask": "tcp://192.0.2.1:8786"}, {"name": "here", "dask": "processes"}],
    }

    check_allowed(experiment(house, named, **changes))


@pytest.mark.parametrize("pinned", ["no JSON", "[]", '{"roots": "/"}', '{"roots": [""]}', '{"root": ["/"]}'])
def test_limits_that_cannot_be_understood_allow_nothing(
    house: Path, pinned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, pinned)

    with pytest.raises(JobError, match="nothing is allowed"):
        check_allowed(experiment(house))


@pytest.mark.parametrize("place", ["work/cache/embeddings", "work/out/report.html", "work/cache"])
def test_a_link_out_of_what_is_written_to_is_refused(house: Path, place: str) -> None:
    link = house / place
    if link.is_dir():
        link.rmdir()
    link.symlink_to(house / "photos-of-others")

    with pytest.raises(JobError, match="outside the allowed roots"):
        check_allowed(experiment(house, limits(house)))


def test_a_bucket_and_a_prefix_are_roots_too(house: Path) -> None:
    security = {"roots": [str(house), "s3://owls/2024/"]}
    for allowed in ("s3://owls/2024", "s3://owls/2024/a b/x.csv"):
        check_allowed(experiment(house, security, images=allowed))
    for refused in (
        "s3://owls",
        "s3://owls/20245",
        "s3://owls-evil/2024/x.csv",
        "gs://owls/2024",
        "s3://owls/2024/../x",
    ):
        with pytest.raises(JobError, match=r"^images: "):
            check_allowed(experiment(house, security, images=refused))


def test_code_that_is_not_named_is_not_even_imported(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = house / "it ran"
    (house / "payload_of_ui.py").write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n")
    monkeypatch.syspath_prepend(house)

    for changes in ({"extract": [{"backbone": "payload_of_ui:build"}]}, {"fit": [{"head": ["payload_of_ui:Head"]}]}):
        with pytest.raises(JobError, match="is code that would run"):
            run(experiment(house, limits(house), **changes))
    assert not marker.exists()


def test_roots_of_a_file_are_relative_to_it_and_addresses_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").write_text(
        'images = "s3://owls/2024"\n[[extract]]\nbackbone = "small_cnn"\n[fit]\n'
        '[security]\nroots = ["work", "s3://owls/2024/"]\ncode = ["a:b"]\n'
    )

    read = read_experiment(tmp_path / "birds.toml")

    assert read.images == "s3://owls/2024"
    assert read.security == SecurityTable(roots=[str(tmp_path / "work"), "s3://owls/2024/"], code=["a:b"])


def test_limits_beside_no_roots_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").write_text(
        'images = "x"\n[[extract]]\nbackbone = "small_cnn"\n[fit]\n[security]\ncode = ["a:b"]\n'
    )

    with pytest.raises(JobError, match=r"security: .*name the roots too"):
        read_experiment(tmp_path / "birds.toml")


def test_a_run_reads_nothing_outside_that_a_manifest_inside_lists(house: Path) -> None:
    """Also where the file outside is an image, which would end up in the report."""
    from headstart.flows.extraction.job import extract

    for number in range(3):
        draw(house / "photos" / f"{number}.png", number, seed=number)
    secret = draw(house / "photos-of-others" / "secret.png", 0, seed=9)
    (house / "photos" / "link.png").symlink_to(secret)
    (house / "photos" / "some.csv").write_text(
        f"path\n0.png\n1.png\n2.png\nlink.png\n{secret}\n../photos-of-others/secret.png\n/etc/passwd\n"
    )
    checked = experiment(house, limits(house), images=str(house / "photos" / "some.csv"))

    check_allowed(checked)
    summary = extract(checked.images, "small_cnn", weights="none", cache=checked.cache, precision="fp32")

    assert (summary.embedded, summary.quarantined) == (3, 4)
