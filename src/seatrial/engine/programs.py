"""Docker's own programs, buildx and compose, and the builder that a build uses."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from seatrial import process
from seatrial.errors import EngineError, ProgramError
from seatrial.text import did_you_mean, plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host


Name = Literal["buildx", "compose"]

NEEDED: dict[Name, Version] = {
    "buildx": Version("0.13"),  # the first with --progress=rawjson
    "compose": Version("2.0"),
}
NEEDED_ENGINE = Version("23.0")
"""The first engine whose BuildKit has named build contexts."""

NOT_INSTALLED = "it is not installed"
"""In the message of a program that is missing, and not too old."""
OWN_PLUGINS = "programs/usr/libexec/docker/cli-plugins"
PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of docker's programs, ready to run against an engine."""

    path: str
    version: Version


def find(name: Name, engine: Engine, host: Host) -> Program:
    """Return buildx or compose; an EngineError with the versions found and needed where it is missing or too old."""
    needed = NEEDED[name]
    too_old: list[str] = []
    for path in _paths(name, engine, host):
        version = _version(path, host)
        if version >= needed:
            return Program(path=path, version=version)
        too_old.append(f"{path} is {version}")
    raise EngineError(
        f"docker {name} {needed} or later is needed; "
        + (f"found: {', '.join(too_old)}." if too_old else f"{NOT_INSTALLED}."),
        where=str(engine),
        fix=f"Install your system's docker-{name}-plugin, or run `invoke engine.start` to have seatrial's.",
    )


def require_named_contexts(engine: Engine) -> None:
    """Refuse, with an EngineError, an engine that is too old for named build contexts."""
    found = re.match(r"\d+(\.\d+)*", engine.version)
    if found and Version(found.group()) < NEEDED_ENGINE:
        raise EngineError(
            f"this engine is Docker {engine.version}; named build contexts need {NEEDED_ENGINE} or later.",
            where=str(engine),
            fix="Update Docker, or use the engine that seatrial provides: `invoke engine.start`.",
        )


def _paths(name: Name, engine: Engine, host: Host) -> Iterator[str]:
    program = f"docker-{name}"
    config = Path(host.environment.get("DOCKER_CONFIG") or host.home / ".docker")
    folders = [config / "cli-plugins", *map(Path, PLUGIN_FOLDERS)]
    # The provided engine's programs fit it best; for any other engine they are the last resort.
    folders.insert(0 if engine.own else len(folders), host.engine_folder / OWN_PLUGINS)
    for folder in folders:
        if found := shutil.which(program, path=str(folder)):
            yield found
    if found := shutil.which(program, path=host.environment.get("PATH")):
        yield found


def _version(path: str, host: Host) -> Version:
    try:
        output = process.run([path, "version"], timeout=20, environment=host.programs_environment).output
    except ProgramError:
        return Version("0")
    found = re.search(r"\d+\.\d+(\.\d+)?", output)
    return Version(found.group()) if found else Version("0")


VARIABLE = "BUILDX_BUILDER"
"""buildx's own variable for the builder (docs.docker.com/build/building/variables)."""
OPTION = "--builder"
TIMEOUT = 60
"""Seconds; buildx itself waits 20 s for a builder that does not answer."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A builder's name, and where it was named."""

    name: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder, as `docker buildx inspect` shows it."""

    name: str
    driver: str
    """`docker`: an engine's own builder. Others (docker-container, remote, kubernetes) see no engine's images."""
    endpoints: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    """Of each node: running, stopped, inactive."""
    problem: str = ""
    """Why it does not answer."""

    def __str__(self) -> str:
        """Return its name and kind, for messages."""
        return f"{self.name!r} ({self.driver})"


def choose_builder(option: str | None, environment: Mapping[str, str]) -> Choice | None:
    """Return the builder that the option names, or else the variable; None where neither does."""
    if option is not None:
        return Choice(name=option, source=OPTION)
    name = environment.get(VARIABLE)
    return Choice(name=name, source=VARIABLE) if name else None


def own_builder(engine: Engine) -> str:
    """Return the name of the engine's own builder."""
    return engine.candidate.context or "default"


def builder_environment(engine: Engine, host: Host) -> dict[str, str]:
    """Return the environment in which buildx finds the user's builders, and loads images into the engine in use."""
    # For the provided engine BUILDX_CONFIG is another folder: the user's builders are not there.
    result = {key: value for key, value in engine.programs_environment.items() if key != "BUILDX_CONFIG"}
    if folder := host.environment.get("BUILDX_CONFIG"):
        result["BUILDX_CONFIG"] = folder
    return result


def find_builder(choice: Choice | None, engine: Engine, host: Host) -> Builder | None:
    """Return the builder that was named; None where it is the engine's own.

    Raises an EngineError where buildx is missing, no builder has that name, it is another engine's, or does not answer.
    """
    if choice is None or choice.name == own_builder(engine):
        return None
    buildx = find("buildx", engine, host)

    def run(*arguments: str) -> process.Completed:
        argv = [buildx.path, *arguments]
        return process.run(argv, timeout=TIMEOUT, environment=builder_environment(engine, host), check=False)

    done = run("inspect", "--", choice.name)
    if done.code != 0:
        raise builder_not_found(choice, read_names(run("ls", "--format", "json").output), message=done.errors)
    return require_usable_builder(read_builder(done.output, choice.name), choice, engine)


def read_builder(text: str, name: str) -> Builder:
    """Read what `docker buildx inspect` prints. It has no JSON; `ls` has, but asks every builder."""
    head, _, nodes = text.partition("\nNodes:\n")
    statuses, problems = _values("Status", nodes), _values("Error", head)
    if not statuses:
        # Of several nodes one may not answer: buildx uses the others.
        problems += _values("Error", nodes)
    return Builder(
        # buildx ignores the case of builders' names; this is the name as it was created.
        name="".join(_values("Name", head)) or name,
        driver="".join(_values("Driver", head)),
        endpoints=_values("Endpoint", nodes),
        statuses=statuses,
        problem="".join(problems[:1]),
    )


def read_names(text: str) -> tuple[str, ...]:
    """Read the names in what `docker buildx ls --format json` prints: a line of JSON for each, some more than once."""
    names: dict[str, None] = {}
    for line in text.splitlines():
        try:
            listed = json.loads(line)
        except ValueError:
            continue
        if isinstance(listed, dict) and isinstance(name := listed.get("Name"), str):
            names[name] = None
    return tuple(names)


def _values(key: str, text: str) -> tuple[str, ...]:
    return tuple(plain_line(found) for found in re.findall(rf"^{key}:[ \t]*(\S.*)$", text, re.MULTILINE))


def builder_not_found(choice: Choice, known: tuple[str, ...], *, message: str) -> EngineError:
    """Return the error for a builder that buildx does not give."""
    if choice.name in known:
        return EngineError(
            f"the builder {choice.name!r} cannot be used: {plain_line(message).removeprefix('ERROR: ').rstrip('.')}.",
            where=choice.source,
            fix=f"Inspect it: `docker buildx inspect {choice.name}`.",
        )
    hint = did_you_mean(choice.name, known) if known else "`docker buildx ls` lists the builders."
    return EngineError(f"there is no builder {choice.name!r}.", where=choice.source, fix=hint)


def require_usable_builder(builder: Builder, choice: Choice, engine: Engine) -> Builder:
    """Return a builder that can build for the engine in use."""
    # The driver of a builder whose engine is gone is empty.
    silent = builder.driver == "remote" and all(status != "running" for status in builder.statuses)
    if builder.problem or not builder.driver or silent:
        reason = builder.problem.removesuffix(" Is the docker daemon running?")
        reason = reason or f"nothing answers at {', '.join(builder.endpoints) or 'its address'}"
        raise EngineError(
            f"the builder {choice.name!r} does not answer: {reason.rstrip('.')}.",
            where=choice.source,
            fix="Start it, or name another one; `docker buildx ls` lists them.",
        )
    if builder.driver == "docker":
        # An engine's own builder has the name of its docker context.
        unset = " Unset DOCKER_HOST, which overrides it." if engine.candidate.source == "DOCKER_HOST" else ""
        raise EngineError(
            f"the builder {choice.name!r} belongs to another engine than the one in use, {engine}: its images would "
            "stay there.",
            where=choice.source,
            fix=f"Use that engine for everything: DOCKER_CONTEXT={choice.name} instead of {choice.source}.{unset}",
        )
    return builder
