"""Sealed rows on disk, found by content. The only place that knows HDF5 (`shards`).

cache      The embedding cache: a folder of sealed shards, found by what an image contains and not by its name.
casting    Whether features survive being stored in fewer bits.
digests    SHA-256 digests of many images as an array, uint8 (n, 32): as hex in Python's strings each would take 121
           bytes.
index      Where each digest's row lies: by the index file for the shards that it knows, by the shards themselves for
           others.
row_table  Rows of shards sorted by digest, in memory or mapped, and the search in them.
shards     One sealed HDF5 file of embeddings; the only module that knows HDF5.
turn       Whose turn it is to write a key: the lock keeps other runs out, this what a dead run left at work on other
           machines.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
