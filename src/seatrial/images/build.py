"""Builds an app's image with buildx."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import docker.errors
import requests

from seatrial import owner, process
from seatrial.dockerfile import SecretMount, secret_mounts
from seatrial.engine import programs
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.engine.programs import Builder
from seatrial.errors import BuildError, BuildFailedError, SeatrialError
from seatrial.facts.sources import Dockerfile
from seatrial.host import Host
from seatrial.images import layer_cache, untrusted
from seatrial.images.bases import Registries, Replacements, replacements, require_bases
from seatrial.images.failure import SHOWN_LOG_LINES, BuildEnvironment, explain
from seatrial.images.oci_layout import save_images
from seatrial.images.plan import BuildPlan, dockerfile_of, lies_outside
from seatrial.images.progress import Event, Progress, Step, StepState
from seatrial.images.provenance import provenance
from seatrial.images.secrets.credentials import BuildSecrets, find_secrets, withheld
from seatrial.images.secrets.handover import Frontend, Handed, hand_over
from seatrial.images.secrets.leaks import provisional_tag, tag_when_clean
from seatrial.images.secrets.redaction import Redaction
from seatrial.settings.read import Project

SUBSTITUTES_LABEL = "seatrial.standins"


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
    """The official references that a local substitute replaced, each with its local name."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The references that now mean this image."""
        return self.plan.tags

    @property
    def counted(self) -> tuple[Step, ...]:
        """The instructions that do work, cached or not, in the Dockerfile's order."""
        return tuple(sorted((step for step in self.steps if step.countable), key=lambda step: step.line or 0))

    @property
    def cached(self) -> tuple[Step, ...]:
        """Those of them that came from the cache; a step that never had to start did too."""
        return tuple(step for step in self.counted if step.state in {StepState.CACHED, StepState.WAITING})


class Observer(Protocol):
    """Watches a build. `event` is called from another thread than the rest."""

    def began(self, plan: BuildPlan) -> None:
        """A build begins."""

    def say(self, message: str) -> None:
        """Show a message."""

    def event(self, event: Event) -> None:
        """A step changed or wrote something."""

    def ended(self, result: BuildResult) -> None:
        """The image is built."""


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

    The engine gets the image, also of another `builder` than its own. `registries` holds the answers of one run.

    Raises:
        BuildError: it could not be tried: a base that cannot be pulled, a malformed Dockerfile, a full disk.
        BuildFailedError: a step failed; its last lines are the detail.
        EngineError: buildx is missing, or the engine stopped answering.
        ImageError: a local substitute cannot be made on this host.
    """
    began = clock()
    registries = registries or Registries(engine=engine)
    buildx = programs.find("buildx", engine, host)
    observer.began(plan)
    if plan.outside:
        observer.say(f"Note that {lies_outside(plan.outside)}: the builder may be sent what is there.")
    if plan.owner:
        where = f"{project.file.name} {plan.table}" if not plan.of_service else project.of_services[plan.app].where
        untrusted.require_own_tags(engine, plan.tags, plan.image, plan.owner, where=where)
    dockerfile = dockerfile_of(plan, project)
    mounts = secret_mounts(dockerfile, plan.build_arguments)
    found = find_secrets(host)
    secrets = found.given(plan.secrets, host.trust)
    for note in (*secrets.notes, *withheld(found, secrets, mounts, plan, trust=host.trust, settings=project.file.name)):
        observer.say(note)
    if plan.cache is not None and secrets.credentials:
        observer.say("Its layers are not kept in the cache folder: the build gets credentials.")
        plan = replace(plan, cache=None)
    redaction = Redaction(secrets.credentials)
    running = _Build(
        plan=plan, dockerfile=dockerfile, mounts=mounts, secrets=secrets, progress=Progress(dockerfile, redaction),
        buildx=buildx.path, engine=engine, host=host, builder=builder, observer=observer,
    )  # fmt: skip
    with redaction.of_errors():
        replaced, handed = running.prepare(project, registries, say=lambda said: observer.say(redaction.strike(said)))
        image_id, size = running.image(replaced, handed)
    result = BuildResult(
        plan=plan, image_id=image_id, size_bytes=size, seconds=clock() - began,
        steps=running.progress.steps, substitutes=replaced.substitutes,
    )  # fmt: skip
    observer.ended(result)
    return result


@dataclass(frozen=True, kw_only=True)
class _Build:
    """A build in progress."""

    plan: BuildPlan
    dockerfile: Dockerfile
    mounts: tuple[SecretMount, ...]
    secrets: BuildSecrets
    progress: Progress
    buildx: str
    engine: Engine
    host: Host
    builder: Builder | None
    observer: Observer

    def prepare(
        self, project: Project, registries: Registries, say: Callable[[str], None]
    ) -> tuple[Replacements, Handed]:
        """Make the local substitutes that it needs, and the Dockerfile for the builder."""
        plan, syntax = self.plan, self.dockerfile.syntax
        with engine_errors(f"building {plan.tags[0]}"):
            replaced = replacements(
                plan, self.dockerfile, engine=self.engine, host=self.host, project=project, say=say,
                registries=registries, elsewhere=self.builder is not None,
            )  # fmt: skip
            frontend = Frontend(
                image=syntax, left_out=replaced.syntax_left_out is not None,
                local=syntax is not None and registries.has_locally(syntax),
                engine_version=self.engine.version if self.builder is None else None,
            )  # fmt: skip
        bundle, credentials = self.secrets.files.get("ca-bundle"), self.secrets.for_each_run(plan.secrets, self.mounts)
        with _file_errors(plan.dockerfile):
            handed = hand_over(plan, frontend, bundle, credentials, settings=project.file.name)
        if handed.note:
            self.observer.say(handed.note)
        return replaced, handed

    def image(self, replaced: Replacements, handed: Handed) -> tuple[str, int]:
        """Build; return the image's id and size. One that could hold a credential is searched before it is tagged."""
        if not self.secrets.credentials:
            return self._run(self.plan, replaced, handed)
        with engine_errors(f"building {self.plan.tags[0]}"), provisional_tag(self.engine, self.plan) as tag:
            image_id, size = self._run(replace(self.plan, tags=(tag,)), replaced, handed)
            tag_when_clean(
                self.engine, image_id, self.plan,
                credentials=self.secrets.credentials, mounts=self.mounts, say=self.observer.say,
            )  # fmt: skip
        return image_id, size

    def _run(self, plan: BuildPlan, replaced: Replacements, handed: Handed) -> tuple[str, int]:
        """Run buildx; return the image's id and size."""
        engine, builder, secrets = self.engine, self.builder, self.secrets
        environment = (
            engine.programs_environment if builder is None else programs.builder_environment(engine, self.host)
        )

        def relay(line: str) -> None:
            for event in self.progress.feed(handed.mounted.as_written(line)):
                self.observer.event(event)

        with _temporary_folder() as folder:
            with _file_errors(folder):
                file = handed.file(plan, folder)
            arguments = buildx_arguments(
                plan, engine=engine, builder=builder, contexts=_contexts(replaced, builder, engine, folder),
                substitutes=replaced.substitutes,
                provenance=provenance(
                    self.dockerfile, plan.dockerfile, plan.context, plan.build_arguments, self.host.trust
                ),
                dockerfile=file, id_file=folder / "image-id",
            )  # fmt: skip
            if plan.cache is not None:
                arguments += layer_cache.arguments(plan.cache, folder / "layers")
            completed = process.stream(
                [self.buildx, *arguments, *secrets.arguments(), *handed.mounted.arguments(), "--", str(plan.context)],
                timeout=None,
                on_output=lambda _: None,
                on_error=relay,
                environment={**environment, **secrets.environment(), **handed.mounted.environment()},
                tick=partial(_end_in_time, time.monotonic() + plan.within, plan, self.progress),
            )
            if completed.code != 0:
                raise explain(self.progress, _build_environment(plan, engine, replaced, builder))
            image_id = (folder / "image-id").read_text(encoding="ascii").strip()
            if plan.cache is not None:
                layer_cache.keep(folder / "layers", plan.cache)
        with engine_errors(f"building {plan.tags[0]}"):
            return _look_at(engine, image_id, plan.tags[0])


def _end_in_time(deadline: float, plan: BuildPlan, progress: Progress) -> None:
    """End a build that takes too long; raises a BuildFailedError."""
    if time.monotonic() < deadline:
        return
    running = [step for step in progress.steps if step.state is StepState.RUNNING]
    step = next((step for step in running if step.numbered), next(iter(running), None))
    if step is None:
        what = "no step was running"
    else:
        since = f"{step.keyword} in line {step.line}" if step.line else step.text
        what = f"{since} was running"
    raise BuildFailedError(
        f"the build took longer than {plan.within:g} s and was stopped: {what}.",
        where=plan.dockerfile_shown if step is None or step.line is None else f"{plan.dockerfile_shown}:{step.line}",
        fix=f"Find out why that takes so long, or set `build-within` in {plan.table}.",
        detail="" if step is None else "\n".join(progress.log(step)[-SHOWN_LOG_LINES:]),
    )


def buildx_arguments(
    plan: BuildPlan,
    *,
    engine: Engine,
    builder: Builder | None,
    contexts: Mapping[str, str],
    substitutes: Iterable[str],
    provenance: Mapping[str, str],
    dockerfile: Path,
    id_file: Path,
) -> list[str]:
    """Return buildx's arguments, up to the secrets and the build context.

    `contexts` tells what replaces a reference (`docker-image://…` or `oci-layout://…`), `substitutes` which references
    a local one replaces. `provenance` are build arguments; buildx writes the image's id to `id_file`.
    """
    labels = dict(plan.labels)
    given = {**provenance, **plan.build_arguments}
    if plan.owner:
        given[untrusted.CACHE_NAMESPACE] = plan.owner
    if names := sorted(substitutes):
        labels[SUBSTITUTES_LABEL] = ",".join(names)
    return [
        "build", "--progress=rawjson", "--load",
        # Any builder but the engine's own sees neither the engine's images nor the local substitutes.
        "--builder", programs.own_builder(engine) if builder is None else builder.name,
        # Another builder may run on another kind of machine: the image is for this engine.
        *([] if builder is None else [f"--platform={engine.platform}"]),
        # An attestation holds the time of the build: the same source would make another image each time.
        "--provenance=false", "--sbom=false",
        "--iidfile", str(id_file),
        "--file", str(dockerfile),
        *([f"--target={plan.target}"] if plan.target else []),
        *(["--no-cache"] if plan.no_cache else []),
        *(f"--tag={tag}" for tag in plan.tags),
        *(f"--label={key}={value}" for key, value in labels.items()),
        *(f"--build-arg={key}={value}" for key, value in given.items()),
        *(f"--build-context={key}={value}" for key, value in contexts.items()),
    ]  # fmt: skip


def _contexts(replaced: Replacements, builder: Builder | None, engine: Engine, folder: Path) -> dict[str, str]:
    """Return the build contexts that replace references; another builder gets the images themselves."""
    if builder is None:
        return {reference: f"docker-image://{image}" for reference, image in replaced.images.items()}
    with _file_errors(folder), engine_errors("passing images to the builder"):
        saved = save_images(engine, replaced.images.values(), folder)
    return {reference: saved[image] for reference, image in replaced.images.items()}


def _look_at(engine: Engine, image_id: str, tag: str) -> tuple[str, int]:
    """Return the engine's own id of an image and its size. With containerd's image store buildx names another id."""
    try:
        image = engine.client.images.get(image_id)
    except docker.errors.ImageNotFound:
        image = engine.client.images.get(tag)
    return str(image.id), sum(int(layer["Size"]) for layer in image.history())


def _build_environment(
    plan: BuildPlan, engine: Engine, replaced: Replacements, builder: Builder | None
) -> BuildEnvironment:
    lost = (docker.errors.DockerException, requests.exceptions.RequestException, KeyError)

    def answers() -> bool:
        with suppress(*lost):
            return bool(engine.client.ping())
        return False

    def data_folder() -> str:
        with suppress(*lost):
            return str(engine.client.info()["DockerRootDir"])
        return ""

    return BuildEnvironment(
        differences=replaced.differences,
        dockerfile=plan.dockerfile_shown,
        engine=str(engine),
        data_folder=data_folder,
        answers=answers,
        syntax_left_out=replaced.syntax_left_out,
        builder="" if builder is None else str(builder),
    )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Give a folder that only this account can read, and remove it afterwards."""
    with ExitStack() as stack:
        with _file_errors(Path(tempfile.gettempdir())):
            folder = stack.enter_context(owner.temporary_folder("build"))
        yield folder


@contextmanager
def _file_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"the build's temporary files cannot be written: {error.strerror}.",
            where=str(folder),
            fix="Make room there, or point TMPDIR to another folder.",
        ) from error


def build_all(
    plans: Sequence[BuildPlan],
    *,
    engine: Engine,
    host: Host,
    project: Project,
    choice: programs.Choice | None,
    observer: Observer,
    cache: str | None = None,
    failed: Callable[[BuildPlan, SeatrialError], None] | None = None,
) -> list[BuildResult]:
    """Build all whose bases can be had, and raise the first problem at the end; `failed` receives each instead.

    `choice` is the builder that was named; None: the engine's own. `cache` is the folder of layers that are kept.
    """
    builder = programs.find_builder(choice, engine, host)
    if cache is not None:
        plans = [layer_cache.cached_in(cache, plan, builder) for plan in plans]
    if builder is not None and choice is not None:
        observer.say(f"The builder {builder}, named by {choice.source}, builds; the images go into {engine}.")
    registries = Registries(engine=engine)
    look = partial(require_bases, engine=engine, host=host, project=project, registries=registries)
    build_one = partial(build, engine=engine, host=host, project=project, registries=registries, builder=builder)
    problems: list[SeatrialError] = []
    results: list[BuildResult] = []

    def succeeds(run: Callable[[BuildPlan], object], plan: BuildPlan) -> bool:
        try:
            run(plan)
        except SeatrialError as error:
            if len(plans) > 1 or failed:
                observer.say("\n  ".join([f"{plan.tags[0]} was not built: {error}", *error.detail.splitlines()]))
            problems.append(error)
            if failed:
                failed(plan, error)
            return False
        return True

    # What cannot be built for want of a base is told before the first build: those may take long.
    for plan in [plan for plan in plans if len(plans) == 1 or succeeds(look, plan)]:
        succeeds(lambda plan: results.append(build_one(plan, observer=observer)), plan)
    if problems and not failed:
        raise problems[0]
    return results
