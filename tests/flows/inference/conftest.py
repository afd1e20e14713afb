"""Caches that tests of saved models begin with, and what is the same for all ONNX files."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.copied_caches import embedded, made_caches  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def tables_of_operators() -> Iterator[None]:
    """What torch's exporter may write and what it takes apart: looked up once, and not for each file."""
    from torch._export import utils
    from torch.onnx._internal.exporter import _decomp
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    decompositions: list[dict[Any, Callable[..., Any]]] = []

    def table(registered: set[Any]) -> dict[Any, Callable[..., Any]]:
        if not decompositions:  # of one registry
            decompositions.append(make_table(registered))
        return dict(decompositions[0])

    make_table = _decomp.create_onnx_friendly_decomposition_table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        patch.setattr(_decomp, "create_onnx_friendly_decomposition_table", table)
        for name in ("_collect_all_valid_cia_ops_for_namespace", "_materialize_cpp_cia_ops"):
            patch.setattr(utils, name, functools.cache(getattr(utils, name)))
        yield
