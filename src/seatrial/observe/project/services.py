"""What follows for a compose file's services from their images' configuration and files; nothing is started."""

from __future__ import annotations

import os
import posixpath
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.compose.mounts import host_entry
from seatrial.compose.values import settings_of
from seatrial.errors import ImageError
from seatrial.facts import FileEntry, FileKind, MountKind, ServiceFiles, ServiceImage, Unavailable
from seatrial.observe import paths
from seatrial.observe.command.launch import unwrapped
from seatrial.observe.command.resolve import SHELLS_OWN, resolve_command
from seatrial.observe.configuration import OtherCommand, read_configuration
from seatrial.observe.files import account_of, maps_users
from seatrial.observe.image_files import NOT_READ
from seatrial.observe.index import IndexFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from seatrial.engine.find import Engine
    from seatrial.facts import Account, ComposeModel, ComposeSource, Configuration, Mount, Service
    from seatrial.observe.index import Index

    IndexOf = Callable[[Configuration], Index | Unavailable]
    """Gives the files of an image, or says why not."""

KEPT = 4096
"""Bytes of a mounted file's beginning that are read."""
MADE = FileEntry(kind=FileKind.FOLDER, mode=0o755, uid=0, gid=0)
"""A folder that the engine makes."""
TMPFS = FileEntry(kind=FileKind.FOLDER, mode=0o1777, uid=0, gid=0)


class MountedFiles:
    """`seatrial.observe.paths.Files`: an image's files with a service's mounts over them."""

    def __init__(self, image: IndexFiles, mounts: Sequence[Mount]) -> None:
        self._image = image
        # The deepest covers what is below it.
        self._mounts = sorted(mounts, key=lambda mount: len(mount.target), reverse=True)

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""
        return self._look(self._place(path))

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a regular file, as far as they are known."""
        place = self._place(path)
        mount = self.mount_of(place)
        if mount is None or (mount.kind is MountKind.VOLUME and mount.copies):
            return self._image.beginning(place)
        source = _on_host(mount, place)
        if not source:
            return b""
        with suppress(OSError, ValueError):
            handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                return file.read(KEPT) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        return b""

    def text(self, path: str) -> str:
        """Return the beginning of a file as text."""
        return self.beginning(path).decode("utf-8", errors="replace")

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount that a path belongs to."""
        return next((mount for mount in self._mounts if mount.covers(path)), None)

    def _place(self, path: str) -> str:
        folder, name = posixpath.split(posixpath.normpath(path))
        return posixpath.join(paths.real_folder(folder, self._look), name) if name else "/"

    def _look(self, path: str) -> FileEntry | None:
        mount = self.mount_of(path)
        if mount is None:
            above = any(other.target.startswith(f"{path.rstrip('/')}/") for other in self._mounts)
            return self._image.entry(path) or (MADE if above else None)
        at_target = path == mount.target
        if mount.kind is MountKind.VOLUME and mount.copies:
            return self._image.entry(path) or (MADE if at_target else None)
        if mount.kind in {MountKind.VOLUME, MountKind.TMPFS}:
            empty = MADE if mount.kind is MountKind.VOLUME else TMPFS
            return empty if at_target else self._below(path, mount)
        if at_target:
            return MADE if mount.missing else mount.host
        source = _on_host(mount, path)
        return (host_entry(source) if source else None) or self._below(path, mount)

    def _below(self, path: str, mount: Mount) -> FileEntry | None:
        """Return the folder that the engine makes in a mount for another one below it."""
        inner = (other for other in self._mounts if other is not mount and mount.covers(other.target))
        return MADE if any(other.target.startswith(f"{path}/") for other in inner) else None


def _on_host(mount: Mount, path: str) -> str:
    """Return the host's path of what a container sees at a path; empty where that cannot be told."""
    if not mount.of_host:
        return ""
    rest = path[len(mount.target.rstrip("/")) :].lstrip("/")
    # Only the source itself is followed on the host: links below it lead through the container.
    return str(Path(os.path.realpath(mount.source), rest))


NOT_WANTED = Unavailable(reason="nothing of the service depends on its image's files")


def of_no_image(_: Configuration) -> Index | Unavailable:
    """Return the files of no image."""
    return NOT_READ


def with_images(compose: ComposeSource, engine: Engine, index_of: IndexOf) -> ComposeSource:
    """Return a compose file with what is known of the images of its services; `index_of` gives an image's files.

    An image that is not here is not looked at. Raises EngineError: the engine does not answer.
    """
    model = compose.model
    if isinstance(model, Unavailable):
        return compose
    if any(mount.host for service in model.services for mount in service.volumes) and maps_users(engine.client.api):
        model = _without_owners(model)
    configurations: dict[str, Configuration | Unavailable] = {}
    indexes: dict[str, Index | Unavailable] = {}
    images: dict[str, ServiceImage | Unavailable] = {}
    for service in model.services:
        name = service.image
        if name is None:
            images[service.name] = Unavailable(reason="no `image` names what it runs")
            continue
        if name not in configurations:
            configurations[name] = _configuration(name, engine)
        found = configurations[name]
        if isinstance(found, Unavailable):
            images[service.name] = found
            continue
        # An image is large: its files are read only where something of the service depends on them.
        wanted = bool(service.volumes or service.test or service.own_command)
        if wanted and name not in indexes:
            indexes[name] = index_of(found)
        images[service.name] = service_image(service, found, indexes[name] if wanted else NOT_WANTED)
    return structs.replace(compose, model=model, images=images)


def _without_owners(model: ComposeModel) -> ComposeModel:
    """Return the services with everything of the host readable: nobody knows whose it is in a container."""

    def readable(mount: Mount) -> Mount:
        if mount.host is None:
            return mount
        bits = 0o555 if mount.host.kind is FileKind.FOLDER else 0o444
        return structs.replace(mount, host=structs.replace(mount.host, mode=mount.host.mode | bits))

    def known(service: Service) -> Service:
        return structs.replace(service, volumes=tuple(map(readable, service.volumes)))

    return structs.replace(model, services=tuple(map(known, model.services)))


def _configuration(image: str, engine: Engine) -> Configuration | Unavailable:
    try:
        return read_configuration(engine, image)
    except ImageError:
        return Unavailable(reason=f"{image} is not here")


def service_image(service: Service, configuration: Configuration, index: Index | Unavailable) -> ServiceImage:
    """Return what follows from an image for a service."""
    own = structs.replace(
        OtherCommand(entrypoint=service.entrypoint, command=service.command).of(configuration),
        user=service.user or configuration.user,
        environment={**configuration.environment, **service.settings},
        working_directory=service.working_directory or configuration.working_directory,
    )
    ports = (port.partition("/") for port in configuration.exposed_ports)
    return ServiceImage(
        image=configuration.reference,
        checked=configuration.health_check is not None,
        words=unwrapped(own.words)[0],
        settings=settings_of(own.environment),
        exposed=tuple(int(number) for number, _, kind in ports if number.isdigit() and kind != "udp"),
        volumes=configuration.volumes,
        files=index if isinstance(index, Unavailable) else service_files(service, own, IndexFiles(index)),
    )


def service_files(service: Service, configuration: Configuration, image: IndexFiles) -> ServiceFiles:
    """Return what follows from an image's files for a service, whose command and account the configuration has."""
    who = account_of(configuration.user, image.text("/etc/passwd"), image.text("/etc/group"))
    # Where a bind leads to on another machine is not known.
    known = [mount for mount in service.volumes if mount.host or mount.missing or not mount.of_host]
    mounted = MountedFiles(image, known)
    volumes = [mount.target for mount in service.volumes if mount.kind is MountKind.VOLUME]
    return ServiceFiles(
        account=who,
        alone=resolve_command(configuration, image, who),
        mounted=resolve_command(configuration, mounted, who),
        hidden_environments=tuple(_hidden_environments(image, mounted)),
        places={target: paths.follow(target, image) for target in volumes},
        filled=frozenset(target for target in volumes if image.names(target)),
        no_health_program=_no_health_program(
            service.test, configuration, mounted, who, unseen=[mount for mount in service.volumes if mount not in known]
        ),
    )


def _hidden_environments(image: IndexFiles, mounted: MountedFiles) -> Iterator[str]:
    for path in image.index.paths:
        if path.endswith("/pyvenv.cfg") and mounted.mount_of(path) is not None and mounted.entry(path) is None:
            yield posixpath.dirname(path)


ENDS = frozenset(("exit", "false", "true", ":", "kill", "return"))
"""What a health check's line ends with: no program of its own."""


def _no_health_program(
    test: Sequence[str], configuration: Configuration, files: MountedFiles, who: Account, *, unseen: Sequence[Mount]
) -> tuple[str, ...]:
    """Return the programs that a health check's test begins with, where none of them is there; else nothing.

    What `unseen` mounts hold is not known.
    """
    kind, *words = test or ("",)
    if not words or kind not in {"CMD", "CMD-SHELL"}:
        return ()
    if kind == "CMD":
        lines = [tuple(words)]
    elif files.entry("/bin/sh") is None:
        return ("/bin/sh",)
    else:
        lines = [("/bin/sh", "-c", alternative) for alternative in words[0].split("||")]
    lost: list[str] = []
    for line in lines:
        begin = unwrapped(line)[0]
        if begin and begin[0] in ENDS:
            continue
        found = resolve_command(structs.replace(configuration, entrypoint=(), command=line), files, who)
        unclear = kind == "CMD-SHELL" and (found.words == line or found.word in SHELLS_OWN)
        unclear |= any(
            mount.covers(step) for mount in unseen for step in (found.program.steps if found.program else ())
        )
        if not found.word or unclear or (found.program is not None and found.program.entry is not None):
            return ()
        lost.append(found.word)
    return tuple(dict.fromkeys(lost))
