"""The image set as last seen, each image with its digest; listing again reads only what is new or changed.

cache_listing  The cache's listing: the image set as last seen, each image with the digest under which its embedding is
               found.
known_digests  Digests that are known without reading a file: from the earlier listing, and those that a limited one
               left out.
listing_file   The file of a cache's listing: Parquet, opened without reading it whole, and its rows in the types that
               they had.
update         A folder, manifest or set of tar shards listed again: only what is new or changed is read.
usable_images  The usable images of a listing in little memory: millions of rows, of which only a few are ever looked
               at.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
