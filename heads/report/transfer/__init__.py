"""Pages of what is measured beyond a head, one a job.

adapt_page      Page of a target beside its source: methods, controls, and both on one map.
advice_page     Page of advice: what to do, and what was measured for it.
episodes_page   Page of few-shot episodes.
guide_page      Page of a guide beside its controls.
multitask_page  Page of label columns over a shared trunk.
pretrain_page   Page of an encoder that learned without labels.
rank_page       Page of a ranking of backbones and layers.
reduction_page  Page of a reduction.
zero_shot_page  Page of methods for classes without images, and their rivals.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
