from .grid import solve_logreg as solve_logreg
from .lbfgs import Loss as Loss
from .lbfgs import Search as Search
from .loss import rows_at_once as rows_at_once
from .loss import split_blocks as split_blocks
from .scaling import Targets as Targets
from .scaling import WeightScaling as WeightScaling
from .softmax_sums import SoftmaxSums as SoftmaxSums
