"""Few-shot episodes: how well a few labelled images of each of a few classes tell the others, drawn anew many times.

cosine        Cosine head of every episode at once.
drawing       Classes, shots and queries of each episode, and which images say where the features' middle is.
methods       Table of methods, each with what it assumes.
products      Inner products of an episode's images, from any origin and at unit length.
scoring       Accuracy of each method in each episode.
transductive  Methods that look at all queries of an episode together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
