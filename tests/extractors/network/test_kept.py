"""A compiled network is taken up again where this user wrote it, byte by byte, and made of the same; else it is not."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.extractors.errors import CacheError
from headstart.extractors.network import kept
from headstart.extractors.network.compilation import CannotCompile
from headstart.extractors.network.kept import KeptNetwork, NotPrivateError, private_folder

PIXELS = torch.ones((1, 2, 2, 3), dtype=torch.uint8)
MADE_OF = {"torch": "2"}


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ways in which networks were compiled: the code is a word, which a network gives back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    ways: list[str] = []

    def compile_library(_function: Any, _module: Any, _pixels: Any, folder: Path) -> Path:
        ways.append("ahead")
        (folder / "network.so").write_text(f"code {len(ways)}")
        return folder / "network.so"

    def compile_forward(_function: Any) -> Any:
        ways.append("here")
        return lambda _: "compiled here"

    def load_library(path: Path, *_: Any) -> Any:
        code = path.read_text()
        return lambda _: code

    monkeypatch.setattr(kept, "compile_library", compile_library)
    monkeypatch.setattr(kept, "compile_forward", compile_forward)
    monkeypatch.setattr(kept, "load_library", load_library)
    return ways


def run(made_of: dict[str, Any] = MADE_OF) -> tuple[Any, KeptNetwork]:
    """Features by a network, as a new process computes them."""
    network = KeptNetwork(made_of, ["tap"], PIXELS.shape)
    network.load()
    network.make_of(lambda _: {}, torch.nn.Identity())
    return network.compute(PIXELS), network


def libraries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home" / "headstart" / "networks").glob("*.so"))


def test_what_was_compiled_is_taken_up_by_the_next_run(compiled: list[str]) -> None:
    first, again = run(), run()
    assert (first[0], again[0], compiled) == ("code 1", "code 1", ["ahead"])
    assert (first[1].loaded, again[1].loaded, again[1].reason) == (False, True, "")


def test_what_is_made_of_something_else_is_compiled_beside_it(compiled: list[str]) -> None:
    assert [run({"torch": version})[0] for version in ("2", "3", "2")] == ["code 1", "code 2", "code 1"]


def test_only_this_user_may_read_or_write_it(compiled: list[str], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run()
    finally:
        os.umask(before)
    (library,) = libraries(tmp_path)
    assert (stat.S_IMODE(library.stat().st_mode), stat.S_IMODE(library.parent.stat().st_mode)) == (0o600, 0o700)


def change(path: Path) -> None:
    path.write_text("code 9")


def cut(path: Path) -> None:
    os.truncate(path, 3)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def open_to_others(path: Path) -> None:
    path.chmod(0o666)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [change, cut, link, open_to_others, pipe])
def test_what_is_not_as_it_was_written_is_never_loaded(
    compiled: list[str], tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    run()
    (library,) = libraries(tmp_path)
    harm(library)
    assert run()[0] == "code 2"
    (anew,) = libraries(tmp_path)
    assert (anew.read_text(), run()[0], compiled) == ("code 2", "code 2", ["ahead", "ahead"])


def test_what_somebody_else_owns_is_never_loaded(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    own = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda file: os.stat_result((*own(file)[:4], own(file).st_uid + 1, *own(file)[5:]))
    )
    assert not KeptNetwork(MADE_OF, ["tap"], PIXELS.shape).load()


def test_what_somebody_else_put_there_is_never_loaded(compiled: list[str], tmp_path: Path) -> None:
    run()
    (library,) = libraries(tmp_path)
    library.unlink()
    planted = library.with_name(f"{library.name.split('.')[0]}.{'0' * 64}.so")
    planted.write_text("code 7")
    assert run()[0] == "code 2"
    assert not planted.exists()


def test_half_a_file_of_a_run_that_was_killed_is_never_loaded(compiled: list[str], tmp_path: Path) -> None:
    run()
    (library,) = libraries(tmp_path)
    library.rename(library.with_name(f"{library.name}.host-0123456789abcdef.part"))
    assert run()[0] == "code 2"


@pytest.mark.parametrize("place", ["home", "home/headstart", "home/headstart/networks"])
def test_where_others_may_write_nothing_is_loaded_or_kept(compiled: list[str], tmp_path: Path, place: str) -> None:
    run()
    (tmp_path / place).chmod(0o777)
    found, network = run()
    assert (found, compiled) == ("compiled here", ["ahead", "here"])
    assert network.reason == (
        f"{tmp_path / place}: others may write there; run chmod {'go-rwx' if 'works' in place else 'go-w'} "
        f"{tmp_path / place}"
    )


def test_a_folder_of_somebody_else_is_refused(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    private_folder()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(NotPrivateError, match=r"networks: belongs to somebody else; set XDG_CACHE_HOME to"):
        private_folder()


def test_a_folder_that_cannot_be_made_is_said(compiled: list[str], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    found, network = run()
    assert found == "compiled here"
    assert network.reason.endswith("; set XDG_CACHE_HOME to a folder of your own")


def test_a_full_disk_costs_the_next_run_and_not_this_one(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> Any:
        raise CacheError(f"{path}: the disk is full")

    monkeypatch.setattr(kept, "atomic_file", full)
    found, network = run()
    assert (found, compiled, libraries(tmp_path)) == ("code 1", ["ahead"], [])
    assert network.reason.endswith(": the disk is full")


def test_two_at_once_compile_once(compiled: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert [found for found, _ in pool.map(run, [MADE_OF] * 2)] == ["code 1"] * 2
    assert compiled == ["ahead"]


def test_a_library_that_does_not_load_is_compiled_anew(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    load = kept.load_library

    def fails_once(*arguments: Any) -> Any:
        monkeypatch.setattr(kept, "load_library", load)
        raise RuntimeError("undefined symbol: torch_was_another\nand more")

    monkeypatch.setattr(kept, "load_library", fails_once)
    found, network = run()
    assert (found, len(libraries(tmp_path))) == ("code 2", 1)
    assert "cannot be loaded (undefined symbol: torch_was_another)" in network.reason


def test_a_network_that_cannot_be_kept_is_compiled_for_this_run(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> Path:
        raise CannotCompile("torch cannot compile this network: loops of unknown length")

    monkeypatch.setattr(kept, "compile_library", refuses)
    found, network = run()
    assert (found, network.loaded) == ("compiled here", False)
    assert network.reason == "torch cannot compile this network: loops of unknown length"


def test_those_that_were_not_used_for_longest_make_way(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 2 * len("code 1"))
    for version in "12":
        run({"torch": version})
        for library in libraries(tmp_path):
            os.utime(library, (1, 1 + int(library.read_text()[-1])))
    run({"torch": "1"})
    run({"torch": "3"})
    assert [library.read_text() for library in libraries(tmp_path)].count("code 2") == 0
    assert len(libraries(tmp_path)) == 2


def test_what_the_compiler_keeps_is_no_more_open_to_others(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    seen: list[str] = []
    compile_library = kept.compile_library
    monkeypatch.setattr(
        kept,
        "compile_library",
        lambda *given: (seen.append(os.environ["TORCHINDUCTOR_CACHE_DIR"]), compile_library(*given))[1],
    )
    run()
    assert seen == [str(tmp_path / "home/headstart/networks/torch")]
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
