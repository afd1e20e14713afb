"""Arrays become inline SVG that follows the page's theme and is the same on every run.

axes        Figures of a result on matplotlib's axes, for notebooks.
charts      Confusion matrix and training curve.
coverage    Wrong answers against answers given, and sizes of sets.
curves      Curves of each class: true against false positives, precision against recall.
episodes    Accuracy of few-shot methods with intervals over episodes.
layers      Score of each layer of each backbone.
map         Map of the images as points, with what a reader may ask of each.
plots       Scores against the cost of a fit, the number of labels, and claimed probabilities.
projection  Projection of embeddings onto a plane.
svg         Matplotlib figure as one inline `<svg>`, and the palette.
tails       Score of a tail beside linear heads, and its training in phases.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
