"""Which line of the project is to be changed for a newer version of a package, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from seatrial.errors import SettingsError
from seatrial.facts import Unavailable
from seatrial.facts.sources import Instruction
from seatrial.filesystem import read_bytes
from seatrial.installs import commands, installs
from seatrial.observe.project.lockfiles import LARGEST, require_inside
from seatrial.observe.project.sources import SourceFiles, is_requirements, read_dockerfile
from seatrial.scan import Kind

UPGRADES = {
    "uv.lock": "uv lock --upgrade-package {name}",
    "poetry.lock": "poetry update {name}",
    "pdm.lock": "pdm update {name}",
    "Pipfile.lock": "pipenv upgrade {name}",
    "pylock.toml": "",
}
"""By a lock file: the command that raises a distribution in it."""
LOCKED = re.compile(r"""\s*(?:name\s*=\s*"([^"]+)"|"([A-Za-z0-9][\w.-]*)"\s*:\s*\{)\s*""")
"""The line of a package in a lock file: of TOML, or of Pipfile.lock."""
REQUIRED = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
INSTALLERS = {"apt", "apt-get", "aptitude", "apk", "dnf", "microdnf", "yum"}
UPGRADE = {
    "dpkg": "apt-get update && apt-get install --yes --only-upgrade {names} && rm -rf /var/lib/apt/lists/*",
    "apk": "apk upgrade --no-cache {names}",
}
"""By a package manager: the RUN that raises packages."""


def latest(kind: Kind, fixed: Sequence[str]) -> str:
    """Return the version that has all fixes; in words, where their order is not known here."""
    if kind is Kind.PYTHON:
        with suppress(InvalidVersion):
            return max(fixed, key=Version)
    return fixed[0] if len(fixed) == 1 else f"the latest of {', '.join(fixed)}"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the parts of an image are said."""

    manager: str = ""
    """The system's package manager."""
    dockerfile: str = ""
    """Its path for a person; empty where none is known."""
    chain: tuple[Instruction, ...] = ()
    """The instructions of the final stage, behind those of the stages below it."""
    locked: Mapping[str, tuple[str, str]]
    """By distribution: the lock or requirements file's line that names it, and what raises it there."""

    def of(self, kind: Kind, packages: Sequence[str], fixed: Sequence[str]) -> tuple[str, str]:
        """Return `file:line` of what is to be changed, empty where it is not known; and what to do."""
        wanted = latest(kind, fixed)
        if kind is Kind.PYTHON and (found := self.locked.get(canonicalize_name(packages[0]))):
            where, how = found
            then = f": `{how.format(name=packages[0])}`" if how else " in this line"
            return where, f"Raise {packages[0]} to {wanted}{then}; then build the image again."
        if kind is Kind.OTHER:
            return "", f"Raise {packages[0]} to {wanted} where it comes from, then build the image again."
        if not self.chain:
            return "", f"Raise {', '.join(packages)} to {wanted}: build the image again on a base that has it."
        names = {canonicalize_name(name) if kind is Kind.PYTHON else name for name in packages}
        step = next((step for step in reversed(self.chain) if names & _installed_by(step, kind)), None)
        if step is not None:
            raised = "where it pins a version, raise that to" if kind is Kind.SYSTEM else "raise it there to"
            again = "then `invoke build --no-cache`"
            return f"{self.dockerfile}:{step.line}", f"This RUN installs {packages[0]}: {raised} {wanted}; {again}."
        base = self.chain[0]
        fix = f"It comes with `{base.whole}`: `docker pull` that, or name a newer one, and build the image again."
        if kind is Kind.SYSTEM and (upgrade := UPGRADE.get(self.manager)):
            run = upgrade.format(names=" ".join(packages))
            fix += f" Where the base does not have {wanted} yet, add below it, as root: `RUN {run}`."
        return f"{self.dockerfile}:{base.line}", fix


def _installed_by(step: Instruction, kind: Kind) -> set[str]:
    """Return the packages that a RUN names to have them installed."""
    if step.keyword != "RUN":
        return set()
    if kind is Kind.PYTHON:
        named = (word for install in installs(step) for word in install.requirements)
        return {canonicalize_name(found[1]) for word in named if (found := REQUIRED.match(word))}
    lines = (words for words in commands(step) if INSTALLERS & {*words} and {"install", "add"} & {*words})
    return {re.split(r"[=/:<>~]", word, maxsplit=1)[0] for words in lines for word in words}


def places_of(files: SourceFiles | None, manager: str) -> Places:
    """Return where the parts of an app's image are said; nowhere for an image without sources."""
    if files is None:
        return Places(manager=manager, locked={})
    source = read_dockerfile(files.dockerfile, files.shown(files.dockerfile), files.build_arguments, files.target)
    locked: dict[str, tuple[str, str]] = {}
    for file in _locks(files.context):
        for name, line in _lines(file, files.context):
            locked.setdefault(name, (f"{files.shown(file)}:{line}", UPGRADES.get(file.name, "")))
    if isinstance(source, Unavailable) or source.parsed.final is None:
        return Places(manager=manager, locked=locked)
    chain = tuple(source.parsed.instructions(source.parsed.final))
    return Places(manager=manager, dockerfile=source.path, chain=chain, locked=locked)


def _locks(context: Path) -> list[Path]:
    locks = [context / name for name in UPGRADES]
    try:
        below = sorted(file for folder in (context, context / "requirements") for file in folder.glob("*.txt"))
    except OSError:
        below = []
    named = [file for file in below if is_requirements(file.relative_to(context).as_posix())]
    return [file for file in (*locks, *named) if file.is_file()]


def _lines(file: Path, context: Path) -> Iterator[tuple[str, int]]:
    """Yield the distributions that a file names, each with its line; nothing of one that leads out of the context."""
    try:
        require_inside(file, context)
        text = read_bytes(file, LARGEST).decode("utf-8", "replace")
    except (OSError, SettingsError):
        return
    form = LOCKED.fullmatch if file.name in UPGRADES else REQUIRED.match
    for number, line in enumerate(text.splitlines(), 1):
        if found := form(line):
            yield canonicalize_name(found[1] or found[2]), number
