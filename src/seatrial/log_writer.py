"""Copies its standard input into a log of limited size: `log_writer.py LOG BYTES`, the log open as standard output.

A program by itself, on the standard library: it outlives what starts it, and ends with the program whose log it is.
Where the log is full it becomes `LOG.1`, and a new one begins.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

CHUNK = 64 * 1024


def main(log: str, most: int) -> None:
    """Copy until the input ends."""
    size = os.fstat(1).st_size
    while data := os.read(0, CHUNK):
        try:
            if size + len(data) > most:
                _rotate(log)
                size = 0
            size += os.write(1, data)
        except OSError:
            # A full disk: the program goes on without its log.
            continue


def _rotate(log: str) -> None:
    Path(log).replace(f"{log}.1")
    fresh = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.dup2(fresh, 1)
    os.close(fresh)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
