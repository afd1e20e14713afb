"""The frozen forward pass: taps, pooling, folding, compiling, device.

compilation  Compiling the forward pass, where there is a compiler for it.
device       Where the forward pass computes, and whether it is fast at bfloat16 there.
folding      The same network with less to do: batch norms folded into convolutions, attention without its detour.
forward      The frozen forward pass: a batch of uint8 images in, one float32 array a tap out.
layouts      Which axis of a layer's four holds the channels: (n, C, H, W) or (n, H, W, C).
taps         Taps: read named layers of a backbone out in one forward pass, and pool what they put out to one row per
             image.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
