"""What an embedding is made by.

As plain values that need no torch: key, preprocessing, tap, settings, what `--weights` may mean. Everything else may
lean on it.

key               The name under which embeddings are cached: everything that changes the numbers, and nothing else.
preprocessing     What happens to an image between decoding and the backbone, as plain numbers that go into the cache
                  key.
settings          How an extraction computes, as plain values: to ask for it needs no torch.
tap               What a tap is: the name of a layer and a pooling; reading it out is `extractors.network.taps`, which
                  needs torch.
weights_argument  What the option `--weights` may mean: a reserved word, the name of published weights, or a file; needs
                  no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
