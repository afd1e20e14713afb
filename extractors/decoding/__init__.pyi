from .decode import decode_image as decode_image
from .decode import thumbnail as thumbnail
from .prefetch import Decoded as Decoded
from .prefetch import Decoding as Decoding
from .prefetch import Listed as Listed
from .prefetch import decode_images as decode_images
