"""Reads where a Debian host gets its packages from: one-line and deb822 source lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""The keys that sign Debian's archive; comes with apt on every Debian."""

OTHER_ENGINE = "Install Docker as its documentation says, or set DOCKER_HOST to an engine elsewhere."
"""What to do where an engine cannot be provided."""

ALIASES = frozenset({"stable", "oldstable", "testing", "unstable", "sid"})
NO_SECURITY = frozenset({"sid", "unstable", "experimental"})
"""Suites that get security updates like any other update."""
POCKET = re.compile(r"(-security|-updates|-proposed-updates|-backports(-sloppy)?|/updates)$")
"""What follows the codename in the suites beside the main one."""
ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


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
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            yield Source(
                uri=uri.rstrip("/"),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=_key_file(fields.get("signed-by", "")),
            )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


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
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
