"""The jobs `inspect`, `verify`, `compact`, `export`.

compaction    Make a cache small and tidy: full shards, and no row that no listed image has.
exporting     A cache's embeddings as one file for elsewhere: which key, which taps, which kind of file.
inspection    What a cache holds: images, keys, bytes, and what is in quarantine.
repair        One key of a cache made whole again: its damaged shards are put aside, their images embedded once more.
verification  Check a cache against its checksums; on demand embed again what is damaged, with the very key it was made
              with.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
