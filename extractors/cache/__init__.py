"""Embeddings as sealed rows on disk, found by what an image contains and not by its name.

cache      Folder of keys, each with its sealed shards; views of rows by digest.
casting    Check that features survive being stored in fewer bits.
claims     Checks of a dataset's place and bytes before they are believed.
digests    Digests of many images as one array, sorted and numbered.
folders    Folders that are no cache, or a cache without anything in it.
index      Search for the shard and row of each digest, with or without the index file.
row_table  Rows of shards sorted by digest, in memory or mapped from the index file.
shards     Sealed HDF5 file with checksums; the only room that knows HDF5.
turn       Claim to write a key, which outdates whatever a dead run left at work elsewhere.
view       Rows of one tap by shard and row, small when pickled, an array when asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
