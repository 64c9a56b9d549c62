"""What hostile images and projects cost, and what they leave: `nox -s hostile`; words choose them by name.

Each goes through the real command. The table tells its verdict, its seconds, the most memory that the command and the
programs that it started held together, and what was left: on the engine, among the temporary files, as a process. The
host has files that no report may show, whose reading and changing shows, and programs that leave a mark when they run.

Wanted: no image passes with what it hides, no project gets anything of the host, nothing is left, in bounded time and
memory. What is otherwise is printed below the table, and the exit code is 1.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from side_by_side import heading
from tests.defects.bombs import BOMBS
from tests.defects.commands import run
from tests.defects.hostile_projects import IMAGE, PROJECTS, SECRET, Host, attempt
from tests.defects.lies import LIES
from tests.defects.test_hostile import HOSTILE, Hostile
from tests.defects.yard import open_yard
from tests.leftovers import holdings

from seatrial.compose.runner import identify
from seatrial.compose.services import PROJECT_LABEL
from seatrial.engine.find import find_engine
from seatrial.engine.runs import OWNER
from seatrial.errors import SeatrialError
from seatrial.host import this_host
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tests.defects.commands import Ended
    from tests.defects.hostile_projects import Project
    from tests.defects.yard import Yard

    from seatrial.engine.find import Engine

MOST_MEMORY = 400_000_000
"""Bytes that a command and the programs that it starts may hold together."""
SETTLED = 15.0
"""Seconds until what a command ended in the background, such as a sweep, must have gone."""
SAMPLED = 0.05
"""Seconds between two looks at the memory."""
TEMPORARY = "t"
IMPORTS, BROKEN, SOUND = "app/imports", "broken", "shipapp.web:app"
REPORTS = ("md", "html", "xml", "sarif", "txt")
SUBREAPER = 36
"""prctl(2): PR_SET_CHILD_SUBREAPER."""


@dataclass(kw_only=True)
class Row:
    """What became of one image or project."""

    name: str
    command: str
    verdict: str = ""
    seconds: float = 0.0
    memory: int = 0
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the table's row."""
        left = "; ".join(self.left) or "nothing"
        cells = (self.name, f"`{self.command}`", self.verdict, f"{self.seconds:.1f}", f"{self.memory / 1e6:.0f}", left)
        return f"| {' | '.join((*cells, 'WRONG' if self.wrong else 'right'))} |"


class Memory(threading.Thread):
    """The most memory that the programs held together which this process started, and those that they did."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLED):
            self.most = max(self.most, sum(resident(pid) for pid in descendants()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def adopt_orphans() -> None:
    """Become the parent of what a command leaves running; end as by Ctrl-C, with all that was made removed."""
    # What runs in the background of a script ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def descendants() -> list[int]:
    """Return the processes that this one started, and those that they did."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(os.getpid(), ()))
    for pid in found:
        found += parents.get(pid, ())
    return found


def resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(words: Sequence[str]) -> int:
    """Print the table; 1 where something is wrong."""
    adopt_orphans()
    engine = find_engine(this_host())
    images, projects = chosen(words)
    heading(f"{len(images)} hostile images, {len(projects)} hostile projects")
    print("\n| what | command | verdict | seconds | MB | left | |\n| --- | --- | --- | ---: | ---: | --- | --- |")
    rows = []
    with open_yard(engine, this_host()) as yard, tempfile.TemporaryDirectory(prefix="st-") as name:
        engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
        tries: list[tuple[Row, Callable[[Path, Row], None]]] = [
            *((Row(name=image.name, command="smoke --image"), smoked(yard, image)) for image in images),
            *((Row(name=project.name, command=" ".join(project.words[1:]).replace(" --app ship", "")),
               attempted(engine, project)) for project in projects),
        ]  # fmt: skip
        for number, (row, tried) in enumerate(tries):
            measured(engine, Path(name) / str(number), row, tried)
            print(row, flush=True)
            rows.append(row)
        engine.client.images.remove(f"{IMAGE}:latest", force=True)
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"\n{row.name}:", *(f"- {line}" for line in row.wrong), sep="\n")
    print(f"\n{len(rows)} tried, {len(wrong)} wrong; most seconds {max(row.seconds for row in rows):.0f}, "
          f"most memory {max(row.memory for row in rows) / 1e6:.0f} MB")  # fmt: skip
    return int(bool(wrong))


def chosen(words: Sequence[str]) -> tuple[list[Hostile], list[Project]]:
    """Return the images and projects whose names hold one of some words; all without any."""
    lies = [
        Hostile(
            name=f"{lie.name}, hiding what {lie.hides.finds} finds",
            dockerfile=lie.dockerfile(),
            files={name: body for name, body in lie.context().items() if name in lie.dockerfile()},
            finds=f"{lie.hides.finds} probe/agrees",
            says="",
            contract=f'modules = ["{BROKEN if lie.hides.finds == IMPORTS else SOUND}"]\nbytecode = []\n',
        )
        for lie in LIES
    ]

    def wanted(name: str) -> bool:
        return not words or any(word in name for word in words)

    images = [image for image in (*BOMBS, *HOSTILE, *lies) if wanted(image.name)]
    return images, [project for project in PROJECTS if wanted(project.name)]


def measured(engine: Engine, folder: Path, row: Row, tried: Callable[[Path, Row], None]) -> None:
    """Try an image or project in a folder of its own; tell what it held and left."""
    (folder / TEMPORARY).mkdir(parents=True)
    os.environ.update(TMPDIR=str(folder / TEMPORARY), XDG_CACHE_HOME=str(folder / "cache"))
    before = held(engine, folder)
    with Memory() as memory:
        try:
            tried(folder, row)
        except (AssertionError, SeatrialError) as error:
            row.verdict = row.verdict or "ended by force"
            row.wrong.append(str(error)[:2000])
    row.memory = memory.most
    deadline = time.monotonic() + SETTLED
    while (left := list(left_of(engine, before, folder))) and time.monotonic() < deadline:
        time.sleep(0.5)
    row.left = left
    row.wrong += [f"left: {line}" for line in left]
    if row.memory > MOST_MEMORY:
        row.wrong.append(f"it held {row.memory / 1e6:.0f} MB")


def left_of(engine: Engine, before: Collection[str], folder: Path, mark: str = "") -> Iterator[str]:
    """Tell what is left of a command in a folder: on the engine, among its temporary files, and as a process.

    `mark` stands in the command line of what a build runs.
    """
    yield from (what for key, what in held(engine, folder).items() if key not in before)
    yield from (f"temporary file {file.name}" for file in sorted((folder / TEMPORARY).iterdir()))
    yield from (f"process {command_line(pid)[:80]}" for pid in descendants())
    if mark:
        # What a build runs is a process of the engine's, which may be on this machine.
        found = map(command_line, (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()))
        yield from (f"process of the build {line[:80]}" for line in found if mark in line)


def held(engine: Engine, folder: Path) -> dict[str, str]:
    """Return what the engine holds, but not what others do with it meanwhile: their runs, stacks and tests."""
    client = engine.client.api
    try:
        stack = identify(read_project(folder / "project"), "ship").compose_project
    except SeatrialError:
        stack = "no stack"
    others = set()
    for container in client.containers(all=True):
        labels = container["Labels"] or {}
        owner = labels.get(OWNER, "::0:").split(":")[2]
        alive = owner != "0" and Path("/proc", owner).exists()
        if alive or not labels.get(PROJECT_LABEL, stack).startswith(stack):
            others.add(container["Id"])
    # A volume in use goes with its container.
    used = client.volumes(filters={"dangling": False})["Volumes"] or ()
    others.update(f"volume {volume['Name']}" for volume in used)
    for listed in (client.networks(), client.volumes()["Volumes"] or ()):
        for entry in listed:
            if not (entry["Labels"] or {}).get(PROJECT_LABEL, stack).startswith(stack):
                others.add(entry.get("Id") or f"volume {entry['Name']}")
    return {
        key: what
        for key, what in holdings(engine).items()
        if key not in others and (not what.startswith("image ") or what.startswith(f"image {IMAGE}"))
    }


def command_line(pid: int) -> str:
    """Return the words of a process; none where it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def smoked(yard: Yard, image: Hostile) -> Callable[[Path, Row], None]:
    """Return what smokes an image, by its name."""

    def smoke(folder: Path, row: Row) -> None:
        reference = yard.image(image.dockerfile, image.files)
        if image.path:
            with_path(yard.engine, reference, image.path)
        host = Host(folder / "outside")
        host.prepare()
        (folder / "contract.toml").write_text(image.contract, encoding="utf-8")
        reports = [folder / f"report.{kind}" for kind in REPORTS]
        words = ("seatrial", "smoke", "--image", reference, "--contract", "contract.toml", "--fail-on", "note")
        also = [word for report in reports for word in ("--also", report.name)]
        ended = run(*words, "--format", "json", *also, folder=folder, within=image.within, environment=host.environment)
        row.seconds = ended.seconds
        said = [ended.out, ended.errors]
        said += [report.read_text(encoding="utf-8") for report in reports if report.exists()]
        row.verdict = f"exit {ended.code}"
        row.wrong += [*judged(image, ended, row), *host.touched()]
        row.wrong += [
            f"a report holds {text!r}" for text in (SECRET, "\x1b", "\x9b") if any(text in said_in for said_in in said)
        ]

    return smoke


def with_path(engine: Engine, reference: str, path: str) -> None:
    """Give an image another PATH, under the same name."""
    client = engine.client.api
    made = client.create_container(reference)["Id"]
    try:
        name, _, tag = reference.rpartition(":")
        client.commit(made, repository=name, tag=tag, conf={"Env": [f"PATH={path}"]})
    finally:
        client.remove_container(made)


def judged(image: Hostile, ended: Ended, row: Row) -> Iterator[str]:
    """Tell what is wrong with the verdict, and write it into the row."""
    if "Traceback" in ended.errors or "bug in" in ended.errors:
        yield ended.errors[-2000:]
    try:
        document = json.loads(ended.out)
    except ValueError:
        yield f"no report: {ended.errors[-2000:]}"
        return
    bad = {check["id"]: str(check["actual"]) for check in document["checks"] if check["status"] in {"fail", "error"}}
    found = [name for name in image.finds.split() if name in bad] or list(bad)
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    row.verdict = f"{ended.code} {document['verdict'].upper()}{''.join(f': {name}' for name in found[:1])}{more}"
    if image.finds and not set(image.finds.split()) & set(bad):
        yield f"it hides what {image.finds} should find; found: {bad}"
    undecided = any(check["id"] in image.finds.split() and check["status"] == "error" for check in document["checks"])
    if ended.code not in ({2} if undecided and ended.code == 2 else {1} if image.finds else {0, 1}):
        yield f"exit code {ended.code}: {ended.errors[-1000:]}"
    if image.says and not any(image.says in bad.get(name, "") for name in image.finds.split()):
        yield f"it does not say {image.says!r}: {[bad.get(name) for name in image.finds.split()]}"


def attempted(engine: Engine, project: Project) -> Callable[[Path, Row], None]:
    """Return what runs a project's command."""

    def try_it(folder: Path, row: Row) -> None:
        ended, wrong = attempt(project, folder / "project", Host(folder / "outside"), engine)
        row.seconds = ended.seconds
        row.verdict = f"exit {ended.code}"
        row.wrong += wrong

    return try_it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
