"""Whether this machine can do it.

diagnosis     Whether this machine can do what is asked of it: everything is looked at, nothing is changed or fetched.
experiment    Whether an experiment can start: its names, its images, what it may touch, and GPUs where it wants
              several.
finding       What a look at an installation found: one line a thing, and the next step where it is not well.
installation  What is installed, and which weights are on disk.
machine       What the machine has: cores, bfloat16, GPUs, a compiler, and free disk.
services      The servers that are configured: Prefect's and Dask's. No other is connected to, and none is waited for
              long.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
