"""How jobs speak: console, progress, structured logs.

console   What the commands show: JSON on standard output for programs, tables that fit one screen of 80 columns for
          people.
logs      Structured logs on demand: one JSON object a line, of every shard, every candidate and every fit.
progress  How a job gets on, told on standard error, so that standard output carries results alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
