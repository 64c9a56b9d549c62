"""Why a build step could not install something, by what pip, uv, Poetry, apt, compilers and shells say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hindrance:
    """What a step could not install, or lacked."""

    line: int
    """Its place in the step's log, from 0."""
    what: str
    fix: str


DISTRIBUTION = re.compile(
    r"Failed building wheel for ([\w.-]+)|Failed to (?:download and )?build (?:`([\w.-]+)|([\w.-]+)$)|"
    r"^Collecting ([\w.-]+)|not a problem with poetry but with ([\w.-]+)|"
    r"^\s*[-•] Installing ([\w.-]+) \([^)]*\): Failed|Unable to (?:install|build) `?([\w.-]+) \("
)
"""Where installers name what they build; pip collects a source right before it asks it for metadata."""
DEBIAN_OF_FILES = {
    "pg_config": "libpq-dev", "libpq-fe.h": "libpq-dev", "mysql_config": "default-libmysqlclient-dev",
    "MySQL's client library": "pkg-config default-libmysqlclient-dev", "mysql.h": "default-libmysqlclient-dev",
    "ffi.h": "libffi-dev", "xmlversion.h": "libxml2-dev libxslt1-dev", "xslt-config": "libxml2-dev libxslt1-dev",
    "ssl.h": "libssl-dev", "opensslv.h": "libssl-dev", "lber.h": "libldap-dev", "ldap.h": "libldap-dev",
    "sasl.h": "libsasl2-dev", "jpeglib.h": "libjpeg-dev", "zlib.h": "zlib1g-dev", "sqlite3.h": "libsqlite3-dev",
    "curl-config": "libcurl4-openssl-dev libssl-dev", "yaml.h": "libyaml-dev", "ev.h": "libev-dev",
    "krb5-config": "libkrb5-dev", "gmp.h": "libgmp-dev", "asoundlib.h": "libasound2-dev",
    "Python.h": "python3-dev", "sql.h": "unixodbc-dev", "magic.h": "libmagic-dev", "hdf5.h": "libhdf5-dev",
    "cargo": "cargo", "rustc": "cargo", "cmake": "cmake", "make": "make", "pkg-config": "pkg-config", "git": "git",
    "a Rust compiler": "cargo", "a C compiler": "gcc libc6-dev", "CMake": "cmake",
    "gcc": "gcc libc6-dev", "cc": "gcc libc6-dev", "g++": "g++", "c++": "g++", "ps": "procps", "gpg": "gnupg",
}  # fmt: skip
"""Debian's package of what sources ask for when they are built, by a file's name or a program's."""

SPOKEN = {"rust": "a Rust compiler", "c": "a C compiler", "mysqlclient": "MySQL's client library"}
APT = "apt-get update && apt-get install --yes --no-install-recommends"
LINKER = "cannot find -l"
NOT_FOUND = 127
"""A shell's exit code where a program is not there."""


def _no_distribution(found: re.Match[str], lines: Sequence[str]) -> tuple[str, str]:
    wanted = found[1]
    known = next((match[1] for line in lines if (match := re.search(r"\(from versions: (.*)\)", line))), "")
    other = any("require a different python version" in line for line in lines)
    name = re.split(r"[\s=<>!~;\[(]", wanted, maxsplit=1)[0]
    if not known or known == "none":
        return f"the index has no {wanted} for this Python", (
            f"Correct the name {name}, name the index that has it, or take a base whose Python it supports."
        )
    why = "Other versions need another Python: take a base with that Python, or" if other else "Take"
    return f"the index has no {wanted} for this Python", (
        f"{why} a version of {name} that it has: {_shown_versions(known)}. An old pin often has no wheel for a new "
        "Python: the Python of the base and the pins go together."
    )


def _shown_versions(known: str) -> str:
    versions = known.split(", ")
    return ", ".join(versions) if len(versions) <= 4 else f"{versions[0]} to {versions[-1]}"  # noqa: PLR2004


def _unsatisfiable(found: re.Match[str], _: Sequence[str]) -> tuple[str, str]:
    return f"no versions fit together: {' '.join(found[0].split())[:300]}", (
        "Change the requirement that it names, or take a base with a Python for which it has a release."
    )


def _no_wheel(found: re.Match[str], _: Sequence[str]) -> tuple[str, str]:
    return f"{found[1]} has neither a source nor a wheel for this Python and machine", (
        "Lock a version that has one, or take a base with a Python that it supports."
    )


def _lacks(found: re.Match[str], lines: Sequence[str]) -> tuple[str, str]:
    lacking = next(filter(None, found.groups()))
    name, program = _distribution(lines), lacking.rpartition("/")[2]
    lacking = f"lib{lacking}" if found[0].startswith(LINKER) else SPOKEN.get(lacking.lower(), lacking)
    package = DEBIAN_OF_FILES.get(lacking) or DEBIAN_OF_FILES.get(program.removeprefix("x86_64-linux-gnu-"))
    if found[0].startswith(LINKER):
        package = f"{lacking}-dev"
    if package is None:
        install = f"the package that holds {lacking} (on Debian `apt-file search {program}` names it)"
    else:
        # Who lacks a library's headers mostly lacks the compiler too, and is told of one at a time.
        compiler = "gcc libc6-dev " if package.endswith("-dev") and "gcc" not in package else ""
        install = f"{compiler}{package} (on Debian: `{APT} {compiler}{package}`)"
    if not name:
        return f"{lacking} is missing", f"Before this step, in this stage, install {install}."
    return f"{name} has no wheel for this Python here, and {lacking} is missing to build its source", (
        f"Take a version of {name} that has a wheel for this Python, or a base with an older Python, if there is one. "
        f"Or, before this step and best in a stage of its own, install {install}."
    )


def _no_package(found: re.Match[str], lines: Sequence[str]) -> tuple[str, str]:
    name = next(filter(None, found.groups()))
    lists = "" if any(" InRelease" in line for line in lines) else "Run `apt-get update` in the same RUN. "
    return f"the base's Debian has no package {name}", (
        f"{lists}Look the name up for the base's suite (packages of older suites are renamed or dropped), or take a "
        f"base on the suite that has {name}."
    )


def _no_program(found: re.Match[str], _: Sequence[str]) -> tuple[str, str]:
    name = next(filter(None, found.groups()))
    return f"the program {name} is not there", (
        f"Before this step, in this stage, install it (on Debian: `{APT} {DEBIAN_OF_FILES.get(name, name)}`, if that "
        "is its package)."
    )


def _other_python(found: re.Match[str], _: Sequence[str]) -> tuple[str, str]:
    wanted, seen = found.groupdict()["wanted"].strip("`'\"() "), found.groupdict()["seen"].strip("`'\"() ,.")
    return f"it wants Python {wanted}, and the base has {seen}", (
        "Take a base with such a Python in FROM, or change what the project, or that distribution, asks for."
    )


def _old_lock(found: re.Match[str], _: Sequence[str]) -> tuple[str, str]:
    command = next((command for lock, command in LOCKING.items() if lock in found[0]), "")
    return "the lock does not agree with what the project declares", (
        f"Lock again, {f'by `{command}`' if command else 'with its installer'}, and put the new lock beside it."
    )


def _failed_build(found: re.Match[str], lines: Sequence[str]) -> tuple[str, str]:
    name = _distribution([*lines, found[0]]) or "a distribution"
    return f"{name} has no wheel for this Python here, and its source does not build", (
        f"Take a version of {name} that supports the Python of the base, or a base with an older Python."
    )


LOCKING = {"uv.lock": "uv lock", "poetry.lock": "poetry lock", "Pipfile.lock": "pipenv lock", "pdm.lock": "pdm lock"}
NO_PROGRAM = re.compile(
    r"(?:^|/)(?:ba|da)?sh: (?:line )?(?:\d+: )?([\w.+-]+): (?:command )?not found$|"
    r'exec: "([\w.+-]+)": executable file not found'
)
CAUSES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Sequence[str]], tuple[str, str]]], ...] = (
    *((re.compile(words), _other_python) for words in (
        r"Pipfile requires \W?python_(?:full_)?version\W? (?P<wanted>[\d.]+)\W+but you are using (?P<seen>[\d.]+)",
        r"requires a different Python: (?P<seen>\S+) not in (?P<wanted>'[^']+')",
        r"resolved to Python (?P<seen>\S+), which is incompatible with the project's .* requirement: (?P<wanted>\S+)",
        r"[Cc]urrent Python version \((?P<seen>\S+)\) is not allowed by the project \((?P<wanted>[^)]+)\)",
    )),
    (
        re.compile(
            r"lockfile at `uv\.lock` needs to be updated|changed significantly since poetry\.lock was last generated|"
            r"Pipfile\.lock \(\w+\) out of date|lock file hash doesn't match|pdm\.lock.*out of date"
        ),
        _old_lock,
    ),
    (re.compile(r"No matching distribution found for (\S.*)"), _no_distribution),
    (re.compile(r"Because .* unsatisfiable|Because .*version solving failed"), _unsatisfiable),
    (re.compile(r"[Dd]istribution `?([\w.=-]+)[ `].*doesn't have a source distribution or wheel"), _no_wheel),
    (
        re.compile(
            r"fatal error: (\S+): No such file or directory|command '?([\w+./-]+)'? failed: No such file|"
            r"unable to execute '([\w+./-]+)'|No such file or directory: '([\w-]*?(?:gcc|g\+\+|cc|c\+\+|clang|cmake|"
            r"make|cargo|rustc|git|pkg-config))'|(\w+[_-]config) (?:executable )?(?:was )?not found|"
            r"valid pkg-config name\. Specify (MYSQLCLIENT)_|can't find (?:a )?(Rust|C) compiler|"
            r"(cargo), the Rust package manager, is not installed|(CMake) must be installed|"
            r"cannot find -l([\w+.-]+)|Unknown compiler\(s\): \[\['?(\w+)",
            re.IGNORECASE,
        ),
        _lacks,
    ),
    (
        re.compile(
            r"E: Unable to locate package (\S+)|E: Package '(\S+)' has no installation candidate|"
            r"E: Couldn't find any package by (?:glob|regex) '(\S+)'"
        ),
        _no_package,
    ),
    (
        re.compile(r"Failed building wheel for \S+|Failed to build `[^`]+`|metadata-generation-failed|"
                   r"subprocess-exited-with-error"),
        _failed_build,
    ),
)  # fmt: skip
"""What is said, and what to say of it: the more particular ones first."""


def hindrance(lines: Sequence[str], code: int | None) -> Hindrance | None:
    """Return what a step's log says could not be installed; None where it says nothing of that.

    `code` is the step's exit code.
    """
    for pattern, explain in (*CAUSES[:-1], *([(NO_PROGRAM, _no_program)] if code == NOT_FOUND else []), CAUSES[-1]):
        for at, line in reversed(list(enumerate(lines))):
            if found := pattern.search(line):
                what, fix = explain(found, lines)
                return Hindrance(line=at, what=what, fix=fix)
    return None


def _distribution(lines: Sequence[str]) -> str:
    """Return the distribution that was built last, as installers name it; empty where none does."""
    named = (match for line in reversed(lines) if (match := DISTRIBUTION.search(line)))
    return next((next(filter(None, match.groups())) for match in named), "")
