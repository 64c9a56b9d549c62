"""Builds local substitutes: once each, found again by the digest of what they are made of."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker.errors

from seatrial import process
from seatrial.engine import builders, programs
from seatrial.engine.containers import engine_errors
from seatrial.errors import BuildError, ImageError
from seatrial.filesystem import locked, os_errors
from seatrial.offline import interpreter, rootfs
from seatrial.offline.catalogue import Kind
from seatrial.offline.inputs import Workspace, prepare
from seatrial.offline.rootfs import text_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.offline.catalogue import Substitute
    from seatrial.offline.interpreter import HostPython


LABEL = "seatrial.standin"
"""The official image that a local substitute replaces; images built on a local substitute carry it too."""
RECIPE_LABEL = "seatrial.standin.recipe"
NOTE_LABEL = "seatrial.standin.note"
"""How it differs from what its name promises; empty where it does not."""
FORMAT = "1"
"""Changes when a local substitute must be built again although its recipe and its inputs read the same."""
BUILD_TIMEOUT = 1800.0
LAST_LINES = 25
LONGEST_LINE = 300


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    """A local substitute with the host's interpreters that it will use."""

    substitute: Substitute
    interpreters: Mapping[str, HostPython]
    images: Mapping[str, _Resolved]
    digest: str


def ensure_substitute(
    substitute: Substitute,
    *,
    engine: Engine,
    host: Host,
    say: Callable[[str], None],
    now: Callable[[], float] = time.time,
) -> str:
    """Return a local substitute's local name; build it first where it is missing or its recipe has changed.

    `now` gives seconds since the epoch: a root filesystem is used again for a week.

    Raises:
        ImageError: this host cannot make it.
        BuildError: a recipe or an input is missing, or the recipe's build failed; with its last lines.
        EngineError: the engine does not answer, or the host's Debian archive cannot be reached.

    """
    return _ensure(_resolve(substitute, host), engine=engine, host=host, say=say, now=now)


def _ensure(
    resolved: _Resolved, *, engine: Engine, host: Host, say: Callable[[str], None], now: Callable[[], float]
) -> str:
    name = resolved.substitute.name
    if _built_digest(engine, name) == resolved.digest:
        return name
    for needed in resolved.images.values():
        _ensure(needed, engine=engine, host=host, say=say, now=now)
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())
    folder = rootfs.cache_folder(host) / "work" / slug
    with os_errors(folder), ExitStack() as cleanup:
        folder.mkdir(parents=True, exist_ok=True)
        cleanup.enter_context(locked(folder, waiting=lambda: say(f"Waiting: another run builds {name}.")))
        if _built_digest(engine, name) == resolved.digest:
            return name
        work = folder / "run"
        # With the lock held, what is there is left from a killed run.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        cleanup.callback(shutil.rmtree, work, ignore_errors=True)
        note = f": {resolved.substitute.note}" if resolved.substitute.note else ""
        say(f"Building the local substitute for {resolved.substitute.reference}{note}.")
        workspace = Workspace(
            engine=engine, host=host, say=say, now=now, folder=work, slug=slug, cleanup=cleanup,
            interpreters=resolved.interpreters,
            images={key: needed.substitute.name for key, needed in resolved.images.items()},
        )  # fmt: skip
        _build(resolved, workspace)
    return name


def _built_digest(engine: Engine, name: str) -> str | None:
    """Return the digest that an earlier build of it was labelled with; None where there is no such image."""
    with engine_errors(f"look at the image {name}"):
        try:
            image = engine.client.images.get(name)
        except docker.errors.ImageNotFound:
            return None
    value = image.labels.get(RECIPE_LABEL)
    return value if isinstance(value, str) else None


def _resolve(substitute: Substitute, host: Host) -> _Resolved:
    """Choose what depends on the host: which interpreter, or the fallback without one."""
    if substitute.refusal:
        raise ImageError(
            f"there is no local substitute for {substitute.reference}: {substitute.refusal}",
            fix="Use one of those, pull the official image where a registry can be reached, or add a recipe "
            "to [tool.seatrial.standins].",
        )
    recipe = _recipe_text(substitute)
    interpreters: dict[str, HostPython] = {}
    for key, wanted in substitute.inputs.items():
        if wanted.kind is Kind.INTERPRETER:
            python = interpreter.find(wanted.argument, host)
            if python is None:
                return _without_interpreter(substitute, wanted.argument, host)
            interpreters[key] = python
    images = {key: _resolve(needed, host) for key, needed in substitute.images.items()}
    digest = text_digest(
        FORMAT,
        rootfs.FORMAT,
        substitute.reference,
        recipe,
        *(f"{key}={wanted}" for key, wanted in sorted(substitute.inputs.items())),
        *(f"{key}={value}" for key, value in sorted(substitute.arguments.items())),
        *(f"{key}={python.prefix} {python.version}" for key, python in sorted(interpreters.items())),
        *(f"{key}={needed.digest}" for key, needed in sorted(images.items())),
    )
    return _Resolved(substitute=substitute, interpreters=interpreters, images=images, digest=digest)


def _without_interpreter(substitute: Substitute, version: str, host: Host) -> _Resolved:
    if substitute.fallback is not None:
        return _resolve(substitute.fallback, host)
    raise ImageError(
        f"there is no local substitute for {substitute.reference}: this host has no Python {version}, and Debian "
        "has none either.",
        fix=f"Install one: `uv python install {version}`, or `pyenv install {version}`.",
    )


def _recipe_text(substitute: Substitute) -> str:
    try:
        return substitute.dockerfile.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(
            f"the recipe for {substitute.reference} cannot be read.",
            where=str(substitute.dockerfile),
            fix="Correct `recipe` in [tool.seatrial.standins], or the file.",
            detail=str(error),
        ) from error


def _build(resolved: _Resolved, workspace: Workspace) -> None:
    substitute, engine = resolved.substitute, workspace.engine
    programs.require_named_contexts(engine)
    buildx = programs.find("buildx", engine, workspace.host)
    prepared = {key: prepare(key, wanted, workspace) for key, wanted in substitute.inputs.items()}
    arguments = dict(substitute.arguments)
    for ready in prepared.values():
        arguments.update(ready.arguments)
    empty = workspace.folder / "empty"
    empty.mkdir()
    argv = [
        buildx.path, "build", "--load", "--progress=plain", "--provenance=false",
        "--builder", builders.own(engine),
        "--file", str(substitute.dockerfile), "--tag", substitute.name,
        f"--label={LABEL}={substitute.reference}", f"--label={RECIPE_LABEL}={resolved.digest}",
        f"--label={NOTE_LABEL}={substitute.note}",
        *(f"--build-context={key}={ready.context}" for key, ready in prepared.items()),
        *(f"--build-arg={key}={value}" for key, value in arguments.items()),
        str(empty),
    ]  # fmt: skip
    done = process.run(argv, timeout=BUILD_TIMEOUT, environment=engine.programs_environment, check=False)
    if done.code != 0:
        raise BuildError(
            f"the build of the local substitute for {substitute.reference} failed.",
            where=str(substitute.dockerfile),
            fix="The last lines below say which step of the recipe failed.",
            detail=last_lines(done.errors or done.output),
        )


def last_lines(output: str) -> str:
    """Return what matters of buildx's plain output: what the failing step printed, and the verdict."""
    lines = output.strip().splitlines()
    # Every line starts with its step's number; the step that failed says ERROR.
    failed = [found.group(1) for line in lines if (found := re.match(r"#(\d+) ERROR", line))]
    if failed:
        lines = [line for line in lines if line.startswith(f"#{failed[-1]} ")]
    return "\n".join(line[:LONGEST_LINE] for line in lines[-LAST_LINES:])
