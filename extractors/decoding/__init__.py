"""The bytes of an image become the pixels that a backbone was trained to see.

decode     Decoding by Pillow to uint8 RGB; an image that cannot be decoded gets its reason.
gpu_jpegs  JPEGs decoded, resized and cropped on the GPU that embeds them.
prefetch   Images read and decoded ahead of the forward pass, on threads or on its GPU.
resizing   Resize and crop in torchvision's geometry, to the pixel.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
