from .checkpoints import Arrays as Arrays
from .checkpoints import Epoch as Epoch
from .folding import fold_linear as fold_linear
from .rows import Rows as Rows
from .rows import as_batch as as_batch
from .rows import logits_of as logits_of
from .tail import TailClassifier as TailClassifier
from .training import Precision as Precision
