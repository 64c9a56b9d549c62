"""Builds an app's image with buildx."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seatrial import process
from seatrial.dockerfile import parse, without_syntax
from seatrial.engine import builders, programs
from seatrial.errors import BuildError, EngineError
from seatrial.images import layout
from seatrial.images.bases import Registries, replacements
from seatrial.images.credentials import find_secrets
from seatrial.images.failure import Setting, explain
from seatrial.images.plan import BuildPlan, plan_build, plan_matrix, provenance, read_dockerfile
from seatrial.images.progress import Progress, StepState
from seatrial.settings.read import TABLE
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from docker.models.images import Image

    from seatrial.engine.builders import Builder
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.images.bases import Replacements
    from seatrial.images.progress import Event, Step
    from seatrial.settings.read import Project


SUBSTITUTES_LABEL = "seatrial.standins"


def build_words(
    plan: BuildPlan,
    *,
    engine: Engine,
    builder: Builder | None,
    contexts: Mapping[str, str],
    substitutes: Iterable[str],
    told: Mapping[str, str],
    file: Path,
    identity: Path,
) -> list[str]:
    """Return buildx's arguments, up to the secrets and the build context.

    Args:
        plan: what to build.
        engine: the engine that gets the image.
        builder: what builds it; None: the engine's own builder.
        contexts: what takes the place of a reference: `docker-image://…` or `oci-layout://…`.
        substitutes: the references that a local substitute took the place of.
        told: the build arguments that seatrial fills.
        file: the Dockerfile.
        identity: the file for the image's id.

    """
    labels = dict(plan.labels)
    if names := sorted(substitutes):
        labels[SUBSTITUTES_LABEL] = ",".join(names)
    return [
        "build", "--progress=rawjson", "--load",
        # Any builder but the engine's own sees neither the engine's images nor the local substitutes.
        "--builder", builders.own(engine) if builder is None else builder.name,
        # Another builder may run on another kind of machine: the image is for this engine.
        *([] if builder is None else [f"--platform={engine.platform}"]),
        # An attestation holds the time of the build: the same source would make another image each time.
        "--provenance=false", "--sbom=false",
        "--iidfile", str(identity),
        "--file", str(file),
        *(["--no-cache"] if plan.no_cache else []),
        *(f"--tag={tag}" for tag in plan.tags),
        *(f"--label={key}={value}" for key, value in labels.items()),
        *(f"--build-arg={key}={value}" for key, value in {**told, **plan.build_arguments}.items()),
        *(f"--build-context={key}={value}" for key, value in contexts.items()),
    ]  # fmt: skip


__all__ = ["BuildPlan", "BuildResult", "Observer", "Registries", "build", "plan_build", "plan_matrix"]


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """An image that was built."""

    plan: BuildPlan
    image_id: str
    size_bytes: int
    """All layers, unpacked."""
    seconds: float
    steps: tuple[Step, ...]
    substitutes: Mapping[str, str] = field(default_factory=dict)
    """The official references that a local substitute took the place of, each with its local name."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The references that now mean this image."""
        return self.plan.tags

    @property
    def counted(self) -> tuple[Step, ...]:
        """The instructions that did work, or were spared it, in the Dockerfile's order."""
        counted = (step for step in self.steps if step.countable)
        return tuple(sorted(counted, key=lambda step: step.line or 0))

    @property
    def cached(self) -> tuple[Step, ...]:
        """Those of them that came from the cache; one that never had to start did too."""
        return tuple(step for step in self.counted if step.state in {StepState.CACHED, StepState.WAITING})


class Observer(Protocol):
    """Who watches a build. `event` is called from another thread than the rest."""

    def began(self, plan: BuildPlan) -> None:
        """Take note that a build begins."""

    def say(self, message: str) -> None:
        """Take a line for a person."""

    def event(self, event: Event) -> None:
        """Take note that a step changed or wrote something."""

    def ended(self, result: BuildResult) -> None:
        """Take note that the image is there."""


def build(
    plan: BuildPlan,
    *,
    engine: Engine,
    host: Host,
    project: Project,
    observer: Observer,
    registries: Registries | None = None,
    builder: Builder | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> BuildResult:
    """Build an image and tag it.

    Args:
        plan: what to build.
        engine: the engine to build on, and that gets the image.
        host: the machine that knows the way to the network.
        project: the project, for the local substitutes that it declares.
        observer: who watches.
        registries: what registries said before in this run; the builds of one run share it.
        builder: what builds instead of the engine's own builder.
        clock: seconds.

    Raises:
        BuildError: it could not be tried: a base that nobody has, a malformed Dockerfile, a full disk.
        BuildFailedError: a step failed; its last lines are the detail.
        EngineError: buildx is missing, or the engine went away.
        ImageError: a local substitute cannot be made on this host.

    """
    began = clock()
    buildx = programs.find("buildx", engine, host)
    observer.began(plan)
    text = read_dockerfile(plan.dockerfile, where=plan.dockerfile_shown, settings=f"[{TABLE}.apps.{plan.app}]")
    dockerfile = parse(text)
    secrets = find_secrets(host)
    for note in secrets.notes:
        observer.say(note)
    with _talking_to(engine):
        replaced = replacements(
            plan, dockerfile, engine=engine, host=host, project=project, say=observer.say,
            registries=registries or Registries(engine=engine), elsewhere=builder is not None,
        )  # fmt: skip
    surroundings = engine.programs_environment if builder is None else builders.environment(engine, host)
    progress = Progress(dockerfile)
    told = provenance(dockerfile, plan.dockerfile, plan.context, plan.build_arguments)
    with _folder() as folder:
        file = _without_syntax(plan, folder) if replaced.syntax_left_out else plan.dockerfile
        words = build_words(
            plan, engine=engine, builder=builder, contexts=_contexts(replaced, builder, engine, folder),
            substitutes=replaced.substitutes, told=told, file=file, identity=folder / "image-id",
        )  # fmt: skip
        relay = _Relay(progress, observer)
        completed = process.stream(
            [buildx.path, *words, *secrets.words(), "--", str(plan.context)],
            timeout=None,
            on_output=lambda _: None,
            on_error=relay.take,
            environment={**surroundings, **secrets.environment()},
            tick=relay.check,
        )
        relay.check()
        if completed.code != 0:
            raise explain(progress, _setting(plan, engine, replaced, builder))
        image_id = (folder / "image-id").read_text(encoding="ascii").strip()
    with _talking_to(engine):
        image = _made(engine, image_id, plan)
        size = sum(int(layer["Size"]) for layer in image.history())
    result = BuildResult(
        plan=plan,
        image_id=str(image.id),
        size_bytes=size,
        seconds=clock() - began,
        steps=progress.steps,
        substitutes=replaced.substitutes,
    )
    observer.ended(result)
    return result


def _contexts(replaced: Replacements, builder: Builder | None, engine: Engine, folder: Path) -> dict[str, str]:
    """Return the build contexts that take the place of references; another builder is handed the images themselves."""
    if builder is None:
        return {reference: f"docker-image://{local}" for reference, local in replaced.images.items()}
    saved: dict[str, str] = {}
    with _writing(folder), _talking_to(engine):
        for number, local in enumerate(dict.fromkeys(replaced.images.values())):
            place = folder / f"image-{number}"
            place.mkdir()
            saved[local] = layout.named_context(engine, local, place)
    return {reference: saved[local] for reference, local in replaced.images.items()}


def _made(engine: Engine, image_id: str, plan: BuildPlan) -> Image:
    """Return the image in the engine. An engine with containerd's image store knows it by another id than buildx."""
    import docker.errors

    try:
        return engine.client.images.get(image_id)
    except docker.errors.ImageNotFound:
        return engine.client.images.get(plan.tags[0])


def _without_syntax(plan: BuildPlan, folder: Path) -> Path:
    """Write the Dockerfile without its syntax line, with the ignore file that goes by its name."""
    file = folder / plan.dockerfile.name
    ignore = plan.dockerfile.with_name(f"{plan.dockerfile.name}.dockerignore")
    with _writing(folder):
        # BuildKit takes what is not UTF-8 as it is: so it has to be here.
        text = plan.dockerfile.read_bytes().decode("utf-8", errors="surrogateescape")
        file.write_bytes(without_syntax(text).encode("utf-8", errors="surrogateescape"))
        if ignore.is_file():
            shutil.copyfile(ignore, folder / ignore.name)
    return file


def _setting(plan: BuildPlan, engine: Engine, replaced: Replacements, builder: Builder | None) -> Setting:
    import docker.errors
    import requests

    def answers() -> bool:
        try:
            return bool(engine.client.ping())
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return False

    def disk() -> str:
        try:
            return str(engine.client.info()["DockerRootDir"])
        except (docker.errors.DockerException, requests.exceptions.RequestException, KeyError):
            return ""

    return Setting(
        dockerfile=plan.dockerfile_shown,
        engine=str(engine),
        disk=disk,
        answers=answers,
        syntax_left_out=replaced.syntax_left_out,
        builder="" if builder is None else str(builder),
    )


class _Relay:
    """Hands the stream on from the thread that reads it; what goes wrong there is raised in the main one."""

    def __init__(self, progress: Progress, observer: Observer) -> None:
        self._progress = progress
        self._observer = observer
        self._error: BaseException | None = None

    def take(self, line: str) -> None:
        if self._error is not None:
            return
        try:
            for event in self._progress.feed(line):
                self._observer.event(event)
        except BaseException as error:  # noqa: BLE001 - raised again by check, in the main thread
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that only this account can read and that is gone afterwards."""
    with _writing(Path(tempfile.gettempdir())):
        folder = tempfile.TemporaryDirectory(prefix="seatrial-build-")
    with folder as name:
        yield Path(name)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"the build's temporary files cannot be written: {error.strerror}.",
            where=str(folder),
            fix="Make room there, or point TMPDIR to another folder.",
        ) from error


@contextmanager
def _talking_to(engine: Engine) -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.APIError, requests.exceptions.RequestException) as error:
        raise EngineError(
            f"the engine did not answer: {plain_line(str(error))[:300]}.",
            where=str(engine),
            fix="Start it again, then build once more.",
        ) from error
