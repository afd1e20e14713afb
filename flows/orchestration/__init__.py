"""The jobs as Prefect flows and tasks: a plain function does the work of each.

artifacts         Artifacts in Prefect's UI: progress, leaderboard, report.
assets            Lineage that Prefect records: images → embeddings → model.
cache_queue       Queue of the runs of one cache.
deployments       Flows that `prefect.yaml` names, each with a whole experiment as its parameter.
embedded_server   Prefect's embedded server, which ends with the process that started it.
end_with_parent   Script that ends a server whose run is gone.
extraction_tasks  Extraction as tasks: list, open, embed shard by shard.
finetune_tasks    Tails as tasks, each with its artifacts.
fit_tasks         Fits as tasks, each with its artifacts.
pipeline          Flow of a whole experiment: list, embed, fit, report.
preparation       Steps before a flow's first task: settle paths, check limits, wait for a turn.
tasks             Log lines of a task, and which failures are worth another try.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
