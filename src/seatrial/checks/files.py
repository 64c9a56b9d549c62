"""files/* and tools/*: what the image holds and may not."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Sequence

from seatrial.checks.context import ignore_file
from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, shorten, skipped
from seatrial.facts import (
    BuildContext,
    Configuration,
    ContentKind,
    Contents,
    FoundPath,
    Probe,
    ResolvedCommand,
    Unavailable,
)
from seatrial.settings.model import Contract
from seatrial.text import counted, show_size

ENVIRONMENT_NAMES = {".venv", "venv", "env", ".env", "ENV", "virtualenv"}
LARGE = 1_000_000
"""Bytes from which on a cache is more than a note."""
TELLING = {"version control", "an environment file"}
"""Leftovers that tell more than that they were left: what was ever committed, and settings."""
SHOWN = 5
"""Paths that a finding's first line names; the rest is evidence."""


def of_kind(contents: Contents, kind: ContentKind) -> list[FoundPath]:
    """Return what was found of a kind, as far as it was kept."""
    return sorted((path for path in contents.found if path.kind is kind), key=lambda path: path.path)


def refuse_partial(contents: Contents) -> None:
    """Leave a check undecided where a part of the file system was not read."""
    if not contents.paths:
        raise UndecidedError("no path of the image was seen")
    if contents.cut:
        raise UndecidedError(f"the file system was not seen whole: {contents.cut[0]}", *contents.cut[1:])


def none_found(
    contents: Contents,
    found: Sequence[str],
    *,
    expected: str,
    fix: str,
    shown: str = "",
    seen: str = "",
    severity: Severity | None = None,
) -> Outcome:
    """Fail with what was found; pass where nothing was, and the file system was seen whole."""
    expect = Expect(expected)
    if found:
        first = shown or shorten(found, SHOWN)
        return expect.failed(first, fix=fix, evidence=tuple(found), severity=severity)
    refuse_partial(contents)
    return expect.passed(f"{contents.paths} paths checked{seen}")


def _content(folder: FoundPath) -> str:
    return f"{folder.path}: {counted(folder.files, 'file')}, {show_size(folder.size)}"


def _first(rows: Sequence[FoundPath]) -> str:
    return rows[0].path if rows else ""


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def usr_merged(path: str) -> str:
    """Return a path as it is where /bin is a link to /usr/bin: older images have both folders."""
    return f"/usr{path}" if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")) else path


def without(rows: Sequence[FoundPath], allowed: Collection[str]) -> list[FoundPath]:
    """Return the rows whose path is not allowed."""
    names = {usr_merged(path.rstrip("/")) for path in allowed}
    return [path for path in rows if usr_merged(path.path) not in names]


@check(
    "files/setuid",
    title="Holds no setuid file of its own",
    severity=Severity.WARNING,
    demanded_by=("setuid",),
    why="A setuid program runs as its owner, whoever starts it, and one with file capabilities has these: a flaw in it "
    "makes USER root.",
    source="CIS Docker Benchmark 4.8; capabilities(7), File capabilities",
    example="RUN chmod u+s /usr/bin/find",
    fixed="RUN chmod a-s /usr/bin/find",
)
def setuid(contents: Contents, contract: Contract) -> Outcome:
    every = of_kind(contents, ContentKind.SETUID)
    found = without(every, contract.setuid)
    return none_found(
        contents,
        [_permissions(path) for path in found],
        expected=f"no setuid or setgid file but the {len(contract.setuid)} of `setuid`, and none with capabilities",
        fix=f"`RUN {_drop(found)}`, or name it in `setuid` where the application needs it.",
        seen=f"; {len(every)} setuid files, all allowed",
    )


@check(
    "files/world-writable",
    title="Holds nothing world-writable",
    severity=Severity.WARNING,
    why="What every account can write, an intruder can replace: code, settings, data of the next start.",
    source="CIS Distribution Independent Linux Benchmark 6.1.10; OWASP Docker cheat sheet",
    example="RUN chmod -R 777 /app",
    fixed="RUN install -d -o 10001 -g 10001 /app/state",
)
def world_writable(contents: Contents) -> Outcome:
    found = of_kind(contents, ContentKind.WORLD_WRITABLE)
    return none_found(
        contents,
        [_permissions(path) for path in found],
        expected="nothing is world-writable outside sticky folders such as /tmp",
        fix=f"`RUN chmod o-w {_first(found)}`, and give to USER alone what it has to write (`COPY --chown`).",
    )


def _drop(rows: Sequence[FoundPath]) -> str:
    """Return the command that takes its privilege from the first row."""
    return f"{'setcap -r' if rows and rows[0].capabilities else 'chmod a-s'} {_first(rows)}"


def _permissions(row: FoundPath) -> str:
    if row.capabilities:
        return f"{row.path} has the file capabilities {', '.join(row.capabilities)}"
    return f"{row.path} has mode {row.mode:04o} and owner {row.uid}:{row.gid}"


@check(
    "files/expected",
    title="Holds the project's files that it should, and no tests",
    severity=Severity.NOTE,
    demanded_by=("files",),
    follows=(Cause(check="context/ignored", shares=r"(?:sees|,) ([^/,;]+)", only=r"(?:[^;]* is a test(?:; |$))+"),),
    why="What the application does not need is downloaded at each pull and helps an intruder.",
    source="Docker's build best practices: exclude with .dockerignore, no unnecessary packages",
    example="COPY . /app",
    fixed="COPY src /app/src\nCOPY alembic.ini /app/",
)
def expected_files(
    probe: Probe | Unavailable, contents: Contents, context: BuildContext | Unavailable, contract: Contract
) -> Outcome:
    tests = own_tests(contents, probe)
    differences = [line for folder in contract.files for line in _differences(folder, contents, contract)]
    folders = ", ".join(contract.files)
    exactly = f"exactly the files that the contract names in {folders}; " if folders else ""
    expect = Expect(f"{exactly}no tests of the project")
    if differences or tests:
        lines = (*differences, *(f"{path.path} is a test" for path in tests))
        return expect.failed(
            shorten(lines, SHOWN),
            fix="COPY what the application needs by name instead of `COPY . .`, and name the rest in "
            f"{ignore_file(context)}.",
            evidence=lines,
            severity=Severity.ERROR if differences else Severity.NOTE,
        )
    refuse_partial(contents)
    if not contract.files:
        return skipped(f"the contract names no `files`; no test is among the {contents.paths} paths")
    return expect.passed(f"{folders} as named; {contents.paths} paths checked")


def _differences(folder: str, contents: Contents, contract: Contract) -> list[str]:
    path = posixpath.normpath(folder)
    if path not in contents.folders:
        # A folder that was not seen may be in what was left out.
        refuse_partial(contents)
        return [f"{path} is not there"]
    wanted = {name.rstrip("/") for name in contract.files[folder]}
    seen = set(contents.folders[path])
    more = [f"{posixpath.join(path, name)} is not in the contract" for name in sorted(seen - wanted)]
    return [*more, *(f"{posixpath.join(path, name)} is not there" for name in sorted(wanted - seen))]


def own_tests(contents: Contents, probe: Probe | Unavailable) -> list[FoundPath]:
    """Return the tests that came with the project, and not with a dependency that is installed in a folder."""
    locations: set[str] = set()
    if not isinstance(probe, Unavailable):
        locations = {package.location for package in probe.distributions if not package.editable}
    rows = of_kind(contents, ContentKind.TESTS)
    return [path for path in rows if not any(_inside(path.path, top) and _dependency(path, top) for top in locations)]


def _dependency(row: FoundPath, site: str) -> bool:
    """Tell whether a path is a dependency's: in site-packages, the rules already left those out."""
    return base_name(site) not in {"site-packages", "dist-packages"} and row.path != f"{site}/tests"


def _inside(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")


@check(
    "files/leftovers",
    title="Holds nothing left over from a checkout",
    severity=Severity.WARNING,
    follows=(
        Cause(check="packages/evidence", only=r"[^;]* \(an environment that the application does not use\)"),
        Cause(check="secrets/files", shares=r"(\S+) \(an environment file", only=r"[^;]* \(an environment file\)"),
        Cause(check="context/ignored", shares=r"(?:sees|,) ([^/,;]+)"),
    ),
    why="A .git holds everything that was ever committed, a .env the secrets of the person who built it.",
    source="dockle DKL-DI-0006 and DKL-LI-0003; uv's Docker guide, .dockerignore",
    example="COPY . /app",
    fixed="COPY src /app/src",
)
def leftovers(
    contents: Contents,
    probe: Probe | Unavailable,
    command: ResolvedCommand | Unavailable,
    configuration: Configuration,
    context: BuildContext | Unavailable,
) -> Outcome:
    found = [*of_kind(contents, ContentKind.LEFTOVER), *_other_environments(contents, probe, command, configuration)]
    lines = list(map(str, found))
    return none_found(
        contents,
        lines,
        expected="no .git, .env, editor's or system's files, and no environment but the application's",
        # Without `**/`, a pattern is matched at the top of the context only.
        fix=f"Write `**/{base_name(_first(found))}` into {ignore_file(context)}, or COPY by name what the application "
        "needs.",
        shown=shorten(lines, SHOWN, contents.counts.get(ContentKind.LEFTOVER, 0)),
        severity=None if any(row.about in TELLING for row in found) else Severity.NOTE,
    )


def _other_environments(
    contents: Contents, probe: Probe | Unavailable, command: ResolvedCommand | Unavailable, configuration: Configuration
) -> Iterable[FoundPath]:
    """Yield virtual environments beside the application's own, as a copied checkout holds one."""
    own = set()
    if not isinstance(probe, Unavailable):
        own.add(probe.interpreter.prefix)
    if isinstance(command, ResolvedCommand) and command.python:
        own.add(posixpath.dirname(posixpath.dirname(command.python)))
    beside = {posixpath.dirname(prefix) for prefix in own} | {configuration.working_directory or "/"}
    for row in of_kind(contents, ContentKind.ENVIRONMENT):
        folder = posixpath.dirname(row.path)
        about = "an environment that the application does not use"
        named_so = folder not in own and base_name(folder) in ENVIRONMENT_NAMES
        if named_so and any(_inside(folder, top) for top in beside):
            yield FoundPath(kind=ContentKind.LEFTOVER, path=folder, about=about)


@check(
    "files/package-lists",
    title="Holds no package lists",
    severity=Severity.WARNING,
    why="Lists and archives of packages are megabytes that are not read again, and soon outdated.",
    source="Docker's build best practices, apt-get; hadolint DL3009; dockle DKL-DI-0005",
    example="RUN apt-get update && apt-get install -y --no-install-recommends libpq5",
    fixed="RUN apt-get update && apt-get install -y --no-install-recommends libpq5 && "
    "rm -rf /var/lib/apt/lists/* /var/cache/apt/*",
)
def package_lists(contents: Contents) -> Outcome:
    return none_found(
        contents,
        _largest(contents, ContentKind.PACKAGE_LISTS),
        severity=_by_size(contents, ContentKind.PACKAGE_LISTS),
        expected="no package lists or archives",
        fix="End the RUN that installs with `rm -rf /var/lib/apt/lists/* /var/cache/apt/*`: a later RUN makes no "
        "layer smaller. Or mount them: `RUN --mount=type=cache,target=/var/lib/apt/lists …`.",
    )


@check(
    "files/installer-caches",
    title="Holds no installer's cache",
    severity=Severity.WARNING,
    why="The cache doubles the size of what was installed, and a container never installs again.",
    source="uv's Docker guide, caching; hadolint DL3042",
    example="RUN pip install -r requirements.txt",
    fixed="RUN pip install --no-cache-dir -r requirements.txt",
)
def installer_caches(contents: Contents) -> Outcome:
    return none_found(
        contents,
        _largest(contents, ContentKind.INSTALLER_CACHE),
        severity=_by_size(contents, ContentKind.INSTALLER_CACHE),
        expected="no installer's cache",
        fix="Install with `pip install --no-cache-dir` or `uv sync --no-cache`, or mount the cache: "
        "`RUN --mount=type=cache,target=/root/.cache …`.",
    )


def _largest(contents: Contents, kind: ContentKind) -> list[str]:
    return [_content(folder) for folder in sorted(of_kind(contents, kind), key=lambda folder: -folder.size)]


def _by_size(contents: Contents, kind: ContentKind) -> Severity | None:
    small = sum(row.size for row in of_kind(contents, kind)) < LARGE
    return Severity.NOTE if small else None


@check(
    "tools/build",
    title="Holds no build tools",
    severity=Severity.WARNING,
    why="A compiler in the image helps an intruder, and makes it hundreds of megabytes larger.",
    source="Docker's build best practices, multi-stage builds; hynek.me; CIS Docker Benchmark 4.3",
    example="RUN apt-get install -y build-essential git && pip install -r requirements.txt",
    fixed="COPY --from=builder /opt/venv /opt/venv",
)
def build(contents: Contents, contract: Contract) -> Outcome:
    found = _undeclared(of_kind(contents, ContentKind.BUILD_TOOL), contract)
    tools_first = sorted(found, key=lambda path: bool(path.files))
    lines = [_content(path) if path.files else path.path for path in tools_first]
    return none_found(
        contents,
        lines,
        expected="no compiler, make, git or header files",
        fix="Build in a separate stage and COPY only what came of it. A tool that the code calls goes into "
        "the contract's `executables`.",
        shown=shorten(lines, SHOWN),
    )


@check(
    "tools/remote-access",
    title="Holds no remote-access software",
    severity=Severity.WARNING,
    why="A login inside the container bypasses the engine, which neither sees nor ends it.",
    source="CIS Docker Benchmark 5.7 (no sshd); Docker's build best practices, USER (no sudo)",
    example="RUN apt-get install -y sudo openssh-server",
    fixed="USER 10001:10001",
)
def remote_access(contents: Contents, contract: Contract) -> Outcome:
    found = _undeclared(of_kind(contents, ContentKind.REMOTE_ACCESS), contract)
    return none_found(
        contents,
        [path.path for path in found],
        expected="no sudo, and no server to log in at",
        fix="Do not install it: `docker exec` leads into a container, and USER says who the process is.",
        shown=shorten(list(map(str, found)), SHOWN, contents.counts.get(ContentKind.REMOTE_ACCESS, 0)),
    )


def _undeclared(rows: list[FoundPath], contract: Contract) -> list[FoundPath]:
    declared = {base_name(name) for name in contract.executables}
    return [path for path in rows if base_name(path.path) not in declared]
