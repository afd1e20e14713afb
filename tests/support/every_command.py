"""Commands, and the functions of `headstart` that do the same."""

import typer

from headstart.flows.cli.app import app

FUNCTION_OF = {"heads": "list_heads", "backbones": "list_backbones", "summary": "summarize", "next": "choose_next"}
"""Functions that are not called as their command: `headstart.heads` is a package, and lists are called alike."""

COMMANDS = sorted(typer.main.get_command(app).commands)
