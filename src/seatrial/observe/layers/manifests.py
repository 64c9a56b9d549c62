"""How a saved image is described: docker's manifest.json, OCI's index and manifests, and the image's configuration."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from seatrial.observe.archive import ArchiveError, rooted
from seatrial.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST = re.compile(r"[a-z0-9]{1,20}:[0-9a-f]{32,128}")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""By what `uname -m` prints: what images call that processor."""
MOST_NESTED = 3
"""An index may name an index."""


class Step(msgspec.Struct, frozen=True):
    """A line of an image's history, as its configuration keeps it."""

    created_by: str = ""
    empty_layer: bool = False


class _RootFS(msgspec.Struct, frozen=True):
    diff_ids: list[str] = []


Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""What an engine keeps a number in."""


class _HealthCheck(msgspec.Struct, frozen=True, rename="pascal"):
    """Times in nanoseconds."""

    test: list[str] | None = None
    interval: Whole = 0
    timeout: Whole = 0
    start_period: Whole = 0
    retries: Whole = 0


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container of the image is run with."""

    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    working_dir: str | None = None
    exposed_ports: dict[str, Any] | None = None
    volumes: dict[str, Any] | None = None
    labels: dict[str, str] | None = None
    healthcheck: _HealthCheck | None = None
    stop_signal: str | None = None


class ImageDescription(msgspec.Struct, frozen=True):
    """An image's configuration, as builders write it."""

    architecture: str = ""
    os: str = "linux"
    config: _Config | None = None
    rootfs: _RootFS = _RootFS()
    history: list[Step] | None = None


class _Platform(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    media_type: str = ""
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """An image's manifest, or an index of manifests."""

    config: _Descriptor | None = None
    layers: list[_Descriptor] = []
    manifests: list[_Descriptor] = []


class _DockerManifest(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of docker's manifest.json."""

    config: str
    layers: list[str] = []
    repo_tags: list[str] | None = None


class Chosen(NamedTuple):
    """Which members make the image."""

    config: str
    layers: list[str]
    """In order, the oldest first."""
    tags: tuple[str, ...]
    description: ImageDescription
    body: bytes
    """The configuration, whose digest is the image's id."""


def chosen(texts: Mapping[str, bytes], wanted: str) -> Chosen:
    """Return the image that descriptions tell of; of several platforms, the one that is wanted, or this machine's.

    Raises:
        ArchiveError: they tell of none, of several, or of none for that platform.

    """
    if "/index.json" in texts:
        descriptor = _descriptor(texts, wanted)
        manifest = decoded(texts, _blob(descriptor), _Manifest)
        if manifest.config is None:
            raise ArchiveError("its manifest names no configuration: it is no image")
        config, layers = _blob(manifest.config), [_blob(layer) for layer in manifest.layers]
        notes = descriptor.annotations or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")
        tags: list[str] = [name] if name else []
    elif "/manifest.json" in texts:
        rows = decoded(texts, "/manifest.json", list[_DockerManifest])
        if len(rows) != 1:
            names = ", ".join(tag for row in rows for tag in row.repo_tags or ())
            raise ArchiveError(f"it holds {counted(len(rows), 'image')} ({names}), and one is wanted: save it alone")
        config, layers = rooted(rows[0].config), [rooted(layer) for layer in rows[0].layers]
        tags = rows[0].repo_tags or []
    else:
        raise ArchiveError("it has neither an index.json nor a manifest.json")
    description = decoded(texts, config, ImageDescription)
    if len(description.rootfs.diff_ids) != len(layers):
        said = counted(len(description.rootfs.diff_ids), "layer")
        raise ArchiveError(f"its configuration tells of {said}, and its manifest of {len(layers)}")
    made_for = f"{description.os}/{description.architecture}"
    if wanted and wanted.split("/")[:2] != made_for.split("/"):
        raise ArchiveError(f"it holds an image for {made_for}, and {wanted} is asked for")
    return Chosen(config, layers, tuple(tags), description, texts[config])


def _descriptor(texts: Mapping[str, bytes], wanted: str) -> _Descriptor:
    """Return the image that is meant, of those that an index names."""
    found: dict[str, _Descriptor] = {}
    left = [("/index.json", 0, None)]
    seen: set[str] = set()
    while left:
        name, depth, above = left.pop()
        if name in seen:
            continue
        seen.add(name)
        for row in decoded(texts, name, _Manifest).manifests:
            nested = "index" in row.media_type or "manifest.list" in row.media_type
            if nested and depth < MOST_NESTED:
                left.append((_blob(row), depth + 1, row.annotations))
            elif not nested and (row.platform is None or row.platform.os != "unknown") and _blob(row) in texts:
                # An attestation stands for no platform; of other platforms, what was saved may lack the image.
                found[row.digest] = msgspec.structs.replace(row, annotations=row.annotations or above)
    if not found:
        raise ArchiveError("its index names no image that it holds")
    if len(found) == 1:
        return next(iter(found.values()))
    meant = wanted or f"linux/{MACHINES.get(os.uname().machine, os.uname().machine)}"
    of_platform = [row for row in found.values() if f"{row.platform}/".startswith(f"{meant}/")]
    if len(of_platform) != 1:
        there = ", ".join(sorted({str(row.platform or "no platform") for row in found.values()}))
        several = f"it holds {len(of_platform)} images for {meant}" if of_platform else f"it holds none for {meant}"
        raise ArchiveError(f"{several}, of these platforms: {there}")
    return of_platform[0]


def _blob(descriptor: _Descriptor) -> str:
    if not DIGEST.fullmatch(descriptor.digest):
        raise ArchiveError(f"{descriptor.digest[:200]!r} is no digest")
    return f"/blobs/{descriptor.digest.replace(':', '/')}"


def decoded(texts: Mapping[str, bytes], name: str, kind: type[Any]) -> Any:
    """Return a description as what it should be; an ArchiveError where it is not."""
    if name not in texts:
        raise ArchiveError(f"it names {name.lstrip('/')[:200]}, and does not hold it")
    try:
        return msgspec.json.decode(texts[name], type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ArchiveError(f"its {name.lstrip('/')[:200]} is not what it should be ({error})") from None
