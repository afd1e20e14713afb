"""A script that ends a process when the one that started both is gone, however that ended: it reads a pipe from it.

It is told the process's number and when that began; nobody can be sure of a number alone.
"""

import sys

import psutil

_GRACE_S = 5


def end(number: str, began: str) -> None:
    """End a process, if it is still the one that is meant."""
    try:
        process = psutil.Process(int(number))
        if process.create_time() != float(began):
            return
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except psutil.TimeoutExpired:
            process.kill()
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.stdin.read()  # nothing comes: this returns when no process holds the other end
    end(*sys.argv[1:])
