"""Runs the real commands, as a person would, and measures them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = Path(sys.executable).parent
KIB = 1024


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ran to its end."""

    code: int
    out: str
    errors: str
    seconds: float
    memory: int
    """The most that it held, in bytes."""


class Running:
    """A command under way."""

    def __init__(self, *words: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._out, self._errors = folder / ".out", folder / ".errors"
        self._started = time.monotonic()
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(PROGRAMS / words[0]), *words[1:]],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                env={**os.environ, **(environment or {}), "COLUMNS": "200"},
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        # Popen's own send_signal would take in the end of one that has ended: `end` is to see it.
        os.kill(self.pid, number)

    def end(self, *, within: float) -> Ended:
        """Wait for its end; kill it, and fail, when that takes too long."""
        memory = 0
        while True:
            # Not the kernel's ru_maxrss: a child's begins with what its parent, here pytest, holds.
            memory = max(memory, _most_memory(self.pid))
            done, status = os.waitpid(self.pid, os.WNOHANG)
            seconds = time.monotonic() - self._started
            if done:
                break
            if seconds > within:
                self._process.kill()
                self._process.wait()
                raise AssertionError(f"it still ran after {within} s: {self._errors.read_text()}")
            time.sleep(0.02)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(
            code=self._process.returncode,
            out=self._out.read_text(encoding="utf-8"),
            errors=self._errors.read_text(encoding="utf-8"),
            seconds=seconds,
            memory=memory,
        )


def _most_memory(pid: int) -> int:
    """Return the most that a process has held so far, in bytes: proc(5), VmHWM."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    except OSError:
        return 0
    return int(found.group(1)) * KIB if found else 0


def run(*words: str, folder: Path, within: float = 60, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end."""
    return Running(*words, folder=folder, environment=environment).end(within=within)
