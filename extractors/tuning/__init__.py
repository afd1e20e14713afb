"""As fast as the features allow: shortcuts are measured on the first images before they are taken.

execution     Way a key is computed (batch size, compiling, threads), kept, for it decides the last bits.
fidelity      Distance of a run's features from those of the plain network in float32.
first_images  First images of a listing, on which the ways to compute are compared.
pixels_seen   Pixels of a set as its files hold them: their range, and other colours than sRGB.
preparation   Preparation of a run's forward pass, checked against the plain network.
rounding      Loss that each layer's bfloat16 brings, and the layers to compute in float32 instead.
shortcuts     Choice of bfloat16 and drafted JPEGs, which settles the key before a row is made.
work          Count of what a forward pass computes, by which it is decided whether to compile.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
