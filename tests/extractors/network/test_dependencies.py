"""Whatever changes what a compiler makes of a network changes what its code is kept by, and nothing else does."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.network import dependencies
from headstart.extractors.network.dependencies import all_dependencies, settings_of
from headstart.extractors.spec.tap import Tap

BACKBONE = load_backbone("small_cnn", weights="none")
GIVEN: dict[str, Any] = {"backbone": BACKBONE, "taps": [Tap()], "shape": (16, 32, 32, 3), "precision": "fp32"}


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": replace(BACKBONE, weights="sha256:0")},
        {"backbone": replace(BACKBONE, preprocessing=replace(BACKBONE.preprocessing, mean=(0.0, 0.0, 0.0)))},
        {"taps": [Tap(), Tap.parse("features.0:max")]},
        {"shape": (8, 32, 32, 3)},
        {"precision": "bf16"},
        {"in_float32": ("features.0",)},
        {"plain": True},
    ],
    ids=str,
)
def test_another_network_or_way_has_other_code(other: dict[str, Any]) -> None:
    assert all_dependencies(**(GIVEN | other)) != all_dependencies(**GIVEN)


def torch_is_newer(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setattr(torch, "__version__", "9.9")


def processor_is_another(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setattr(dependencies, "_processor", lambda: ["Linux", "x86_64", "AVX2", "flags : avx2"])


def compiler_is_newer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "g++").write_text("another")
    monkeypatch.setattr(dependencies, "find_compiler", lambda: str(folder / "g++"))


def compiler_is_gone(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setattr(dependencies, "find_compiler", lambda: None)


def folding_is_another(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setattr(dependencies, "_digest_of_code", lambda: "0")


def settings_are_others(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI")


@pytest.mark.parametrize(
    "change",
    [
        torch_is_newer,
        processor_is_another,
        compiler_is_newer,
        compiler_is_gone,
        folding_is_another,
        settings_are_others,
    ],
)
def test_on_another_machine_or_version_it_is_other_code(
    change: Callable[[pytest.MonkeyPatch, Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = all_dependencies(**GIVEN)
    change(monkeypatch, tmp_path)
    assert all_dependencies(**GIVEN) != before


def test_threads_are_part_of_it_however_they_were_set() -> None:
    before, threads = all_dependencies(**GIVEN), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert all_dependencies(**GIVEN) != before
    finally:
        torch.set_num_threads(threads)
    assert all_dependencies(**GIVEN) == before


def test_variables_that_change_no_code_are_passed_over() -> None:
    none = {"OMP_NUM_THREADS": "1", "KMP_INIT_AT_FORK": "FALSE", "TORCHINDUCTOR_CACHE_DIR": "/x", "PATH": os.defpath}
    assert settings_of(none | {"ATEN_CPU_CAPABILITY": "avx2"}) == {"ATEN_CPU_CAPABILITY": "avx2"}


def test_the_digest_of_code_is_over_the_rooms_that_make_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room = tmp_path / "network" / "folding.py"
    room.parent.mkdir()
    monkeypatch.setattr(dependencies, "__file__", str(tmp_path / "network" / "dependencies.py"))
    digest, found = dependencies._digest_of_code.__wrapped__, set()
    for text in ("one", "two", "one"):
        room.write_text(text)
        found.add(digest())
    assert len(found) == 2
