"""Whether the polling loop is alive: the heartbeat file, and the command that judges its age.

The bot listens on no port, so nobody can ask it. Instead the polling loop touches a file each time
an attempt to reach Telegram has ended, whatever the outcome. A blocked event loop, a dead polling
task or a frozen process stops touching it. An unreachable Telegram does not: the bot is then
retrying as it should, and a restart would not help.

The health check runs this file every few seconds for as long as the container lives. So it needs
nothing but the standard library, and works by path (`python -I -S liveness.py`, which skips what
the interpreter would look up for others) as well as by name (`python -m weather_agent.liveness`).
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # type checkers know the name; importing typing would double the run time
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE = "WEATHER_AGENT_HEARTBEAT_FILE"
STALE_VARIABLE = "WEATHER_AGENT_STALE_SECONDS"
DEFAULT_FILE = "/tmp/weather-agent.heartbeat"  # noqa: S108 - the one writable path of the image
DEFAULT_STALE_SECONDS = 45.0
# Kernel timestamps of files may run a few milliseconds beside the clock that we read.
CLOCK_SLACK_SECONDS = 1.0


def beat(path: str) -> None:
    """Give the heartbeat file the present time; raises OSError when it cannot be written."""
    with open(path, "ab"):
        os.utime(path)


def forget(path: str) -> None:
    """Remove the beat of an earlier run, which would speak for this one."""
    if os.path.lexists(path):
        os.unlink(path)


def check(path: str, stale_seconds: float, now: float) -> tuple[bool, str]:
    """Say whether the last beat is recent, and one line about it. `now` is in epoch seconds."""
    try:
        age = now - os.stat(path).st_mtime
    except OSError as error:
        return False, f"no heartbeat: {path}: {error.strerror}"
    if age < -CLOCK_SLACK_SECONDS:
        # The clock was set back. The next beat puts it right; if none comes, this stays.
        return False, f"heartbeat {-age:.1f} s in the future: its age is not known"
    if age > stale_seconds:
        return False, f"heartbeat {age:.1f} s old, more than {stale_seconds:g} s"
    return True, f"heartbeat {max(age, 0.0):.1f} s old"


def main(environment: Mapping[str, str]) -> int:
    """Print one line; return 0 for alive and 1 for anything else (Docker reserves 2)."""
    path = environment.get(FILE_VARIABLE, "").strip() or DEFAULT_FILE
    stale = environment.get(STALE_VARIABLE, "").strip() or str(DEFAULT_STALE_SECONDS)
    try:
        stale_seconds = float(stale)
    except ValueError:
        print(f"{STALE_VARIABLE} is not a number: {stale!r}")
        return 1
    alive, line = check(path, stale_seconds, time.time())
    print(line)
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
