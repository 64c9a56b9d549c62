"""What a suite of Debian offers that is newer than what an image holds: by apt, its signed lists and its own order."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from seatrial import process
from seatrial.errors import EngineError
from seatrial.filesystem import locked, os_errors
from seatrial.offline.debian import (
    KEYRING,
    LISTS_TIMEOUT,
    NO_SECURITY,
    PACKAGE,
    SUITE,
    Apt,
    Archive,
    environment_of,
    host_archive,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from seatrial.host import Host

VERSION = re.compile(r"(\d{1,10}:)?\d[A-Za-z0-9.+~-]*")
"""Source: Debian Policy Manual, 5.6.12; apt sees it in a file, so nothing else may be in it."""
ARCHITECTURE = re.compile(r"[a-z][a-z0-9-]*")
SECURITY = re.compile(r" \S+-security/").search
"""In a line of a list: it is one of the security archive's."""
NOT_EXPIRED = 'Acquire::Check-Valid-Until "true";\n'
"""Old lists tell nothing of new holes, whatever the host allows for its own."""
INSTALLED = "***"
"""How `apt-cache policy` marks the version that is installed."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A package that an image holds."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """A newer version of a package that is installed."""

    name: str
    installed: str
    version: str
    """The newest that the lists offer."""
    security: str
    """The newest of the security archive; empty where that has none that is newer."""


@dataclass(frozen=True, kw_only=True)
class Updates:
    """What the lists of a suite say of the packages of an image."""

    found: tuple[Update, ...]
    unknown: tuple[str, ...]
    """The packages that they say nothing of: of another vendor, another architecture, or with a damaged entry."""


class Pockets(Archive):
    """An archive whose lists of updates between point releases are read too."""

    def suites(self, name: str) -> list[tuple[str, str]]:
        """Return the address and name of a suite, and of what follows it."""
        updates = [] if name in NO_SECURITY else [(self.uri, f"{name}-updates")]
        return [*super().suites(name), *updates]


def debian_updates(
    packages: Sequence[Installed], suite: str, host: Host, say: Callable[[str], None], *, data: Path | None = None
) -> Updates:
    """Return what of an image's packages a suite, or its security archive, has in a newer version.

    The lists are downloaded as this host reaches Debian's archive, or copied from a folder that holds a mirror's
    `debian/dists` and `debian-security/dists`; their signatures are verified, and expired ones are refused.

    Raises:
        EngineError: this is not a Debian host, the lists cannot be had, are not signed or too old, or there is no such
            suite.
        ProgramError: a program of apt's is missing, or took too long.

    """
    if not SUITE.fullmatch(suite):
        raise EngineError(f"{suite!r} is not the name of a Debian suite.")
    archive = _host_archive() if data is None else _mirror(data)
    # Its own lists: those of an engine's packages are downloaded without the updates.
    name = f"{suite}-updates" if data is None else hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    sound = [package for package in packages if _is_sound(package)]
    counted = Counter(package.architecture for package in sound if package.architecture != "all")
    architecture = counted.most_common(1)[0][0] if counted else "amd64"
    own = [package for package in sound if package.architecture in {architecture, "all"}]
    folder = host.cache / "debian" / f"{name}-{architecture}"
    environment = environment_of(host)
    with os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, waiting=lambda: say(f"Waiting: another run reads the lists of Debian {suite}.")):
            Apt(
                folder=folder,
                suite=suite,
                architecture=architecture,
                archive=archive,
                environment=environment,
                more=NOT_EXPIRED,
            ).update()
            status = folder / "status"
            status.write_text("".join(map(_status, own)), encoding="ascii")
            argv = [
                "apt-cache",
                "--config-file",
                str(folder / "apt.conf"),
                "-o",
                f"Dir::State::status={status}",
                "policy",
            ]
            names = [package.name for package in own]
            done = process.run([*argv, *names], timeout=LISTS_TIMEOUT, environment=environment)
    found, known = read_policy(done.output)
    unknown = {package.name for package in packages if package.name not in known}
    return Updates(found=tuple(found), unknown=tuple(sorted(unknown)))


def has_debian_archive() -> bool:
    """Tell whether this host knows Debian's archive."""
    with suppress(EngineError):
        return bool(host_archive())
    return False


def _is_sound(package: Installed) -> bool:
    parts = ((PACKAGE, package.name), (VERSION, package.version), (ARCHITECTURE, package.architecture))
    return all(form.fullmatch(text) for form, text in parts)


def _status(package: Installed) -> str:
    return (
        f"Package: {package.name}\nStatus: install ok installed\nMaintainer: -\nDescription: -\n"
        f"Architecture: {package.architecture}\nVersion: {package.version}\n\n"
    )


def _host_archive() -> Archive:
    found = host_archive()
    if found.security_uri is None:
        raise EngineError(
            "no source list of this host names Debian's security archive.",
            where="/etc/apt",
            fix="Add it: `deb http://deb.debian.org/debian-security SUITE-security main`.",
        )
    return Pockets(uri=found.uri, signed_by=found.signed_by, security_uri=found.security_uri, codename=found.codename)


def _mirror(data: Path) -> Archive:
    for name in ("debian", "debian-security"):
        if not (data / name / "dists").is_dir():
            raise EngineError(
                f"holds no {name}/dists.", where=str(data), fix="Copy `dists` of a mirror into it; docs/scan.md."
            )
    main, security = (f"file:{quote(str((data / name).resolve()))}" for name in ("debian", "debian-security"))
    return Archive(uri=main, signed_by=KEYRING, security_uri=security, codename="")


def read_policy(text: str) -> tuple[list[Update], set[str]]:
    """Return the updates that `apt-cache policy` tells of, and the packages that any list knows.

    It prints a version table for each package, the newest first, each version with the lists that hold it.
    """
    updates: list[Update] = []
    known: set[str] = set()
    for name, table in _tables(text):
        if any(lists for _, _, lists in table):
            known.add(name)
        installed = next((version for version, marked, _ in table if marked), "")
        # The list's own entry of the installed version stands above it: it tells more of the package.
        at = next((number for number, (version, _, _) in enumerate(table) if version == installed), 0)
        if at:
            secure = (version for version, _, lists in table[:at] if any(map(SECURITY, lists)))
            newest = table[0][0]
            updates.append(Update(name=name, installed=installed, version=newest, security=next(secure, "")))
    return updates, known


def _tables(text: str) -> Iterator[tuple[str, list[tuple[str, bool, list[str]]]]]:
    """Yield each package with its versions: whether each is installed, and the lines of the lists that hold it."""
    for block in re.split(r"(?m)^(?=\S+:$)", text):
        head, _, rest = block.partition(":\n")
        table: list[tuple[str, bool, list[str]]] = []
        for line in rest.partition("Version table:\n")[2].splitlines():
            if found := re.fullmatch(r" (\*\*\*|   ) (\S+)(?: \S+)?", line):
                table.append((found[2], found[1] == INSTALLED, []))
            elif table and line.rstrip().endswith("Packages"):
                table[-1][2].append(line)
        if table:
            yield head, table
