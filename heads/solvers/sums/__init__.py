"""Sums over the parts of the images that all folds are unions of, in memory or block by block.

A part is a set of images that every fold takes whole or not at all; a block is a stretch of rows that is read at
once; a sample is rows drawn from all blocks and held in memory.

blocks           Features read a block of rows at a time, and a sample of them in memory.
fold_parts       Images in an order in which each fold is made of stretches: one copy serves all.
gram             Gram matrix in float64, without a float64 copy of the features.
part_sums        Parts of the images, and the sums over each.
standardisation  Features at mean 0 and variance 1.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
