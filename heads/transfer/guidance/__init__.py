"""Guided transfer learning: weights that easy problems of the source did not need to move are held back.

bodies      What is held back: the hidden layers of a perceptron, a network up to its classifier.
comparison  Guided training beside its three controls, at several shots, over seeds.
scouts      How far each weight moves for sub-problems of the source.
values      Guide values of these movements, and the controls' of them.
verdict     Whether the guide beats its controls, by paired tests over seeds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
