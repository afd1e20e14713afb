"""Commands as people type them; each stands in one file with what it prints.

app         Entry point: gathers the commands, shows errors, chooses exit statuses.
catalogue   Commands `heads` and `backbones`.
clustering  Command `cluster`.
extract     Commands `extract` and `inspect`.
fit         Command `fit`.
networks    Commands `summary`, `finetune` and `graft`.
operate     Commands `run`, `serve`, `nightly`, `doctor` and `demo`.
options     Arguments that several commands share, and lists as people type them.
predict     Command `predict`.
results     Commands `results` and `compare`.
scores      Printing of a fit: its candidates, its one honest score, its files.
showing     Help that fits a screen: commands in panels, options in plain words.
signals     SIGTERM ends a command as Ctrl-C does, and the exit status tells which signal.
upkeep      Commands `verify`, `compact` and `export`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
