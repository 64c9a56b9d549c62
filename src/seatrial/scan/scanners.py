"""trivy, grype and docker scout, where they are installed on this host: what they are asked, and their answers as data.

They read an archive that `docker save` wrote, in an empty folder: nothing of a project, such as a `.trivyignore`, is
read. Sources: trivy's JSON report (schema version 2), grype's JSON output, docker scout's SARIF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from seatrial import process
from seatrial.checks.model import Severity
from seatrial.errors import ProgramError
from seatrial.facts import Unavailable
from seatrial.filesystem import read_bytes
from seatrial.host import Host
from seatrial.scan import SEVERITIES, Answer, Kind, Vulnerability

SECONDS = 900.0
LIMITS = process.Limits(output=256 * 1024**2)
OLDEST = timedelta(days=7)
"""How old the data of a scanner may be that is given by path, in which no scanner looks for newer data."""
KINDS = {
    **dict.fromkeys(("deb", "apk", "rpm", "os-pkgs"), Kind.SYSTEM),
    **dict.fromkeys(("python", "python-pkg", "pip", "pipenv", "poetry", "uv", "pypi", "conda-pkg"), Kind.PYTHON),
}
"""By the scanners' names of types of packages."""
EVERY = frozenset(Kind)
SAID = "the image's files"
TRIVY_SCHEMA = 2
PURL = re.compile(r"pkg:(?P<type>[^/]+)/(?:.*/)?(?P<name>[^/@?#]+)@(?P<version>[^?#]+)")
"""Source: the purl specification."""


def read_trivy(document: Any) -> Answer:
    """Read trivy's report."""
    if document["SchemaVersion"] != TRIVY_SCHEMA:
        raise ValueError(f"its schema version is {document['SchemaVersion']}, not {TRIVY_SCHEMA}")
    results = document.get("Results") or ()
    found = tuple(
        _vulnerability(
            kind=KINDS.get(result.get("Class")) or KINDS.get(result.get("Type"), Kind.OTHER),
            package=row["PkgName"],
            version=row["InstalledVersion"],
            ids=(row["VulnerabilityID"], *row.get("VendorIDs", ())),
            fixed=row.get("FixedVersion", ""),
            severity=row.get("Severity", ""),
        )
        for result in results
        for row in result.get("Vulnerabilities") or ()
    )
    # Of a release that it does not know it says nothing.
    known = any(KINDS.get(result.get("Class")) is Kind.SYSTEM for result in results)
    return Answer(covers=EVERY if known else EVERY - {Kind.SYSTEM}, said=SAID, found=found)


def read_grype(document: Any) -> Answer:
    """Read grype's report."""
    found = tuple(
        _vulnerability(
            kind=KINDS.get(match["artifact"].get("type"), Kind.OTHER),
            package=match["artifact"]["name"],
            version=match["artifact"]["version"],
            ids=(row["id"], *(other["id"] for other in match.get("relatedVulnerabilities") or ())),
            fixed=", ".join(row.get("fix", {}).get("versions") or ()),
            severity=row.get("severity", ""),
        )
        for match in document["matches"]
        for row in (match["vulnerability"],)
    )
    known = (document.get("distro") or {}).get("name")
    return Answer(covers=EVERY if known else EVERY - {Kind.SYSTEM}, said=SAID, found=found)


def read_scout(document: Any) -> Answer:
    """Read docker scout's report: each rule is a vulnerability, with its packages as package URLs."""
    if not document["runs"]:
        raise ValueError("it holds no run")
    found: list[Vulnerability] = []
    for rule in (rule for run in document["runs"] for rule in run["tool"]["driver"].get("rules") or ()):
        said = rule["properties"]
        purls = said.get("purls") or said["purl"]
        for purl in (purls,) if isinstance(purls, str) else purls:
            if (parts := PURL.match(purl)) is None:
                raise ValueError(f"no package URL: {purl[:200]}")
            found.append(
                _vulnerability(
                    kind=KINDS.get(parts["type"], Kind.OTHER),
                    package=unquote(parts["name"]),
                    version=unquote(parts["version"]),
                    ids=(rule["id"],),
                    fixed=said["fixed_version"].replace("not fixed", ""),
                    severity=said.get("cvssV3_severity", ""),
                )
            )
    return Answer(covers=EVERY, said=SAID, found=tuple(found))


def _vulnerability(*, severity: str, **said: Any) -> Vulnerability:
    return Vulnerability(
        severity=SEVERITIES.get(severity.strip().lower(), Severity.ERROR), about=severity.lower(), **said
    )


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A program that reads an image's archive."""

    name: str
    probe: tuple[str, ...]
    """The command that shows whether it is installed."""
    argv: tuple[str, ...]
    """`{archive}` stands for the archive."""
    read: Callable[[Any], Answer]
    """Reads its report; of what is none, it raises a LookupError, TypeError, AttributeError or ValueError."""
    prefix: str
    """How the names of its own variables begin."""
    offline: tuple[str, ...] | None = None
    """Further words with which it uses the data in `{data}`, and looks for nothing newer; None: it cannot."""
    offline_environment: Mapping[str, str] = field(default_factory=dict)
    dated: str = ""
    """The file in its data that tells when that was made, as `UpdatedAt`; empty where the program refuses old data."""


TRIVY = Scanner(
    name="trivy",
    probe=("trivy", "--version"),
    argv=("trivy", "image", "--quiet", "--scanners", "vuln", "--format", "json", "--input", "{archive}"),
    read=read_trivy,
    prefix="TRIVY_",
    offline=("--offline-scan", "--skip-db-update", "--skip-java-db-update", "--cache-dir", "{data}"),
    dated="db/metadata.json",
)
GRYPE = Scanner(
    name="grype",
    probe=("grype", "version"),
    argv=("grype", "docker-archive:{archive}", "--quiet", "--output", "json"),
    read=read_grype,
    prefix="GRYPE_",
    offline=(),
    offline_environment={"GRYPE_DB_CACHE_DIR": "{data}", "GRYPE_DB_AUTO_UPDATE": "false"},
)
SCOUT = Scanner(
    name="scout",
    probe=("docker", "scout", "version"),
    argv=("docker", "scout", "cves", "--format", "sarif", "archive://{archive}"),
    read=read_scout,
    prefix="DOCKER_",
)
SCANNERS = {scanner.name: scanner for scanner in (TRIVY, GRYPE, SCOUT)}


def is_installed(scanner: Scanner, host: Host, folder: Path) -> bool:
    """Tell whether a scanner answers at all."""
    try:
        process.run(scanner.probe, timeout=60, environment=host.scanner_environment(scanner.prefix), folder=folder)
    except ProgramError:
        return False
    return True


def ask(scanner: Scanner, archive: Path, host: Host, data: Path | None, now: datetime) -> Answer | Unavailable:
    """Return what a scanner says of an archive; its data is in a folder of its name in `data`, if that is given."""
    words, environment = scanner.argv, host.scanner_environment(scanner.prefix)
    own = None if data is None else data.resolve() / scanner.name
    if own is not None:
        if scanner.offline is None or not own.is_dir():
            return Unavailable(reason=f"{scanner.name} has no data in {data}")
        if scanner.dated and (old := _too_old(own / scanner.dated, now)):
            return Unavailable(reason=old)
        words = (*words, *scanner.offline)
        environment |= {name: value.format(data=own) for name, value in scanner.offline_environment.items()}
    argv = [word.format(archive=archive, data=own) for word in words]
    try:
        done = process.run(argv, timeout=SECONDS, environment=environment, folder=archive.parent, limits=LIMITS)
        return scanner.read(json.loads(done.output))
    except ProgramError as error:
        return Unavailable(reason=f"{scanner.name} gave no answer: {error.what}", detail=error.detail[-2000:])
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        return Unavailable(reason=f"what {scanner.name} answered cannot be read: {error!r:.300}")


def _too_old(file: Path, now: datetime) -> str:
    """Return why a scanner's data cannot be used; empty where it can."""
    try:
        made = json.loads(read_bytes(file, 1024**2))["UpdatedAt"]
        age = now - datetime.fromisoformat(str(made)[:19]).replace(tzinfo=UTC)
    except (OSError, LookupError, TypeError, ValueError) as error:
        return f"how old its data is cannot be read from {file}: {str(error)[:200]}"
    return f"its data is {age.days} days old, more than {OLDEST.days}: {file}" if age > OLDEST else ""
