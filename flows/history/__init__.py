"""Runs of before, so that a fit today can be set beside one of last month.

comparison  Two runs side by side: their settings, and whether their winners differ.
ranking     Winners of many runs, ranked where they were scored on the same images.
record      Entry of a finished fit.
run         One fit as the history keeps it, written and read back as a line of JSON.
runs        Files of the history: one line a run, and a table of its candidates.
search      Runs found in caches, in results folders, and in folders that hold such.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
