"""Prepares the inputs of a recipe on the host, each as a named build context."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from seatrial import process
from seatrial.errors import BuildError, EngineError, ProgramError
from seatrial.offline import interpreter, rootfs
from seatrial.offline.catalogue import Input, Kind, locale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack

    from seatrial.engine.find import Engine
    from seatrial.host import Host


TIMEOUT = 600.0


def programs(requirement: str, folder: Path, *, host: Host, say: Callable[[str], None]) -> None:
    """Put the programs of a distribution's wheel into a folder: `uv==0.9.*` gives `uv` and `uvx`.

    Raises:
        BuildError: this environment has no installer, the wheel cannot be had, or it holds no program.

    """
    say(f"Fetching {requirement} from the package index.")
    unpacked = folder.with_name(f"{folder.name}.unpacked")
    installer = next(_installers(host), None)
    if installer is None:
        raise BuildError(
            "neither pip nor uv is there to fetch a wheel with.",
            where=sys.executable,
            fix="Install one of them into this environment: `python -m ensurepip`.",
        )
    # Settings of a person's own shell that contradict a target folder.
    environment = {**host.environment, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    try:
        process.run(
            [*installer, "--target", unpacked, "--no-deps", "--only-binary", ":all:", requirement],
            timeout=TIMEOUT,
            environment=environment,
        )
    except ProgramError as error:
        raise BuildError(
            f"the wheel {requirement} cannot be had: {error.what}",
            where=f"wheel:{requirement}",
            fix="Look at the lines below, the network, and the settings of the package index.",
            detail="\n".join(line[-300:] for line in error.detail.splitlines()[-20:]),
        ) from error
    if not (unpacked / "bin").is_dir():
        raise BuildError(f"the wheel {requirement} holds no program.", where=f"wheel:{requirement}")
    (unpacked / "bin").rename(folder)
    shutil.rmtree(unpacked)


def _installers(host: Host) -> Iterator[list[str]]:
    machine = platform.machine()
    # Wheels for musl are statically linked: their programs run in an image that holds nothing else.
    tags = ("musllinux_1_2", "musllinux_1_1", "manylinux_2_28", "manylinux2014")
    platforms = [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]
    install = ["install", "--no-compile", "--disable-pip-version-check", "--quiet", *platforms]
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip", *install]
    beside = Path(sys.executable).parent
    for path in (str(beside), host.environment.get("PATH")):
        if uv := shutil.which("uv", path=path):
            yield [uv, "pip", "install", "--quiet", "--python-platform", f"{machine}-unknown-linux-musl",
                   "--python", sys.executable]  # fmt: skip
    # An environment that uv made has neither; the interpreter carries pip's own wheel, which runs as it is.
    if bundled := _bundled_pip():
        yield [sys.executable, f"{bundled}/pip", *install]


def _bundled_pip() -> Path | None:
    spec = importlib.util.find_spec("ensurepip")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "_bundled").glob("pip-*.whl"))), None)


def image_label(engine: Engine, name: str, label: str) -> str | None:
    """Return a label of a local image; None where there is no such image or label.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            image = engine.client.images.get(name)
        except docker.errors.ImageNotFound:
            return None
    value = image.labels.get(label)
    return value if isinstance(value, str) else None


def import_tar(engine: Engine, tar: Path, *, repository: str, tag: str) -> None:
    """Make an image of one layer from a tar file.

    Raises:
        BuildError: the engine refused it: no space left, a damaged file.
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            answer = engine.client.api.import_image_from_file(str(tar), repository=repository, tag=tag)
        except docker.errors.APIError as error:
            raise _refused(tar, str(error.explanation or error)) from error
    # The stream of an import that fails half-way is answered with 200 and an error in its last line.
    if '"error"' in str(answer):
        raise _refused(tar, str(answer))


def remove_image(engine: Engine, name: str) -> None:
    """Take a name off an image, and the image away when it was the last; one that is gone is no problem.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            engine.client.images.remove(name)
        except docker.errors.ImageNotFound:
            return


def _refused(tar: Path, detail: str) -> BuildError:
    return BuildError(
        "the engine did not take a root filesystem in.",
        where=str(tar),
        fix="Look at the free space of the engine's data folder: `invoke doctor`.",
        detail=detail,
    )


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(
            "the engine stopped answering.", where=str(engine), fix="Look at `invoke engine.status`.",
            detail=str(error),
        ) from error  # fmt: skip


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
            programs(one.argument, folder, host=workshop.host, say=workshop.say)
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
