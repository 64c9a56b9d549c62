"""Downloads and unpacks Debian packages, of any suite, without touching the host's own lists or packages."""

from __future__ import annotations

import hashlib
import re
import shlex
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError, ProgramError
from seatrial.filesystem import locked, os_errors
from seatrial.offline.apt_sources import OTHER_ENGINE, Archive, host_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from seatrial.host import Host


LISTS_TIMEOUT = 300.0
DOWNLOAD_TIMEOUT = 1800.0
UNPACK_TIMEOUT = 300.0

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where dpkg's and apt's programs are; a user's PATH may lack the first."""
NO_STATUS = ("-o", "Dir::State::status=/dev/null")
"""Without the host's own status a package that is installed here in a later version is found too."""

SUITE = re.compile(r"[a-z][a-z0-9.-]*")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")

APT_CONF = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Retries "3";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
// The folder is private: apt's own download account cannot reach it.
APT::Sandbox::User "root";
// A list that cannot be downloaded is an error, not a warning.
APT::Update::Error-Mode "any";
// The host's own hooks are for the host's own lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package file in the archive."""

    name: str
    file: str
    size: int
    """Bytes."""
    sha256: str


def fetch(
    packages: Sequence[str],
    *,
    suite: str,
    host: Host,
    say: Callable[[str], None],
    missing_dependencies: bool = False,
    architecture: str | None = None,
    archive: Archive | None = None,
) -> list[Path]:
    """Download packages in the latest version that a suite and its security updates have.

    Signatures are verified with the archive's keys, and files with the sums that the lists give. What was
    downloaded before is taken from the host's cache folder.

    Args:
        packages: package names.
        suite: a suite of Debian, such as `trixie`.
        host: this machine.
        say: takes messages about downloads.
        missing_dependencies: also what the packages depend on and this host does not have installed. Right
            for the host's own suite only: another suite's packages want another C library.
        architecture: Debian's name of it; by default the host's.
        archive: Debian's archive; by default the one that the host's own lists name.

    Returns:
        The package files, those of `packages` and then their dependencies.

    Raises:
        EngineError: not a Debian host, the mirror cannot be reached, it has no such suite or package.
        ProgramError: a download took too long.

    """
    _check_names(packages, suite)
    environment = _environment(host)
    architecture = architecture or _architecture(environment)
    archive = archive or host_archive()
    folder = host.cache / "debian" / f"{suite}-{architecture}"
    with os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, waiting=lambda: say(f"Waiting: another run downloads Debian {suite}.")):
            apt = _Apt(folder=folder, suite=suite, architecture=architecture, archive=archive, environment=environment)
            apt.update()
            wanted = apt.with_missing(packages) if missing_dependencies else list(packages)
            return apt.download(apt.candidates(wanted), say)


def unpack(debs: Iterable[Path], folder: Path, *, host: Host) -> None:
    """Unpack package files into a folder, as their archive lays them out; no script of theirs runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        process.run(["dpkg-deb", "--extract", deb, folder], timeout=UNPACK_TIMEOUT, environment=_environment(host))


def sources(archive: Archive, suite: str) -> str:
    """Return the source list for a suite of Debian, as the host reaches it."""
    options = f"[signed-by={archive.signed_by} target=Packages lang=none]"
    return "".join(f"deb {options} {uri} {name} main\n" for uri, name in archive.suites(suite))


def parse_candidates(text: str) -> list[Package]:
    """Read what `apt-get --print-uris download` prints: 'URI' FILE SIZE SHA256:SUM, one a line."""
    found: list[Package] = []
    for line in text.splitlines():
        words = shlex.split(line) if line.startswith("'") else []
        if len(words) == 4 and words[3].startswith("SHA256:"):  # noqa: PLR2004
            name = words[1].partition("_")[0]
            found.append(Package(name=name, file=words[1], size=int(words[2]), sha256=words[3].partition(":")[2]))
    return found


@dataclass(frozen=True, kw_only=True)
class _Apt:
    """apt with its own lists, cache and configuration."""

    folder: Path
    suite: str
    architecture: str
    archive: Archive
    environment: Mapping[str, str]

    def update(self) -> None:
        for name in ("lists", "cache", "packages"):
            (self.folder / name).mkdir(exist_ok=True)
        settings = APT_CONF.format(folder=self.folder, architecture=self.architecture)
        (self.folder / "apt.conf").write_text(settings, encoding="utf-8")
        (self.folder / "sources.list").write_text(sources(self.archive, self.suite), encoding="utf-8")
        done = self._run("update")
        if done.code == 0:
            return
        evidence = (done.errors or done.output).strip()
        # apt has one exit code for all: only its text tells a missing suite from a mirror that cannot be reached.
        if "does not have a Release file" in evidence:
            raise EngineError(
                f"Debian's mirror {self.archive.uri} has no suite {self.suite!r}.",
                where="[tool.seatrial.engine] suite",
                fix="Name a suite of Debian, such as 'trixie'.",
                detail=evidence,
            )
        raise EngineError(
            f"the lists of Debian {self.suite} cannot be downloaded from this host's mirror {self.archive.uri}.",
            fix="Look at the network, the proxy settings, and the host's apt sources; then try again.",
            detail=evidence,
        )

    def with_missing(self, packages: Sequence[str]) -> list[str]:
        done = self._run("-qq", "--print-uris", "--no-install-recommends", "install", *packages)
        if done.code != 0:
            raise self._unknown(packages, done)
        files = [shlex.split(line)[1] for line in done.output.splitlines() if line.startswith("'")]
        names = [urllib.parse.unquote(file).partition("_")[0] for file in files]
        return [*packages, *(name for name in names if name not in packages)]

    def candidates(self, packages: Sequence[str]) -> list[Package]:
        done = self._run("-qq", "--print-uris", *NO_STATUS, "download", *packages)
        found = {package.name: package for package in parse_candidates(done.output)}
        missing = [name for name in packages if name not in found]
        if done.code != 0 or missing:
            raise self._unknown(missing or packages, done)
        return [found[name] for name in packages]

    def download(self, packages: Sequence[Package], say: Callable[[str], None]) -> list[Path]:
        kept = self.folder / "packages"
        missing = [package for package in packages if not _is_whole(kept / package.file, package)]
        if missing:
            size = sum(package.size for package in missing) / 1e6
            names = ", ".join(package.name for package in missing)
            say(f"Downloading {names} of Debian {self.suite}: {size:.0f} MB from {self.archive.uri}.")
            with tempfile.TemporaryDirectory(dir=self.folder, prefix="download-") as fresh:
                self._download_into(Path(fresh), missing)
                for package in missing:
                    for older in kept.glob(f"{package.name}_*.deb"):
                        older.unlink(missing_ok=True)
                    (Path(fresh) / package.file).replace(kept / package.file)
        return [kept / package.file for package in packages]

    def _download_into(self, fresh: Path, packages: Sequence[Package]) -> None:
        names = [package.name for package in packages]
        done = self._run("-q", *NO_STATUS, "download", *names, timeout=DOWNLOAD_TIMEOUT, folder=fresh)
        damaged = [package.file for package in packages if not _is_whole(fresh / package.file, package)]
        if done.code != 0 or damaged:
            raise EngineError(
                f"packages of Debian {self.suite} cannot be downloaded: {', '.join(damaged or names)}.",
                where=self.archive.uri,
                fix="Look at the network and the free space; then try again.",
                detail=(done.errors or done.output).strip(),
            )

    def _unknown(self, packages: Sequence[str], done: process.Completed) -> EngineError:
        return EngineError(
            f"Debian {self.suite} has no {', '.join(packages)} for {self.architecture}.",
            fix="Name another suite, or install Docker some other way.",
            detail=(done.errors or done.output).strip(),
        )

    def _run(self, *arguments: str, timeout: float = LISTS_TIMEOUT, folder: Path | None = None) -> process.Completed:
        argv = ["apt-get", "--config-file", str(self.folder / "apt.conf"), *arguments]
        return process.run(argv, timeout=timeout, environment=self.environment, folder=folder, check=False)


def _check_names(packages: Sequence[str], suite: str) -> None:
    # A name that starts with a dash would reach apt as an option.
    if not SUITE.fullmatch(suite):
        raise EngineError(f"{suite!r} is not the name of a Debian suite.", fix="Name one, such as 'trixie'.")
    for name in packages:
        if not PACKAGE.fullmatch(name):
            raise EngineError(f"{name!r} is not the name of a Debian package.")


def _environment(host: Host) -> dict[str, str]:
    # apt's messages are read in English: LANGUAGE would overrule C.UTF-8, not C.
    path = ":".join(filter(None, [host.environment.get("PATH"), SYSTEM_PATH]))
    return {**host.environment, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "PATH": path}


def _architecture(environment: Mapping[str, str]) -> str:
    try:
        return process.run(["dpkg", "--print-architecture"], timeout=20, environment=environment).output.strip()
    except ProgramError as error:
        raise EngineError(
            "Debian's package tools are needed and dpkg does not run here.", fix=OTHER_ENGINE, detail=str(error)
        ) from error


def _is_whole(file: Path, package: Package) -> bool:
    try:
        if file.stat().st_size != package.size:
            return False
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256
    except FileNotFoundError:
        return False
