"""What a defect is, and what cannot be decided where an image does not run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.checks.model import Level
from seatrial.observe.project.declared import read_project_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.defects.projects import Broken

    from seatrial.facts import ProjectFacts

PROBED = {
    "probe/agrees",
    "identity/expected-user",
    "python/script-interpreters",
    "python/version",
    "python/packages-on-path",
    "packages/evidence",
    "packages/forbidden",
    "packages/no-installers",
    "app/imports",
    "app/executables",
    "app/writable-paths",
    "native/libraries-resolve",
    "python/environment-matches",
    "python/environment-first",
    "python/stdlib-complete",
    "runtime/deep-recursion",
    "packages/match-lock",
    "packages/not-editable",
    "packages/installed-files",
    "packages/requirements-met",
    "app/code-read-only",
    "native/platform",
    "bytecode/dependencies",
    "system/utc-utf8",
    "system/trust-store",
}
"""What cannot be decided where the application's interpreter does not run."""

NEVER_UP = {
    "boot/read-only",
    "boot/drop-capabilities",
    "boot/no-new-privileges",
    "boot/limits",
    "boot/first-log",
    "boot/keeps-workers",
    "process/graceful-stop",
    "process/pid1-is-app",
    "process/reaps-children",
    "runtime/worker-count",
    "runtime/worker-heartbeat",
    "network/exposed-ports",
    "network/no-privileged-ports",
    "health/cheap",
}
"""What cannot be decided where the application never started."""


@dataclass(frozen=True, kw_only=True)
class Defect:
    """An image with one fault."""

    name: str
    dockerfile: str
    finds: str
    """The check that must name it."""
    says: tuple[str, ...]
    """What the finding must say."""
    also: set[str] = field(default_factory=set)
    """Other checks that fail by the same fault."""
    undecided: set[str] = field(default_factory=set)
    contract: dict[str, Any] = field(default_factory=dict)
    twin: str = "FROM {clean}"
    """The same image without the fault; it passes the same contract."""
    twin_contract: dict[str, Any] | None = None
    """Where the fault lies between image and contract: the contract that the twin passes."""
    files: dict[str, str] = field(default_factory=dict)
    project: dict[str, str] = field(default_factory=dict)
    """Files of the project that the image is made from, such as its lock."""
    level: Level = Level.STANDARD
    """What it takes to find it."""

    def facts(self) -> ProjectFacts:
        """Return what its project's files declare."""
        with tempfile.TemporaryDirectory() as name:
            for file, text in self.project.items():
                (Path(name) / file).write_text(text, encoding="utf-8")
            return read_project_facts(Path(name))


def python_command(*lines: str) -> str:
    """Return a CMD whose program is the application's interpreter itself."""
    code = "\\n".join(lines).replace('"', '\\"')
    return f'CMD ["python", "-c", "{code}"]'


def core(catalogue: Iterable[Defect | Broken]) -> set[str]:
    """Return the names of the first defect of each family of checks: a plain `nox` tries these."""
    first: dict[str, str] = {}
    for defect in catalogue:
        first.setdefault(defect.finds.partition("/")[0], defect.name)
    return set(first.values())


def each(argument: str, catalogue: Iterable[Defect | Broken]) -> pytest.MarkDecorator:
    """Run a test with each defect of a catalogue; with the first of each family, it is one of the core tests."""
    chosen = core(catalogue)
    return pytest.mark.parametrize(
        argument,
        [
            pytest.param(
                defect,
                id=defect.name.replace(" ", "-"),
                marks=[pytest.mark.core] if defect.name in chosen else [],
            )
            for defect in catalogue
        ],
    )
