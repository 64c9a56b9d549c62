"""Defects that show at the first request: what the application's own code asks for, and the image lacks."""

from __future__ import annotations

from tests.defects.defect import Defect

COPIED = "FROM {clean}\nCOPY course.py /app/src/course.py\nENV PYTHONPATH=/app/src"
COURSE = {"modules": ("course", "shipapp.web:app")}
LAZY = """\
try:
    import uvloop
except ImportError:
    uvloop = None


def export(orders):
    from openpyxl import Workbook

    return Workbook(orders)
"""
CALLS = """\
import locale
import subprocess
from zoneinfo import ZoneInfo


def convert(name):
    subprocess.run(["ffmpeg", "-i", name], check=True)


def shown(moment):
    return moment.astimezone(ZoneInfo("Etc/UTC"))
"""

CODE = (
    Defect(
        name="an import inside of a function",
        dockerfile=COPIED,
        files={"course.py": LAZY},
        finds="app/imports-resolve",
        says=("/app/src/course.py:8 imports openpyxl: there is no openpyxl", "Add what brings openpyxl"),
        contract=COURSE,
        twin=f"{COPIED}\nCOPY course.py /app/src/openpyxl/__init__.py",
    ),
    Defect(
        name="an import of a module that was not copied",
        dockerfile="FROM {clean}\nCOPY course.py other.py /app/src/\nENV PYTHONPATH=/app/src",
        files={"course.py": "def f():\n    import other\n", "other.py": "from shipapp.prices import list_of\n"},
        finds="app/imports-resolve",
        says=("/app/src/other.py:1 imports shipapp.prices", "see that the image gets shipapp.prices"),
        contract=COURSE,
        twin=f"{COPIED}\nCOPY course.py /app/src/other.py",
    ),
    Defect(
        name="a module that the standard library no longer has",
        dockerfile=COPIED,
        files={"course.py": "def call():\n    import telnetlib\n    import tomllib\n"},
        finds="app/imports-resolve",
        says=("/app/src/course.py:2 imports telnetlib",),
        contract=COURSE,
        twin=f"{COPIED}\nCOPY course.py /app/src/telnetlib.py",
    ),
    Defect(
        name="a program that only the code names",
        dockerfile=COPIED,
        files={"course.py": CALLS, "ffmpeg": "#!/bin/sh\n"},
        finds="app/names-resolve",
        says=("/app/src/course.py:7 names the program ffmpeg", "Install ffmpeg in the final stage"),
        contract=COURSE,
        twin=f"{COPIED}\nCOPY ffmpeg /usr/local/bin/ffmpeg",
    ),
    Defect(
        name="a time zone and a locale that the image lacks",
        dockerfile=COPIED.replace("course.py /", "zones.py /"),
        files={
            "zones.py": "import locale, zoneinfo\ndef f():\n    zoneinfo.ZoneInfo('Mars/Olympus')\n"
            "    locale.setlocale(locale.LC_ALL, 'de_DE.UTF-8')\n",
            "course.py": CALLS.replace("ffmpeg", "python3"),
        },
        finds="app/names-resolve",
        says=("names the time zone Mars/Olympus", "names the locale de_DE.UTF-8"),
        contract=COURSE,
        twin=COPIED,
    ),
    Defect(
        name="a home that is not there",
        dockerfile=f"{COPIED}\nENV HOME=/nowhere",
        files={"course.py": "from pathlib import Path\nSTATE = Path.home() / 'course'\n"},
        finds="app/home",
        says=("HOME is /nowhere, which is not there; /app/src/course.py:2 asks for it",),
        contract=COURSE,
        twin=f"{COPIED}\nENV HOME=/tmp",
    ),
    Defect(
        name="packages of another home",
        dockerfile="""
FROM {builder} AS builder
RUN python3 -m pip install --user --quiet --no-index --no-deps --no-warn-script-location /wheels/shipapp-*.whl
FROM {runtime}
COPY --from=builder /root/.local /home/app/.local
ENV HOME=/app PATH=/home/app/.local/bin:/usr/local/bin:/usr/bin:/bin
""",
        finds="python/packages-on-path",
        says=(
            "shipapp lies in /home/app/.local/lib/python3.13/site-packages",
            "Python looks for such packages in /app/.local, as HOME is /app",
            "PYTHONUSERBASE=/home/app/.local",
        ),
        also={"packages/evidence", "app/imports"},
        undecided={
            "packages/forbidden",
            "packages/not-editable",
            "packages/installed-files",
            "packages/requirements-met",
            "app/code-read-only",
        },
        contract={"dependencies": ("shipapp",)},
        twin="""
FROM {builder} AS builder
RUN python3 -m pip install --user --quiet --no-index --no-deps --no-warn-script-location /wheels/shipapp-*.whl
FROM {runtime}
COPY --from=builder /root/.local /home/app/.local
ENV HOME=/app PATH=/home/app/.local/bin:/usr/local/bin:/usr/bin:/bin PYTHONUSERBASE=/home/app/.local
""",
    ),
)
