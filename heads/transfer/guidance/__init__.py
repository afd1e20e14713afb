"""Guided transfer learning: weights that easy problems of the source did not need to move are held back.

bodies      Bodies that are held back: the hidden layers of a perceptron, a network up to its classifier.
comparison  Guided training beside its three controls, at several shots, over seeds.
scouts      Movement of each weight for sub-problems of the source.
values      Guide values of these movements, and those of the controls.
verdict     Paired tests of the guide against its controls, over seeds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
