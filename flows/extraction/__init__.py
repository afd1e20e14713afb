"""The job `extract`, here or on Dask workers.

cluster      Where shards are embedded when one process is not enough: Dask workers here, one a GPU, or on a cluster.
gpu_lock     One extraction a GPU: a file lock on this host, which goes with the process however that ends.
gpu_workers  One Dask worker for each GPU of this machine.
job          Images → cache: list the set, embed what is new with every backbone asked for, and say what came of it.
scaled       An extraction whose shards are embedded by Dask workers: what is decided once, and how many are under way.
summary      What an extraction tells of itself: each key that it filled or found complete, and the whole.
worker       What runs on a Dask worker; the scheduler imports this, too, and should not have to load torch for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
