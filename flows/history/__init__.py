"""Runs, kept: written, found again, ranked, compared.

comparison  Two runs side by side: what differs, and whether their winners differ on the images that both scored.
ranking     Winners across runs, ranked where they were scored on the same images.
record      From a finished fit to its entry in the history of runs.
runs        What fits found, kept: a table of every candidate, and a history with one line a run.
search      Finding runs again: in caches, in results folders, and in the folders that hold such.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
