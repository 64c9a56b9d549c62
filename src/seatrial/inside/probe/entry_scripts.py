"""The scripts beside the interpreter: is the interpreter that each names there?"""

import os
import site
import stat
import sys
import sysconfig
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import listing, text, truncated, which

if TYPE_CHECKING:
    from typing import List

    from seatrial.inside.probe.base import Row

MAX_SCRIPTS = 2000


def scripts() -> "List[Row]":
    own = [os.path.dirname(sys.executable or ""), sysconfig.get_path("scripts")]
    if site.ENABLE_USER_SITE:
        own.append(os.path.join(site.getuserbase(), "bin"))
    found: "List[Row]" = []
    for folder in dict.fromkeys(folder for folder in own if folder and os.path.isdir(folder)):
        for name in sorted(listing(folder)):
            path = os.path.join(folder, name)
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    beginning = file.read(4096)
            except OSError:
                continue
            if not beginning.startswith(b"#!"):
                continue
            if len(found) >= MAX_SCRIPTS:
                truncated.append("scripts")
                return found
            target = script_interpreter(beginning)
            there = os.access(target, os.X_OK) if "/" in target else which(target) != ""
            found.append({"path": text(path), "interpreter": text(target, 500), "found": there})
    return found


def script_interpreter(beginning: bytes) -> str:
    lines = beginning.decode("utf-8", "replace").split("\n")
    # As the kernel does: a carriage return belongs to the word before it.
    words = [word for word in lines[0][2:].replace("\t", " ").split(" ") if word]
    if not words:
        return ""
    if words[0] == "/bin/sh" and len(lines) > 1 and lines[1].startswith("'''exec'"):
        rest = lines[1][len("'''exec'") :].strip()
        quote = rest[:1]
        if quote and quote in "\"'":
            return rest[1:].partition(quote)[0]
        return rest.partition(" ")[0]
    if os.path.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return names[0] if names else words[0]
    return words[0]
