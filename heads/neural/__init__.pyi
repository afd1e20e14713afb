from .mlp import TorchMLPClassifier as TorchMLPClassifier
from .training import CountedClasses as CountedClasses
from .training import first_layers as first_layers
from .training import forward as forward
from .training import hold_out as hold_out
