"""The jobs as Prefect flows and tasks.

artifacts         What a run leaves in Prefect's UI: how far it is, its leaderboard as a table and as a picture, and its
                  report.
assets            The lineage that Prefect records: images → embeddings → model, each named by where it is.
cache_queue       Runs of one cache, one after the other.
deployments       The flows that ``prefect.yaml`` names: extraction and refitting, each with a whole experiment as its
                  parameter.
extraction_tasks  An experiment's extraction as Prefect tasks: list, open, and embed shard by shard, here or on Dask
                  workers.
fit_tasks         An experiment's fits as Prefect tasks, each with its artifacts.
pipeline          The Prefect flow of a whole experiment: list, embed shard by shard, fit, report.
preparation       What every flow does before its first task: settle the paths, ask whether they are allowed, and wait
                  for its turn.
tasks             What a task says of itself in Prefect's log: one line that tells an operator something.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
