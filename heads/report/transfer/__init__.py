"""Pages of transfer measured: rankings.

multitask_page  Page of label columns over a shared trunk.
rank_page       Page of a ranking of backbones and layers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
