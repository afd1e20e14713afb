from .checkpoints import Arrays as Arrays
from .checkpoints import Epoch as Epoch
from .folding import fold_linear as fold_linear
from .tail import TailClassifier as TailClassifier
from .training import Rows as Rows
from .training import logits_of as logits_of
