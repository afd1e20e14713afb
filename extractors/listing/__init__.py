"""The image set as last seen, each image with its digest: only new and changed files are read again.

cache_listing  Listing that a cache keeps, opened and written.
checking       Checks of columns, types, digests, paths and number of rows before they are believed.
known_digests  Digests that need no reading: those of the earlier listing.
listing_file   Parquet file of a listing, opened without reading it whole.
other_sets     Images of earlier listings that the present one replaced, whose rows nobody gave up.
sealing        Parquet files that carry a checksum of all their bytes, footer included.
update         Comparison of a source with its listing; reads what is new or changed.
usable_images  Millions of usable rows in little memory, of which few are looked at.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
