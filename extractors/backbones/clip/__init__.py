"""Networks of two towers that put images and texts into one space: CLIP and its like, from open_clip.

both_towers  Network as open_clip builds it, with the weights of a file or random ones.
image_tower  Its image tower as a backbone.
text_tower   Its text tower: vectors of texts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
