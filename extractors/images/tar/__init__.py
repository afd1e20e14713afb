"""Tar shards: the set, the walk through one file, what `.cls` and `.json` say.

archives  Image sets that are tar shards in WebDataset's convention, listed so that any member can be read without
          unpacking.
labels    What the `.cls` and `.json` members of tar shards say about the images of their sample.
walk      Walking through one tar file: where each image's bytes lie, what belongs to its sample, and where damage
          begins.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
