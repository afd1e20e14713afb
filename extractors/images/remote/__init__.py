"""Images in object stores and on web servers, read and never written.

address  Addresses that are taken, shown without passwords and signatures.
objects  Listing of what lies at an address, with the tag that tells an unchanged object.
store    Reading through fsspec from S3, Google Cloud Storage and web servers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
