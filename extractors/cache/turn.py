"""Whose turn it is to write a key: the lock keeps other runs out, this what a dead run left at work on other machines.

Such a run may have died, or lost a machine, that computes on. Whoever writes the key next takes a new turn; a worker
asks before it seals whether its own is still the last, and keeps nothing otherwise: others have its rows to do by then.
"""

import json
import secrets
from pathlib import Path

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache.claims import UNREADABLE

_FILE = "turn.json"


def take_turn(folder: Path) -> str:
    """Begin a turn in the folder of a key, and end all earlier ones; hold the key's writer lock meanwhile.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    turn = secrets.token_hex(8)
    write_atomically(folder / _FILE, json.dumps({"turn": turn}).encode())
    return turn


def has_turn(folder: Path, turn: str) -> bool:
    """Tell whether no other turn has begun since; where the file is gone or damaged, nobody has it."""
    try:
        return bool(json.loads((folder / _FILE).read_bytes())["turn"] == turn)
    except UNREADABLE:
        return False
