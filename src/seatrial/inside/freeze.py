"""Stops every process below PID 1: not this one and not the health check, which the engine starts beside it.

PID 1 takes no such signal from inside its own namespace: pid_namespaces(7). Thrice, for what is forked meanwhile.
"""

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict


def parents() -> "Dict[int, int]":
    found = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                found[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            pass
    return found


def freeze() -> None:
    for _ in range(3):
        above = parents()
        for pid in above:
            top = pid
            for _step in above:
                top = above.get(top, 0) if top > 1 else top
            try:
                if top == 1 and pid != 1:
                    os.kill(pid, signal.SIGSTOP)
            except OSError:
                pass


# Never by an import: on a host it would stop everything there.
if __name__ == "__main__":
    freeze()
