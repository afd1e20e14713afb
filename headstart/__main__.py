"""``python -m headstart`` is the command ``headstart``."""

from headstart.flows.cli import main

main()
