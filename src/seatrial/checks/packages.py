"""packages/*: the distributions that the application runs with."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from seatrial.checks.declaration import check, own_distributions
from seatrial.checks.model import (
    Expect,
    Outcome,
    Severity,
    UndecidedError,
    first_lines,
    passed,
    present,
    shorten,
    skipped,
)
from seatrial.checks.places import removal_fix
from seatrial.facts import INSTALLERS, Distribution, Probe, ProjectFacts, ResolvedCommand, Unavailable
from seatrial.facts.probe import Environment
from seatrial.facts.sources import DockerfileSource, LockedPackage, LockFile
from seatrial.requirements import closure, holds, image_environment, names_of, parse, resolve
from seatrial.settings.model import Contract
from seatrial.text import counted

DEFAULT_FORBIDDEN = ("pytest", "ruff", "mypy")
LISTED = 30
"""Distributions that the evidence lists."""
SHOWN = 40
"""Problems that the first line names."""
SYSTEM = "/usr/lib/python3"
"""Debian's own Python packages lie here: its package manager owns them, and no lock."""
WRONG_LIST = "the package list is not the application's; see packages/evidence"
NONE_INSTALLED = "the environment holds no distribution"
UNPROVEN = skipped("none found, but the list has not shown that it is the application's; set `dependencies`")


@check(
    "packages/evidence",
    title="Lists the application's own packages",
    severity=Severity.ERROR,
    follows=("python/environment-matches", "python/packages-on-path"),
    why="The package list of another interpreter proves nothing about the application's.",
    source="pip list: it lists the environment of the interpreter that runs it",
    example="COPY --from=builder /app/.venv /app/.venv\n"
    "# the base's python, which knows none of the packages\n"
    'CMD ["python", "main.py"]',
    fixed='COPY --from=builder /app/.venv /app/.venv\nENV PATH=/app/.venv/bin:$PATH\nCMD ["python", "main.py"]',
)
def evidence(by_files: Probe, dependencies: tuple[str, ...] | None) -> Outcome:
    """Compare the list with what must be on it: the list of a wrong interpreter does not show it."""
    listed = own_distributions(by_files)
    where = by_files.interpreter.executable
    wanted = _direct(dependencies, by_files)
    # An application that declares none may need none; metadata that cannot be read stands for some.
    if not listed and (wanted or (dependencies is None and by_files.broken_distributions)):
        return Expect(", ".join(wanted) or "the application's direct dependencies").failed(
            f"{where} lists no distribution at all",
            fix="Install them for the interpreter that the command runs on.",
            evidence=_unreadable(by_files),
            severity=None if wanted else Severity.WARNING,
        )
    if not wanted and dependencies == ():
        return passed(f"{where} lists {len(listed)} distributions; the application declares no dependency")
    if not wanted:
        return skipped("nothing is known that the list must show; set `dependencies` in the contract")
    missing = [name for name in wanted if name not in listed]
    if missing:
        require_read(by_files, ", ".join(missing))
    expect = Expect(f"{len(wanted)} direct dependencies on the list: {', '.join(wanted)}")
    if missing:
        return expect.failed(
            f"{where} lists {counted(len(listed), 'distribution')}, without {', '.join(missing)}",
            items=missing,
            fix="Install them for the interpreter that the command runs on, into the environment that it uses. If it "
            "runs on another one, name that one: `interpreter` in the contract.",
            evidence=(
                *_unreadable(by_files),
                *first_lines([f"listed: {found.name} {found.version}" for found in listed.values()], LISTED),
            ),
        )
    return expect.passed(f"{where} lists {len(listed)} distributions, all {len(wanted)} direct ones among them")


@check(
    "packages/forbidden",
    title="Holds no development packages",
    severity=Severity.WARNING,
    demanded_by=("forbidden",),
    why="Test and lint tools make the image larger and give an intruder more to work with.",
    source="uv's Docker guide: `uv sync --no-dev`; Docker's build best practices: no unnecessary packages",
    example="RUN uv sync --frozen",
    fixed="RUN uv sync --frozen --no-dev",
)
def forbidden(
    by_files: Probe, dependencies: tuple[str, ...] | None, project: ProjectFacts, contract: Contract
) -> Outcome:
    listed = _trusted(dependencies, by_files)
    names = contract.forbidden
    if names is None:
        candidates = tuple(dict.fromkeys((*DEFAULT_FORBIDDEN, *project.dev_group)))
        needed = closure((*(dependencies or ()), *project.extras), listed.values(), by_files.interpreter.version)
        needed |= _of_the_lock(project, contract, by_files) | required_by_others(listed.values(), candidates, by_files)
        # A test tool that the application itself asks for is told all the same.
        asked = frozenset(DEFAULT_FORBIDDEN).intersection(_direct(dependencies, by_files))
        names = tuple(name for name in candidates if name not in needed - asked)
    wanted = tuple(dict.fromkeys(canonicalize_name(name) for name in names))
    if not wanted:
        return skipped("the contract forbids nothing")
    found = [listed[name] for name in wanted if name in listed]
    unreadable = _unreadable(by_files, wanted)
    expect = Expect(f"none of {', '.join(wanted)}")
    if found or unreadable:
        return expect.failed(
            ", ".join((*(f"{package.name} {package.version}" for package in found), *unreadable)),
            items=(*(package.name for package in found), *unreadable),
            fix="Leave them out: `uv sync --no-dev`, or a requirements file without them. If the application itself "
            "needs one, say in the contract's `forbidden` what is forbidden instead.",
            evidence=(*(_located(package) for package in found), *unreadable),
        )
    require_read(by_files, f"one of {', '.join(wanted)}")
    if not _proven(dependencies, by_files):
        return UNPROVEN
    return expect.passed(f"none of them among {len(listed)} distributions")


@check(
    "packages/no-installers",
    title="Holds no package installers",
    severity=Severity.NOTE,
    why="An installer lets an intruder download and run any package.",
    source="uv's Docker guide; Docker's build best practices: no unnecessary packages",
    example="FROM python:3.13-slim\nCOPY --from=builder /app /app",
    fixed="FROM python:3.13-slim\nRUN /usr/local/bin/python -m pip uninstall --yes pip\nCOPY --from=builder /app /app",
)
def no_installers(
    by_files: Probe,
    command: ResolvedCommand | Unavailable,
    dependencies: tuple[str, ...] | None,
    project: ProjectFacts,
    dockerfile: DockerfileSource | Unavailable,
    contract: Contract,
) -> Outcome:
    """Leave alone what the command runs (`uv run`), and what the lock or another distribution requires."""
    allowed: set[str] = {canonicalize_name(name) for name in contract.installers}
    allowed |= _of_the_lock(project, contract, by_files) | required_by_others(
        by_files.distributions, INSTALLERS, by_files
    )
    if isinstance(command, ResolvedCommand):
        allowed |= {posixpath.basename(word) for word in command.words}
    wanted = tuple(name for name in INSTALLERS if name not in allowed)
    if not wanted:
        return skipped("the contract allows every installer")
    found = [package for package in by_files.distributions if canonicalize_name(package.name) in wanted]
    programs = [program.path for program in by_files.executables if program.path and program.name in wanted]
    expect = Expect(f"none of {', '.join(wanted)}")
    unreadable = _unreadable(by_files, wanted)
    if found or programs or unreadable:
        seen = (*map(_located, found), *programs, *unreadable)
        return expect.failed(", ".join(seen), fix=removal_fix(found, programs, dockerfile), evidence=seen)
    if "distributions" in by_files.truncated:
        raise UndecidedError(f"the list was cut after {len(by_files.distributions)} distributions")
    require_read(by_files, f"one of {', '.join(wanted)}")
    if not _proven(dependencies, by_files):
        return UNPROVEN
    return expect.passed(f"none of them among {len(by_files.distributions)} distributions and on PATH")


TEST_TOOL = re.compile(r"(?:pytest|flake8|mypy|ruff|coverage)\b.*|.*-(?:pytest|stubs)|types-.*")
"""A distribution that is of use to a test or a linter only: what it requires is not the application's."""
DEVELOPMENT = {"dev", "test", "tests", "lint", "typing", "docs"}


def required_by_others(distributions: Iterable[Distribution], names: Iterable[str], probe: Probe) -> frozenset[str]:
    """Return those of some names that an installed distribution, not one of them itself, requires."""
    asked, environment = frozenset(names), image_environment(probe)
    return frozenset(
        name
        for found in distributions
        if (own := canonicalize_name(found.name)) not in asked and not TEST_TOOL.fullmatch(own)
        for text in found.requires
        if (requirement := parse(text)) and (name := canonicalize_name(requirement.name)) in asked
        if holds(requirement, environment)
    )


def _of_the_lock(project: ProjectFacts, contract: Contract, probe: Probe) -> frozenset[str]:
    """Return the names that the lock has installed without the groups of development."""
    lock = project.lock
    if not isinstance(lock, LockFile):
        return frozenset()
    named = {canonicalize_name(name) for name in (*contract.extras, *contract.groups)}
    return frozenset(resolve(lock, image_environment(probe), {*named, *lock.chosen} - DEVELOPMENT))


def require_read(probe: Probe, what: str) -> None:
    """Leave a check undecided where a zip or a zipped egg on sys.path may hold what was not found."""
    if archives := probe.interpreter.archives:
        raise UndecidedError(
            f"{what} may be in {shorten(archives, 3)}: Python imports from it, and it is not read. Unpack it into a "
            "folder, or install it with pip",
            *archives,
        )


def _located(package: Distribution) -> str:
    return f"{package.name} {package.version} in {package.location}"


def _unreadable(probe: Probe, names: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the metadata that cannot be read, such as links whose target stayed behind; with names, only of these.

    A package is found by the name of its folder: importlib.metadata goes by that, too.
    """
    found = [
        f"cannot be read: {package.location}: {package.problem}"
        for package in probe.broken_distributions
        if names is None or _named(package.location) in names
    ]
    return first_lines(found, LISTED)


def _named(location: str) -> str:
    """Return the name in that of a metadata folder: `/…/My_Package-1.0.dist-info`."""
    stem = posixpath.basename(location.removesuffix("/EGG-INFO")).removesuffix(".dist-info").removesuffix(".egg-info")
    return canonicalize_name(stem.partition("-")[0])


def _trusted(dependencies: tuple[str, ...] | None, probe: Probe) -> dict[str, Distribution]:
    """Return the list once it has shown that it is the application's: what a wrong one does not hold proves nothing."""
    listed = own_distributions(probe)
    if "distributions" in probe.truncated:
        raise UndecidedError(f"the list was cut after {len(listed)} distributions")
    missing = [name for name in _direct(dependencies, probe) if name not in listed]
    if missing or (not listed and dependencies != ()):
        raise UndecidedError(WRONG_LIST)
    return listed


def _proven(dependencies: tuple[str, ...] | None, probe: Probe) -> bool:
    """Tell whether the list has shown what only the application's own can show; without dependencies, any may be it."""
    return dependencies == () or bool(_direct(dependencies, probe))


def _direct(dependencies: tuple[str, ...] | None, probe: Probe) -> tuple[str, ...]:
    """Return the direct dependencies that the image's Python needs, by name."""
    return names_of(dependencies or (), probe.interpreter.version)


@check(
    "packages/match-lock",
    title="Holds exactly what the lock says",
    severity=Severity.WARNING,
    follows=("packages/evidence", "dockerfile/locked-install"),
    why="What is not in the lock was not tested; what the lock names and the image lacks fails in use.",
    source="uv's Docker guide: `uv sync --locked`; PEP 751; pip's repeatable installs",
    example="RUN uv pip install -r pyproject.toml",
    fixed="COPY pyproject.toml uv.lock ./\nRUN uv sync --frozen --no-dev",
)
def match_lock(
    by_files: Probe,
    installed: dict[str, Distribution] | Unavailable,
    environment: Environment | Unavailable,
    project: ProjectFacts,
    contract: Contract,
) -> Outcome:
    lock = project.lock
    if lock is None:
        return skipped("no lock of the project is known: uv.lock, pylock.toml, poetry.lock, pdm.lock, requirements.txt")
    if isinstance(lock, Unavailable):
        return skipped(lock.reason)
    named: set[str] = {canonicalize_name(name) for name in (*contract.extras, *contract.groups)}
    unknown = sorted(named - set(lock.names))
    if unknown:
        raise UndecidedError(f"{lock.file} knows no extra or group {', '.join(unknown)}, which the contract names")
    chosen = {*named, *lock.chosen}
    listed = present(installed)
    wanted = resolve(lock, image_environment(by_files), chosen)
    needed = {name: package for name, package in wanted.items() if not package.local}
    if needed and not needed.keys() & listed.keys():
        raise UndecidedError(WRONG_LIST)
    python = by_files.interpreter.version
    missing = [f"{name} {package.version} is missing" for name, package in needed.items() if name not in listed]
    different = [
        f"{name} is {listed[name].version}, not {package.version}"
        for name, package in needed.items()
        if name in listed and not _same(listed[name].version, package.version)
    ]
    links = () if isinstance(environment, Unavailable) else environment.linked
    linked = {canonicalize_name(posixpath.basename(link).removesuffix(".egg-link")) for link in links}
    extra = [
        f"{name} {package.version} is not in it"
        for name, package in _beyond(listed, lock, wanted, python)
        if name not in linked
    ]
    count = f"{len(needed)} distributions of {lock.file} for Python {python}"
    expect = Expect(f"exactly the {count}" + (f", with {', '.join(sorted(chosen))}" if chosen else ""))
    wrong = (*sorted(missing), *sorted(different), *sorted(extra))
    if not (different or extra):
        require_read(by_files, "more than the lock says" if not missing else missing[0].partition(" ")[0])
    if wrong:
        return expect.failed(shorten(wrong, SHOWN), fix=_fix(lock), evidence=wrong)
    return expect.passed(f"all {count}, and no other")


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
    """Tell whether two versions are the same. A lock that names none (a folder, an address) does not say."""
    if not locked:
        return True
    try:
        version, wanted = Version(seen), Version(locked)
    except InvalidVersion:
        return seen == locked
    # An index may hold a build of its own, 2.5.1+cpu; a lock without such a part means any.
    return version == wanted if wanted.local else Version(version.public) == wanted


def _beyond(
    listed: dict[str, Distribution], lock: LockFile, wanted: dict[str, LockedPackage], python: str
) -> Iterator[tuple[str, Distribution]]:
    """Yield what is installed and not wanted."""
    own = {package.name for package in lock.packages if package.local} | {lock.project}
    # Pinned requirements may name the direct ones only: what those bring in is theirs. So it is with what the
    # Dockerfile installs beside the lock.
    roots = () if lock.whole else tuple(f"{root.name}[{','.join(root.extras)}]" for root in lock.roots)
    brought = closure((*roots, *lock.beside), listed.values(), python)
    # No requirement names the folder that the project itself, or a part of it, is installed from.
    folders = () if lock.whole else (name for name, package in listed.items() if package.origin or package.editable)
    # Installers are another check's: packages/no-installers.
    spared = {*wanted, *own, *INSTALLERS, *brought, *folders}
    for name, package in listed.items():
        if name not in spared and not package.location.startswith(SYSTEM):
            yield name, package


@check(
    "packages/not-editable",
    title="Holds no editable install",
    severity=Severity.NOTE,
    why="An editable install is a link to a source folder that another stage, or a volume, may not have.",
    source="uv's Docker guide, non-editable installs; PEP 660",
    example="RUN pip install -e .",
    fixed="RUN pip install .",
)
def not_editable(installed: dict[str, Distribution], environment: Environment | Unavailable) -> Outcome:
    if not installed:
        return skipped(NONE_INSTALLED)
    packages = installed.values()
    found = [
        f"{package.name} {package.version} is a link to {package.editable}" for package in packages if package.editable
    ]
    links = present(environment).linked
    if not found:
        found = [f"{posixpath.basename(path)} links a source folder into the environment" for path in links]
    expect = Expect(f"none of {len(installed)} distributions is an editable install")
    if found:
        return expect.failed(
            shorten(found, SHOWN),
            fix="Install it for real: `uv sync --frozen --no-dev --no-editable`, or `pip install .` without -e.",
            evidence=(*found, *links),
        )
    return expect.passed(f"none of {len(installed)} is")
