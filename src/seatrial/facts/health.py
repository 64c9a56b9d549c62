"""Follows the image's health check to its program, and to the file that an interpreter is told to run."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

import msgspec

from seatrial.facts import follow
from seatrial.facts.data import HealthCommand
from seatrial.facts.start import PYTHON, SHELLS, start_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.facts.data import Account, Configuration, Trail
    from seatrial.facts.follow import Files

SHELLS_OWN = {"exit", "return", "[", "[[", "read", "wait", "kill", "command", "type", "pwd", "shift", "local", "false"}
"""Words that a shell carries out by itself: behind them only the shell can tell what comes."""
TAKES_A_VALUE = {"-W", "-X", "--check-hash-based-pycs"}
"""Options of Python whose value is a word of its own."""


def health_command(configuration: Configuration, files: Files, who: Account) -> HealthCommand | None:
    """Return what the health check comes down to; None where the image has none."""
    check = configuration.health_check
    if check is None:
        return None
    # What the engine does not know to run, it is shown by its words all the same.
    asked = msgspec.structs.replace(configuration, entrypoint=(), command=configuration.health_words or check.test)
    start = start_facts(asked, files, who)
    if start.shell and start.word in SHELLS_OWN:
        start = msgspec.structs.replace(start, word="", program=None, scripts=())
    script = script_of(start.words)
    path = posixpath.join(configuration.working_directory or "/", script)
    trail: Trail | None = follow.follow(path, files) if script else None
    barrier = follow.barrier(trail.steps, who, files) if trail else None
    return HealthCommand(start=start, script=trail, script_barrier=barrier)


def script_of(words: Sequence[str]) -> str:
    """Return the file that an interpreter is told to run; empty where it is told none."""
    name = posixpath.basename(words[0]) if words else ""
    python = PYTHON.fullmatch(name) is not None
    if not python and name not in SHELLS - {"busybox"}:
        return ""
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        # `-c LINE`, `-m MODULE` and `-` (standard input) name no file.
        if option == "-" or (python and option == "--version") or re.match(r"-[A-Za-z]*[cm]$", option):
            return ""
        if python and option in TAKES_A_VALUE and rest:
            rest.pop(0)
    return rest[0] if rest and not any(mark in rest[0] for mark in "$`*") else ""
