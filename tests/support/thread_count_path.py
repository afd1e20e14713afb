"""A way to fit a whole grid that notes how many threads it may use; worker processes import it by name."""

import os
import uuid
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

PLACE = "THREAD_COUNTS_GO_TO"


def allow_many(folder):
    """Let this process use two threads of every kind, as a worker that somebody else started may do."""
    os.environ[PLACE] = str(folder)
    np.ones((2, 2)) @ np.ones((2, 2))
    torch.set_num_threads(2)
    threadpool_limits(2)


def solve(features, codes, scored, grid, seed):
    pools = [pool["num_threads"] for pool in threadpool_info()]
    text = " ".join(map(str, [*pools, torch.get_num_threads()]))
    (Path(os.environ[PLACE]) / f"{os.getpid()}-{uuid.uuid4()}").write_text(text)
    return [np.full((len(scored), codes.max() + 1), 1 / (codes.max() + 1)) for _ in grid]
