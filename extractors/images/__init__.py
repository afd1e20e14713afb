"""A folder, a manifest, tar shards, a zip file, here or at an address: each becomes one table of images.

columns    Columns of cells as they are written: numbers only where writing them back gives every cell.
files      Files and addresses that are named one by one.
folders    Folders of classes, perhaps below train/, val/ and test/, or of images without classes.
formats    Formats of images by their first bytes: which are read, and which stay closed.
image_set  Table that every source is listed as: one row an image, the same columns.
layout     First folders as splits or as classes, and folders that hold no images of the set.
manifests  CSV and Parquet tables that name images, and what else is known of each.
patterns   File names with globs and brace ranges: which are patterns, and what they stand for.
prefixes   Addresses that are no single file: all that lies below one.
reading    Bytes of one image wherever it lies, bounded in size, and their digest.
roots      Place that an image set's paths are relative to: a folder or an address.
sources    Table of sources: which one claims a place, lists it, and reads its images.
zips       Zip files: listed as the folders in them, each member read where it lies.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
