"""Where networks come from: torchvision, timm, our own, a callable; weights, loaded strictly.

backbone            What a backbone is: a frozen module with everything that is needed to read features out of it.
own_models          Backbones that come from no model zoo: Headstart's own two, and any module that a callable of yours
                    returns.
registry            One registry over torchvision, timm, Headstart's own and your own: a name and weights give a frozen
                    backbone.
small_cnn           A small convolutional encoder for small images: learns on a CPU in seconds, and transfers.
strict_loading      Put a checkpoint into a module, strictly: every weight of the one is in the other, in the same
                    shape.
timm_models         Backbones from timm (optional), each with the preprocessing that its weights were trained with.
torchvision_models  Backbones from torchvision: any of its classification models, with published weights, own weights or
                    random ones.
torchvision_table   torchvision's classification models as data: each one's classifier and feature size, known without
                    building it.
weights             Weights: where they lie, how they are fetched, read without running code, and told apart by their
                    hash.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
