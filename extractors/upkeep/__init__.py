"""A cache looked after: checked, merged, written as one file.

integrity    Whether a cache is what was written: its marker, its listing, every key and every shard; and shards put
             aside.
merging      Small shards merged into full ones, and rows that no listed image has dropped; never a moment without a
             sealed row.
single_file  One file for elsewhere: features in the listing's order, with what is known of each image, and the key.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
