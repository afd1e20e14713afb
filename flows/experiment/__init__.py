"""An experiment written down as one TOML page, checked before it runs.

reading   Reading of the file; its relative paths are anchored to a folder.
security  Limits of what a run may read and write.
tables    Tables and fields of the file, with their defaults.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
