"""Transfer measured on cached embeddings: which features suit a task, before anything is fitted in earnest.

evidence    LogME.
quick       Nearest neighbours and ridge, each image told by the others.
separation  Regularised H-score.
spectrum    Decomposition that they share.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
