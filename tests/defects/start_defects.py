"""Defects of a start: what ends after a while, loses workers, or goes on after what it was refused."""

from __future__ import annotations

from tests.defects.defect import NEVER_UP, Defect, python_command

NO_CHECK = {"stops_within": 4.0, "waive": {"health/declared": "a defect of its own"}}
RACE = """import os, signal, sys, time
import shipapp.web

children = []
for number in range(4):
    child = os.fork()
    if not child:
        time.sleep(0.8)
        if sys.argv[1] == "race" and number:
            raise RuntimeError("table already exists")
        if not number:
            shipapp.web.main()
        signal.pause()
    children.append(child)


def leave(*_):
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
while True:
    os.wait()
"""
GOES_ON = '#!/bin/sh\ntouch /app/state/started || exec python -c "import signal; signal.pause()"\nexec shipapp\n'
STATE = "USER 0\nRUN install -d -o 10001 /app/state\nUSER 10001:10001\n"

STARTS = (
    Defect(
        name="no health check, and it ends after five seconds",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n"
        + python_command("import sys, time", "time.sleep(5)", "sys.exit('no token')"),
        finds="boot/stays-up",
        says=("exit code 1 after 5.", "log: no token"),
        undecided=NEVER_UP - {"health/cheap"},
        contract=NO_CHECK,
        twin="FROM {clean}\nHEALTHCHECK NONE",
    ),
    Defect(
        name="workers that race to migrate",
        dockerfile='FROM {clean}\nCOPY race.py /srv/race.py\nCMD ["python", "/srv/race.py", "race"]',
        files={"race.py": RACE},
        finds="boot/keeps-workers",
        says=("3 of its workers ended while it started", "RuntimeError: table already exists"),
        twin='FROM {clean}\nCOPY race.py /srv/race.py\nCMD ["python", "/srv/race.py", "one"]',
    ),
    Defect(
        name="a start script that goes on after a refused write",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n"
        + STATE
        + 'COPY start.sh /usr/local/bin/start\nENTRYPOINT ["start"]\nCMD []',
        files={"start.sh": GOES_ON},
        finds="boot/read-only",
        says=("it runs, and does not listen on 8000/tcp as with a writable root", "wrote /app/state/started"),
        contract={**NO_CHECK, "healthy_within": 6.0},
        twin="FROM {clean}\nHEALTHCHECK NONE\n"
        + STATE
        + 'VOLUME /app/state\nCOPY start.sh /usr/local/bin/start\nENTRYPOINT ["start"]\nCMD []',
    ),
)
