"""An experiment that runs on a schedule, until it is stopped.

runner        Prefect's runner, ended in good order.
schedules     Times of a run: a cron expression, an interval, or a folder that grows.
server        Deployment on the Prefect server, and the process that runs what it schedules.
watched_runs  Runs that start because the images changed.
watching      Look at a folder now and then, to see whether it changed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
