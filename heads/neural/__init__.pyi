from .mlp import TorchMLPClassifier as TorchMLPClassifier
from .shares import Start as Start
from .shares import share_steps as share_steps
from .training import CountedClasses as CountedClasses
from .training import hold_out as hold_out
