from .checkpoints import Arrays as Arrays
from .checkpoints import Epoch as Epoch
from .folding import fold_linear as fold_linear
from .tail import TailClassifier as TailClassifier
