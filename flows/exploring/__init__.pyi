from .catalogue import HeadRow as HeadRow
from .catalogue import find_by_task as find_by_task
from .catalogue import list_backbones as list_backbones
from .catalogue import list_heads as list_heads
from .catalogue import list_layers as list_layers
from .choosing import choose_next as choose_next
from .cluster_summary import ClusterSummary as ClusterSummary
from .clustering import cluster as cluster
from .networks import summarize as summarize
from .next_images import NextImage as NextImage
from .next_images import NextImages as NextImages
from .opened import OpenedCache as OpenedCache
from .opened import open as open  # noqa: A004 - `headstart.open`, like `gzip.open`
from .options import ClusterKeywords as ClusterKeywords
from .options import ClusterOptions as ClusterOptions
from .options import NextKeywords as NextKeywords
from .options import NextOptions as NextOptions
