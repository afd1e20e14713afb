"""The job `cluster`; ranking of backbones and advice move in here.

cluster_page     The page of a clustering, one file without scripts: a map for each method and for the labels, and the
                 clusters.
cluster_summary  What `cluster` found, as its page, its command and its callers read it.
clustering       Cache → clusters: which images are alike, where no labels say so, and how that agrees with labels that
                 do.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
