"""The heads that there are: each is one row, found by its name.

asked       Heads as people ask for them: a name, a name with values to try, or an estimator.
candidates  Candidates of a sweep: one feature matrix, one head, one choice of its hyper-parameters.
head        Columns of a row: maker, grid, task, fast path, streamed fit.
lookup      Search for a head by its name: registered, installed, or the user's own.
own_heads   Heads of users: `module:Class`, or the entry points `headstart.heads`.
presets     Sweeps for people who have no head in mind: quick, standard, thorough.
table       Rows of all registered heads.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
