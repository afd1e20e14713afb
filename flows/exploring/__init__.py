"""The jobs that look before anything is fitted: what there is, what a cache holds as arrays, clusters, layers.

catalogue        Heads, backbones and layers that there are, as rows.
cluster_page     Page of a clustering without scripts: maps and clusters.
cluster_summary  Values that `cluster` returns, for its page, its command and its callers.
clustering       Clustering of a cache, and its agreement with labels where there are some.
networks         Layers of a network, of a checkpoint or of a saved model.
opened           Cache opened in Python: images, labels and embeddings as arrays.
options          Options of a clustering.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
