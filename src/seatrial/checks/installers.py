"""How to get package installers out of an image: by which command, and at which line of the Dockerfile."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from packaging.utils import canonicalize_name

from seatrial.checks.places import writer
from seatrial.facts import Distribution, Unavailable
from seatrial.facts.sources import Dockerfile, DockerfileSource, Instruction

DEBIAN = "/usr/lib/python3"
MANAGED = re.compile(r"/(?:cpython|pypy)-\d")
"""Pythons that uv installs: their pip refuses to change them (EXTERNALLY-MANAGED)."""
BESIDE = {"setuptools": ("setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence.pth")}
"""What a distribution has in site-packages beside its metadata, where that is more than a folder of its name."""
OTHERWISE = "what the application needs of them goes into the contract's `installers`"


def removal_fix(
    found: Sequence[Distribution], programs: Sequence[str], dockerfile: DockerfileSource | Unavailable
) -> str:
    """Return what removes some distributions, and programs such as uv."""
    parsed = None if isinstance(dockerfile, Unavailable) else dockerfile.parsed
    folders: dict[str, list[str]] = {}
    for package in found:
        folders.setdefault(package.location, []).append(canonicalize_name(package.name))
    steps = [_at(folder, removal_command(folder, names), parsed) for folder, names in folders.items()]
    # pip's own script goes with the distribution.
    alone = [
        path
        for path in programs
        if posixpath.basename(path) not in {name for names in folders.values() for name in names}
    ]
    steps += [_program(path, parsed) for path in alone]
    return f"{'; '.join(steps)}; {OTHERWISE}." if steps else f"Make the environment without them; {OTHERWISE}."


def removal_command(folder: str, names: Sequence[str]) -> str:
    """Return the command that removes distributions from a site-packages folder, as it works in that image."""
    if folder.startswith(DEBIAN):
        return f"apt-get purge --yes {' '.join(f'python3-{name}' for name in names)}"
    prefix = re.split(r"/lib(?:64)?/python", folder)[0]
    if "pip" in names and prefix != folder and not MANAGED.search(folder):
        return f"{prefix}/bin/python -m pip uninstall --yes {' '.join(names)}"
    return f"rm -rf {' '.join(_files(folder, names))}"


def _files(folder: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield from (f"{folder}/{file}" for file in BESIDE.get(name, (name,)))
        yield f"{folder}/{name}-*.dist-info"


def _at(folder: str, command: str, dockerfile: Dockerfile | None) -> str:
    """Return where in the Dockerfile a command belongs that removes what lies in a folder."""
    if dockerfile is None or (last := dockerfile.final) is None:
        return f"In the final stage, as root: `RUN {command}`"
    made = writer(dockerfile.instructions(last), [folder])
    if made is not None and (stage := dict(made.flags).get("from")):
        return f"Line {made.line} copies them from {stage}: end that stage with `RUN {command}`"
    if made is not None and made.keyword == "RUN":
        return f"Line {made.line} was the last to write there: end it with ` && {command}`"
    return f"They come with `{last.instructions[0].whole}`: add `RUN {command}` {_in_stage(last.instructions)}"


def _in_stage(instructions: Sequence[Instruction]) -> str:
    """Return where in the final stage, behind the last use of pip, and while the build still is root."""
    uses = max(
        (step.line for step in instructions if step.keyword == "RUN" and re.search(r"\bpip3?\b", step.text)), default=0
    )
    users = [step for step in instructions if step.keyword == "USER"]
    before = next((step for step in users if step.line > uses), None)
    behind = f"below line {uses}" if uses else ""
    if before is not None:
        return f"{f'{behind}, ' if behind else ''}above line {before.line} (`{before.whole}`)"
    if users:
        return f"{behind}, between `USER root` and `{users[-1].whole}`"
    return behind or "below it"


def _program(path: str, dockerfile: Dockerfile | None) -> str:
    final = None if dockerfile is None else dockerfile.final
    made = None if dockerfile is None or final is None else writer(dockerfile.instructions(final), [path])
    if made is None:
        return f"Remove {path} in the step that brings it"
    origin = dict(made.flags).get("from")
    if made.keyword != "COPY" or origin is None:
        return f"Line {made.line} brings {path}: leave it out of the final stage"
    source = made.words[0] if made.words else path
    mount = f"--mount=from={origin},source={source},target={path}"
    return f"Line {made.line} brings {path}: take that line away, and mount it where it is used, `RUN {mount} …`"
