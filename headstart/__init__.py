"""Headstart: an image set becomes embeddings once, and classifiers as often as people like.

Here stand the jobs, each imported when it is first asked for. `flows`, `heads` and `extractors` are links to the
folders beside this one: the wheel holds them as `headstart.flows` and so on, and a checkout, an editor, mypy and pytest
find them under the same names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
