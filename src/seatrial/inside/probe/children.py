"""Processes of their own: what an image's code does to its process must not end the probe."""

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple


def run_child(script: str, words: "List[str]", seconds: float) -> "Tuple[List[str], bytes, Optional[int]]":
    """Return the lines that a script writes to a pipe of its own, its other output, and its code; None if too late."""
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(writing), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    kept = [b""]
    lines: "List[str]" = []
    said = os.fdopen(reading, encoding="utf-8", errors="replace")
    threads = [
        threading.Thread(target=drain, args=(child.stdout, kept), daemon=True),
        threading.Thread(target=collect, args=(said, lines), daemon=True),
    ]
    for thread in threads:
        thread.start()
    code: "Optional[int]" = None
    try:
        code = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for thread in threads:
        # A grandchild may hold the pipes open: what has been read by now must do.
        thread.join(timeout=1)
    return list(lines), kept[0], code


def drain(pipe: "Any", kept: "List[bytes]") -> None:
    """Keep the end of what is written."""
    part = pipe.read1(65536)
    while part:
        kept[0] = (kept[0] + part)[-16384:]
        part = pipe.read1(65536)


def collect(pipe: "Any", lines: "List[str]") -> None:
    for line in pipe:
        if len(lines) < 10000:
            lines.append(line[:10000])


def how_it_ended(code: "Optional[int]", seconds: float) -> str:
    if code is None:
        return f"it took longer than {int(seconds)} s"
    if code >= 0:
        return f"the interpreter ended with code {code}"
    try:
        return f"the interpreter was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"the interpreter was killed by signal {-code}"
