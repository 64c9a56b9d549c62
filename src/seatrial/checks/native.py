"""native/platform and native/no-musl: the machine and the C library that everything was built for."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, probe_of, skipped, start_of
from seatrial.checks.parts import had
from seatrial.facts.data import Missing

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract

SHOWN = 20


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
    if not start.python_loader and isinstance(facts.probe, Missing):
        probe_of(facts)
    libc = "" if isinstance(facts.probe, Missing) else facts.probe.native.libc
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


CHECKS = (
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
