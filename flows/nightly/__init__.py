"""One night of an experiment, compared with the last.

changes  Images that are new, changed, gone or newly in quarantine.
classes  Classes that the models know and tonight's images have no longer.
drift    Test whether tonight's new images look like those before.
flow     Prefect flow of one night, which ends as Alert where somebody should look.
inputs   All that a fit goes by, as values: where none changed, no fit is made.
job      Night held now, under the name of its command.
night    Night as a function: embed what is new, fit again if that matters, compare.
page     Page of a night, one file, with the images that drift.
record   Record of a completed night, with which the next one compares.
score    Score of tonight against that of the last night, and whether it fell by more than chance.
summary  Findings of a night.
text     Night in words: a page for Prefect's UI, a screenful for a terminal.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
