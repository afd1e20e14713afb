from .naming import NamedCluster as NamedCluster
from .naming import Told as Told
from .naming import name_clusters as name_clusters
from .naming import tell_left_out as tell_left_out
from .stability import Stability as Stability
from .stability import measure_stability as measure_stability
