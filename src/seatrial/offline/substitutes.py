"""Builds local substitutes from recipes and their inputs: once each, found again by a digest."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import docker.errors

from seatrial import process
from seatrial.engine import programs
from seatrial.engine.containers import engine_errors
from seatrial.errors import BuildError, ImageError, SeatrialError
from seatrial.filesystem import locked, os_errors
from seatrial.offline import debian, interpreter, rootfs
from seatrial.offline.catalogue import locale
from seatrial.offline.packages import fetch_npm, fetch_programs
from seatrial.offline.recipe import PREFIX, Input, Kind
from seatrial.offline.rootfs import text_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker.models.images import Image

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.offline.interpreter import HostPython
    from seatrial.offline.recipe import Substitute


LABEL = "seatrial.standin"
"""The official image that a local substitute replaces; images built on a local substitute carry it too."""
RECIPE_LABEL = "seatrial.standin.recipe"
NOTE_LABEL = "seatrial.standin.note"
"""How it differs from what its name promises; empty where it does not."""
REPOSITORY = f"{PREFIX}/input"
FORMAT = "1"
"""Changes when a local substitute must be built again although its recipe and its inputs read the same."""
BUILD_TIMEOUT = 1800.0
LAST_LINES = 25
LONGEST_LINE = 300


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
    return _Builder(engine=engine, host=host, say=say, now=now).ensure(_resolve(substitute, host))


def hindrance(substitute: Substitute, host: Host) -> SeatrialError | None:
    """Return why this host cannot make a local substitute: it is refused, or a Python or a recipe is missing."""
    try:
        _resolve(substitute, host)
    except (ImageError, BuildError) as error:
        return error
    return None


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    """A local substitute with the host's interpreters that it will use."""

    substitute: Substitute
    interpreters: Mapping[str, HostPython]
    images: Mapping[str, _Resolved]
    digest: str


def _resolve(substitute: Substitute, host: Host) -> _Resolved:
    """Choose what depends on the host: which interpreter, or the fallback without one."""
    if substitute.refusal:
        raise ImageError(
            f"there is no local substitute for {substitute.reference}: {substitute.refusal}",
            fix=f"{substitute.instead}, pull the official image where a registry can be reached, or add a recipe "
            "to `standins` of the settings.",
        )
    recipe = _recipe_text(substitute)
    interpreters: dict[str, HostPython] = {}
    notes = [substitute.note]
    for key, wanted in substitute.inputs.items():
        if wanted.kind is Kind.INTERPRETER:
            python = interpreter.find(wanted.argument, host)
            if python is None:
                return _without_interpreter(substitute, wanted.argument, host)
            interpreters[key] = python
            if not f"{python.version}.".startswith(f"{wanted.argument}."):
                notes.append(f"it has Python {python.version}, as this host has no {wanted.argument}")
            elif "." not in wanted.argument:
                notes.append(f"it has Python {python.version}, the newest of this host")
    images = {key: _resolve(needed, host) for key, needed in substitute.images.items()}
    notes += [needed.substitute.note for needed in images.values()]
    substitute = replace(substitute, note="; ".join(filter(None, notes)))
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
            fix="Correct `recipe` in `standins` of the settings, or the file.",
            detail=str(error),
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Builder:
    """Builds for one engine."""

    engine: Engine
    host: Host
    say: Callable[[str], None]
    now: Callable[[], float]

    def ensure(self, resolved: _Resolved) -> str:
        """Return a local substitute's name; build it, and what it is made from, where an up-to-date one is missing."""
        name, note = resolved.substitute.name, resolved.substitute.note
        if _digest(self._image(name)) == resolved.digest:
            if note:
                self.say(f"The local substitute for {resolved.substitute.reference}: {note}.")
            return name
        for needed in resolved.images.values():
            self.ensure(needed)
        folder = rootfs.cache_folder(self.host) / "work" / _slug(name)
        with os_errors(folder), ExitStack() as cleanup:
            folder.mkdir(parents=True, exist_ok=True)
            cleanup.enter_context(locked(folder, waiting=lambda: self.say(f"Waiting: another run builds {name}.")))
            former = self._image(name)
            if _digest(former) == resolved.digest:
                return name
            work = folder / "run"
            # With the lock held, what is there is left from a killed run.
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            cleanup.callback(shutil.rmtree, work, ignore_errors=True)
            said = f"Building the local substitute for {resolved.substitute.reference}"
            self.say(f"{said}: {note}." if note else f"{said}.")
            self._build(resolved, work, cleanup)
            if former is not None:
                self._remove_nameless(str(former.id))
        return name

    def _build(self, resolved: _Resolved, work: Path, cleanup: ExitStack) -> None:
        substitute, engine = resolved.substitute, self.engine
        programs.require_named_contexts(engine)
        buildx = programs.find("buildx", engine, self.host)
        arguments = dict(substitute.arguments)
        contexts = {key: self._context(key, resolved, work, cleanup, arguments) for key in substitute.inputs}
        empty = work / "empty"
        empty.mkdir()
        argv = [
            buildx.path, "build", "--load", "--progress=plain", "--provenance=false",
            "--builder", programs.own_builder(engine),
            "--file", str(substitute.dockerfile), "--tag", substitute.name,
            f"--label={LABEL}={substitute.reference}", f"--label={RECIPE_LABEL}={resolved.digest}",
            f"--label={NOTE_LABEL}={substitute.note}",
            *(f"--build-context={key}={context}" for key, context in contexts.items()),
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

    def _context(self, key: str, resolved: _Resolved, work: Path, cleanup: ExitStack, arguments: dict[str, str]) -> str:
        """Prepare one input, and return it as the value of `--build-context NAME=...`; `arguments` may get more."""
        wanted: Input = resolved.substitute.inputs[key]
        folder = work / f"{key}-{wanted.kind}"
        match wanted.kind:
            case Kind.ROOTFS:
                root = rootfs.parse(wanted.argument, where=f"input {key}")
                tar = rootfs.ensure_tar(root, host=self.host, say=self.say, now=self.now)
                # BuildKit takes no tar as a context, so it becomes an image. Its name is removed afterwards; the layer
                # stays as the first one of the local substitute.
                tag = f"{_slug(resolved.substitute.name)}-{key}".lower()[-128:].lstrip("-.")
                cleanup.callback(self._remove_image, f"{REPOSITORY}:{tag}")
                self._import_tar(tar, tag)
                return f"docker-image://{REPOSITORY}:{tag}"
            case Kind.DEB:
                root = rootfs.parse(wanted.argument, where=f"input {key}")
                debs = debian.fetch(root.packages, suite=root.suite, host=self.host, say=self.say)
                debian.unpack(debs, folder, host=self.host)
                return str(folder)
            case Kind.INTERPRETER:
                python = resolved.interpreters[key]
                self.say(f"Copying Python {python.version} from {python.prefix}.")
                interpreter.relocate(python, folder, say=self.say)
                arguments |= {"INTERPRETER_VERSION": python.version, "LOCALE": locale(python.version)}
                return str(folder)
            case Kind.WHEEL:
                fetch_programs(wanted.argument, folder, host=self.host, say=self.say)
                return str(folder)
            case Kind.NPM:
                version = fetch_npm(wanted.argument, folder, host=self.host, say=self.say)
                arguments[f"{key.upper()}_VERSION"] = version
                return str(folder)
            case Kind.IMAGE:
                return f"docker-image://{resolved.images[wanted.argument].substitute.name}"
            case _:
                assert_never(wanted.kind)

    def _import_tar(self, tar: Path, tag: str) -> None:
        """Make an image of one layer from a tar file."""
        with engine_errors(f"import of {tar}"):
            try:
                answer = str(self.engine.client.api.import_image_from_file(str(tar), repository=REPOSITORY, tag=tag))
                # An import that fails half-way is answered with 200 and an error in the stream's last line.
                failed = '"error"' in answer
            except docker.errors.APIError as error:
                answer, failed = str(error.explanation or error), True
        if failed:
            raise BuildError(
                "the engine could not import a root filesystem.",
                where=str(tar),
                fix="Look at the free space of the engine's data folder: `invoke doctor`.",
                detail=answer,
            )

    def _image(self, name: str) -> Image | None:
        with engine_errors(f"inspecting the image {name}", ignoring=[HTTPStatus.NOT_FOUND]):
            return self.engine.client.images.get(name)
        return None

    def _remove_image(self, name: str) -> None:
        with engine_errors(f"removal of {name}", ignoring=[HTTPStatus.NOT_FOUND]):
            self.engine.client.images.remove(name)

    def _remove_nameless(self, image_id: str) -> None:
        """Remove an image whose name a newer one has taken, unless something else names or uses it."""
        ignored = [HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT]
        with engine_errors(f"removing the image {image_id}", ignoring=ignored):
            if not self.engine.client.images.get(image_id).tags:
                self.engine.client.images.remove(image_id)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower())


def _digest(image: Image | None) -> str | None:
    """Return the digest that an image was labelled with when it was built."""
    return None if image is None else image.labels.get(RECIPE_LABEL)


def last_lines(output: str) -> str:
    """Return what matters of buildx's plain output: what the failing step printed, and the verdict."""
    lines = output.strip().splitlines()
    # Every line starts with its step's number; the step that failed says ERROR.
    failed = [found.group(1) for line in lines if (found := re.match(r"#(\d+) ERROR", line))]
    if failed:
        lines = [line for line in lines if line.startswith(f"#{failed[-1]} ")]
    return "\n".join(line[:LONGEST_LINE] for line in lines[-LAST_LINES:])
