"""Which heads there are.

A head is ONE row: how to make it, its grid, its fast path, its streamed fit, its task. `regression.py` and its second
registry end here.

candidates  What a sweep compares: one feature matrix, one head, one choice of its hyper-parameters.
head        Which heads fit their whole grid on a fold in one go, and by what function.
lookup      A head by its name: a registered one, one that an installed package brings, or one of a user's own.
own_heads   Heads of a user's own: named as `module:Class`, or installed under the entry-point group `headstart.heads`.
presets     Sweeps for people who have no head in mind yet: which heads to try, and how widely.
table       The registry of heads: a name, one line for people, how to make it, and the hyper-parameters worth trying.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
