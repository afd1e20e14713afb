"""Benchmarks, loaded as modules and run as commands."""

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import pytest
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
