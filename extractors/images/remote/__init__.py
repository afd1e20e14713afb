"""Addresses: which are taken, the store behind them, the objects in it.

address  Which addresses of remote images are taken, and how they are shown: never with a password or a signature.
objects  Image sets in object stores and on web servers: what lies there, and by which tag an unchanged object is known.
store    Objects of S3, Google Cloud Storage and web servers, read through fsspec; nothing is written there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
