"""app/* and native/*: what the application's code needs to find in the image, and who may change it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from seatrial.checks.model import (
    Check,
    Level,
    Outcome,
    UndecidedError,
    failed,
    had,
    passed,
    probe_of,
    skipped,
    start_of,
)
from seatrial.facts import ResolvedCommand, Unavailable

if TYPE_CHECKING:
    from seatrial.facts import Facts, PathAccess
    from seatrial.settings.model import Contract


SHOWN = 20


def imports(facts: Facts, _: Contract) -> Outcome:
    """Judge the imports that the probe tried."""
    tried = probe_of(facts).imports
    if not tried:
        return skipped("neither the contract nor the command names a module; set `modules`")
    broken = [one for one in tried if not one.ok]
    expected = f"imports {', '.join(one.name for one in tried)}"
    if broken and isinstance(facts.command, ResolvedCommand) and facts.command.program is None:
        # Which folder comes first on sys.path is the program's to say.
        raise UndecidedError("the command does not lead to a program; process/command-resolves tells why")
    if broken:
        first = broken[0]
        return failed(
            f"{first.name}: {first.error}",
            expected=expected,
            fix=_import_fix(first.name, first.error),
            evidence=tuple(
                line for one in broken for line in (f"{one.name}: {one.error}", *one.traceback.splitlines()[-SHOWN:])
            ),
        )
    slowest = max(one.seconds for one in tried)
    return passed(f"{len(tried)} imported, the slowest in {slowest:.1f} s", expected=expected)


def _import_fix(name: str, error: str) -> str:
    package = name.partition(":")[0].partition(".")[0]
    if error.startswith("ModuleNotFoundError") and f"'{package}'" in error:
        return (
            f"Install the project into the environment (`uv sync --no-editable`, `pip install .`), or put the "
            f"folder that holds {package} on PYTHONPATH."
        )
    if error.startswith(("ModuleNotFoundError", "ImportError")):
        return "Add what is missing to the project's dependencies, and lock and build again."
    if error.startswith(("KeyError", "ValidationError", "RuntimeError", "SystemExit", "ConfigurationError")):
        return "Mend what the traceback names; a variable that it needs goes into the contract's `environment`."
    return "Mend what the traceback names."


def executables(facts: Facts, contract: Contract) -> Outcome:
    """Judge the programs that the contract says the code calls."""
    if not contract.executables:
        return skipped("the contract names no programs; set `executables`")
    found = {one.name: one.path for one in probe_of(facts).executables}
    missing = [name for name in contract.executables if not found.get(name)]
    expected = f"on PATH: {', '.join(contract.executables)}"
    if missing:
        return failed(
            f"not on PATH: {', '.join(missing)}",
            expected=expected,
            fix="Install them in the final stage; what is installed in the builder stays there.",
        )
    return passed(", ".join(found[name] for name in contract.executables), expected=expected)


def writable_paths(facts: Facts, contract: Contract) -> Outcome:
    """Judge the contract's paths and the cache folder by permission; the probe had the contract's tmpfs mounted."""
    places = probe_of(facts).places
    if not places:
        return skipped("there is no path to judge")
    refused = [one for one in places if not one.writable]
    expected = f"USER may write {', '.join(one.path for one in places)}"
    if refused:
        return failed(
            "; ".join(_refusal(one, contract) for one in refused),
            expected=expected,
            fix=(
                "Point caches at a tmpfs (`ENV XDG_CACHE_HOME=/tmp/.cache`), or make the folder in the Dockerfile "
                "and give it to USER (`COPY --chown`, `install -d -o`)."
            ),
        )
    return passed("; ".join(_why_writable(one, contract) for one in places), expected=expected)


def _on_tmpfs(path: str, contract: Contract) -> bool:
    return any(path == top or path.startswith(f"{posixpath.normpath(top)}/") for top in contract.tmpfs)


def _refusal(place: PathAccess, contract: Contract) -> str:
    if _on_tmpfs(place.path, contract):
        return (
            f"{place.nearest} is a tmpfs with mode {place.mode} and owner {place.owner}: this engine gives a tmpfs "
            "the mode of the image's folder below it"
        )
    if place.exists:
        return f"{place.path} has mode {place.mode} and owner {place.owner}"
    return f"{place.path} is not there, and {place.nearest} above it has mode {place.mode} and owner {place.owner}"


def _why_writable(place: PathAccess, contract: Contract) -> str:
    return f"{place.path} is on a tmpfs" if _on_tmpfs(place.path, contract) else f"{place.path} may be written"


def libraries_resolve(facts: Facts, _: Contract) -> Outcome:
    """Judge the shared libraries that the extension modules need, one by one."""
    native = probe_of(facts).native
    expected = "every shared library that an extension module needs is there"
    if native.modules == 0:
        return failed(
            "no extension module was found, not even the standard library's",
            expected=expected,
            fix="Look at the interpreter's sys.path: its lib-dynload folder is missing.",
        )
    if native.missing:
        first = native.missing[0]
        return failed(
            f"{first.library}, which {first.needed_by} needs, is not there",
            expected=expected,
            fix=f"Install the system package that holds {first.library} in the final stage, not only in the builder.",
            evidence=tuple(f"{one.library}: needed by {one.needed_by}" for one in native.missing[:SHOWN]),
        )
    return passed(f"{native.modules} shared objects looked at", expected=expected)


CHECKS = (
    Check(
        id="app/imports",
        title="The application imports",
        why="Code that does not import does not run; a package that lies on no path is not installed.",
        source="HIST: the project was never installed and /app/src was on no path",
        example="RUN uv sync --frozen --no-dev --no-install-project\n# a folder that is on no path\nCOPY src /app/src",
        mend="COPY src /app/src\nRUN uv sync --frozen --no-dev --no-editable",
        level=Level.QUICK,
        function=imports,
    ),
    Check(
        id="app/executables",
        title="The programs that it calls are there",
        why="A missing program shows only when a user first asks for what needs it.",
        source="HIST: the code called ffmpeg, and the image held none",
        example=(
            '# contract: executables = ["ffmpeg"]\n'
            "FROM python:3.13-slim AS builder\n"
            "RUN apt-get update && apt-get install --yes ffmpeg\n"
            "FROM python:3.13-slim"
        ),
        mend=(
            '# contract: executables = ["ffmpeg"]\n'
            "FROM python:3.13-slim\n"
            "RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*"
        ),
        level=Level.QUICK,
        function=executables,
    ),
    Check(
        id="app/writable-paths",
        title="It may write where it must",
        why="A library that may not make its cache folder fails at its first use, in production.",
        source="HIST: a library wrote to ~/.cache, which the user may not create",
        example="# an account without a home cannot make ~/.cache\nRUN useradd --no-create-home app\nUSER app",
        mend="RUN useradd --no-create-home app\nENV XDG_CACHE_HOME=/tmp/.cache\nUSER app",
        level=Level.QUICK,
        function=writable_paths,
    ),
    Check(
        id="native/libraries-resolve",
        title="Every shared library is there",
        why="An extension module whose library stayed in the builder fails at its import.",
        source="ld.so(8); the applications' plans: libpq for psycopg",
        example=(
            "FROM python:3.13-slim AS builder\n"
            "RUN apt-get update && apt-get install --yes libpq-dev gcc && pip install psycopg[c]\n"
            "# holds no libpq.so.5\n"
            "FROM python:3.13-slim"
        ),
        mend=(
            "FROM python:3.13-slim\n"
            "RUN apt-get update && apt-get install --yes --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*"
        ),
        level=Level.QUICK,
        function=libraries_resolve,
    ),
)


def read_only(facts: Facts, _: Contract) -> Outcome:
    """Judge the files of the application's packages, and every folder above them, by owner and permission."""
    probe = probe_of(facts)
    if probe.identity.uid == 0:
        return skipped("USER is root, who may change everything; identity/non-root judges that")
    rows = had(probe.code, probe, "code")
    if not rows:
        return skipped("neither the contract nor the command names a module; set `modules`")
    lost = [one.name for one in rows if not one.origin]
    found = {one.path: one for row in rows for one in row.changeable}
    expected = f"uid {probe.identity.uid} can change nothing of {', '.join(one.name for one in rows)}"
    if found:
        first = next(iter(found.values()))
        return failed(
            f"uid {probe.identity.uid} can change {first.path} (mode {first.mode}, owner {first.owner})"
            + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
            expected=expected,
            fix=(
                "Let root own the code: `COPY` without --chown, `RUN chmod -R u=rwX,go=rX /app` in the builder, and a "
                "WORKDIR that root made. What must be written belongs on a tmpfs or a volume."
            ),
            evidence=tuple(f"{one.path}: mode {one.mode}, owner {one.owner}" for one in found.values()),
        )
    if lost:
        raise UndecidedError(f"{', '.join(lost)} is not found in any file; app/imports tells why")
    return passed(f"{sum(one.files for one in rows)} files and folders looked at", expected=expected)


CHECKS_CODE = (
    Check(
        id="app/code-read-only",
        title="Its user cannot change its code",
        why="Whoever breaks into the process then cannot leave anything in the code that runs at the next start.",
        source="CIS Docker Benchmark 4.1, 5.13; OWASP Docker cheat sheet, rule 8",
        example="COPY --chown=app:app . /app",
        mend="COPY . /app",
        level=Level.QUICK,
        function=read_only,
    ),
)


def platform(facts: Facts, _: Contract) -> Outcome:
    """Judge the extension modules by their own ELF headers and the C library that they ask for."""
    probe = probe_of(facts)
    native = probe.native
    machine = had(probe.environment, probe, "environment").machine
    own = f"{machine}{f' with {native.libc}' if native.libc else ''}"
    expected = f"every extension module was built for {own}"
    if native.modules == 0:
        raise UndecidedError("no extension module was found; native/libraries-resolve tells it")
    if native.foreign:
        first = native.foreign[0]
        return failed(
            f"{first.path} was built for {first.built_for}, and the interpreter for {own}",
            expected=expected,
            fix=(
                "Install the environment inside the build, on the final stage's own base and platform; keep the host's "
                "environments out with .dockerignore (`.venv`)."
            ),
            evidence=tuple(f"{one.path}: {one.built_for}" for one in native.foreign[:SHOWN]),
        )
    return passed(f"{native.modules} shared objects looked at, none for another than {own}", expected=expected)


def no_musl(facts: Facts, contract: Contract) -> Outcome:
    """Tell the C library by the loader that the interpreter's file names, as the engine reads it."""
    if contract.musl:
        return skipped("the contract allows musl")
    start = start_of(facts)
    loader = posixpath.basename(start.python_loader)
    if not start.python_loader and isinstance(facts.probe, Unavailable):
        probe_of(facts)
    libc = "" if isinstance(facts.probe, Unavailable) else facts.probe.native.libc
    expected = "an interpreter that stands on glibc"
    if loader.startswith("ld-musl") or (not loader and libc == "musl"):
        return failed(
            f"{start.python} stands on musl: its loader is {start.python_loader or 'part of it'}",
            expected=expected,
            fix="Base the image on Debian (`python:3.13-slim`), or declare `musl = true` in the contract.",
        )
    if not loader and not libc:
        raise UndecidedError(f"neither {start.python} nor the probe tells the C library")
    return passed(f"{start.python} stands on {start.python_loader or libc}", expected=expected)


CHECKS_NATIVE = (
    Check(
        id="native/platform",
        title="Extension modules are of its own platform",
        why="A module built for another processor or C library cannot be loaded, and says so at its import only.",
        source="pythonspeed.com; elf(5); PEP 600, PEP 656",
        example="COPY .venv /app/.venv",
        mend="RUN uv sync --frozen --no-dev",
        level=Level.QUICK,
        function=platform,
    ),
    Check(
        id="native/no-musl",
        title="Stands on glibc",
        why="On musl many packages have no wheels, Python runs slower, and threads get a small stack.",
        source="pythonspeed.com, Using Alpine can make Python Docker builds 50x slower",
        example="FROM python:3.13-alpine",
        mend="FROM python:3.13-slim",
        level=Level.QUICK,
        function=no_musl,
    ),
)
