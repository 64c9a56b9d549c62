"""What a service's container gets in the place of what its image has: volumes, tmpfs, secrets and configs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import structs

from seatrial.facts import FileEntry, FileKind, Json, Mount, MountKind

KINDS = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.FOLDER, stat.S_IFLNK: FileKind.LINK}
HANDED = {"secrets": (MountKind.SECRET, "/run/secrets/"), "configs": (MountKind.CONFIG, "/")}
"""By key of a service: what it hands over, and in which folder where it names none."""


def host_entry(path: str) -> FileEntry | None:
    """Return what stands at a path of this host, its last part not followed; None where nothing can be seen."""
    with suppress(OSError, ValueError):
        seen = Path(path).lstat()
        kind = KINDS.get(stat.S_IFMT(seen.st_mode), FileKind.OTHER)
        return FileEntry(
            kind=kind,
            mode=stat.S_IMODE(seen.st_mode),
            uid=seen.st_uid,
            gid=seen.st_gid,
            size=seen.st_size if kind is FileKind.FILE else 0,
            target=str(Path(path).readlink()) if kind is FileKind.LINK else "",
        )
    return None


def read_mounts(table: Json, document: Json, lines: Mapping[str, int]) -> Iterator[Mount]:
    """Yield the mounts of a service of compose's model; the host is not looked at."""
    volumes = document.get("volumes") or {}
    for volume in table.get("volumes") or ():
        kind, target = volume.get("type"), str(volume.get("target") or "")
        if kind not in set(MountKind) or not target:
            continue
        source = str(volume.get("source") or "")
        declared: Json = volumes.get(source) or {}
        yield Mount(
            kind=MountKind(kind),
            source=source,
            target=target.rstrip("/") or "/",
            read_only=bool(volume.get("read_only")),
            copies=not (volume.get("volume") or {}).get("nocopy") and not (volume.get("volume") or {}).get("subpath"),
            foreign=any(declared.get(key) for key in ("external", "driver_opts"))
            or declared.get("driver") not in {None, "", "local"},
            line=_line("volumes", target, source, lines),
        )
    tmpfs = table.get("tmpfs") or ()
    for written in [tmpfs] if isinstance(tmpfs, str) else tmpfs:
        target, _, options = str(written).partition(":")
        yield Mount(
            kind=MountKind.TMPFS,
            target=target.rstrip("/") or "/",
            copies=False,
            options=options,
            line=_line("tmpfs", target, "", lines),
        )
    for key, (kind, folder) in HANDED.items():
        for use in table.get(key) or ():
            name = str(use.get("source") or "")
            entry: Any = (document.get(key) or {}).get(name) or {}
            if file := entry.get("file"):
                target = os.path.normpath(str(Path(folder) / str(use.get("target") or name)))
                line = _line(key, target, name, lines)
                yield Mount(kind=kind, source=str(file), target=target, read_only=True, line=line)


def _line(key: str, target: str, source: str, lines: Mapping[str, int]) -> int:
    names = (f"{key}.{target.rstrip('/') or '/'}", f"{key}.{source}", key)
    return next((lines[name] for name in names if name in lines), 0)


def with_host(mount: Mount) -> Mount:
    """Return a mount with what stands at its source on this host, links followed as the engine follows them."""
    if not mount.of_host:
        return mount
    try:
        entry = host_entry(os.path.realpath(mount.source))
    except (OSError, ValueError):
        return mount
    return structs.replace(mount, host=entry, missing=entry is None and not os.path.lexists(mount.source))
