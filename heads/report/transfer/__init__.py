"""Pages of transfer measured: rankings.

episodes_page   Page of few-shot episodes.
rank_page       Page of a ranking of backbones and layers.
reduction_page  Page of a reduction.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
