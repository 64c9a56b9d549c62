"""Commands that take long on hostile images and projects: each is to end soon at a signal, and to leave nothing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.defects.commands import run
from tests.defects.hostile_projects import BUILD, SMOKE, UP, dockerfile, service, written
from tests.defects.test_hostile import WRITERS

from seatrial.compose.runner import identify
from seatrial.compose.services import PROJECT_LABEL
from seatrial.engine.runs import OWNER
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

    from tests.defects.yard import Yard

MARK = "seatrial-test-endless"
"""Stands in the command line of what must not outlive a build."""


def codes(number: signal.Signals) -> set[int]:
    """Return the exit codes of a command that a signal ended: before Python knows what to do, it is the kernel's."""
    return {-number, 128 + number}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A command that takes long."""

    name: str
    image: str = ""
    """The Dockerfile of an image to smoke; empty for a project."""
    words: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    lasts: float = 8.0
    """Seconds within which a signal meets it."""
    mark: str = ""

    def prepared(self, yard: Yard, folder: Path) -> tuple[str, ...]:
        """Make the image or the project's files; return the command."""
        folder.mkdir()
        if self.image:
            return ("seatrial", "smoke", "--image", yard.image(self.image))
        written(folder, self.files, folder.parent)
        return self.words

    def left(self, yard: Yard, folder: Path, pid: int) -> list[str]:
        """Return what is left of a command: its containers, its stack's networks and volumes, what its build runs."""
        api = yard.engine.client.api
        found = [f"container {row['Id']}" for row in api.containers(all=True, filters={"label": OWNER})
                 if row["Labels"][OWNER].split(":")[2] == str(pid)]  # fmt: skip
        if self.files:
            stack = identify(read_project(folder), "ship").compose_project
            listed = (api.containers(all=True), api.networks(), api.volumes()["Volumes"] or ())
            found += [
                f"{entry.get('Name', entry.get('Id'))} of the stack"
                for entry in itertools.chain(*listed)
                if (entry["Labels"] or {}).get(PROJECT_LABEL, "").startswith(stack)
            ]
        if self.mark:
            lines = (file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline"))
            found += ["what the build runs"] * any(self.mark.encode() in line for line in lines)
        return found

    def cleared(self, folder: Path) -> None:
        """Remove a stack that came up."""
        if "up" in self.words:
            run("seatrial", "down", "--app", "ship", "--volumes", "--yes", folder=folder)


STUBBORN = "trap '' TERM INT HUP QUIT; while :; do sleep 1; done"
ENDLESS_CHECK = "healthcheck: {test: sleep 3600, timeout: 1h, interval: 1s}"
WRITES = "while :; do cat /dev/zero > /tmp/$$$$; rm /tmp/$$$$; done"

KINDS = (
    Kind(name="smoke: log flood", image='FROM {clean}\nCMD ["yes", "a line that says nothing at all"]'),
    Kind(
        name="smoke: ignores the stop signal",
        image=f'FROM {{clean}}\nHEALTHCHECK CMD true\nCMD ["sh", "-c", "{STUBBORN}"]',
    ),
    Kind(
        name="smoke: a health check that never ends",
        image='FROM {clean}\nHEALTHCHECK --timeout=1h CMD sleep 3600\nCMD ["sleep", "3600"]',
    ),
    Kind(name="smoke: writes to the disk without end", image=WRITERS["in a volume with files of the image"]),
    Kind(
        name="smoke --stack: ignores the stop signal, and never is healthy",
        words=SMOKE,
        files=service(f'command: [sh, -c, "{STUBBORN}"]', ENDLESS_CHECK),
    ),
    Kind(
        name="up: ignores the stop signal, and never is healthy",
        words=UP,
        files=service(f'command: [sh, -c, "{STUBBORN}"]', ENDLESS_CHECK),
    ),
    Kind(
        name="up: a grace period of an hour",
        words=UP,
        files=service(f'command: [sh, -c, "{STUBBORN}"]', ENDLESS_CHECK, "stop_grace_period: 1h"),
    ),
    Kind(name="up: writes without end", words=UP, files=service(f'command: [sh, -c, "{WRITES}"]', ENDLESS_CHECK)),
    Kind(
        name="build: a RUN that never ends",
        words=BUILD,
        files=dockerfile(f"RUN : {MARK}; trap '' TERM INT; while :; do sleep 0.1; done", name="endless"),
        mark=MARK,
    ),
    Kind(
        name="build: a RUN that says gigabytes",
        words=BUILD,
        files=dockerfile(f"RUN : {MARK}; cat /dev/zero | tr '\\\\0' x", name="loud"),
        mark=MARK,
    ),
)
