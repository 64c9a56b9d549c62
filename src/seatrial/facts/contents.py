"""Learns what an image's file system holds: the probe walks what USER may read, the engine reads the rest."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine.containers import engine_errors
from seatrial.facts import follow
from seatrial.facts.accounts import read_accounts
from seatrial.facts.data import Accounts, Contents, Fact, FileKind, Missing, Rule, Trail, Walk
from seatrial.facts.files import EngineFiles
from seatrial.facts.rules import rules
from seatrial.facts.walk import MOST_PATHS, Limits, matcher, shown, walker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.engine.runs import Run
    from seatrial.facts.data import Configuration, Found, Probe
    from seatrial.settings.model import Contract

WALK_SECONDS = 25.0
"""The most that the probe's walk may wait and work; of the latter half as much. It takes about a tenth of one."""
USUALLY_CLOSED = (
    "/root",
    "/etc/ssl/private",
    "/var/cache/apt/archives/partial",
    "/var/cache/ldconfig",
    "/var/lib/apt/lists/partial",
)
"""Folders that most images keep from USER: read while the probe still runs."""
BESIDE = Limits(seconds=25.0, most=256_000_000)
"""For one folder that is read while the probe runs: one of those, or what the probe's tmpfs hide."""
AFTER = Limits(seconds=15.0, most=64_000_000)
"""For one more folder that the probe could not read."""
WHOLE = Limits(seconds=45.0, most=4_000_000_000)
"""For the whole file system, where no probe walks it."""
MOST_AFTER = 40
"""Folders that are read after the probe; an image of Debian has about three."""
MOST_UNREAD = 100
"""Files that are read because USER may not."""


class WalkRequest(Fact, frozen=True, kw_only=True):
    """What the probe's walk is asked."""

    rules: tuple[Rule, ...]
    folders: tuple[str, ...] = ()
    """Those whose names are wanted."""
    root: str = "/"
    most: int = MOST_PATHS
    seconds: float = WALK_SECONDS


class Beside(Fact, frozen=True, kw_only=True):
    """What the engine reads while the probe runs."""

    accounts: Accounts
    working_directory: Trail
    walks: dict[str, Walk]
    """By the folder."""


def walk_request(modules: Iterable[str], contract: Contract) -> WalkRequest:
    """Plan the walk: what to look for, and the folders whose names the contract gives."""
    own = {module.partition(":")[0].partition(".")[0] for module in modules}
    return WalkRequest(rules=rules(own), folders=tuple(map(posixpath.normpath, contract.files)))


def look_beside(
    run: Run, container: str, configuration: Configuration, contract: Contract, request: WalkRequest, *, whole: bool
) -> Beside:
    """Read what the probe cannot, on a connection of its own.

    Args:
        run: the run that the container belongs to.
        container: one of the image, made and not started.
        configuration: the image's configuration.
        contract: its tmpfs hide folders of the image from the probe.
        request: what is looked for.
        whole: read the whole file system: there is no interpreter to walk it.

    """
    client = run.engine.connection()
    try:
        with engine_errors(f"reading the files of {configuration.reference}"):
            files = EngineFiles(client, container)
            hidden = (*USUALLY_CLOSED, *map(posixpath.normpath, contract.tmpfs), *configuration.volumes)
            walks = {folder: look(files, folder, request, BESIDE) for folder in dict.fromkeys(hidden) if not whole}
            return Beside(
                accounts=read_accounts(*(_text(files, f"/etc/{name}") for name in ("passwd", "shadow", "group"))),
                working_directory=follow.follow(configuration.working_directory or "/", files),
                walks={"/": look(files, "/", request, WHOLE)} if whole else walks,
            )
    finally:
        client.close()


def whole_contents(files: EngineFiles, request: WalkRequest, beside: Beside, probe: Probe | Missing) -> Contents:
    """Put together what the probe and the engine saw; what neither could see stays named."""
    walk = None if isinstance(probe, Missing) else probe.walk
    if walk is None:
        seen = beside.walks.get("/") or look(files, "/", request, WHOLE)
        return together(seen, {}, by="engine")
    # What the probe saw itself is not counted twice.
    walks = {folder: seen for folder, seen in beside.walks.items() if folder in walk.unreadable}
    left = [folder for folder in walk.unreadable if folder not in walks]
    walks |= {folder: look(files, folder, request, AFTER) for folder in left[:MOST_AFTER]}
    found = tuple(_settled(walk.found, request.rules, files))
    return together(msgspec.structs.replace(walk, found=found), walks, by="probe")


def look(files: EngineFiles, folder: str, request: WalkRequest, limits: Limits) -> Walk:
    """Look at one folder as the engine packs it; at one that is not there, at nothing."""
    import docker.errors

    eyes = walker(request.rules, request.folders)
    try:
        with files.tree(folder) as stream:
            eyes.read(stream, folder, limits)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        eyes.cut.append(f"{folder}: the engine could not read it ({error.explanation})")
    return eyes.result()


def together(first: Walk, others: Mapping[str, Walk], *, by: str) -> Contents:
    """Add what other walks saw to a first one; what one of them read is not unreadable any more."""
    walks = (first, *others.values())
    found: dict[tuple[str, str, str], Found] = {}
    counts: dict[str, int] = {}
    folders: dict[str, tuple[str, ...]] = {}
    for walk in walks:
        for row in walk.found:
            key = (row.kind, row.path, row.about)
            known = found.get(key)
            # A folder of which each saw a part: the heap is the sum. A file that both saw is one file.
            found[key] = (
                msgspec.structs.replace(row, files=row.files + known.files, size=row.size + known.size)
                if known and row.files and known.files
                else known or row
            )
        for kind, count in walk.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        folders |= walk.folders
    return Contents(
        by="engine" if by == "engine" else "probe",
        paths=sum(walk.paths for walk in walks),
        found=tuple(found.values()),
        counts=counts,
        folders=folders,
        unreadable=tuple(folder for folder in first.unreadable if folder not in others),
        cut=tuple(reason for walk in walks for reason in walk.cut),
    )


def _settled(found: Iterable[Found], by: Iterable[Rule], files: EngineFiles) -> Iterable[Found]:
    """Read the files whose content decides and that USER may not read; what is still unread stays so."""
    matchers = [matcher(rule) for rule in by if rule.content]
    reads = 0
    for row in found:
        reads += row.unread
        if not row.unread or reads > MOST_UNREAD or shown(row.path) != row.path or "\\" in row.path:
            yield row
            continue
        text = files.text(row.path)
        name = posixpath.basename(row.path)
        if any(
            one.rule.kind is row.kind and one.rule.about == row.about and one.name(name) and one.content(text)
            for one in matchers
        ):
            yield msgspec.structs.replace(row, unread=False)


def _text(files: EngineFiles, path: str) -> str:
    """Return a small file that may be a link; of a pipe, a device or nothing no text."""
    trail = follow.follow(path, files)
    return files.text(trail.end) if trail.entry is not None and trail.entry.kind is FileKind.FILE else ""
