"""The way jobs tell what they found: in a folder for each run, on standard output and error, and in logs on demand.

console      JSON for programs, and tables of 80 columns for people.
json_values  Plain values of dataclasses, paths and NumPy's numbers, as JSON holds them.
latest       Links of a results folder, by which its latest run is found under the same names.
logs         Log of one JSON object a line: every shard, candidate and fit.
named_file   Check of a file that a person names, before the work.
progress     Progress bars on standard error.
run_place    Folder of a run, filled beside its place and finished by one rename.
terminal     Text as a terminal can take it: nothing that steers it, only signs that it has.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
