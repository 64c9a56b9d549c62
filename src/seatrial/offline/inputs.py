"""Prepares the inputs of a recipe on the host, each as a named build context."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import docker.errors

from seatrial import process
from seatrial.engine.containers import engine_errors
from seatrial.errors import BuildError, ProgramError
from seatrial.offline import interpreter, rootfs
from seatrial.offline.builtin import locale
from seatrial.offline.catalogue import PREFIX, Input, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import ExitStack

    from seatrial.engine.find import Engine
    from seatrial.host import Host


WHEEL_TIMEOUT = 600.0
REPOSITORY = f"{PREFIX}/input"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where one local substitute is built, and from what."""

    engine: Engine
    host: Host
    say: Callable[[str], None]
    now: Callable[[], float]
    """Seconds since the epoch."""
    folder: Path
    """For this local substitute alone; removed at the end."""
    slug: str
    """This local substitute's name as part of another."""
    interpreters: Mapping[str, interpreter.HostPython]
    images: Mapping[str, str]
    """The local names of the images that this one needs, by the official ones."""
    cleanup: ExitStack


@dataclass(frozen=True, kw_only=True)
class PreparedInput:
    """An input that a build can use."""

    context: str
    """The value of `--build-context NAME=…`."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments that come with it."""


def prepare(key: str, wanted: Input, workspace: Workspace) -> PreparedInput:
    """Prepare one input."""
    match wanted.kind:
        case Kind.ROOTFS:
            return _rootfs(key, wanted, workspace)
        case Kind.INTERPRETER:
            return _interpreter(key, workspace)
        case Kind.WHEEL:
            folder = workspace.folder / f"{key}-wheel"
            fetch_programs(wanted.argument, folder, host=workspace.host, say=workspace.say)
            return PreparedInput(context=str(folder))
        case Kind.IMAGE:
            return PreparedInput(context=f"docker-image://{workspace.images[wanted.argument]}")
        case _:
            assert_never(wanted.kind)


def _rootfs(key: str, wanted: Input, workspace: Workspace) -> PreparedInput:
    root = rootfs.parse(wanted.argument, where=f"input {key}")
    tar = rootfs.ensure_tar(root, host=workspace.host, say=workspace.say, now=workspace.now)
    # BuildKit takes no tar as a context, so it becomes an image. Its name is removed afterwards; the layer stays as
    # the first one of the local substitute.
    tag = f"{workspace.slug}-{key}".lower()[-128:].lstrip("-.")
    workspace.cleanup.callback(_remove_image, workspace.engine, f"{REPOSITORY}:{tag}")
    _import_tar(workspace.engine, tar, tag=tag)
    return PreparedInput(context=f"docker-image://{REPOSITORY}:{tag}")


def _import_tar(engine: Engine, tar: Path, *, tag: str) -> None:
    """Make an image of one layer from a tar file."""
    with engine_errors(f"import of {tar}"):
        try:
            answer = str(engine.client.api.import_image_from_file(str(tar), repository=REPOSITORY, tag=tag))
        except docker.errors.APIError as error:
            raise _not_imported(tar, str(error.explanation or error)) from error
    # An import that fails half-way is answered with 200 and an error in the stream's last line.
    if '"error"' in answer:
        raise _not_imported(tar, answer)


def _not_imported(tar: Path, detail: str) -> BuildError:
    return BuildError(
        "the engine could not import a root filesystem.",
        where=str(tar),
        fix="Look at the free space of the engine's data folder: `invoke doctor`.",
        detail=detail,
    )


def _remove_image(engine: Engine, name: str) -> None:
    with engine_errors(f"removal of {name}"):
        try:
            engine.client.images.remove(name)
        except docker.errors.ImageNotFound:
            return


def _interpreter(key: str, workspace: Workspace) -> PreparedInput:
    python = workspace.interpreters[key]
    folder = workspace.folder / f"{key}-interpreter"
    workspace.say(f"Copying Python {python.version} from {python.prefix}.")
    interpreter.relocate(python, folder, say=workspace.say)
    return PreparedInput(
        context=str(folder), arguments={"INTERPRETER_VERSION": python.version, "LOCALE": locale(python.version)}
    )


def fetch_programs(requirement: str, folder: Path, *, host: Host, say: Callable[[str], None]) -> None:
    """Put the programs of a distribution's wheel into a folder: `uv==0.9.*` gives `uv` and `uvx`."""
    say(f"Fetching {requirement} from the package index.")
    unpacked = folder.with_name(f"{folder.name}.unpacked")
    installer = next(_installers(host), None)
    if installer is None:
        raise BuildError(
            "a wheel cannot be fetched: neither pip nor uv is installed.",
            where=sys.executable,
            fix="Install pip into this environment: `python -m ensurepip`.",
        )
    # A user's own settings that contradict a target folder.
    environment = {**host.environment, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    argv: list[str | Path] = [*installer, "--target", unpacked, "--no-deps", "--only-binary", ":all:", requirement]
    try:
        process.run(argv, timeout=WHEEL_TIMEOUT, environment=environment)
    except ProgramError as error:
        raise BuildError(
            f"the wheel {requirement} cannot be fetched: {error.what}",
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
    for path in (str(Path(sys.executable).parent), host.environment.get("PATH")):
        if uv := shutil.which("uv", path=path):
            yield [uv, "pip", "install", "--quiet", "--python-platform", f"{machine}-unknown-linux-musl",
                   "--python", sys.executable]  # fmt: skip
    # An environment that uv made has neither; the interpreter carries pip's own wheel, which runs as it is.
    spec = importlib.util.find_spec("ensurepip")
    if spec is not None and spec.origin is not None:
        for wheel in sorted((Path(spec.origin).parent / "_bundled").glob("pip-*.whl"))[:1]:
            yield [sys.executable, f"{wheel}/pip", *install]
