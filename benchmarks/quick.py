"""Level quick beside its peers, and the list of tasks beside a bare one: `nox -s bench`; wants the built image.

Wanted: at least 15 times faster than container-structure-test asserting what it can of the same; at most 1.5 times
one bare `docker run` of the image's Python, plus the start of the command itself; the same time however many checks
are asked for; `invoke --list` at most 1.2 times that of an empty collection.

Importing an application takes its own time, whoever asks for it, and here most of all the time that there is. So
everything is measured twice: with the import of the application, and with that of a module that takes next to none.
The wishes are held against the second; the first is held against a `docker run` that imports the application too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peers import LISTED, program
from side_by_side import heading, measure, table, timed
from tests.peer import leaving_nothing

from seatrial import smoke
from seatrial.checks import registry
from seatrial.checks.model import Level
from seatrial.engine.find import find_engine
from seatrial.host import this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.engine.find import Engine

IMAGE = "course-supporter:py3.13"
ROUNDS = 5
TIMES_FASTER = 15
TIMES_FLOOR = 1.5
TIMES_BARE = 1.2
TIMES_FLAT = 1.15

CONTRACT = """
user = "app"
uid = 10001
gid = 10001
python = "3.13"
modules = ["MODULE"]
dependencies = ["fastapi", "uvicorn", "sqlalchemy", "psycopg", "alembic", "structlog"]
executables = ["uvicorn", "alembic", "python"]
max-unpacked = "500 MB"
environment = { DATABASE_URL = "postgresql+psycopg://nobody@127.0.0.1:5432/none" }
"""

VARIABLES = {"DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:5432/none"}
BARE = "from invoke import Collection, task\n\n\n@task\ndef one(_):\n    'One.'\n\n\nns = Collection(one)\n"

ASSERTIONS: dict[str, tuple[tuple[str, ...], str, str]] = {
    # name: the command, what its output must match, what it must not
    "whoami": (("whoami",), "^app\n$", ""),
    "uid": (("id", "-u"), "^10001\n$", ""),
    "gid": (("id", "-g"), "^10001\n$", ""),
    "python version": (("python", "--version"), r"^Python 3\.13\.", ""),
    "the interpreter": (("readlink", "-e", "/app/.venv/bin/python"), "^/", ""),
    "python is the environment's": (("which", "python"), "^/app/.venv/bin/python\n$", ""),
    "imports": (("python", "-c", "import course_supporter.api; course_supporter.api.app"), "", ""),
    "uvicorn": (("which", "uvicorn"), "^/app/.venv/bin/uvicorn\n$", ""),
    "alembic": (("which", "alembic"), "^/app/.venv/bin/alembic\n$", ""),
    "direct dependencies": (("python", "-c", LISTED), r"(?ms)^alembic$.*^fastapi$.*^psycopg$.*^structlog$", ""),
    "no development packages": (("python", "-c", LISTED), "", r"(?m)^(pytest|ruff|mypy)$"),
    "no installers": (("python", "-c", LISTED), "", r"(?m)^(pip|setuptools|wheel|uv)$"),
    "scripts": (("sh", "-c", "head -qn1 /app/.venv/bin/* 2>/dev/null | grep -a '^#!' | sort -u"), "", "/build/"),
    "the standard library": (("python", "-c", "import ssl, sqlite3, lzma, bz2, ctypes, zlib, uuid, hashlib"), "", ""),
    "shared libraries": (("sh", "-c", "find /app/.venv -name '*.so*' | xargs ldd 2>/dev/null"), "", "not found"),
    "set-uid files": (("find", "/app", "/opt", "/srv", "-xdev", "-perm", "-4000"), "", "."),
    "world-writable files": (("find", "/app/src", "/app/scripts", "-type", "f", "-perm", "-o+w"), "", "."),
    "leftovers": (("find", "/app", "-name", ".git", "-o", "-name", ".env*", "-o", "-name", "__pycache__x"), "", "."),
    "no compilers": (("sh", "-c", "which gcc cc make git || true"), "", "."),
    "no sudo": (("sh", "-c", "which sudo sshd || true"), "", "."),
    "the temporary folder may be written": (("test", "-w", "/tmp"), "", ""),  # noqa: S108 - a path inside the image
    "code may not be written": (("sh", "-c", "! test -w /app/src"), "", ""),
    "the time zone": (("date", "+%Z"), "^UTC", ""),
    "the locale": (("python", "-c", "import sys; print(sys.getfilesystemencoding())"), "^utf-8", ""),
    "a trust store": (("python", "-c", "import ssl; print(bool(ssl.create_default_context()))"), "True", ""),
    "no empty passwords": (("sh", "-c", "cut -d: -f2 /etc/passwd | sort -u"), "^x\n$", ""),
    "unique ids": (("sh", "-c", "cut -d: -f3 /etc/passwd | sort | uniq -d"), "", "."),
}
ABSENT = ("/var/lib/apt/lists/partial/x", "/root/.cache/pip", "/app/tests", "/app/.git", "/app/uv.lock.orig")


def main() -> int:
    """Measure, print what was wanted and what was seen; 1 where it was missed."""
    engine = find_engine(this_host())
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="seatrial-bench-") as name:
        folder = Path(name)
        for file, module in {"contract.toml": f"{APPLICATION}:app", "less.toml": NOTHING}.items():
            (folder / file).write_text(CONTRACT.replace("MODULE", module), encoding="utf-8")
        candidates = quick_candidates(engine, folder)
        heading(f"level quick on {IMAGE}, in seconds")
        taken = measure(candidates, ROUNDS)
        table(taken)
        missed += judge_quick({key: statistics.median(value) for key, value in taken.items()})
        heading("\nlevel quick by the number of checks, within one process, in seconds")
        taken = measure(by_number_of_checks(engine, folder / "contract.toml"), ROUNDS)
        table(taken)
        few, *_, every = (statistics.median(value) for value in taken.values())
        missed += wanted("all checks against five", every / few, TIMES_FLAT)
        heading("\nthe list of tasks, in seconds")
        taken = measure(listing(folder), ROUNDS)
        table(taken)
        bare, ours = (statistics.median(value) for value in taken.values())
        missed += wanted("invoke --list against an almost empty one", ours / bare, TIMES_BARE)
    for line in missed:
        print(f"MISSED: {line}")
    return int(bool(missed))


APPLICATION, NOTHING = "course_supporter.api", "json"
"""The application's module, and one that takes next to no time."""
OURS, START, FLOOR, IMPORT = (
    "seatrial, level quick",
    "its own start",
    "docker run python -c pass",
    "docker run, importing",
)
STRUCTURE, TESTINFRA = "container-structure-test", "pytest-testinfra"
LESS = ", importing json"


def quick_candidates(engine: Engine, folder: Path) -> dict[str, Callable[[], float]]:
    """Return what is measured side by side; a peer that is not installed is said, and left out."""
    environment = dict(engine.programs_environment)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seatrial = [sys.executable, "-m", "seatrial"]
    candidates = {START: command([*seatrial, "--version"], folder, environment)}
    for name, contract in {OURS: "contract.toml", OURS + LESS: "less.toml"}.items():
        words = [*seatrial, "smoke", "--image", IMAGE, "--contract", contract, "--level", "quick"]
        candidates[name] = command(words, folder, environment, codes={0, 1})
    if docker := program("docker"):
        bare = [docker, "run", "--rm", "--network", "none", IMAGE, "python", "-c"]
        candidates[FLOOR] = command([*bare, "pass"], folder, environment)
        candidates[IMPORT] = command([*bare, f"import {APPLICATION}"], folder, environment)
    else:
        print("not measured: docker's own command is not installed, so there is no floor")
    if path := program("container-structure-test"):
        print(f"{STRUCTURE} asserts {len(ASSERTIONS) + len(ABSENT) + 3} things in {len(ASSERTIONS)} commands")
        for name, module in {STRUCTURE: APPLICATION, STRUCTURE + LESS: NOTHING}.items():
            file = folder / f"{module}.json"
            file.write_text(json.dumps(structure(module), indent=1), encoding="utf-8")
            peer = [path, "test", "--quiet", "--image", IMAGE, "--config", file.name]
            candidates[name] = cleaned(engine, command(peer, folder, environment))
    else:
        print(f"not measured: {STRUCTURE} is not installed (the group `bench` brings it)")
    if docker and _has_testinfra():
        (folder / "test_image.py").write_text(testinfra(docker), encoding="utf-8")
        print(f"{TESTINFRA} asserts {len(ASSERTIONS) + len(ABSENT)} things")
        peer = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_image.py"]
        candidates[TESTINFRA] = cleaned(engine, command(peer, folder, environment))
    else:
        print(f"not measured: {TESTINFRA} is not installed (the group `bench` brings it)")
    return candidates


def cleaned(engine: Engine, run: Callable[[], float]) -> Callable[[], float]:
    """Return what runs another tool and removes what it leaves; that takes none of its seconds."""

    def once() -> float:
        with leaving_nothing(engine, IMAGE):
            return run()

    return once


def _has_testinfra() -> bool:
    from importlib.util import find_spec

    return find_spec("testinfra") is not None


def command(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    codes: frozenset[int] | set[int] = frozenset({0}),
) -> Callable[[], float]:
    """Return what runs a command and gives its seconds; a peer that does not pass proves nothing."""

    def once() -> float:
        done: list[subprocess.CompletedProcess[str]] = []

        def run() -> None:
            done.append(subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False))

        seconds = timed(run)
        if done[0].returncode not in codes:
            raise SystemExit(f"{words[:4]} ended with {done[0].returncode}:\n{done[0].stdout}\n{done[0].stderr}")
        return seconds

    return once


def structure(module: str) -> dict[str, Any]:
    """Return the assertions as container-structure-test's own configuration, with the import of that module."""
    tests: list[dict[str, Any]] = []
    for name, (words, matches, without) in ASSERTIONS.items():
        said = [word.replace(APPLICATION, module).replace(f"; {module}.app", "") for word in words]
        test: dict[str, Any] = {"name": name, "command": said[0], "args": said[1:]}
        test["envVars"] = [{"key": key, "value": value} for key, value in VARIABLES.items()]
        if matches:
            test["expectedOutput"] = [matches]
        if without:
            test["excludedOutput"] = [without]
        tests.append(test)
    return {
        "schemaVersion": "2.0.0",
        "commandTests": tests,
        "fileExistenceTests": [{"name": path, "path": path, "shouldExist": False} for path in ABSENT],
        "metadataTest": {"workdir": "/app", "exposedPorts": ["8000"], "user": "10001:10001"},
    }


def testinfra(docker: str) -> str:
    """Return the assertions as a pytest-testinfra module: one container for all of them."""
    variables = [word for key, value in VARIABLES.items() for word in ("--env", f"{key}={value}")]
    start = [docker, "run", "--detach", "--network", "none", *variables, IMAGE, "sleep", "600"]
    return f"""
import re, shlex, subprocess
import pytest, testinfra

ASSERTIONS = {ASSERTIONS!r}


@pytest.fixture(scope="session")
def image():
    made = subprocess.run({start!r}, check=True, capture_output=True, text=True).stdout.strip()
    yield testinfra.get_host("docker://" + made)
    subprocess.run([{docker!r}, "rm", "--force", "--volumes", made], check=True, capture_output=True)


@pytest.mark.parametrize("name", ASSERTIONS)
def test_it(image, name):
    words, matches, without = ASSERTIONS[name]
    done = image.run(shlex.join(words))
    assert done.rc == 0
    assert not matches or re.search(matches, done.stdout)
    assert not without or not re.search(without, done.stdout)


@pytest.mark.parametrize("path", {ABSENT!r})
def test_absent(image, path):
    assert not image.file(path).exists
"""


def judge_quick(seconds: Mapping[str, float]) -> list[str]:
    """Hold the medians against what is wanted."""
    missed: list[str] = []
    if STRUCTURE in seconds:
        print(f"  times faster than {STRUCTURE}: {seconds[STRUCTURE] / seconds[OURS]:.1f}")
        faster = seconds[STRUCTURE + LESS] / seconds[OURS + LESS]
        print(f"  times faster than {STRUCTURE}{LESS}: {faster:.1f}, wanted at least {TIMES_FASTER}")
        missed += [] if faster >= TIMES_FASTER else [f"{faster:.1f} times faster than {STRUCTURE}{LESS}"]
    if TESTINFRA in seconds:
        print(f"  times faster than {TESTINFRA}: {seconds[TESTINFRA] / seconds[OURS]:.1f}")
    for floor, ours in {FLOOR: OURS + LESS, IMPORT: OURS}.items() if FLOOR in seconds else ():
        most = TIMES_FLOOR * seconds[floor] + seconds[START]
        print(
            f"  {TIMES_FLOOR} times `{floor}` and the command's own start: {most:.2f} s; {ours}: {seconds[ours]:.2f} s"
        )
        missed += [] if seconds[ours] <= most else [f"{ours}: {seconds[ours]:.2f} s instead of {most:.2f} s"]
    return missed


def wanted(what: str, times: float, most: float) -> list[str]:
    """Print a ratio, and return it as missed where it is too large."""
    print(f"  {what}: {times:.2f} times, wanted at most {most}")
    return [] if times <= most else [f"{what}: {times:.2f} times"]


def by_number_of_checks(engine: Engine, contract: Path) -> dict[str, Callable[[], float]]:
    """Return smokes of 5, 20 and all checks of level quick."""
    target = smoke.image_target(IMAGE, contract)
    every = registry.up_to(Level.QUICK)

    def smoked(number: int) -> Callable[[], float]:
        checks = every[:number]
        return lambda: timed(lambda: smoke.smoke(target, engine, level=Level.QUICK, checks=checks))

    return {f"{number} checks": smoked(number) for number in (5, 20, len(every))}


def listing(folder: Path) -> dict[str, Callable[[], float]]:
    """Return the two lists of tasks: one task of nobody's, and ours."""
    found: dict[str, Callable[[], float]] = {}
    for name, text in {"one task": BARE, "seatrial's": "from seatrial.tasks import ns\n"}.items():
        project = folder / name.replace("'", "").replace(" ", "-")
        project.mkdir()
        (project / "tasks.py").write_text(text, encoding="utf-8")
        found[name] = command([sys.executable, "-m", "invoke", "--list"], project, dict(this_host().environment))
    return found


if __name__ == "__main__":
    sys.exit(main())
