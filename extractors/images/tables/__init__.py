"""Tables as people have them: any separator and encoding, any usual name for the images, or the images themselves.

embedded        Parquet files that hold the images themselves, as those of the Hugging Face hub do.
embedded_bytes  Bytes of the images in a Parquet file, each by its number.
names           Column that names the images, and columns that would overwrite one of the listing's.
places          Names that are no paths as they stand: Windows separators, ids without folder or suffix.
row_claims      Bound on the rows that a Parquet file of so many bytes may claim.
text_tables     CSV by whichever separator, in whichever encoding.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
