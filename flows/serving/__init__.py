"""An experiment on a schedule.

runner        Prefect's runner, which starts the runs of a served experiment, ended in good order.
schedules     When a served experiment runs: by a cron expression, at an interval, or when its image folder has grown.
server        A served experiment: a deployment on the Prefect server, and a process that runs what the server
              schedules.
watched_runs  Runs that are started because the images changed.
watching      Noticing that an image folder changed, by looking at it now and then: no daemon, and any file system.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
