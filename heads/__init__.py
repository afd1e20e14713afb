"""(X, y) → fitted heads, scores, saved models: knows arrays; no image files, no torchvision, no HDF5, no Prefect.

errors      Tree of what can go wrong between an array and a fitted head.
features    Feature matrix from whatever numpy takes, checked and cast once.
folds       Folds of the images to train on: stratified, with groups kept whole.
isolation   Manners of jobs side by side: one thread each, warnings kept, no pause for garbage.
prediction  Predictions of a fitted head: numbers, or classes with a probability each.
row_by_row  Predictions that do not depend on how many other rows are asked about.
splits      Plan of which images fit, which choose, and which are scored once.
views       Views of an image as rows that follow each other: those fitted on, those scored.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
