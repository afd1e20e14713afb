"""The bytes of an image become the pixels that a backbone was trained to see.

damage        Errors of Pillow's readers, told as what is wrong with the image.
decode        Decoding by Pillow to uint8 RGB; an image that cannot be decoded gets its reason.
deep_pixels   Pixels of more than 8 bits, read whole, and the range in which a set's lie.
gpu_jpegs     JPEGs decoded, resized and cropped on the GPU that embeds them.
looking       Looks at images before they are embedded.
pixel_memory  Memory that all decoding threads share.
prefetch      Images read and decoded ahead of the forward pass, on threads or on its GPU.
profiles      Colour profiles other than sRGB, converted where the key asks for it.
readers       Readers of formats: Pillow's, or one of our own.
remarks       Remarks on images: nothing is wrong, and a person should know.
resizing      Resize and crop in torchvision's geometry, to the pixel, and augmented views.
tiff_bands    Bands of a TIFF: read right, or named.
upright       Orientation by EXIF.
white_paper   Transparency laid on white.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
