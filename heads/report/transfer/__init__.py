"""Pages of transfer measured: rankings, encoders that learned without labels.

pretrain_page  Page of an encoder that learned without labels.
rank_page      Page of a ranking of backbones and layers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
