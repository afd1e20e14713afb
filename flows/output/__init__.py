"""The way jobs speak: results on standard output, progress on standard error, logs on demand.

console      JSON for programs, and tables of 80 columns for people.
json_values  Plain values of dataclasses, paths and NumPy's numbers, as JSON holds them.
logs         Log of one JSON object a line: every shard, candidate and fit.
progress     Progress bars on standard error.
terminal     Text as a terminal can take it: nothing that steers it, only signs that it has.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
