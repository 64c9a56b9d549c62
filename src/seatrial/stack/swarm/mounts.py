"""Volumes, tmpfs and shared memory, as a stack file says them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.stack.swarm.notes import Notes

Json = dict[str, Any]

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount in the container
DEFAULT_OPTIONS = frozenset({"rw", "nosuid", "nodev", "noexec", "mode=1777", "mode=01777"})
"""What a tmpfs has anyhow."""
SHARED_TYPES = ("nfs", "cifs", "smb", "ceph", "gluster", "9p")
"""How the kernel's types of file systems begin that a network carries."""
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?")
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def mounts(service: Mapping[str, Any], notes: Notes) -> list[Json]:
    """Return all mounts of a service, in the long form of a stack file."""
    found = [_volume(one, notes) for one in service.get("volumes") or ()]
    found += (_tmpfs(str(one), notes) for one in service.get("tmpfs") or ())
    if size := service.get("shm_size"):
        found.append(_memory(SHARED_MEMORY, size_of(str(size))))
        notes.changed("shm_size", f"a tmpfs of that size at {SHARED_MEMORY}")
    return found


def node_volumes(service: Mapping[str, Any], volumes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the named volumes that a service writes to and that each node has for itself."""
    for one in service.get("volumes") or ():
        source = one.get("source")
        if one.get("type") != "volume" or not source or one.get("read_only"):
            continue
        volume = volumes.get(source) or {}
        if volume.get("driver") in {None, "", "local"} and not _shared(volume.get("driver_opts") or {}):
            yield str(source)


def _shared(options: Mapping[str, Any]) -> bool:
    """Tell whether the local driver mounts what several nodes may share: not a folder or a device of its node."""
    return str(options.get("type") or "").startswith(SHARED_TYPES) or "addr=" in str(options.get("o") or "")


def size_of(text: str) -> int | None:
    """Return the bytes that a size means as the engine reads it (16m, 1.5GiB, 16777216); None for another text."""
    found = SIZE.fullmatch(text.strip().lower())
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def _volume(one: Mapping[str, Any], notes: Notes) -> Json:
    kind = str(one.get("type") or "volume")
    where = str(one.get("target") or "")
    kept: Json = {key: one[key] for key in ("type", "source", "target", "read_only") if one.get(key) is not None}
    kept.setdefault("type", kind)
    if kind == "bind":
        notes.risk(
            "volumes", f"{one.get('source')} must be there on each node that it may run on; swarm makes no such folder"
        )
    if kind == "volume" and not one.get("source"):
        notes.risk("volumes", f"{where} has no named volume: each new task, so each update, begins with an empty one")
    for part, known in (("bind", {"propagation"}), ("volume", {"nocopy"}), ("tmpfs", {"size"})):
        options = dict(one.get(part) or {})
        options.pop("create_host_path", None)
        if part == "tmpfs" and "size" in options:
            options["size"] = size_of(str(options["size"])) or 0
        if held := {key: value for key, value in options.items() if key in known}:
            kept[part] = held
        if gone := sorted(set(options) - known):
            notes.lost("volumes", f"{', '.join(gone)} of the mount at {where}: a stack file has no word for it")
    if kind not in {"bind", "volume", "tmpfs", "npipe"}:
        notes.refused("volumes", f"the mount at {where} is of the type {kind}, which a stack file does not have")
    return kept


def _tmpfs(text: str, notes: Notes) -> Json:
    target, _, rest = text.partition(":")
    size: int | None = None
    gone: list[str] = []
    for option in filter(None, rest.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and size_of(value) is not None:
            size = size_of(value)
        elif option not in DEFAULT_OPTIONS:
            gone.append(option)
    if gone:
        notes.lost("tmpfs", f"{', '.join(gone)} of {target}: swarm mounts it rw,nosuid,nodev,noexec with mode 1777")
    return _memory(target, size)


def _memory(target: str, size: int | None) -> Json:
    mount: Json = {"type": "tmpfs", "target": target}
    if size:
        mount["tmpfs"] = {"size": size}
    return mount
