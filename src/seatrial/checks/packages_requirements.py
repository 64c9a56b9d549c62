"""packages/*: whether the distributions of an environment are whole, and go together."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, shorten, skipped
from seatrial.checks.packages import NONE_INSTALLED, SHOWN, SYSTEM, require_read, required_by_others
from seatrial.facts import INSTALLERS, Distribution, Probe
from seatrial.requirements import closure, holds, image_environment, names_of, parse

APPLICATION = "the application"
NOT_INSTALLED = ", which is not installed"


@check(
    "packages/installed-files",
    title="Every distribution's code is there",
    severity=Severity.ERROR,
    follows=("packages/evidence",),
    why="Metadata without code passes every comparison of versions, and nothing of it can be imported.",
    source="Python packaging user guide, Recording installed projects: RECORD lists a distribution's files",
    example="RUN pip install -r requirements.txt && rm -rf /usr/local/lib/python3.13/site-packages/boto3",
    fixed="RUN pip install -r requirements.txt && pip uninstall --yes boto3",
)
def installed_files(
    by_files: Probe, installed: dict[str, Distribution], dependencies: tuple[str, ...] | None
) -> Outcome:
    """Look for one file of code of each, so that a distribution whose tests were removed is whole."""
    if not installed:
        return skipped(NONE_INSTALLED)
    lacking = {name: package for name, package in installed.items() if package.without_code}
    expect = Expect(f"code beside the metadata of {len(installed)} distributions")
    if lacking:
        lines = tuple(f"{package.name} {package.version}: {package.without_code}" for package in lacking.values())
        needed = closure(dependencies or (), installed.values(), by_files.interpreter.version)
        needed |= required_by_others(installed.values(), tuple(lacking), by_files)
        severity = Severity.ERROR if needed & lacking.keys() else Severity.WARNING
        return expect.failed(
            shorten(lines, SHOWN),
            fix="Install it again, with its files, or remove it with its metadata: `pip uninstall`. What a later stage "
            "copies of an environment, copy whole.",
            evidence=lines,
            severity=Severity.NOTE if lacking.keys() <= set(INSTALLERS) - needed else severity,
        )
    return expect.passed(f"{len(installed)} distributions checked")


@check(
    "packages/requirements-met",
    title="Every distribution's requirements are met",
    severity=Severity.ERROR,
    why="Two distributions that do not fit together fail when that part is first used.",
    source="pythonspeed.com; `pip check`; core metadata: Requires-Dist",
    example="RUN pip install fastapi && pip install starlette==0.20",
    fixed="RUN pip install fastapi starlette",
)
def requirements_met(
    by_files: Probe, installed: dict[str, Distribution], dependencies: tuple[str, ...] | None
) -> Outcome:
    if not installed:
        return skipped(NONE_INSTALLED)
    unmet, count = _unmet(installed, dependencies or (), image_environment(by_files))
    expect = Expect("every distribution's own requirements are met")
    if unmet:
        if all(line.endswith(NOT_INSTALLED) for line in unmet):
            require_read(by_files, "what is asked for")
        lines = tuple(sorted(unmet, key=lambda line: (not unmet[line], line)))
        return expect.failed(
            shorten(lines, SHOWN),
            fix="Resolve and lock all requirements together, and install that lock into an empty environment.",
            evidence=lines,
            severity=Severity.ERROR if any(unmet.values()) else Severity.WARNING,
        )
    return expect.passed(f"{count} requirements of {len(installed)} distributions are met")


def _unmet(
    listed: dict[str, Distribution], declared: Iterable[str], environment: dict[str, str]
) -> tuple[dict[str, bool], int]:
    """Return the requirements that are not met, and how many there are at all.

    Each is told with whether it is grave: what is newer than a distribution has been tried with mostly works, and an
    extra that another distribution asks for is not needed to import it.
    """
    asked = {(name, "") for name in listed}
    # Where a declared dependency is not installed at all, packages/evidence tells it.
    left = [(APPLICATION, text, "", True) for text in declared if listed.keys() & set(names_of((text,)))]
    # What Debian's package manager installs, it keeps consistent by its own names.
    left += [
        (name, text, "", True)
        for name, package in listed.items()
        if not package.location.startswith(SYSTEM)
        for text in package.requires
    ]
    unmet: dict[str, bool] = {}
    count = 0
    while left:
        who, text, extra, grave = left.pop()
        requirement = parse(text)
        if requirement is None:
            unmet[f"{who} asks for {text!r}, which is not a requirement"] = False
            continue
        if not holds(requirement, {**environment, "extra": extra}):
            continue
        count += 1
        name = canonicalize_name(requirement.name)
        package = listed.get(name)
        if package is None:
            unmet[f"{who} asks for {_shown(text)}{NOT_INSTALLED}"] = grave
            continue
        if not _satisfied(requirement, package.version):
            line = f"{who} asks for {_shown(text)}, and {package.version} is installed"
            unmet[line] = grave and not _newer(requirement, package.version)
        for wanted in map(canonicalize_name, requirement.extras):
            if (name, wanted) not in asked:
                asked.add((name, wanted))
                by_name = f"{name}[{wanted}]"
                left += [(by_name, line, wanted, who == APPLICATION) for line in package.requires if "extra" in line]
    return unmet, count


def _newer(requirement: Requirement, version: str) -> bool:
    """Tell whether a version is above what is asked for, not below it."""
    try:
        seen = Version(version)
        refused = [clause for clause in requirement.specifier if not clause.contains(seen, prereleases=True)]
        return all(
            clause.operator in {"<", "<=", "!="} or seen > Version(clause.version.removesuffix(".*"))
            for clause in refused
        )
    except InvalidVersion:
        return False


def _shown(text: str) -> str:
    return text.partition(";")[0].strip()


def _satisfied(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
