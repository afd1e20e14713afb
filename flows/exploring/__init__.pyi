from .cluster_summary import ClusterSummary as ClusterSummary
from .clustering import cluster as cluster
from .networks import summarize as summarize
from .options import ClusterKeywords as ClusterKeywords
from .options import ClusterOptions as ClusterOptions
