"""One night, compared with the last.

changes  What changed in an image set since the last night: new, changed, gone, and newly quarantined images.
drift    Whether tonight's new images look like those before, as each fit's winner sees them.
flow     The Prefect flow of one night, for a schedule: its final state is called Alert where somebody should look.
inputs   All that a fit goes by, as values to compare: where none of it changed, to fit again would give the same model.
night    One night of an experiment: embed what is new, fit again if that matters, and compare with the last night.
record   What the last completed night saw and left, kept beside the results: the next night compares with it.
score    A fit's score tonight against that of the last night: the same metric, and whether it fell by more than chance.
text     A night in words: one page for Prefect's UI, one screenful for a terminal.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
