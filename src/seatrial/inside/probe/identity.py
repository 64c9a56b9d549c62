"""Who the probe runs as, by which interpreter, and in which time zone and encodings."""

import os
import platform
import sys
import time
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import MAX_TEXT, fact, read, text

if TYPE_CHECKING:
    from typing import Dict

    from seatrial.inside.probe.base import Row


def identity() -> "Row":
    uid = os.geteuid()
    try:
        import pwd

        name = pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        name = ""
    try:
        directory = os.getcwd()
    except OSError:
        directory = ""
    return {
        "uid": uid,
        "gid": os.getegid(),
        "groups": sorted(os.getgroups()),
        "name": text(name),
        "home": text(os.path.expanduser("~")),
        "directory": text(directory),
    }


def interpreter() -> "Row":
    settings: "Dict[str, str]" = {}
    try:
        for line in read(os.path.join(sys.prefix, "pyvenv.cfg"), 65536).split("\n"):
            key, equals, value = line.partition("=")
            if equals and len(settings) < 50:
                settings[key.strip()[:200]] = value.strip()[:MAX_TEXT]
    except OSError:
        pass
    return {
        "executable": sys.executable,
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": [text(entry) for entry in sys.path],
        "settings": settings,
    }


@fact
def locale(_request: "Row") -> "Row":
    from locale import getpreferredencoding

    return {
        "zone": text("/".join(dict.fromkeys(time.tzname)), 100),
        "utc": time.timezone == 0 and not time.daylight,
        "filesystem": sys.getfilesystemencoding(),
        "preferred": text(getpreferredencoding(do_setlocale=False), 100),
        "output": text(sys.stdout.encoding, 100),
    }
