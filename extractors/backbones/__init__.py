"""One name and one word for the weights give a frozen network, whichever library it comes from.

aliases             Names by which people ask for backbones, and six to begin with.
backbone            Frozen network with all that is needed to read features out of it.
fitting_entry       Entry of a checkpoint that fits an architecture, under whichever name and prefix it stands.
own_models          Backbones of no model zoo: Headstart's own three, and what a callable of the user's returns.
registry            List of all families by name; builds a backbone from a name and weights.
small_cnn           Convolutional encoder for small images, which learns on a CPU in seconds.
stock               Stock model that weights go back into: its line of Python, and itself.
strict_loading      Check that a checkpoint and a network have the same weights in the same shapes.
timm_list           List of timm's models, found by pattern or by word.
timm_models         Backbones of timm, where it is installed, with the preprocessing of their weights.
torch_files         Files of torch.save, read without running code: tensors whole, the rest as blanks.
torchvision_models  Backbones of torchvision, with published weights, a file's, or random ones.
torchvision_table   Table of torchvision's classifiers: feature sizes that are known without building one.
weights             Weights read without running code: where they lie, how they are fetched, their digest.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
