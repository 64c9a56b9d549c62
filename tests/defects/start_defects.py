"""Defects of a start: what ends after a while, loses workers, or goes on after what it was refused."""

from __future__ import annotations

from tests.defects.defect import NEVER_UP, Defect, python_command

from seatrial.checks.model import Level
from seatrial.settings.model import Answer

NO_CHECK = {"stops_within": 4.0, "waive": {"health/declared": "a defect of its own"}}
RACE = """import os, signal, sys, time
import shipapp.web

children = []
for number in range(4):
    child = os.fork()
    if not child:
        time.sleep(2)
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

ORPHANS = """import asyncio, threading, time
import shipapp.web


async def poll():
    while True:
        process = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.1 &")
        await process.wait()
        await asyncio.sleep(0.2)


threading.Thread(target=lambda: asyncio.run(poll()), daemon=True).start()
shipapp.web.main()
"""
INIT = """import os, signal, sys

child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
while True:
    ended, status = os.wait()
    if ended == child:
        sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small init: it starts a program and waits for all that ends below it."""

FORKS = """import os, signal, sys
import shipapp.web

for _ in range(eval(sys.argv[1])):
    if not os.fork():
        signal.pause()
shipapp.web.main()
"""
PIDFILE = """import os, pathlib, signal, sys
import shipapp.web

pidfile = pathlib.Path("/data/beat.pid")
if pidfile.exists():
    other = int(pidfile.read_text())
    try:
        os.kill(other, 0)
    except ProcessLookupError:
        pass
    else:
        if sys.argv[1] == "any" or other != os.getpid():
            sys.exit(f"pidfile {pidfile} exists: already running as {other}?")
pidfile.write_text(str(os.getpid()))
shipapp.web.main()
"""
DATA = (
    "FROM {clean}\nUSER 0\nRUN install -d -o 10001 /data\nUSER 10001:10001\nVOLUME /data\n"
    "COPY pidfile.py /srv/pidfile.py\n"
)

STARTS = (
    Defect(
        name="a pidfile that a killed start left",
        dockerfile="FROM {clean}\n"
        + DATA
        + 'COPY pidfile.py /srv/pidfile.py\nCMD ["python", "/srv/pidfile.py", "any"]',
        files={"pidfile.py": PIDFILE},
        finds="boot/starts-after-kill",
        says=("exit code 1", "the first start left /data/beat.pid", "already running as 1?"),
        level=Level.DEEP,
        twin=DATA + 'CMD ["python", "/srv/pidfile.py", "other"]',
    ),
    Defect(
        name="children that nobody waits for",
        dockerfile='FROM {clean}\nCOPY orphans.py /srv/orphans.py\nCMD ["python", "/srv/orphans.py"]',
        files={"orphans.py": ORPHANS, "init.py": INIT},
        finds="process/reaps-children",
        says=("in state Z below PID 1", "and more of them a second later", "tini"),
        twin="FROM {clean}\nCOPY orphans.py /srv/orphans.py\nCOPY init.py /srv/init.py\n"
        'CMD ["python", "/srv/init.py", "python", "/srv/orphans.py"]',
    ),
    Defect(
        name="as many workers as the host has processors",
        dockerfile="FROM {clean}\nCOPY forks.py /srv/forks.py\n"
        'CMD ["python", "/srv/forks.py", "os.cpu_count() * 2 + 1"]',
        files={"forks.py": FORKS},
        finds="runtime/worker-count",
        says=("workers: that follows from the host's", "the start was given 1"),
        contract={"processors": 1.0},
        twin='FROM {clean}\nCOPY forks.py /srv/forks.py\nCMD ["python", "/srv/forks.py", "2"]',
    ),
    Defect(
        name="a page that the health check does not ask for",
        dockerfile="FROM {clean}",
        finds="boot/answers",
        says=("GET / on port 8000: status 404, not status 200",),
        contract={"answers": (Answer(path="/"),)},
        twin_contract={"answers": (Answer(path="/", status=404), Answer(path="/health"))},
    ),
    Defect(
        name="a health check that asks for IPv6",
        dockerfile="FROM {clean}\nCOPY wget /usr/local/bin/wget\n"
        'HEALTHCHECK CMD ["wget", "http://localhost:8000/health"]\n'
        + python_command("import shipapp.web as web", "web.HOST = '0.0.0.0'", "web.main()"),
        files={
            "wget": "#!/app/.venv/bin/python\nimport socket, sys, urllib.parse\n"
            "asked = urllib.parse.urlsplit(sys.argv[1])\n"
            "# As busybox does: the first address alone.\n"
            "family, kind, _, _, address = socket.getaddrinfo(asked.hostname, asked.port, type=socket.SOCK_STREAM)[0]\n"
            "socket.socket(family, kind).connect(address)\n"
        },
        finds="boot/healthy",
        says=(
            "the health check asks localhost:8000, which is ::1 there",
            "listens on 0.0.0.0:8000/tcp",
            "127.0.0.1:8000",
        ),
        undecided=NEVER_UP,
        contract={"healthy_within": 4.0},
        twin="FROM {clean}\nCOPY wget /usr/local/bin/wget\n"
        'HEALTHCHECK CMD ["wget", "http://127.0.0.1:8000/health"]\n'
        + python_command("import shipapp.web as web", "web.HOST = '0.0.0.0'", "web.main()"),
    ),
    Defect(
        name="a variable in a list that no shell reads",
        dockerfile='FROM {clean}\nENV PORT=8000\nCMD ["shipapp", "--port=$PORT"]',
        finds="process/variables-expand",
        says=("CMD is a list with the word `--port=$PORT`", 'CMD ["sh", "-c", "exec shipapp --port=$PORT"]'),
        twin='FROM {clean}\nENV PORT=8000\nCMD ["sh", "-c", "exec shipapp --port=$PORT"]',
    ),
    Defect(
        name="a variable in a health check that no shell reads",
        dockerfile='FROM {clean}\nENV PORT=8000\nHEALTHCHECK CMD ["shipapp-health", "${PORT:-8000}"]',
        finds="process/variables-expand",
        says=("HEALTHCHECK is a list with the word `${PORT:-8000}`",),
        twin="FROM {clean}\nENV PORT=8000\nHEALTHCHECK CMD shipapp-health ${PORT:-8000}",
    ),
    Defect(
        name="a server that reloads its code",
        dockerfile="FROM {clean}\nCOPY --chmod=755 uvicorn.py /app/.venv/bin/uvicorn\n"
        'CMD ["uvicorn", "shipapp.web:app", "--reload"]',
        files={"uvicorn.py": "#!/app/.venv/bin/python\nimport shipapp.web\nshipapp.web.main()\n"},
        finds="runtime/production-server",
        says=("the command runs `uvicorn --reload`", "Start it without `--reload`."),
        twin='FROM {clean}\nCOPY --chmod=755 uvicorn.py /app/.venv/bin/uvicorn\nCMD ["uvicorn", "shipapp.web:app"]',
    ),
    Defect(
        name="a sourced file with Windows line ends",
        dockerfile="FROM {clean}\nCOPY crlf.env /app/shop.env\nCOPY sources.sh /usr/local/bin/sources\n"
        'ENTRYPOINT ["sources"]\nCMD []',
        files={
            "crlf.env": "HOME_OF_SHOP=/app\r\n",
            "lf.env": "HOME_OF_SHOP=/app\n",
            "sources.sh": '#!/bin/sh\nset -eu\n. /app/shop.env\ncd "$HOME_OF_SHOP"\nexec shipapp\n',
        },
        finds="process/line-ends",
        says=("the lines of /app/shop.env end with CRLF",),
        also={"boot/healthy"},
        undecided=NEVER_UP,
        twin="FROM {clean}\nCOPY lf.env /app/shop.env\nCOPY sources.sh /usr/local/bin/sources\n"
        'ENTRYPOINT ["sources"]\nCMD []',
    ),
    Defect(
        name="no health check, and it ends after five seconds",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n"
        + python_command("import sys, time", "time.sleep(5)", "sys.exit('no token')"),
        finds="boot/stays-up",
        says=("exit code 1 after ", "log: no token"),
        undecided=NEVER_UP - {"health/cheap"},
        contract=NO_CHECK,
        twin="FROM {clean}\nHEALTHCHECK NONE",
    ),
    Defect(
        name="a job that fails",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n" + python_command("import sys", "sys.exit('no such table')"),
        finds="boot/stays-up",
        says=("exit code 1 after ", "log: no such table"),
        contract={"job": True},
        undecided={"boot/read-only", "boot/drop-capabilities", "boot/no-new-privileges", "boot/limits"},
        twin="FROM {clean}\nHEALTHCHECK NONE\n" + python_command("print('done')"),
    ),
    Defect(
        name="a job that does not end",
        dockerfile="FROM {clean}",
        finds="boot/stays-up",
        says=("still ran after 4.",),
        contract={"job": True, "healthy_within": 4.0},
        undecided={"boot/read-only", "boot/drop-capabilities", "boot/no-new-privileges", "boot/limits"},
        twin="FROM {clean}\n" + python_command("print('done')"),
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
