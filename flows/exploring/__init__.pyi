from .cluster_summary import ClusterSummary as ClusterSummary
from .clustering import cluster as cluster
