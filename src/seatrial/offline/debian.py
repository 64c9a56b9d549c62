"""Debian's archive as this host reaches it, and packages of any suite from it.

The host's own lists and packages are not touched.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError, ProgramError
from seatrial.filesystem import locked, os_errors
from seatrial.owner import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from seatrial.host import Host


KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""The keys that sign Debian's archive; comes with apt on every Debian."""
OTHER_ENGINE = "Install Docker as its documentation says, or set DOCKER_HOST to an engine elsewhere."
"""What to do where an engine cannot be provided."""
ALIASES = frozenset({"stable", "oldstable", "testing", "unstable", "sid"})
NO_SECURITY = frozenset({"sid", "unstable", "experimental"})
"""Suites that get security updates like any other update."""
POCKET = re.compile(r"(-security|-updates|-proposed-updates|-backports(-sloppy)?|/updates)$")
"""What follows the codename in the suites beside the main one."""
FIELD = re.compile(r"^([^\s:][^:\n]*):(.*(?:\n[ \t].*)*)", re.MULTILINE)
"""A field of a deb822 stanza with its continuation lines."""
ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")
LISTS_TIMEOUT, DOWNLOAD_TIMEOUT, UNPACK_TIMEOUT = 300.0, 1800.0, 300.0
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where dpkg's and apt's programs are; a user's PATH may lack the first."""
NO_STATUS = ("-o", "Dir::State::status=/dev/null")
"""Without the host's own status a package that is installed here in a later version is found too."""
SUITE, PACKAGE = re.compile(r"[a-z][a-z0-9.-]*"), re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One archive of binary packages."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Debian's own archive, as this host reaches it."""

    uri: str
    signed_by: Path
    security_uri: str | None
    """The archive of security updates, where the host has one."""
    codename: str
    """The suite that the host itself runs."""

    def suites(self, name: str) -> list[tuple[str, str]]:
        """Return the address and name of a suite, and of its security updates where they are apart."""
        found = [(self.uri, name)]
        if self.security_uri and name not in NO_SECURITY:
            found.append((self.security_uri, f"{name}-security"))
        return found


def host_archive(root: Path = Path("/")) -> Archive:
    """Return Debian's archive as the host's own source lists name it."""
    release = _os_release(root)
    # Derivatives that sit on Debian's own archive say which suite they use.
    codename = release.get("DEBIAN_CODENAME") or (
        release.get("VERSION_CODENAME") if release.get("ID") == "debian" else None
    )
    if not codename:
        name = release.get("PRETTY_NAME") or "unknown"
        raise EngineError(
            f"Debian's packages can be used on a Debian host only; this system is {name}.",
            where=str(root / "etc/os-release"),
            fix=OTHER_ENGINE,
        )
    return choose(read_sources(root), codename=codename, where=root / "etc/apt")


def choose(sources: Iterable[Source], *, codename: str, where: Path) -> Archive:
    """Choose Debian's main archive and its security archive among all sources of a host."""
    debian = [source for source in sources if _is_debian(source, codename)]
    main = [source for source in debian if not _is_security(source)]
    if not main:
        raise EngineError(
            f"no source list names Debian's archive (suite {codename}, component main).",
            where=str(where),
            fix="Add Debian's archive to the host's apt sources, or install Docker some other way.",
        )
    # Third parties use Debian's suite names too; Debian's own path tells them apart.
    best = max(main, key=lambda source: (_has_debian_path(source), source.signed_by in {None, KEYRING}))
    security = next((source.uri for source in debian if _is_security(source)), None)
    return Archive(uri=best.uri, signed_by=best.signed_by or KEYRING, security_uri=security, codename=codename)


def read_sources(root: Path = Path("/")) -> list[Source]:
    """Return the binary package sources of a host, in the order that apt reads them."""
    folder = root / "etc/apt/sources.list.d"
    found: list[Source] = []
    for file in [root / "etc/apt/sources.list", *sorted(folder.glob("*"))]:
        if file.suffix not in {".list", ".sources"} or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise EngineError(f"cannot be read: {error.strerror}.", where=str(file)) from error
        found.extend(parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text))
    return found


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the sources of a `.list` file: `deb [options] URI SUITE COMPONENT…`."""
    for line in text.splitlines():
        match = ONE_LINE.match(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(word.partition("=")[::2] for word in (match["options"] or "").split())
        yield Source(
            uri=match["uri"].rstrip("/"),
            suites=(match["suite"],),
            components=tuple(match["components"].split()),
            signed_by=_key_file(options.get("signed-by", "")),
        )


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the sources of a `.sources` file: stanzas of `Field: value`."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        fields = {name.strip().lower(): value.strip(" \t") for name, value in FIELD.findall(stanza)}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            yield Source(
                uri=uri.rstrip("/"),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=_key_file(fields.get("signed-by", "")),
            )


def _key_file(value: str) -> Path | None:
    # A list names a key file, a key's fingerprint, or holds the key itself: only a file can be used here.
    return Path(value) if value.startswith("/") and len(value.split()) == 1 else None


def _is_debian(source: Source, codename: str) -> bool:
    if "main" not in source.components or not re.match(r"(https?|file|mirror|mirror\+\w+):", source.uri):
        return False
    bases = {POCKET.sub("", suite) for suite in source.suites}
    return codename in bases or (bool(bases & ALIASES) and _has_debian_path(source))


def _is_security(source: Source) -> bool:
    return all(suite.endswith(("-security", "/updates")) for suite in source.suites)


def _has_debian_path(source: Source) -> bool:
    return re.search(r"/debian(-security)?(/\d{8}T\d{6}Z)?$", source.uri) is not None


def _os_release(root: Path) -> Mapping[str, str]:
    file = root / "etc/os-release"
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


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
// What is not signed is refused, whatever the host allows for its own sources.
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::https::Verify-Peer "true";
Acquire::https::Verify-Host "true";
// The host's own hooks are for the host's own lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package file in the archive."""

    file: str
    size: int
    """Bytes."""
    sha256: str

    @property
    def name(self) -> str:
        """The package's name."""
        return self.file.partition("_")[0]


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
    """Download packages in the latest version that a suite and its security updates have; return their files.

    Signatures are verified with the archive's keys, and files with the sums that the lists give. What was
    downloaded before is taken from the host's cache folder. `architecture` and `archive` are the host's by default.

    With `missing_dependencies`, what they depend on and this host does not have installed follows. Right for the
    host's own suite only: another suite's packages want another C library.

    Raises an EngineError where this is not a Debian host, the mirror cannot be reached, or it has no such suite or
    package; and a ProgramError where a download took too long.
    """
    _check_names(packages, suite)
    environment = environment_of(host)
    architecture = architecture or _architecture(environment)
    archive = archive or host_archive()
    folder = host.cache / "debian" / f"{suite}-{architecture}"
    with os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, waiting=lambda: say(f"Waiting: another run downloads Debian {suite}.")):
            apt = Apt(folder=folder, suite=suite, architecture=architecture, archive=archive, environment=environment)
            apt.update()
            wanted = apt.with_missing(packages) if missing_dependencies else list(packages)
            return apt.download(apt.candidates(wanted), say)


def unpack(debs: Iterable[Path], folder: Path, *, host: Host) -> None:
    """Unpack package files into a folder, as their archive lays them out; no script of theirs runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        process.run(["dpkg-deb", "--extract", deb, folder], timeout=UNPACK_TIMEOUT, environment=environment_of(host))


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
            found.append(Package(file=words[1], size=int(words[2]), sha256=words[3].removeprefix("SHA256:")))
    return found


@dataclass(frozen=True, kw_only=True)
class Apt:
    """apt with its own lists, cache and configuration."""

    folder: Path
    suite: str
    architecture: str
    archive: Archive
    environment: Mapping[str, str]
    more: str = ""
    """Further lines of its configuration."""

    def update(self) -> None:
        """Download the lists; what is missing, not signed or expired raises an EngineError."""
        for name in ("lists", "cache", "packages"):
            (self.folder / name).mkdir(exist_ok=True)
        settings = APT_CONF.format(folder=self.folder, architecture=self.architecture)
        (self.folder / "apt.conf").write_text(settings + self.more, encoding="utf-8")
        (self.folder / "sources.list").write_text(sources(self.archive, self.suite), encoding="utf-8")
        done = self._run("update")
        if done.code == 0:
            return
        evidence = (done.errors or done.output).strip()
        # apt has one exit code for all: only its text tells a missing suite from a mirror that cannot be reached.
        if "does not have a Release file" in evidence:
            raise EngineError(
                f"Debian's mirror {self.archive.uri} has no suite {self.suite!r}.",
                where="`suite` of the settings' `engine`",
                fix="Name a suite of Debian, such as 'trixie'.",
                detail=evidence,
            )
        raise EngineError(
            f"the lists of Debian {self.suite} cannot be downloaded from this host's mirror {self.archive.uri}.",
            fix="Look at the network, the proxy settings, and the host's apt sources; then try again.",
            detail=evidence,
        )

    def with_missing(self, packages: Sequence[str]) -> list[str]:
        """Return the packages, and what they need that this host lacks."""
        done = self._run("-qq", "--print-uris", "--no-install-recommends", "install", *packages)
        if done.code != 0:
            raise self._unknown(packages, done)
        files = [shlex.split(line)[1] for line in done.output.splitlines() if line.startswith("'")]
        names = [urllib.parse.unquote(file).partition("_")[0] for file in files]
        return [*packages, *(name for name in names if name not in packages)]

    def candidates(self, packages: Sequence[str]) -> list[Package]:
        """Return the packages in their latest version."""
        done = self._run("-qq", "--print-uris", *NO_STATUS, "download", *packages)
        found = {package.name: package for package in parse_candidates(done.output)}
        missing = [name for name in packages if name not in found]
        if done.code != 0 or missing:
            raise self._unknown(missing or packages, done)
        return [found[name] for name in packages]

    def download(self, packages: Sequence[Package], say: Callable[[str], None]) -> list[Path]:
        """Return the files of packages, downloaded where they are not there yet."""
        kept = self.folder / "packages"
        missing = [package for package in packages if not _is_whole(kept / package.file, package)]
        if missing:
            size = sum(package.size for package in missing) / 1e6
            names = ", ".join(package.name for package in missing)
            say(f"Downloading {names} of Debian {self.suite}: {size:.0f} MB from {self.archive.uri}.")
            with temporary_folder("download", self.folder) as fresh:
                self._download_into(fresh, missing)
                for package in missing:
                    for older in kept.glob(f"{package.name}_*.deb"):
                        older.unlink(missing_ok=True)
                    (fresh / package.file).replace(kept / package.file)
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
    if malformed := [name for name in packages if not PACKAGE.fullmatch(name)]:
        raise EngineError(f"{malformed[0]!r} is not the name of a Debian package.")


def environment_of(host: Host) -> dict[str, str]:
    """Return the environment of apt's programs."""
    # apt's messages are read in English: LANGUAGE would overrule C.UTF-8, not C.
    path = ":".join(filter(None, [host.environment.get("PATH"), SYSTEM_PATH]))
    given = {key: value for key, value in host.programs_environment.items() if key != "APT_CONFIG"}
    return {**given, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "PATH": path}


def _architecture(environment: Mapping[str, str]) -> str:
    try:
        return process.run(["dpkg", "--print-architecture"], timeout=20, environment=environment).output.strip()
    except ProgramError as error:
        raise EngineError(
            "Debian's package tools are needed and dpkg does not run here.", fix=OTHER_ENGINE, detail=str(error)
        ) from error


def _is_whole(file: Path, package: Package) -> bool:
    if not file.exists() or file.stat().st_size != package.size:
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256
