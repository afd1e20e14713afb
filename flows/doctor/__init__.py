"""Questions to a machine before it is trusted with a night: nothing is changed or fetched.

diagnosis     Round of all checks, in order.
experiment    Check of an experiment: its names, its images, what it may touch, the GPUs it wants.
finding       Finding of a check: one line, and the next step where it is not well.
installation  Check of the installed libraries and of the weights on disk.
machine       Check of cores, bfloat16, GPUs, compiler and free disk.
services      Check of the configured servers of Prefect and Dask, none waited for long.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
