"""As fast as the features allow: first images, shortcuts, batch size, how far off, and what was decided.

batch_size    How many images a forward pass takes best: small batches win on many processors, by up to a factor of two.
execution     How the forward pass is run: batch size, compiled or not, threads. It decides the last bits, so it is
              kept.
fidelity      How near the features of a run are to those of the plain network in float32, shown on the first images.
first_images  The first images of a listing, on which the ways to compute are compared before all others follow.
preparation   Make the forward pass of a run: as fast as it pays for so many images, and checked against the plain
              network.
shortcuts     Which shortcuts a run may take — bfloat16, drafted JPEGs — so that its key is known before anything is
              embedded.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
