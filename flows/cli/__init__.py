"""The command line: a command and what it prints stand in one file.

app         The command line: every command is one public function with the same names, and a way to show what it
            returns.
clustering  The command that groups images without labels; `flows.cli.app` adds it to the others.
extract     The commands from images to embeddings to predictions, and what they print.
fit         The command that fits heads; `flows.cli.app` adds it to the others.
operate     The commands that run an experiment, now or on a schedule, and look after the machine that does.
options     Arguments and options that several commands share, and how the words of each command are told apart.
results     The commands that look back at earlier runs; `flows.cli.app` adds them to the others.
scores      What a fit prints: the candidates, the one honest score, and where its files are.
signals     SIGTERM ends a command as Ctrl-C does: what is embedded is sealed, and the exit status says which signal it
            was.
upkeep      The commands that look after a cache, and take it elsewhere; `flows.cli.app` adds them to the others.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
