"""Images to label next: which of those without a label tell a classifier most, and none twice.

choosing   Walk along a strategy's order, past near copies, with as many of each predicted class as of the others.
clusters   Orders that need no label: an image of every cluster, the largest cluster first.
doubt      Orders by what the classifier is unsure of: margin, entropy, disagreement under dropout.
gradients  Order that spreads over the gradients which the images would give, so that a batch does not repeat itself.
images     Embeddings, the labels that are known, and what a classifier fitted on these says of all others.
strategies  Table of the strategies, and which one is taken where nobody says it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
