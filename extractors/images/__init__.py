"""An image set: a folder.

A manifest, tar shards, here or at an address; every kind becomes one `ImageSet`; `reading` gives the bytes of one
image. A new kind of source is one file here and one row in `sources`.

folders    Image sets that are folders: one folder per class, perhaps below train/, val/ and test/, or no classes at
           all.
columns    Columns of cells as they are written: numbers only where writing them back gives every cell, else text.
image_set  What every kind of image set is listed as: one row an image, the same columns wherever it came from.
layout     The first folders of an image set as splits or as classes, and folders that hold no images of it at all.
manifests  Image sets that are tables: a CSV or Parquet manifest with a column `path`, and what else is known of each
           image.
patterns   Patterns of file names, with braces as webdataset writes them: which texts are one, and what one stands for.
reading    The bytes of one image, wherever it lies: read, bounded in size, and digested.
roots      What the paths of an image set are relative to: a folder, or the prefix of an object store or web server.
sources    List an image set from wherever it lies, and read the bytes of its images.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
