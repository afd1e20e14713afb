"""The job `extract`: from an image set to a filled cache, in this process or on Dask workers.

choices      Default cache, and refusal of what is misspelt before anything is read.
cluster      Dask workers that embed shards: on this machine, one a GPU, or on a cluster.
gpu_lock     Lock that lets one job use a GPU, and that goes with the process.
gpu_workers  Dask worker for each GPU of this machine.
job          Job as a function: lists the set, embeds what is new with every backbone.
keys         Keys of an extraction, one after another, their views behind them.
options      Options of an extraction, and their keywords.
scaled       Extraction on workers: decided once, with some shards under way at a time.
summary      Values that an extraction returns: each key that it filled or found complete.
worker       Functions that run on a Dask worker; its scheduler imports them without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
