"""What all parts of the probe use: text with limits, files that are read without waiting, and facts by name."""

import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    Row = Dict[str, Any]
    Fact = Callable[[Row], Any]

MAX_FILES = 200000
MAX_TEXT = 4000
INSTALLER_PACKAGES = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel", "uv")
CHILDREN: "Dict[str, str]" = {}
"""The scripts that run in separate processes: put in when the parts are joined."""
search_path: "List[str]" = []
"""What the application's interpreter has as sys.path; this one's own holds the standard library alone."""
given: "Row" = {}
"""The request."""
deadline: "List[float]" = []
"""When everything has to be said, by `time.monotonic`."""
waits: "List[float]" = [0.0]
"""The seconds that processes of the probe waited for a processor."""
truncated: "List[str]" = []
problems: "Dict[str, str]" = {}
facts: "Dict[str, Fact]" = {}


def fact(function: "Fact") -> "Fact":
    """Add a fact to the answer, under the function's name. It is given the request; it is null where it raises."""
    facts[function.__name__] = function
    return function


def guarded(name: str, request: "Row") -> "Any":
    """Return a fact; one that raises must not take the whole answer away."""
    try:
        return facts[name](request)
    except Exception as error:
        problems[name] = text(f"{type(error).__name__}: {error}", 500)
        return None


def text(value: object, limit: int = MAX_TEXT) -> str:
    return str(value).encode("utf-8", "replace").decode("utf-8")[:limit]


def opened(path: str) -> "Any":
    """Open a regular file to read: a pipe that nobody writes to would keep the probe waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(22, "it is not a regular file")
    return os.fdopen(descriptor, "rb")


def read(path: str, limit: int = 4 * 1024 * 1024) -> str:
    with opened(path) as file:
        content: bytes = file.read(limit)
        return content.decode("utf-8", "replace").replace("\r\n", "\n")


def scan(folder: str) -> "List[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def listing(folder: str) -> "List[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return []


def which(name: str) -> str:
    if "/" in name:
        return name if os.access(name, os.X_OK) and os.path.isfile(name) else ""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def shebang(beginning: bytes) -> "Optional[Tuple[str, str]]":
    """Return a script's `#!` line and the interpreter it names; None where there is no such line.

    pip and uv write `#!/bin/sh` and a second line with `exec` where the path is too long for the kernel or
    holds a space: the interpreter is then the one behind `exec`.
    """
    if not beginning.startswith(b"#!"):
        return None
    lines = beginning.decode("utf-8", "replace").split("\n")
    words = shebang_words(lines[0])
    if words and words[0] == "/bin/sh" and len(lines) > 1:
        trampoline = re.match(r"'''exec'\s+(?:\"([^\"]+)\"|'([^']+)'|(\S+))", lines[1])
        if trampoline:
            return lines[1], next(filter(None, trampoline.groups()))
    return lines[0], words[0] if words else ""


def named_for_env(line: str, path: str) -> str:
    """Return the name that `#!/usr/bin/env NAME` looks for on PATH; empty for other lines."""
    if os.path.basename(path) != "env":
        return ""
    words = [word for word in shebang_words(line)[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def shebang_words(line: str) -> "List[str]":
    # As the kernel does: it parts words at spaces and tabs only, so that a carriage return belongs to one.
    return [word for word in re.split(r"[ \t]+", line[2:]) if word]


def waited_for_a_processor(process: object = "self") -> float:
    """Return how many seconds a process was ready to run and did not: Documentation/scheduler/sched-stats.rst."""
    try:
        with open(f"/proc/{process}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def owner_of(state: os.stat_result) -> "Row":
    return {"owner": f"{state.st_uid}:{state.st_gid}", "mode": f"{stat.S_IMODE(state.st_mode):04o}"}


def permission(state: os.stat_result, bits: int) -> bool:
    """Tell whether this user has permission bits (0o2, 0o3, ...), by owner, group or others; root is not asked."""
    if state.st_uid == os.geteuid():
        shift = 6
    elif state.st_gid in {*os.getgroups(), os.getegid()}:
        shift = 3
    else:
        shift = 0
    return (state.st_mode >> shift) & bits == bits
