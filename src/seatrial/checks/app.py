"""app/*, native/* and bytecode/*: what the application's code needs to find in the image, and who may change it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import chain

from seatrial.checks.advice import declared_by, how_to_install, import_fix
from seatrial.checks.context import ignore_file
from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, present, skipped
from seatrial.facts import BuildContext, PathAccess, Probe, ProjectFacts, ResolvedCommand, Unavailable
from seatrial.facts.boot import REFUSED
from seatrial.facts.probe import Bytecode, Changeable, Code, Environment
from seatrial.settings.model import Contract

SHOWN = 20
"""Lines of a traceback that are shown, its last."""


@check(
    "app/imports",
    title="The application imports",
    severity=Severity.ERROR,
    follows=(
        "python/environment-matches",
        "python/packages-on-path",
        "packages/evidence",
        Cause(check="native/libraries-resolve", shares=r"^([^,]+), which"),
        Cause(check="native/platform", shares=r"^(\S+) was built for"),
        Cause(check="python/stdlib-complete", shares=r"(?:^|; )(\w+): "),
        Cause(check="packages/requirements-met", shares=r"asks for ([\w.-]+)[^;]*, which is not installed"),
        Cause(check="packages/installed-files", shares=r"RECORD names ([\w-]+)"),
        Cause(check="process/command-resolves", undecided=True),
    ),
    why="Code that does not import does not run; a package that lies on no path is not installed.",
    source="Python packaging user guide, src layout: the package has to be installed to be imported",
    example="RUN uv sync --frozen --no-dev --no-install-project\n# a folder that is on no path\nCOPY src /app/src",
    fixed="COPY src /app/src\nRUN uv sync --frozen --no-dev --no-editable",
)
def imports(probe: Probe, command: ResolvedCommand | Unavailable, project: ProjectFacts) -> Outcome:
    tried = probe.imports
    if not tried:
        return skipped("neither the contract nor the command names a module; set `modules`")
    broken = [module for module in tried if not (module.ok or module.late)]
    late = [module for module in tried if module.late]
    expect = Expect(f"imports {', '.join(module.name for module in tried)}")
    if broken and isinstance(command, ResolvedCommand) and command.program is None:
        # Which folder comes first on sys.path is the program's to say.
        raise UndecidedError("the command does not lead to a program; see process/command-resolves")
    if broken:
        first = broken[0]
        tracebacks = ((f"{module.name}: {module.error}", *last_lines(module.traceback)) for module in broken)
        return expect.failed(
            f"{first.name}: {first.error}",
            items=[f"{module.name}: {module.error}" for module in broken],
            fix=import_fix(first.name, first.error, traceback=bool(first.traceback), declared=declared_by(project)),
            evidence=tuple(chain.from_iterable(tracebacks)),
            # What it may write is boot/read-only's to decide: without restrictions it imports.
            severity=Severity.WARNING if all(REFUSED in module.error.lower() for module in broken) else None,
        )
    if late:
        others = f", and {len(late) - 1} more" if len(late) > 1 else ""
        raise UndecidedError(
            f"the import of {late[0].name}{others}: {late[0].error}. Run it again when the machine has less to do; if "
            "it does not help, the import itself waits or never ends",
            *(line for module in late for line in last_lines(module.traceback)),
        )
    slowest = max(module.seconds for module in tried)
    return expect.passed(f"{len(tried)} imported, the slowest in {slowest:.1f} s")


def last_lines(text: str) -> tuple[str, ...]:
    """Return the last lines of a traceback, and how many came before."""
    lines = text.splitlines()
    return (*([f"… {len(lines) - SHOWN} lines before"] if len(lines) > SHOWN else ()), *lines[-SHOWN:])


@check(
    "app/executables",
    title="The programs that it calls are there",
    severity=Severity.ERROR,
    why="A missing program shows only when a user first asks for what needs it.",
    source="Docker's build best practices, multi-stage builds: only what is copied reaches the final stage",
    example='# contract: executables = ["ffmpeg"]\n'
    "FROM python:3.13-slim AS builder\n"
    "RUN apt-get update && apt-get install --yes ffmpeg\n"
    "FROM python:3.13-slim",
    fixed='# contract: executables = ["ffmpeg"]\n'
    "FROM python:3.13-slim\n"
    "RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*",
)
def executables(by_files: Probe | Unavailable, contract: Contract) -> Outcome:
    if not contract.executables:
        return skipped("the contract names no programs; set `executables`")
    found = {program.name: program.path for program in present(by_files).executables}
    missing = [name for name in contract.executables if not found.get(name)]
    expect = Expect(f"on PATH: {', '.join(contract.executables)}")
    if missing:
        return expect.failed(
            f"not on PATH: {', '.join(missing)}",
            items=missing,
            fix="Install them in the final stage; what is installed in the builder stays there.",
        )
    return expect.passed(", ".join(found[name] for name in contract.executables))


@check(
    "app/writable-paths",
    title="Its user can write where it must",
    severity=Severity.WARNING,
    demanded_by=("writable_paths",),
    why="A library that cannot make its cache folder fails at its first use, in production.",
    source="XDG Base Directory Specification: XDG_CACHE_HOME, or else ~/.cache",
    example="# an account without a home cannot make ~/.cache\nRUN useradd --no-create-home app\nUSER app",
    fixed="RUN useradd --no-create-home app\nENV XDG_CACHE_HOME=/tmp/.cache\nUSER app",
)
def writable_paths(by_files: Probe, contract: Contract) -> Outcome:
    """Judge the contract's paths and the cache folder by permission; the probe had the contract's tmpfs mounted."""
    places = by_files.places
    if not places:
        return skipped("there is no path to check")
    refused = [place for place in places if not place.writable]
    expect = Expect(f"USER can write to {', '.join(place.path for place in places)}")
    if refused:
        return expect.failed(
            [_refusal(place, contract) for place in refused],
            fix="Point caches at a tmpfs (`ENV XDG_CACHE_HOME=/tmp/.cache`), or make the folder in the Dockerfile "
            "and give it to USER (`COPY --chown`, `install -d -o`).",
            severity=None if {place.path for place in refused} & set(contract.writable_paths) else Severity.WARNING,
        )
    why = {True: "is on a tmpfs", False: "may be written"}
    return expect.passed("; ".join(f"{place.path} {why[_on_tmpfs(place.path, contract)]}" for place in places))


def _on_tmpfs(path: str, contract: Contract) -> bool:
    return any(path == top or path.startswith(f"{posixpath.normpath(top)}/") for top in contract.tmpfs)


def _refusal(place: PathAccess, contract: Contract) -> str:
    if _on_tmpfs(place.path, contract):
        return (
            f"{place.nearest} is a tmpfs with mode {place.mode} and owner {place.owner}: those of the image's folder "
            "below it"
        )
    if place.exists:
        return f"{place.path} has mode {place.mode} and owner {place.owner}"
    return f"{place.path} is not there, and {place.nearest} above it has mode {place.mode} and owner {place.owner}"


@check(
    "native/libraries-resolve",
    title="Every shared library is there",
    severity=Severity.ERROR,
    why="An extension module whose library stayed in the builder fails at its import.",
    source="ld.so(8); psycopg, installation: the C library libpq has to be there",
    example="FROM python:3.13-slim AS builder\n"
    "RUN apt-get update && apt-get install --yes libpq-dev gcc && pip install psycopg[c]\n"
    "# holds no libpq.so.5\n"
    "FROM python:3.13-slim",
    fixed="FROM python:3.13-slim\n"
    "RUN apt-get update && apt-get install --yes --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*",
)
def libraries_resolve(probe: Probe) -> Outcome:
    native = probe.native
    expect = Expect("every shared library that an extension module needs is there")
    if native.modules == 0:
        return expect.failed(
            "no extension module was found, not even the standard library's",
            fix="Look at the interpreter's sys.path: its lib-dynload folder is missing.",
        )
    needed = [missing for missing in native.missing if not missing.optional]
    rows = tuple(f"{missing.library}: needed by {missing.needed_by}" for missing in needed)
    if needed and not probe.complete:
        first = needed[0]
        raise UndecidedError(f"{first.library} is not there; whether {first.needed_by} imports was not tried", *rows)
    if needed:
        first = needed[0]
        return expect.failed(
            f"{first.library}, which {first.needed_by} needs, is not there",
            fix=how_to_install(first.library),
            evidence=rows,
            items=rows,
        )
    if native.missing:
        optional = native.missing[0]
        rows = tuple(f"{row.library}: wanted by {row.needed_by}" for row in native.missing)
        return expect.failed(
            f"{optional.library}, which {optional.needed_by} wants, is not there; its package imports without it",
            fix=how_to_install(optional.library),
            evidence=rows,
            items=rows,
            severity=Severity.NOTE,
        )
    return expect.passed(f"{native.modules} shared objects checked")


@check(
    "app/code-read-only",
    title="Its user cannot change its code",
    severity=Severity.WARNING,
    follows=(Cause(check="files/world-writable", shares=r"(/\S+) has mode"),),
    why="An attacker who takes over the process cannot change the code that runs at the next start.",
    source="CIS Docker Benchmark 4.1, 5.13; OWASP Docker cheat sheet, rule 8",
    example="COPY --chown=app:app . /app",
    fixed="COPY . /app",
)
def read_only(probe: Probe, code: tuple[Code, ...] | Unavailable) -> Outcome:
    """Judge its own packages, the command's files and the interpreter's, with every folder above them."""
    uid = probe.identity.uid
    if uid == 0:
        return skipped("USER is root, who can change everything; identity/non-root checks that")
    parts = present(code)
    own = [part for part in parts if part.own]
    expect = Expect(f"uid {uid} can change nothing of {', '.join(part.name for part in parts)}")
    found = [place for part in parts for place in part.changeable]
    if found:
        count = sum(max(part.count, len(part.changeable)) for part in parts)
        return expect.failed(
            f"uid {uid} can change {_changeable(found, count)}: {', '.join(part.name for part in parts if part.count)}",
            fix="Let root own the code: `COPY` without --chown, installs before USER, a WORKDIR that root made. What "
            "must be written belongs on a tmpfs or a volume.",
            evidence=tuple(f"{place.path}: mode {place.mode}, owner {place.owner}" for place in found),
            items=[place.path for place in found],
        )
    if not own:
        return skipped("neither the contract nor the command names a module; set `modules`")
    if lost := [part.name for part in own if not part.origin]:
        raise UndecidedError(f"{', '.join(lost)} is not found in any file; see app/imports")
    return expect.passed(f"{sum(part.files for part in own)} files and folders of its own, and what it runs on")


def _changeable(found: Sequence[Changeable], count: int) -> str:
    """Return the first path, and how many more there are; where all lie in one folder, that one is named."""
    first, top = found[0], posixpath.commonpath([place.path for place in found])
    shown = f"{first.path} (mode {first.mode}, owner {first.owner})"
    where = {"/": "", first.path: " in it"}.get(top, f" in {top}")
    return shown if count == 1 else f"{shown} and {count - 1} more{where}"


@check(
    "native/platform",
    title="Extension modules match its platform",
    severity=Severity.ERROR,
    why="A module built for another processor or C library cannot be loaded, and says so at its import only.",
    source="pythonspeed.com; elf(5); PEP 600, PEP 656",
    example="COPY .venv /app/.venv",
    fixed="RUN uv sync --frozen --no-dev",
)
def platform(probe: Probe, environment: Environment, context: BuildContext | Unavailable) -> Outcome:
    native = probe.native
    machine = environment.machine
    own = f"{machine}{f' with {native.libc}' if native.libc else ''}"
    expect = Expect(f"every extension module was built for {own}")
    if native.modules == 0:
        raise UndecidedError("no extension module was found; see native/libraries-resolve")
    if native.foreign:
        first = native.foreign[0]
        return expect.failed(
            f"{first.path} was built for {first.built_for}, and the interpreter for {own}",
            fix="Install the environment inside the build, on the final stage's own base and platform"
            + (
                f"; keep the host's out by a line in {ignore_file(context)}: `**/{name}`."
                if (name := _folder(first.path))
                else "."
            ),
            evidence=tuple(f"{module.path}: {module.built_for}" for module in native.foreign),
            items=[module.path for module in native.foreign],
            # Some distributions bring modules for several platforms, and load the right one.
            severity=Severity.WARNING if probe.imports and all(tried.ok for tried in probe.imports) else None,
        )
    return expect.passed(f"{native.modules} shared objects checked, none for another than {own}")


def _folder(module: str) -> str:
    """Return the name of the environment's folder that a module lies in; empty where it is the system's."""
    environment = re.split(r"/lib(?:64)?/python", module)[0]
    return "" if environment.startswith("/usr") or environment == module else posixpath.basename(environment)


@check(
    "native/no-musl",
    title="Uses glibc",
    severity=Severity.NOTE,
    why="On musl many packages have no wheels, Python runs slower, and threads get a small stack.",
    source="pythonspeed.com, Using Alpine can make Python Docker builds 50x slower",
    example="FROM python:3.13-alpine",
    fixed="FROM python:3.13-slim",
)
def no_musl(probe: Probe | Unavailable, command: ResolvedCommand, contract: Contract) -> Outcome:
    """Tell the C library by the loader that the interpreter's file names, as the engine reads it."""
    if contract.musl:
        return skipped("the contract allows musl")
    loader = posixpath.basename(command.python_loader)
    libc = "" if command.python_loader and isinstance(probe, Unavailable) else present(probe).native.libc
    expect = Expect("an interpreter that uses glibc")
    if loader.startswith("ld-musl") or (not loader and libc == "musl"):
        return expect.failed(
            f"{command.python} uses musl: its loader is {command.python_loader or 'part of it'}",
            fix="Base the image on Debian (`python:3.13-slim`), or declare `musl = true` in the contract.",
        )
    if not loader and not libc:
        raise UndecidedError(f"neither {command.python} nor the probe tells the C library")
    return expect.passed(f"{command.python} uses {command.python_loader or libc}")


@check(
    "bytecode/dependencies",
    title="Its dependencies are compiled",
    severity=Severity.NOTE,
    demanded_by=("bytecode",),
    why="A container that cannot write compiles every module again at each start, which takes seconds.",
    source="uv's Docker guide, compiling bytecode; hynek.me, Production-ready Python Docker containers; PEP 552",
    example="RUN uv sync --frozen --no-dev",
    fixed="ENV UV_COMPILE_BYTECODE=1\nRUN uv sync --frozen --no-dev",
)
def dependencies(bytecode: Bytecode | Unavailable, contract: Contract) -> Outcome:
    if "dependencies" not in contract.bytecode:
        return skipped("the contract's `bytecode` does not name the dependencies")
    seen = present(bytecode)
    if not seen.sources:
        return skipped("there is no source file of a dependency")
    return _valid(
        seen,
        "every source file of the dependencies",
        fix="Compile in the stage that installs: `ENV UV_COMPILE_BYTECODE=1` for uv; pip does so unless told "
        "--no-compile; or `RUN python -m compileall -q --invalidation-mode unchecked-hash` on the environment, as "
        "the last step that touches its files. Or leave it out of the contract's `bytecode`.",
        all_have_it=f"{seen.sources} source files have it",
    )


@check(
    "bytecode/standard-library",
    title="The standard library is compiled",
    severity=Severity.NOTE,
    demanded_by=("bytecode",),
    why="Official images hold none of it, and a read-only container cannot make any: each start compiles it again.",
    source="uv's Docker guide, compiling bytecode: the standard library; docker-library/python's Dockerfiles",
    example='bytecode = ["dependencies", "standard-library"]  # and nothing in the Dockerfile',
    fixed="RUN python -m compileall -q /usr/local/lib/python3.13",
)
def standard_library(
    probe: Probe | Unavailable, standard_bytecode: Bytecode | Unavailable, contract: Contract
) -> Outcome:
    """Judge the bytecode of those modules of the standard library that the application's imports loaded."""
    if "standard-library" not in contract.bytecode:
        return skipped(
            "the contract's `bytecode` does not name the standard library: official base images hold none, on purpose"
        )
    seen = present(standard_bytecode)
    if not present(probe).imports:
        return skipped("neither the contract nor the command names a module; set `modules`")
    if not seen.sources:
        raise UndecidedError("the imports loaded no module of the standard library from a file")
    return _valid(
        seen,
        "every standard-library module that the application loads",
        fix="Add to the final stage: `RUN python -m compileall -q \"$(python -c 'import os; print(os.path.dirname("
        "os.__file__))')\"`.",
        all_have_it=f"the {seen.sources} modules that were loaded have it",
    )


def _rest(count: int, what: str) -> tuple[str, ...]:
    return (f"… and {count} more {what}",) if count > 0 else ()


def _valid(seen: Bytecode, of: str, *, fix: str, all_have_it: str) -> Outcome:
    """Judge the bytecode of some modules."""
    expect = Expect(
        f"{of} has valid bytecode: bytecode of this Python, with its source's time and size, or hash, or unchecked"
    )
    parts = []
    if seen.missing_count:
        parts.append(f"{seen.missing_count} of {seen.sources} have none: {', '.join(seen.missing[:3])}")
    if seen.stale_count:
        first = next((f": {file.source}: {file.problem}" for file in seen.stale), "")
        parts.append(f"{seen.stale_count} of {seen.sources} have some that is not valid{first}")
    if parts:
        return expect.failed(
            parts,
            items=[part.partition(": ")[0] for part in parts],
            fix=fix,
            evidence=(
                *(f"{path}: none" for path in seen.missing),
                *_rest(seen.missing_count - len(seen.missing), "without any"),
                *(f"{file.source}: {file.problem}" for file in seen.stale),
                *_rest(seen.stale_count - len(seen.stale), "with some that is not valid"),
            ),
        )
    if not seen.complete:
        raise UndecidedError(
            f"{seen.sources} were checked, and the scan was incomplete: too many files, or an import that ended early"
        )
    return expect.passed(all_have_it)
