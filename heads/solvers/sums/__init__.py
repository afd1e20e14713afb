"""Sums over parts of the images that folds share, in memory or block by block.

Here the words part, block, sample are explained once, in the face's docstring.

blocks           Features that are read a block of rows at a time, and a sample of them that is held in memory.
fold_parts       Images of several folds in an order in which each fold is made of stretches, so that one copy serves
                 all.
gram             The Gram matrix of many images' features, summed up in float64 without a float64 copy of them.
part_sums        The parts of the images that all folds are unions of, and sums over the images of each part.
standardisation  Features at mean 0 and variance 1, for heads that are solved for a whole grid at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
