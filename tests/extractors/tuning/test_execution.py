"""Records of how a run computes: read back as they were written, or decided anew."""

from pathlib import Path

import pytest
import torch

from headstart.extractors.tuning.execution import Execution


def test_an_execution_is_read_as_it_was_written(tmp_path: Path) -> None:
    execution = Execution(batch_size=16, compiled=True, threads=3, images=9, notes=("batches of 16",))
    execution.write(tmp_path)
    assert Execution.read(tmp_path) == execution


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"batch_size": 4}', b'{"size": 4, "notes": []}'])
def test_an_execution_that_is_missing_or_damaged_is_decided_anew(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "execution.json").write_bytes(content)
    assert Execution.read(tmp_path) is None


def test_a_run_computes_with_the_threads_that_were_recorded() -> None:
    before = torch.get_num_threads()
    with Execution(batch_size=1, threads=1).threads_set():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
