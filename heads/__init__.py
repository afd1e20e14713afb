"""(X, y) → fitted heads, scores, saved models: knows arrays; knows no image files, no torchvision, no h5py, no Prefect.

Here stand the registry and the errors, which load nothing but the standard library.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
