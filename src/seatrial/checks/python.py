"""python/*, probe/*: the interpreter that the application runs on, its environment, and whether it can be believed."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.checks.process import access, barred
from seatrial.facts import Agreement, Probe, ResolvedCommand, Unavailable
from seatrial.facts.command import may_execute
from seatrial.facts.probe import Environment, SelfTest, Start, StartSide
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Iterator


@check(
    "python/interpreter-resolves",
    title="Its interpreter is there",
    severity=Severity.ERROR,
    why="A virtual environment whose interpreter stayed in the builder looks whole and runs nothing.",
    source="uv's Docker guide; venv: an environment links to the interpreter that made it",
    example="FROM debian:stable-slim AS builder\n"
    "# uv fetches an interpreter into /root, and the environment links to it\n"
    "RUN uv sync --frozen --project /app\n"
    "FROM debian:stable-slim\n"
    "COPY --from=builder /app /app",
    fixed="FROM python:3.13-slim AS builder\n"
    "ENV UV_PYTHON_DOWNLOADS=never\n"
    "RUN uv sync --frozen --project /app\n"
    "FROM python:3.13-slim\n"
    "COPY --from=builder /app /app",
)
def interpreter_resolves(command: ResolvedCommand) -> Outcome:
    """Follow the interpreter's links to a file, by the engine, not by the image's own word."""
    expect = Expect("every link of the interpreter's chain leads to a file in the image")
    if not command.python or command.python_resolved is None:
        return expect.failed(
            "no Python interpreter: none behind the command, on PATH, or in the usual places",
            fix="Base the final stage on a Python image, or put the interpreter's folder on PATH.",
        )
    trail = command.python_resolved
    if trail.entry is None:
        return expect.failed(
            f"{trail}: {trail.gap}",
            fix="A virtual environment links to the interpreter that made it. Make it with the interpreter of "
            "the final stage's base, at the same path, or copy that interpreter too.",
            evidence=(command.python_why,),
        )
    return expect.passed(str(trail), evidence=(command.python_why,))


@check(
    "python/version",
    title="Runs the declared Python version",
    severity=Severity.ERROR,
    why="Dependencies were locked and tests run for one version; another one may not import them.",
    source="core metadata: Requires-Python",
    example='# contract: python = "3.13"\nFROM python:3.12-slim',
    fixed='# contract: python = "3.13"\nFROM python:3.13-slim',
)
def version(by_files: Probe | Unavailable, contract: Contract) -> Outcome:
    if contract.python is None:
        return skipped("the contract names no Python version; set `python`")
    seen = present(by_files).interpreter
    expect, shown = Expect(f"Python {contract.python}"), f"{seen.executable} is Python {seen.version}"
    if seen.version.split(".")[:2] != contract.python.split("."):
        return expect.failed(shown, fix="Change the base image's tag, or the contract's `python`.")
    return expect.passed(shown)


@check(
    "python/script-interpreters",
    title="Every script's interpreter is there",
    severity=Severity.WARNING,
    follows=("process/command-resolves",),
    why="The next command that a deploy job runs (alembic, celery) breaks the same way as the first.",
    source="venv: environments are not portable, as their scripts hold the absolute path of the interpreter",
    example="COPY --from=builder /build/.venv /app/.venv\n"
    "# starts, but /app/.venv/bin/alembic does not\n"
    'CMD ["/app/.venv/bin/python", "-m", "uvicorn", "shop.api:app"]',
    fixed="# made at /app/.venv in the builder too\n"
    "COPY --from=builder /app/.venv /app/.venv\n"
    'CMD ["/app/.venv/bin/python", "-m", "uvicorn", "shop.api:app"]',
)
def script_interpreters(by_files: Probe) -> Outcome:
    """Look at every script beside the interpreter, not only at the one that the command starts."""
    scripts = by_files.scripts
    broken = [script for script in scripts if not script.found]
    expect = Expect("every script's `#!` line names an interpreter that is there")
    if broken:
        return expect.failed(
            f"{len(broken)} of {len(scripts)} scripts name an interpreter that is not there: "
            f"{broken[0].path} names {broken[0].interpreter}",
            fix="Make the environment at the path that it runs at, or install its scripts again in the final stage.",
            evidence=tuple(f"{script.path}: #!{script.interpreter}" for script in broken),
            items=[script.path for script in broken],
        )
    if not scripts:
        return skipped("there is no script beside the interpreter")
    return expect.passed(f"{len(scripts)} scripts checked")


THREAD = "a thread that recurses"
"""Where the interpreter's test of itself is at its end."""


def stopped_before(selftest: SelfTest) -> UndecidedError:
    """Return that the interpreter did not get as far as a part of its test of itself."""
    why = selftest.ended or "no reason is known"
    return UndecidedError(f"the interpreter stopped before this test, at {selftest.at}: {why}")


@check(
    "python/interpreter-reachable",
    title="USER reaches the interpreter",
    severity=Severity.ERROR,
    follows=("python/interpreter-resolves", Cause(check="identity/non-root", says="names no account")),
    why="An interpreter under a folder that only root can search works in the build and not in the container.",
    source="uv's users: Python installed below /root/.local/share/uv, then `USER app`; path_resolution(7)",
    example="RUN uv python install 3.13 && uv sync --frozen\nUSER 10001:10001",
    fixed="ENV UV_PYTHON_INSTALL_DIR=/opt/python\nRUN uv python install 3.13 && uv sync --frozen\nUSER 10001:10001",
)
def interpreter_reachable(command: ResolvedCommand) -> Outcome:
    """Judge every folder on the interpreter's chain by the engine's word, as the probe could not even start there."""
    trail, who = command.python_resolved, command.account
    if not command.python or trail is None:
        raise UndecidedError("the image holds no Python interpreter")
    if trail.entry is None:
        raise UndecidedError(f"the interpreter does not resolve: {trail}; see python/interpreter-resolves")
    if who.uid is None:
        raise UndecidedError("USER names no account of the image; see identity/non-root")
    expect = Expect(f"uid {who.uid} can search every folder on the way to the interpreter, and execute it")
    barrier = command.python_blocked_by
    if barrier is not None:
        return expect.failed(
            barred(barrier, who.uid),
            fix=f"Install Python in a folder that every account can search, not under a home folder (uv: "
            f"`ENV UV_PYTHON_INSTALL_DIR=/opt/python` in the builder), or give {barrier.path} mode 0755.",
            evidence=(str(trail),),
        )
    if not may_execute(trail.entry, who):
        return expect.failed(
            f"{trail.end} ({access(trail.entry)}) is not executable by uid {who.uid}",
            fix=f"Give {trail.end} mode 0755 in the stage that makes it.",
            evidence=(str(trail),),
        )
    return expect.passed(f"uid {who.uid} reaches {trail}")


@check(
    "python/environment-matches",
    title="Its environment was made for its interpreter",
    severity=Severity.ERROR,
    why="An environment looks for packages in the folder of the version that made it; another one finds none.",
    source="uv's Docker guide, multi-stage builds: the same Python in both stages; PEP 405",
    example="FROM python:3.12-slim AS builder\nRUN uv sync --frozen\nFROM python:3.13-slim\n"
    "COPY --from=builder /app/.venv /app/.venv",
    fixed="FROM python:3.13-slim AS builder\nRUN uv sync --frozen\nFROM python:3.13-slim\n"
    "COPY --from=builder /app/.venv /app/.venv",
)
def environment_matches(probe: Probe, environment: Environment | Unavailable) -> Outcome:
    seen, settings = probe.interpreter, probe.interpreter.settings
    if seen.prefix == seen.base_prefix:
        return skipped(f"{seen.executable} runs in no virtual environment")
    environment = present(environment)
    file = posixpath.join(seen.prefix, "pyvenv.cfg")
    recorded = settings.get("version_info") or settings.get("version", "")
    home = settings.get("home", "")
    expect = Expect(f"{file} records the home and the version of {environment.real} (Python {seen.version})")
    fix = (
        "Make the environment in a stage with the same base as the final one (one `FROM … AS base` for both), or with "
        "the final stage's own interpreter."
    )
    if not home:
        raise UndecidedError(f"{file} records no home")
    if recorded and recorded.split(".")[:2] != seen.version.split(".")[:2]:
        return expect.failed(f"{file} records Python {recorded}, and {seen.executable} is {seen.version}", fix=fix)
    if not environment.home_python:
        seen_home = f"{file} records the home {home}, which holds no interpreter"
        return expect.failed(seen_home, fix=fix, severity=Severity.WARNING)
    copied = environment.real.startswith(f"{seen.prefix}/")  # by `python -m venv --copies`
    if environment.home_python != environment.real and not copied:
        return expect.failed(
            f"{file} records the home {home}, which leads to {environment.home_python}; {seen.executable} leads to "
            f"{environment.real}",
            fix=fix,
            severity=Severity.WARNING,
        )
    version = recorded or "no version"
    return expect.passed(f"{file} records {home} and {version}; {environment.real} is {seen.version}")


@check(
    "python/environment-first",
    title="`python` is the application's",
    severity=Severity.WARNING,
    follows=("packages/evidence",),
    why="A deploy job or health check that runs `python` gets an interpreter without the application's packages.",
    source="uv's Docker guide, using the environment: ENV PATH",
    example='CMD ["/app/.venv/bin/uvicorn", "shop.api:app"]',
    fixed='ENV PATH="/app/.venv/bin:$PATH"\nCMD ["uvicorn", "shop.api:app"]',
)
def environment_first(probe: Probe, environment: Environment) -> Outcome:
    seen = probe.interpreter
    found = [python for python in environment.pythons if python.path]
    if not found:
        return skipped("PATH holds no python, so that none can be taken for the application's")
    own = seen.prefix if seen.prefix != seen.base_prefix else ""
    # Its environment counts for more than the file behind it.
    others = [
        python
        for python in found
        if (python.environment != own if own or python.environment else python.real != environment.real)
    ]
    where = own or environment.real
    expect = Expect(f"`python` and `python3` on PATH are those of {where}, which the application runs on")
    if others:
        first = others[0]
        folder = posixpath.dirname(seen.executable)
        return expect.failed(
            f"`{first.name}` is {first.path}{f' of {first.environment}' if first.environment else ''}; the "
            f"application runs on {seen.executable}",
            fix=f'Put its folder first: `ENV PATH="{folder}:$PATH"`.',
            evidence=tuple(f"{python.name}: {python.path} -> {python.real}" for python in found),
        )
    return expect.passed(", ".join(f"{python.name} is {python.path}" for python in found))


@check(
    "python/stdlib-complete",
    title="The standard library's C modules import",
    severity=Severity.WARNING,
    follows=(Cause(check="native/libraries-resolve", shares=r"^([^,]+), which"),),
    why="A Python built without a library's headers lacks its module, which shows at its first import.",
    source="docker-library, official-images tests: python-imports, python-sqlite3",
    example="RUN apt-get purge -y libsqlite3-0",
    fixed="# libsqlite3-0 stays: Python's own sqlite3 needs it",
)
def stdlib_complete(selftest: SelfTest, contract: Contract) -> Outcome:
    tried = selftest.modules
    may_lack = set(contract.standard_library_absent)
    broken = [module for module in tried if not module.ok and module.name not in may_lack]
    expect = Expect(f"imports {', '.join(module.name for module in tried if module.name not in may_lack)}")
    if not tried:
        raise UndecidedError("the interpreter tried no import at all")
    if selftest.ended and selftest.at not in {*(module.name for module in tried), "ssl", THREAD}:
        if not selftest.ended.startswith("the interpreter"):
            raise UndecidedError(f"the import test stopped at {selftest.at}: {selftest.ended}")
        return expect.failed(
            f"{selftest.at}: {selftest.ended}",
            fix="Take the interpreter and its libraries from one base: a C module that crashes is built for others.",
            severity=Severity.ERROR,
        )
    if broken:
        absent = [module.name for module in broken if module.absent]
        return expect.failed(
            [f"{module.name}: {module.error}" for module in broken],
            fix=(
                f"This Python was built without {', '.join(absent)}: base the image on an official one, or install "
                "the library's -dev package before Python is built. What the application can do without goes into "
                "the contract's `standard-library-absent`."
                if absent
                else "Install the system library that the error names in the final stage."
            ),
            # What this Python was built without, the application may do without.
            severity=Severity.WARNING if len(absent) == len(broken) else Severity.ERROR,
        )
    return expect.passed(f"{len([module for module in tried if module.ok])} C modules imported")


SHOWN = 10
"""Differences that are shown."""


@check(
    "probe/agrees",
    title="Its interpreter says what its files say, with start hooks and without",
    severity=Severity.ERROR,
    why="Code that runs at each start of the interpreter can hide packages, programs and errors from whoever asks.",
    source="Python, site: code in .pth files, sitecustomize and usercustomize runs at each start",
    example="COPY hooks.pth /app/.venv/lib/python3.13/site-packages/hooks.pth",
    fixed="# no code at the interpreter's start: it changes what every tool sees\nRUN uv sync --frozen --no-dev",
)
def agrees(agreement: Agreement, start: Start, command: ResolvedCommand | Unavailable) -> Outcome:
    """Compare the interpreter's word with the files, and its start without hooks with the application's."""
    if isinstance(command, ResolvedCommand) and command.python_is:
        raise UndecidedError(
            f"{command.python} is {command.python_is}; what it says is its own word: name the interpreter behind it "
            "in the contract's `interpreter`"
        )
    expect = Expect(
        "the interpreter and the image's files tell the same account, Python, packages and programs; a start without "
        "hooks and the application's start tell the same"
    )
    hooks = tuple(f"{hook.kind}: {hook.where}{f': {hook.line}' if hook.line else ''}" for hook in start.hooks)
    lines = [
        *(
            f"{found.what}: {found.files} by the files, {found.said} by the interpreter"
            for found in agreement.differences
        ),
        *_of_the_starts(start),
    ]
    if not lines and start.application is None:
        raise UndecidedError(f"the interpreter's start as the application's: {start.ended}")
    if lines:
        named = ", ".join(dict.fromkeys((*agreement.start_code[:3], *(hook.where for hook in start.hooks[:3]))))
        return expect.failed(
            lines[0] + (f"; and {len(lines) - 1} more" if len(lines) > 1 else ""),
            fix=f"Look at what runs at the interpreter's start{f': {named}' if named else ''}, and at LD_PRELOAD. "
            "Remove what changes what it says. A folder that holds packages belongs into PYTHONPATH or a .pth file.",
            evidence=(*first_lines(lines, SHOWN), *first_lines(hooks, SHOWN)),
            items=lines,
        )
    return expect.passed(
        f"{agreement.distributions} distributions and {agreement.executables} programs compared"
        + (f"; {len(hooks)} start hooks change nothing" if hooks else ""),
        evidence=first_lines(hooks, SHOWN),
    )


def _of_the_starts(start: Start) -> Iterator[str]:
    """Yield in words what the two starts do not agree on."""
    if start.application is None:
        if start.late:
            return
        yield f"the interpreter does not start as the application starts it: {start.ended or 'it gave no answer'}"
    else:
        for name in structs.fields(StartSide):
            alone, hooked = getattr(start.isolated, name.name), getattr(start.application, name.name)
            if alone != hooked:
                what = name.name.replace("_", " ")
                yield f"{what}: {alone} without start hooks, {hooked} as the application starts it"
    yield from (f"{line}, not the standard library's own" for line in start.replaced)
    for seen in start.differences:
        if seen.isolated:
            yield f"{seen.name} imports with the start hooks alone; without them: {seen.isolated}"
        else:
            yield f"{seen.name} imports without the start hooks alone; with them: {seen.application}"
