"""Batches that follow each other get the pages of the first; and holes in the heap are given back on demand."""

import platform
import subprocess
import sys

import pytest

# In a process of its own: what other tests left in the heap decides where a block fits.
MEASURE = """
import resource, sys, torch
from headstart.extractors.memory import keep_freed_memory
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


HOLES = """
from pathlib import Path
from headstart.extractors.memory import give_back_freed_memory

def own():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024

blocks = [bytearray(b"x" * 100_000) for _ in range(2000)]  # 200 MB, each too small to be mapped by itself
del blocks[::2]
before = own()
assert give_back_freed_memory()
print(before - own())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    given_back = faults_of_a_block("give back")
    if given_back < 100:
        pytest.skip("this system hands out pages without faults")
    assert faults_of_a_block("keep") < given_back / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_holes_between_what_stays_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 80 * 10**6
