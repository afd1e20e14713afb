"""Clusters chosen and named: the layer whose groups hold when images are left out, and names that a few labels allow.

naming     Names of clusters by a few labels, and how far they tell labels that are left out.
stability  Agreement of clusterings of overlapping parts, beside features without groups.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
