"""Benchmarks, loaded as modules and run as commands."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from support.forked import Forked, run_forked
from support.source_modules import ROOT


def load(name: str) -> ModuleType:
    path = ROOT / "benchmarks" / f"{name}.py"
    if str(path.parent) not in sys.path:  # where a script looks for its neighbours
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(name: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Run a benchmark's command and return what it printed."""
    load(name).main([*arguments, "--json"])
    return dict(json.loads(capsys.readouterr().out))


def run_forking(start: Callable[..., Any]) -> Callable[..., Any]:
    """`subprocess.run` that forks what is Python."""

    def run(command: list[str], *, cwd: Path | None = None, **options: Any) -> Any:
        if command[0] != sys.executable:
            return start(command, cwd=cwd, **options)
        ran = run_forked(*command[1:], env=os.environ, cwd=cwd)
        ran.check_returncode()
        return ran

    return run


def popen_forking(start: Callable[..., Any]) -> Callable[..., Any]:
    """`subprocess.Popen` that forks what is Python."""

    def begin(command: list[str], **options: Any) -> Any:
        return ForkedWithInput(command[1:]) if command[0] == sys.executable else start(command, **options)

    return begin


class ForkedWithInput:
    """A forked process that reads its standard input until somebody communicates with it."""

    def __init__(self, command: list[str]) -> None:
        self._folder = TemporaryDirectory()
        pipe = Path(self._folder.name, "in")
        os.mkfifo(pipe)
        self._writing = os.open(pipe, os.O_RDWR)  # which waits for no reader
        code = f"import runpy, sys; sys.stdin = open({str(pipe)!r}); sys.argv = {command!r}"
        code += "; runpy.run_path(sys.argv[0], run_name='__main__')"
        self._process = Forked("-c", code, env=os.environ, out=Path(self._folder.name, "out"))

    def communicate(self) -> None:
        os.close(self._writing)
        status = self._process.wait(timeout=60)
        assert status == 0, Path(self._folder.name, "out").read_text()
        self._folder.cleanup()
