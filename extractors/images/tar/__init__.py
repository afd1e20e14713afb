"""Tar shards in WebDataset's convention, read in place.

archives  Listing of a set of shards: any member can be read without unpacking.
labels    Labels of a sample from its `.cls` and `.json` members.
walk      Walk through one tar file: where each member's bytes lie, and where damage begins.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
