"""An experiment file: its tables, reading it, what it may touch.

reading   An experiment file read, with every relative path in it anchored to a folder.
security  What a run may touch: an experiment's parameters against the limits of its table and of the serving process.
tables    An experiment file: one TOML page that says what to embed, with what, and which heads to fit.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
