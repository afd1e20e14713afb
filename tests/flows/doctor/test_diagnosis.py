"""What headstart doctor finds, and what it says to do: each thing well, doubtful, and broken."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from headstart.extractors.decoding import jpeg_decoder
from headstart.flows.doctor import installation as doctor_installation
from headstart.flows.doctor import machine as doctor_machine
from headstart.flows.doctor.finding import Finding
from headstart.flows.doctor.installation import check_libraries, check_weights
from headstart.flows.doctor.machine import check_compiler, check_cpu, check_disk, check_gpu, check_low_precision
from headstart.flows.experiment.tables import Experiment


def experiment_of(folder: Path, backbone: str = "small_cnn", weights: str = "none", **changes: Any) -> Experiment:
    given: dict[str, Any] = {
        "name": "birds",
        "images": "photos",
        "cache": folder / "cache",
        "out": folder / "results",
        "extract": [{"backbone": backbone, "weights": weights}],
        "fit": [{}],
    }
    return Experiment(**given | changes)


def test_libraries_are_held_against_the_bounds_of_the_installed_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = [
        "numpy>=2",
        f"h5py>{version('h5py')}",
        "no-such-library>=1",
        'no-such-extra>=1; extra == "dev"',
        "pandas<1",
    ]
    monkeypatch.setattr(doctor_installation, "requires", lambda _: bounds)
    assert check_libraries() == [
        Finding(
            "h5py",
            "fail",
            f"{version('h5py')} is installed; headstart needs >{version('h5py')}",
            f"pip install 'h5py>{version('h5py')}'",
        ),
        Finding("no-such-library", "fail", "is not installed", "pip install 'no-such-library>=1'"),
        Finding("pandas", "fail", f"{version('pandas')} is installed; headstart needs <1", "pip install 'pandas<1'"),
    ]


def test_a_library_that_cannot_be_loaded_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nsecond line")

    monkeypatch.setattr(doctor_installation, "import_module", load)
    (finding,) = check_libraries()
    assert (finding.name, finding.state) == ("torchvision", "fail")
    assert finding.found == "cannot be loaded: operator torchvision::nms does not exist"


def test_an_installation_that_fits_is_one_line() -> None:
    (finding,) = check_libraries()
    assert (finding.name, finding.state, finding.advice) == ("libraries", "ok", "")
    assert finding.found.startswith(f"headstart {version('headstart')}, Python 3.")


@pytest.mark.parametrize(
    ("backbone", "weights", "state", "found"),
    [
        ("small_cnn", "none", "ok", "small_cnn: random, as asked for"),
        ("pixels", "default", "ok", "pixels: default, on disk"),
        ("small_cnn", "default", "fail", "small_cnn: there are no published weights"),
        ("small_cnn", "here.pth", "ok", "small_cnn: here.pth, 0.0 MB"),
        ("small_cnn", "nowhere.pth", "fail", "small_cnn: no such file as nowhere.pth"),
        ("resnet18", "default", "warn", "resnet18: default weights are not on disk"),
        ("resnet18", "IMAGENET1K_V1", "warn", "resnet18: IMAGENET1K_V1 weights are not on disk"),
        ("resnet18", "IMAGENET9K", "fail", "resnet18: no weights are called 'IMAGENET9K'"),
        ("resnet81", "default", "fail", "no backbone is called 'resnet81'"),
        ("mine:build", "default", "ok", "mine:build: code of your own, which is not run here"),
    ],
)
def test_weights_are_looked_for_and_not_fetched(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, weights: str, state: str, found: str
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(elsewhere / "hub"))
    (elsewhere / "here.pth").write_bytes(b"weights")
    (finding,) = check_weights(experiment_of(elsewhere, backbone, weights))
    assert finding.state == state
    assert finding.found.startswith(found)
    assert bool(finding.advice) == (state != "ok")


def test_published_weights_that_are_on_disk_need_nothing(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(elsewhere))
    (elsewhere / "checkpoints").mkdir()
    (elsewhere / "checkpoints" / "resnet18-f37072fd.pth").touch()
    assert check_weights(experiment_of(elsewhere, "resnet18", "default"))[0].state == "ok"


@pytest.mark.parametrize(
    ("threads", "variable", "state"), [(1, "1", "warn"), (1, "", "ok"), (4, "4", "ok")], ids=["held", "free", "all"]
)
def test_a_variable_that_holds_torch_back_is_named(
    monkeypatch: pytest.MonkeyPatch, threads: int, variable: str, state: str
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    finding = check_cpu()
    assert finding.state == state
    assert finding.advice == ("unset OMP_NUM_THREADS to compute on all" if state == "warn" else "")


@pytest.mark.parametrize(("fast", "says"), [(True, "in hardware on cpu"), (False, "computes in fp32")])
def test_bf16_is_told_as_extraction_decides_it(monkeypatch: pytest.MonkeyPatch, fast: bool, says: str) -> None:
    monkeypatch.setattr("headstart.extractors.network.has_fast_bf16", lambda _: fast)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = check_low_precision()
    assert finding.state == "ok"
    assert says in finding.found


def test_gpus_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    gpu = SimpleNamespace(name="Some GPU", total_memory=80 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: gpu)
    found = (
        "Some GPU with 80.0 GB, Some GPU with 80.0 GB; torch is built for CUDA 13.0; JPEGs are decoded by torchvision"
    )
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    jpeg_decoder.cache_clear()
    assert check_gpu("auto") == Finding("GPU", "ok", found)
    assert check_gpu("cuda:2").state == "fail"


@pytest.mark.parametrize(("cuda", "advice"), [(None, "install torch and torchvision for CUDA"), ("13.0", "nvidia-smi")])
def test_a_gpu_that_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch, cuda: str | None, advice: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(Path, "glob", lambda *_: [Path("/dev/nvidia0")])
    finding = check_gpu("auto")
    assert (finding.state, advice in finding.advice) == ("warn", True)


@pytest.mark.parametrize(("wanted", "state"), [("auto", "warn"), ("on", "fail")])
def test_a_missing_compiler_matters_as_much_as_compiling_is_wanted(
    monkeypatch: pytest.MonkeyPatch, wanted: str, state: str
) -> None:
    monkeypatch.setattr("headstart.extractors.network.find_compiler", lambda: None)
    assert check_compiler(wanted).state == state


@pytest.mark.parametrize(("free", "state"), [(50e9, "ok"), (5e9, "warn"), (0.5e9, "fail")])
def test_free_disk_is_told_once_for_each_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, state: str
) -> None:
    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free)))
    (finding,) = check_disk([tmp_path / "not" / "there", tmp_path])
    assert (finding.state, bool(finding.advice)) == (state, state != "ok")
    assert str(tmp_path) in finding.found


def test_a_folder_that_may_not_be_written_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_disk([tmp_path])[0] == Finding(
        "disk", "fail", f"{tmp_path} may not be written", f"make it writable, or move {tmp_path}"
    )
