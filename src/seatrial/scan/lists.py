"""What advisories say of the distributions, and Debian's lists of the system packages: no look at the image's files."""

from __future__ import annotations

import json
import re
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from seatrial import process
from seatrial.checks.model import shorten
from seatrial.errors import EngineError, ProgramError
from seatrial.facts import InstalledDistribution, Inventory, Unavailable
from seatrial.host import Host
from seatrial.offline import Installed, debian_updates
from seatrial.owner import temporary_folder
from seatrial.scan import Answer, Kind, Vulnerability
from seatrial.scan.scanners import LIMITS
from seatrial.text import plain_line

SECONDS = 900.0
OPTIONS = (
    "--no-deps --disable-pip --progress-spinner off --format json --aliases on --timeout 15 --vulnerability-service osv"
)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
"""A normalised name (PEP 503): the file that pip-audit reads holds nothing else."""
TRACKER = "https://security-tracker.debian.org/tracker/source-package/"
MOST_NAMED = 10


def audit(distributions: Sequence[InstalledDistribution], host: Host, url: str | None) -> Answer | Unavailable:
    """Return what pip-audit says of distributions, by OSV's data; `url` is that of another server of OSV's API."""
    if not (program := pip_audit(host)):
        return Unavailable(reason="pip-audit is not installed; `pip install seatrial[scan]` brings it")
    pinned, malformed = pins(distributions)
    if malformed:
        return Unavailable(reason=f"no version that can be asked for: {shorten(malformed, MOST_NAMED)}")
    with temporary_folder("scan") as folder:
        argv = [program, *OPTIONS.split(), "--cache-dir", str(folder / "cache")]
        argv += ["--osv-url", url] if url else []
        rows: list[Any] = []
        # A file names a distribution once; several interpreters may have it in several versions.
        for number, lines in enumerate(pinned):
            file = folder / f"requirements-{number}.txt"
            file.write_text("".join(f"{name}=={version}\n" for name, version in lines.items()), encoding="ascii")
            command, environment = [*argv, "--requirement", str(file)], host.scanner_environment()
            try:
                done = process.run(
                    command, timeout=SECONDS, environment=environment, folder=folder, check=False, limits=LIMITS
                )
            except ProgramError as error:
                return Unavailable(reason=f"pip-audit gave no answer: {error.what}", detail=error.detail[-2000:])
            try:
                # It ends with 1 where it found something, and where it could not ask.
                rows += json.loads(done.output)["dependencies"]
            except (LookupError, TypeError, ValueError, RecursionError):
                server = "the server of --osv-url" if url else "osv.dev"
                last = (done.errors.strip() or "nothing was said").splitlines()[-1]
                return Unavailable(reason=f"pip-audit could not ask {server}: {plain_line(last)[:500]}")
    try:
        return audited(rows, {name for lines in pinned for name in lines})
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        return Unavailable(reason=f"what pip-audit answered cannot be read: {error!r:.300}")


def pip_audit(host: Host) -> str:
    """Return the path of pip-audit; empty where it is not installed."""
    # Installed as an extra, it is beside this interpreter, which need not be on PATH.
    path = host.scanner_environment()["PATH"]
    with suppress(ProgramError):
        return process.find_program("pip-audit", path=f"{sysconfig.get_path('scripts')}:{path}")
    return ""


def pins(distributions: Iterable[InstalledDistribution]) -> tuple[list[dict[str, str]], list[str]]:
    """Return the names and versions to ask for, each name once in a table, and the distributions that have none.

    What is behind the plus, as in `2.7.1+cpu`, no advisory knows.
    """
    tables: list[dict[str, str]] = []
    malformed: list[str] = []
    for found in distributions:
        name = canonicalize_name(found.name)
        try:
            version = Version(found.version).public
        except InvalidVersion:
            version = ""
        if not version or not NAME.fullmatch(name):
            malformed.append(f"{found.name} {found.version}")
            continue
        table = next((table for table in tables if name not in table or table[name] == version), None)
        if table is None:
            tables.append(table := {})
        table[name] = version
    return tables, malformed


def audited(rows: Sequence[Any], asked: set[str]) -> Answer | Unavailable:
    """Return pip-audit's answers as data; what it skipped, or left out, is not known."""
    skipped = [f"{row['name']}: {row['skip_reason']}" for row in rows if "skip_reason" in row]
    if missing := skipped or sorted(asked - {canonicalize_name(row["name"]) for row in rows}):
        return Unavailable(reason=f"pip-audit could not look at {shorten(missing, MOST_NAMED)}")
    found = tuple(
        Vulnerability(
            kind=Kind.PYTHON,
            package=row["name"],
            version=row["version"],
            ids=(advisory["id"], *advisory.get("aliases", ())),
            fixed=_next(row["version"], advisory["fix_versions"]),
            about=plain_line(advisory.get("description", ""))[:200],
        )
        for row in rows
        for advisory in row["vulns"]
    )
    return Answer(covers=frozenset({Kind.PYTHON}), said=f"{len(asked)} distributions", found=found)


def _next(installed: str, fixed: Iterable[str]) -> str:
    """Return the least version that has a fix and is newer than the installed one."""
    versions = (Version(version) for version in fixed)
    return str(min((version for version in versions if version > Version(installed)), default=""))


def is_debian(inventory: Inventory) -> bool:
    """Tell whether an image is of a release of Debian."""
    release = inventory.release
    return inventory.manager == "dpkg" and release is not None and release.id == "debian" and bool(release.codename)


def debian(inventory: Inventory, host: Host, say: Callable[[str], None], data: Path | None) -> Answer | Unavailable:
    """Return which of the image's packages Debian's security archive has in a newer version."""
    release = inventory.release
    if release is None or not is_debian(inventory):
        title = "no release that says its name" if release is None else release.title or release.id
        return Unavailable(reason=f"the image is not Debian: {title}")
    packages = [
        Installed(name=row.name, version=row.version, architecture=row.architecture) for row in inventory.packages
    ]
    try:
        updates = debian_updates(packages, release.codename, host, say, data=data)
    except (EngineError, ProgramError) as error:
        # What it says of settings is about the provided engine.
        where = f"{error.where}: " if error.where.startswith("/") else ""
        return Unavailable(reason=f"Debian's lists cannot be had: {where}{error.what}", detail=error.detail[-2000:])
    sources = {row.name: row.source or row.name for row in inventory.packages}
    found = tuple(
        Vulnerability(
            kind=Kind.SYSTEM,
            package=update.name,
            version=update.installed,
            fixed=update.security,
            about=f"advisories: {TRACKER}{sources[update.name]}",
        )
        for update in updates.found
        if update.security
    )
    later = [f"{row.name} {row.installed} (now {row.version})" for row in updates.found if not row.security]
    evidence = [f"newer in a point release, which may mend holes too: {shorten(later, MOST_NAMED)}"] if later else []
    if updates.unknown:
        evidence.append(f"not Debian's, nothing is known of them: {shorten(updates.unknown, MOST_NAMED)}")
    said = f"{len(packages) - len(updates.unknown)} packages of {release.codename}"
    return Answer(covers=frozenset({Kind.SYSTEM}), said=said, found=found, evidence=tuple(evidence))
