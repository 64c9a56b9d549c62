"""Images that hold odd or very many files, or whose Python says too much: judged all the same, in time and memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import run
from tests.defects.test_hostile import BRIEF, MOST_MEMORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

SITE = "/app/.venv/lib/python3.13/site-packages"
WORKS = 'modules = ["shipapp.web:app"]\ndependencies = ["shipapp"]\n'


@dataclass(frozen=True, kw_only=True)
class Odd:
    """An image that works, with something odd in it: what makes it, as a Python program run by root."""

    name: str
    makes: str
    within: float = 30


ODD = (
    Odd(
        name="200,000 files",
        makes="""
for top in range(200):
    os.makedirs(f"/app/data/{top}")
    for one in range(1000):
        open(f"/app/data/{top}/{one}", "w").close()
""",
        within=60,
    ),
    Odd(
        name="links that lead round in a circle",
        makes=f"""
os.makedirs("/app/data")
os.symlink(".", "/app/data/here")
os.symlink("/app", "/app/data/up")
os.symlink("two", "/app/data/one")
os.symlink("one", "/app/data/two")
os.symlink(".", "{SITE}/here")
os.symlink("round.so", "{SITE}/round.so")
""",
    ),
    Odd(
        name="names with line ends, controls and bytes that are no UTF-8",
        makes=f"""
for top in ("/app/data", "{SITE}", "/app/.venv/bin"):
    os.makedirs(top, exist_ok=True)
    names = (b"two\\nlines", b"\\x1b[31mred", b"\\xff\\xfe.py", b"[bold]x[&bold]", b"\\xf0\\x9f\\x9a\\xa2", b"x" * 255)
    for name in names:
        open(os.path.join(top.encode(), name), "wb").close()
""",
    ),
    Odd(
        name="a very deep folder",
        makes="""
os.chdir("/app")
for _ in range(300):
    os.mkdir("deeper")
    os.chdir("deeper")
open("x.so", "w").close()
""",
    ),
    Odd(
        name="pipes and sockets",
        makes=f"""
import socket
os.mkfifo("/app/pipe")
os.mkfifo("{SITE}/pipe.so")
os.mkfifo("{SITE}/pipe.pth.so.1")
os.mkfifo("/app/.venv/bin/pipe")
socket.socket(socket.AF_UNIX).bind("/app/socket")
""",
    ),
)


MAKES = "FROM {clean}\nUSER 0\nCOPY make.py /make.py\nRUN python3 /make.py && rm /make.py\nUSER 10001:10001\n"
"""Runs a program as root, in an image that works."""


@pytest.mark.parametrize("odd", ODD, ids=[entry.name.replace(" ", "-") for entry in ODD])
def test_an_image_that_works_is_judged_whatever_it_holds(yard: Yard, tmp_path: Path, odd: Odd) -> None:
    image = yard.image(MAKES, {"make.py": f"import os\n{odd.makes}"})
    (tmp_path / "contract.toml").write_text(BRIEF.replace("= 2", "= 20") + WORKS, encoding="utf-8")
    words = ("seatrial", "smoke", "--image", image, "--contract", "contract.toml", "--format", "json")
    ended = run(*words, folder=tmp_path, within=odd.within)
    document = json.loads(ended.out)
    undecided = [entry["actual"] for entry in document["checks"] if entry["status"] == "error"]
    assert undecided == []
    assert ended.errors == ""
    decided = {entry["id"]: entry["status"] for entry in document["checks"]}
    for check in ("app/imports", "boot/healthy", "packages/evidence", "process/command-resolves"):
        assert decided[check] == "pass"
    assert ended.memory < MOST_MEMORY
    assert "\x1b" not in ended.out
    assert yard.left_behind() == []


BROKEN = """
site = "/app/.venv/lib/python3.13/site-packages"
def make(name, **files):
    os.makedirs(os.path.join(site, name))
    for file, body in files.items():
        open(os.path.join(site, name, file), "wb").write(body)
make("empty-1.0.dist-info")
make("nameless-1.0.dist-info", METADATA=b"Version: 1.0\\n")
make("noise-1.0.dist-info", METADATA=bytes(range(256)) * 100)
make("long-1.0.dist-info", METADATA=b"Name: " + b"x" * 10_000_000)
make("many-1.0.dist-info", METADATA=b"Name: many\\nVersion: 1.0\\n" + b"Requires-Dist: x[\\n" * 200_000)
make("odd-1.0.dist-info", METADATA=b"Name: odd\\nVersion: not one\\n", RECORD=b"\\x00" * 1000,
     **{"direct_url.json": b"[[[[", "entry_points.txt": b"[console_scripts\\n=\\n" * 1000})
make("typed-1.0.dist-info", METADATA=b"Name: typed\\nVersion: 1.0\\n", **{"direct_url.json": b'{"url": 3}'})
os.mkfifo(os.path.join(site, "pipe-1.0.dist-info"))
os.makedirs(os.path.join(site, "folder-1.0.dist-info", "METADATA"))
os.symlink("/proc/kcore", os.path.join(site, "link-1.0.dist-info"))
"""


def test_broken_metadata_is_told_and_the_rest_is_read(yard: Yard, tmp_path: Path) -> None:
    image = yard.image(MAKES, {"make.py": f"import os\n{BROKEN}"})
    (tmp_path / "contract.toml").write_text(WORKS, encoding="utf-8")
    words = ("seatrial", "smoke", "--image", image, "--contract", "contract.toml", "--level", "quick")
    ended = run(*words, "--format", "json", folder=tmp_path, within=30)
    checks = {load["id"]: load for load in json.loads(ended.out)["checks"]}
    assert ended.errors == ""
    assert checks["app/imports"]["status"] == "pass"
    assert checks["packages/evidence"]["status"] == "pass"
    assert ended.memory < MOST_MEMORY
    assert yard.left_behind() == []


TALKS = """#!/bin/sh
{noise}
exec /app/.venv/bin/python.real "$@"
"""

NOISES = {
    "a line of 1 MB": "head -c 1000000 /dev/zero | tr '\\0' x",
    "a line of 1 MB on standard error": "head -c 1000000 /dev/zero | tr '\\0' x >&2",
    "terminal codes and bytes that are no UTF-8": "printf '\\033[2J\\377\\376\\n[bold red]\\n'",
    "a line that looks like an answer": 'printf "%s {\\"identity\\": 1}\\n" "$3"',
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=[name.replace(" ", "-") for name in NOISES])
def test_a_python_that_talks_before_it_answers_is_understood(yard: Yard, tmp_path: Path, noise: str) -> None:
    dockerfile = (
        "FROM {clean}\nUSER 0\nRUN mv /app/.venv/bin/python /app/.venv/bin/python.real\n"
        'COPY python /app/.venv/bin/python\nUSER 10001:10001\nCMD ["python", "-m", "shipapp.web"]\n'
    )
    image = yard.image(dockerfile, {"python": TALKS.replace("{noise}", noise)})
    words = ("seatrial", "smoke", "--image", image, "--level", "quick", "--format", "json")
    ended = run(*words, folder=tmp_path, within=30)
    checks = {load["id"]: load for load in json.loads(ended.out)["checks"]}
    assert checks["app/imports"]["status"] == "pass", checks["app/imports"]
    assert ended.errors == ""


def test_a_python_that_prints_a_gigabyte_is_cut_off(yard: Yard, tmp_path: Path) -> None:
    dockerfile = (
        'FROM {clean}\nCOPY python /usr/local/bin/python\nENV PATH=/usr/local/bin:/usr/bin:/bin\nCMD ["python"]'
    )
    image = yard.image(dockerfile, {"python": "#!/bin/sh\nhead -c 1000000000 /dev/zero\n"})
    words = ("seatrial", "smoke", "--image", image, "--level", "quick", "--format", "json")
    ended = run(*words, folder=tmp_path, within=15)
    checks = {load["id"]: load for load in json.loads(ended.out)["checks"]}
    assert "instead of an answer" in checks["app/imports"]["actual"]
    assert ended.memory < MOST_MEMORY
    assert yard.left_behind() == []
