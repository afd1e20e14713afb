"""Bytes to pixels: Pillow, the GPU, resize and crop, and reading ahead of the forward pass.

decode     From encoded bytes to uint8 RGB as the backbone sees it; what cannot be decoded says why.
gpu_jpegs  JPEGs decoded, resized and cropped on the GPU that embeds them; what it is not made for is left to Pillow.
prefetch   Images read and decoded ahead of the forward pass, on threads or on its GPU.
resizing   Resize and crop: torchvision's geometry for Pillow images to the pixel, so that features agree with its
           pipelines.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
