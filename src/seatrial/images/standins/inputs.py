"""Prepares the inputs of a recipe on the host, each as a named build context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from seatrial.images.standins import interpreter, rootfs, wheel
from seatrial.images.standins.plan import Input, Kind
from seatrial.images.standins.rows import locale
from seatrial.images.standins.store import import_tar, remove_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host

REPOSITORY = "seatrial-standin/input"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where one stand-in is being made."""

    engine: Engine
    host: Host
    say: Callable[[str], None]
    now: Callable[[], float]
    """Seconds since the epoch."""
    folder: Path
    """For this stand-in alone; removed when it is done."""
    rootfs: Path
    """Where root filesystems are kept."""
    interpreters: Mapping[str, interpreter.HostPython]
    images: Mapping[str, str]
    """The local names of the stand-ins that this one needs, by the official ones."""
    slug: str
    """This stand-in's name as part of another."""
    cleanup: ExitStack


@dataclass(frozen=True, kw_only=True)
class Ready:
    """An input that a build can use."""

    context: str
    """The value of `--build-context NAME=…`."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments that come with it."""


def prepare(key: str, one: Input, workshop: Workshop) -> Ready:
    """Prepare one input.

    Raises:
        SettingsError: its argument is malformed.
        BuildError: it cannot be made or had.
        EngineError: the engine, or Debian's archive, cannot be reached.

    """
    match one.kind:
        case Kind.ROOTFS:
            return _rootfs(key, one, workshop)
        case Kind.INTERPRETER:
            return _interpreter(key, workshop)
        case Kind.WHEEL:
            folder = workshop.folder / f"{key}-wheel"
            wheel.programs(one.argument, folder, host=workshop.host, say=workshop.say)
            return Ready(context=str(folder))
        case Kind.IMAGE:
            return Ready(context=f"docker-image://{workshop.images[one.argument]}")
        case _:
            assert_never(one.kind)


def _rootfs(key: str, one: Input, workshop: Workshop) -> Ready:
    wanted = rootfs.parse(one.argument, where=f"input {key}")
    tar = rootfs.ensure_tar(wanted, folder=workshop.rootfs, host=workshop.host, say=workshop.say, now=workshop.now)
    # BuildKit takes no tar as a context. The name is this stand-in's own, and goes when it is done; its
    # layer stays as the stand-in's first.
    tag = f"{workshop.slug}-{key}".lower()[-128:].lstrip("-.")
    workshop.cleanup.callback(remove_image, workshop.engine, f"{REPOSITORY}:{tag}")
    import_tar(workshop.engine, tar, repository=REPOSITORY, tag=tag)
    return Ready(context=f"docker-image://{REPOSITORY}:{tag}")


def _interpreter(key: str, workshop: Workshop) -> Ready:
    python = workshop.interpreters[key]
    folder = workshop.folder / f"{key}-interpreter"
    workshop.say(f"Laying out Python {python.version} from {python.prefix}.")
    interpreter.relocate(python, folder, say=workshop.say)
    return Ready(
        context=str(folder),
        arguments={"INTERPRETER_VERSION": python.version, "LOCALE": locale(python.version)},
    )
