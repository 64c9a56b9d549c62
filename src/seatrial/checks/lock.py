"""packages/match-lock, not-editable, requirements-met: what is installed, against what it should be."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from seatrial.checks.model import (
    Check,
    Level,
    Outcome,
    UndecidedError,
    failed,
    had,
    installed,
    passed,
    probe_of,
    skipped,
)
from seatrial.facts import INSTALLERS, Unavailable
from seatrial.requirements import closure, holds, marker_environment, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.facts import Distribution, Facts, Probe
    from seatrial.facts.sources import LockedPackage, LockFile
    from seatrial.settings.model import Contract


EXTRA = re.compile(r"""(?<![\w.])extra\s*(==|!=)\s*(['"])(.*?)\2|(['"])([^'"]*?)\4\s*(==|!=)\s*extra\b""")
"""A comparison with `extra`. Poetry names the project's extras so; uv writes those that exclude one another, and
groups, as `extra-LENGTH-PROJECT-NAME` and `group-LENGTH-PROJECT-NAME`."""

YES, NO = "python_version >= '0'", "python_version < '0'"


def image_environment(probe: Probe) -> dict[str, str]:
    """Return what markers are judged by in an image: everything from its own interpreter."""
    version = probe.interpreter.version
    environment = marker_environment(version)
    seen = probe.environment
    if seen is not None:
        environment["implementation_name"] = seen.implementation or environment["implementation_name"]
        environment["platform_machine"] = seen.machine or environment["platform_machine"]
    return {
        **environment,
        "platform_python_implementation": probe.interpreter.implementation,
        "implementation_version": version,
    }


def resolve(lock: LockFile, environment: Mapping[str, str], chosen: Iterable[str]) -> dict[str, LockedPackage]:
    """Return what a lock has installed, by name.

    Args:
        lock: the lock.
        environment: what markers are judged by.
        chosen: the project's extras and groups that the image gets, normalised.

    """
    active = frozenset(chosen) | frozenset(lock.defaults)
    by_name: dict[str, list[LockedPackage]] = {}
    for one in lock.packages:
        by_name.setdefault(one.name, []).append(one)
    found: dict[str, LockedPackage] = {}
    seen: set[tuple[str, str, str]] = set()
    left = [one for one in lock.roots if not one.only or active & set(one.only)]
    while left:
        want = left.pop()
        if not marker_holds(want.marker, environment, active, lock.project):
            continue
        rows = [one for one in by_name.get(want.name, ()) if want.version in {"", one.version}]
        meant = [one for one in rows if marker_holds(one.marker, environment, active, lock.project)] or rows
        if not meant:
            continue
        row = meant[0]
        found[row.name] = row
        for part in ("", *want.extras):
            if (row.name, row.version, part) not in seen:
                seen.add((row.name, row.version, part))
                left += row.extras.get(part, ()) if part else row.wants
    return found


def marker_holds(text: str, environment: Mapping[str, str], active: frozenset[str], project: str) -> bool:
    """Tell whether a lock's marker holds; one that cannot be read or compared does not."""
    if not text:
        return True
    prefixes = (f"extra-{len(project)}-{project}-", f"group-{len(project)}-{project}-")

    def decided(match: re.Match[str]) -> str:
        operator, name = match[1] or match[6], match[3] or match[5] or ""
        bare = next((name.removeprefix(one) for one in prefixes if name.startswith(one)), name)
        return YES if (bare in active) == (operator == "==") else NO

    sets = {"extras": active, "dependency_groups": active}
    try:
        return Marker(EXTRA.sub(decided, text)).evaluate({**environment, **sets}, context="lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, RecursionError):
        return False


SHOWN = 40
SYSTEM = "/usr/lib/python3"
"""Debian's own Python packages lie here: its package manager owns them, and no lock."""


def match_lock(facts: Facts, contract: Contract) -> Outcome:
    """Compare what is installed with what the lock resolves to for the image's own interpreter."""
    lock = facts.project.lock
    probe = probe_of(facts)
    if lock is None:
        return skipped("no lock of the project is known: uv.lock, pylock.toml, poetry.lock, pdm.lock, requirements.txt")
    if isinstance(lock, Unavailable):
        return skipped(lock.reason)
    chosen: set[str] = {canonicalize_name(name) for name in (*contract.extras, *contract.groups)}
    unknown = sorted(chosen - set(lock.names))
    if unknown:
        raise UndecidedError(f"{lock.file} knows no extra or group {', '.join(unknown)}, which the contract names")
    listed = installed(facts, contract)
    wanted = resolve(lock, image_environment(probe), chosen)
    needed = {name: one for name, one in wanted.items() if not one.local}
    if needed and not needed.keys() & listed.keys():
        raise UndecidedError("the package list is not the application's; packages/evidence tells why")
    missing = [f"{name} {one.version} is missing" for name, one in needed.items() if name not in listed]
    different = [
        f"{name} is {listed[name].version}, not {one.version}"
        for name, one in needed.items()
        if name in listed and not _same(listed[name].version, one.version)
    ]
    extra = [
        f"{name} {one.version} is not in it" for name, one in _beyond(listed, lock, wanted, probe.interpreter.version)
    ]
    count = f"{len(needed)} distributions of {lock.file} for Python {probe.interpreter.version}"
    expected = f"exactly the {count}{_with(chosen)}"
    wrong = (*sorted(missing), *sorted(different), *sorted(extra))
    if wrong:
        return failed(
            "; ".join(wrong[:SHOWN]) + ("" if len(wrong) <= SHOWN else f"; and {len(wrong) - SHOWN} more"),
            expected=expected,
            fix=_fix(lock),
            evidence=wrong,
        )
    return passed(f"all {count}, and no other", expected=expected)


def _with(chosen: set[str]) -> str:
    return f", with {', '.join(sorted(chosen))}" if chosen else ""


def _fix(lock: LockFile) -> str:
    install = {
        "uv.lock": "`uv sync --frozen --no-dev`",
        "poetry.lock": "`poetry sync --only main`",
        "pdm.lock": "`pdm sync --prod --clean`",
        "pylock.toml": "`uv pip sync pylock.toml`",
    }.get(lock.file, f"`pip install --no-deps -r {lock.file}`")
    return (
        f"Install from the lock alone, into an empty environment: {install}. Extras and groups that the image gets go "
        "into the contract's `extras` and `groups`."
    )


def _same(seen: str, locked: str) -> bool:
    """Tell whether two versions are one. A lock that names none (a folder, an address) does not say."""
    if not locked:
        return True
    try:
        one, other = Version(seen), Version(locked)
    except InvalidVersion:
        return seen == locked
    # An index may hold a build of its own, 2.5.1+cpu; a lock without such a part means any.
    return one == other if other.local else Version(one.public) == other


def _beyond(
    listed: dict[str, Distribution], lock: LockFile, wanted: dict[str, LockedPackage], python: str
) -> Iterator[tuple[str, Distribution]]:
    """Yield what is installed and not wanted."""
    own = {one.name for one in lock.packages if one.local} | {lock.project}
    # Pinned requirements may name the direct ones only: what those bring in is theirs.
    brought = frozenset() if lock.whole else closure((one.name for one in lock.roots), listed.values(), python)
    for name, one in listed.items():
        # Installers are another check's: packages/no-installers.
        if name in wanted or name in own or name in INSTALLERS or name in brought:
            continue
        if not one.location.startswith(SYSTEM):
            yield name, one


def not_editable(facts: Facts, contract: Contract) -> Outcome:
    """Look for distributions that are links to a source folder."""
    probe = probe_of(facts)
    listed = installed(facts, contract)
    if not listed:
        return skipped("the environment holds no distribution")
    found = [f"{one.name} {one.version} is a link to {one.editable}" for one in listed.values() if one.editable]
    links = had(probe.environment, probe, "environment").linked
    if not found:
        found = [f"{posixpath.basename(path)} links a source folder into the environment" for path in links]
    expected = f"none of {len(listed)} distributions is an editable install"
    if found:
        return failed(
            "; ".join(found[:SHOWN]),
            expected=expected,
            fix="Install it for real: `uv sync --frozen --no-dev --no-editable`, or `pip install .` without -e.",
            evidence=(*found, *links),
        )
    return passed(f"none of {len(listed)} is", expected=expected)


def requirements_met(facts: Facts, contract: Contract) -> Outcome:
    """Hold every distribution's own requirements against what is installed, extras that are asked for included."""
    probe = probe_of(facts)
    listed = installed(facts, contract)
    if not listed:
        return skipped("the environment holds no distribution")
    environment = image_environment(probe)
    declared = contract.dependencies if contract.dependencies is not None else facts.project.dependencies
    left: list[tuple[str, str, str]] = [("the application", one, "") for one in declared or () if _is_in(one, listed)]
    asked = {(name, "") for name in listed}
    left += [(name, one, "") for name, row in listed.items() for one in row.requires]
    unmet: list[str] = []
    count = 0
    while left:
        who, text, extra = left.pop()
        requirement = parse(text)
        if requirement is None:
            unmet.append(f"{who} asks for {text!r}, which is no requirement")
            continue
        if not holds(requirement, {**environment, "extra": extra}):
            continue
        count += 1
        name = canonicalize_name(requirement.name)
        row = listed.get(name)
        if row is None:
            unmet.append(f"{who} asks for {_shown(text)}, which is not installed")
            continue
        if not _satisfied(text, row.version):
            unmet.append(f"{who} asks for {_shown(text)}, and {row.version} is installed")
        for wanted in map(canonicalize_name, requirement.extras):
            if (name, wanted) not in asked:
                asked.add((name, wanted))
                left += [(f"{name}[{wanted}]", one, wanted) for one in row.requires if "extra" in one]
    expected = "every distribution's own requirements are met"
    if unmet:
        lines = tuple(sorted(set(unmet)))
        return failed(
            "; ".join(lines[:SHOWN]),
            expected=expected,
            fix="Resolve and lock all requirements together, and install that lock into an empty environment.",
            evidence=lines,
        )
    return passed(f"{count} requirements of {len(listed)} distributions are met", expected=expected)


def _is_in(text: str, listed: dict[str, Distribution]) -> bool:
    """Tell whether a declared dependency is installed at all; where it is not, packages/evidence tells that."""
    requirement = parse(text)
    return requirement is not None and canonicalize_name(requirement.name) in listed


def _shown(text: str) -> str:
    return text.partition(";")[0].strip()


def _satisfied(text: str, version: str) -> bool:
    requirement = parse(text)
    try:
        return requirement is None or requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


CHECKS = (
    Check(
        id="packages/match-lock",
        title="Holds exactly what the lock says",
        why="What is not in the lock was not tested; what the lock names and the image lacks fails in use.",
        source="uv's Docker guide: `uv sync --locked`; PEP 751; pip's repeatable installs",
        example="RUN uv pip install -r pyproject.toml",
        mend="COPY pyproject.toml uv.lock ./\nRUN uv sync --frozen --no-dev",
        level=Level.QUICK,
        function=match_lock,
    ),
    Check(
        id="packages/not-editable",
        title="Holds no editable install",
        why="An editable install is a link to a source folder that another stage, or a volume, may not have.",
        source="uv's Docker guide, non-editable installs; PEP 660",
        example="RUN pip install -e .",
        mend="RUN pip install .",
        level=Level.QUICK,
        function=not_editable,
    ),
    Check(
        id="packages/requirements-met",
        title="Every distribution's requirements are met",
        why="A distribution beside one that it cannot work with fails when that part is first used.",
        source="pythonspeed.com; `pip check`; core metadata: Requires-Dist",
        example="RUN pip install fastapi && pip install starlette==0.20",
        mend="RUN pip install fastapi starlette",
        level=Level.QUICK,
        function=requirements_met,
    ),
)
