"""The jobs that look before anything is fitted: what there is, what a cache holds as arrays, clusters, layers.

asked            Images asked about, of a cache or of elsewhere.
catalogue        Heads, backbones and layers that there are, as rows.
choosing         Images to label next: the job, from a cache and the labels so far to a file to fill in.
cluster_page     Page of a clustering without scripts: maps and clusters.
cluster_summary  Values that `cluster` returns, for its page, its command and its callers.
clustering       Clustering of a cache, and its agreement with labels where there are some.
known_labels     Labels that are known so far, and the file in which a person adds some.
networks         Layers of a network, of a checkpoint or of a saved model.
next_images      Values that the choice returns, for its page, its command and its callers.
opened           Cache opened in Python: images, labels and embeddings as arrays.
options          Options of a clustering, of choosing images to label next, and of a search.
similar_page     Page of images that are alike.
similar_summary  Values that `similar` returns, for its page, its command and its callers.
similarity       Search of a cache for images that are alike.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
