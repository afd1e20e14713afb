"""``python -m headstart`` is the command ``headstart``."""

from headstart.flows.cli.app import main

main()
