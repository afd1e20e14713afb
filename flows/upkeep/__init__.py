"""The jobs `inspect`, `verify`, `compact` and `export`: a cache looked at and looked after.

compaction    Job `compact`: full shards, and no row without a listed image.
exporting     Job `export`: a key's embeddings as one file for elsewhere.
inspection    Job `inspect`: images, keys, bytes and quarantine.
repair        Repair of one key: damaged shards put aside, their images embedded again.
verification  Job `verify`: every checksum, and repair on demand.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
