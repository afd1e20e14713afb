from .mlp import TorchMLPClassifier as TorchMLPClassifier
from .objectives import CountedClasses as CountedClasses
from .training import MIN_VALIDATION_IMAGES as MIN_VALIDATION_IMAGES
from .training import Recipe as Recipe
from .training import first_layers as first_layers
from .training import forward as forward
from .training import hold_out as hold_out
from .training import train_rows as train_rows
