"""Batches that follow each other get the pages of the first."""

import platform
import resource

import pytest
import torch

from extractors.allocation import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    assert keep_freed_memory()

    def faults_of_a_batch() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(64 * 2**20 // 4)  # 64 MiB, which glibc gives back by default: 16 384 pages each time
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults_of_a_batch()
    assert faults_of_a_batch() < 1000
