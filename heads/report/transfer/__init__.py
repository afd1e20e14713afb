"""Pages of transfer measured: rankings and advice.

advice_page  Page of advice: what to do, and what was measured for it.
rank_page    Page of a ranking of backbones and layers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
