"""Batches that follow each other get the pages of the first."""

import platform
import subprocess
import sys

import pytest

# In a process of its own: what other tests left in the heap decides where a block fits.
MEASURE = """
import resource, sys, torch
from extractors.allocation import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = []
for _ in range(32):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 * 2**20 // 4)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[16])
"""


def faults_of_a_block(argument: str) -> int:
    """Return the page faults of the median block of 64 MiB."""
    command = [sys.executable, "-c", MEASURE, argument]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    given_back = faults_of_a_block("give back")
    if given_back < 100:
        pytest.skip("this system hands out pages without faults")
    assert faults_of_a_block("keep") < given_back / 10
