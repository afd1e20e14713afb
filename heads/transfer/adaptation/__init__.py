"""Heads for a target without labels, from a source with labels: each method beside one that never saw the target.

adapted     Adapted head and its candidates, as every method gives them.
alignment   Mean, correlations or directions of the source made those of the target.
choosing    Hyper-parameters chosen on the source.
domains     Two domains as arrays, and how well they are told apart.
linear      Linear head on aligned domains, folded for the target's own features.
methods     Table of the methods.
networks    Small networks whose features hide the domain.
transport   Optimal transport, an extra.
weighting   Images of the source weighed by how much they look like the target.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
