"""A cache that is old or damaged is checked, tidied and taken elsewhere without torch.

integrity    Check of the marker, the listing, every key and every shard; shards put aside.
merging      Merging of small shards and dropping of unlisted rows; no row is unsealed meanwhile.
single_file  Export as one .h5, .npy or .parquet file in the order of the listing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
