from .kept import Kept as Kept
from .kept import measure_kept as measure_kept
from .pca import Reduction as Reduction
from .pca import fit_reduction as fit_reduction
from .saved import read_reduction as read_reduction
from .saved import saved_reduction as saved_reduction
