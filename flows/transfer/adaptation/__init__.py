"""The job `adapt`: heads for a target without labels, each beside one that never saw it.

files    Model, predictions, table and page.
job      Job as a function: from a source and a target to a saved model and a page.
options  Options of an adaptation.
scoring  Scores on the target's labels, looked at once, and differences from controls.
sides    Images of both domains, and the embeddings that they have in common.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
