"""Arrays → inline SVG.

charts      The report's figures: arrays → inline SVG that follows the page's theme and is the same on every run.
map         The report's map: images as points on a plane, drawn as a small SVG, with what a reader may ask of each
            point.
plots       Figures of scores: against the cost of the fit, the number of labels, and what a head says of itself.
projection  Embeddings onto a plane, for the report's map.
svg         A matplotlib figure as one inline `<svg>` that takes its text colour and its font from the page around it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
