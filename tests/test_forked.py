"""Forked processes of tests begin with what was imported for all of them; without it, each would take seconds more."""

import os

from support.forked import run_forked
from support.shared_imports import PRELOADED


def test_a_forked_process_has_what_is_preloaded() -> None:
    asked = f"import sys; print(all(name in sys.modules for name in {[*PRELOADED, 'torch', 'sklearn', 'distributed']}))"
    ran = run_forked("-c", asked, env=os.environ)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")
