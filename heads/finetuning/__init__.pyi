from .checkpoints import Arrays as Arrays
from .checkpoints import Epoch as Epoch
from .folding import fold_linear as fold_linear
from .recipe import Precision as Precision
from .rows import Rows as Rows
from .rows import as_batch as as_batch
from .rows import logits_of as logits_of
from .tail import TailClassifier as TailClassifier
