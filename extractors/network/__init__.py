"""The frozen forward pass: uint8 images in, one float32 row an image and tap out.

casting      Layers that compute in bfloat16, and those that stay in float32.
compilation  Compiled forward pass, where there is a compiler for it.
cutting      Layers at which a network can be cut in two.
dependencies All that compiled code follows from.
device       Choice of the device, and whether it is fast at bfloat16.
folding      Same network with less to do: batch norms folded, attention without its detour.
forward      Forward pass of a batch on a device, in a precision.
kept         Compiled networks of before, in a folder of this user alone.
layers       Layers that can be tapped, with what each puts out.
layouts      Order of a layer's axes: channels first or last.
summary      Network layer by layer: taps, cuts, parameters, multiply-adds.
tail         Upper part of a network, cut off and held against the whole.
taps         Readers of named layers, each pooled to one row an image.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
