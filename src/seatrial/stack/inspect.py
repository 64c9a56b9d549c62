"""What the engine says of a stack's containers, and what they print.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import heapq
import queue
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
import docker.errors

from seatrial.compose.runner import LONGEST_LINE, Stack, lines_of
from seatrial.compose.services import PROJECT_LABEL
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.engine.runs import own_labels
from seatrial.errors import StackError
from seatrial.facts import Condition, Dependency, Port
from seatrial.stack.state import ContainerState, ContainerStatus, Health
from seatrial.text import did_you_mean, with_returns_shown

ENGINE_STOP_SECONDS = 10
"""How long the engine lets a container stop that does not say otherwise."""
INSPECTING = "inspecting the stack"
COMPOSE_HASH = "com.docker.compose.config-hash"
COMPOSE_IMAGE = "com.docker.compose.image"
UNNAMED = re.compile(r"[0-9a-f]{64}")
"""What the engine calls a volume that nobody has named."""
KEPT_CHECKS = 3
"""Health-check outputs that are kept of each container."""


def by_label(stack: Stack) -> dict[str, str]:
    """Return the engine's filter for all that belongs to a stack."""
    return {"label": f"{PROJECT_LABEL}={stack.compose_project}"}


def containers(stack: Stack, engine: Engine) -> tuple[ContainerState, ...]:
    """Return the stack's containers, by service and name."""
    api = engine.client.api
    found: list[ContainerState] = []
    with engine_errors(INSPECTING):
        listed = [entry for entry in api.containers(all=True, filters=by_label(stack)) if made_by_compose(entry, api)]
        now = datetime.fromisoformat(str(api.info()["SystemTime"])) if listed else None
    for entry in listed:
        # 404: it was removed since it was listed.
        with engine_errors(INSPECTING, ignoring=[404]):
            found.append(read_container(api.inspect_container(entry["Id"]), now=now))
    return tuple(sorted(found, key=lambda state: (state.service, state.name)))


def strangers(stack: Stack, engine: Engine) -> tuple[str, ...]:
    """Return the names of containers that carry the stack's label, but not of their own."""
    api = engine.client.api
    with engine_errors(INSPECTING):
        listed = api.containers(all=True, filters=by_label(stack))
        others = [entry for entry in listed if not made_by_compose(entry, api)]
    return tuple(sorted(str(name).removeprefix("/") for entry in others for name in (entry.get("Names") or ())[:1]))


def made_by_compose(listed: Mapping[str, Any], api: docker.APIClient) -> bool:
    """Tell whether compose set a listed container's labels: it has those of its image too, whoever wrote these.

    An image that was committed from a service's container carries them all. But compose writes the id of the image
    into one, and no image can hold its own id.
    """
    if (listed.get("Labels") or {}).get(COMPOSE_IMAGE) == listed["ImageID"]:
        return True
    return bool({PROJECT_LABEL, COMPOSE_HASH, COMPOSE_IMAGE} & (own_labels(dict(listed), api) or {}).keys())


def last_lines(container: str, engine: Engine, *, count: int) -> tuple[str, ...]:
    """Return the last lines of a container's output as plain text; none where they cannot be read."""
    with engine_errors(INSPECTING):
        try:
            output = engine.client.api.logs(container, tail=count)
        except docker.errors.APIError:
            return ()  # It is gone, or its logging driver keeps nothing to read.
    text = output.decode("utf-8", "replace")
    # A terminal ends each line with CRLF.
    terminal = all(line.endswith("\r") for line in text.split("\n") if line)
    shown = text if terminal else "\n".join(map(with_returns_shown, text.split("\n")))
    return lines_of(shown)[-count:]


def read_container(data: Mapping[str, Any], *, now: datetime | None) -> ContainerState:
    """Return a container's state from what the engine's inspection says."""
    config = data.get("Config") or {}
    labels = config.get("Labels") or {}
    state = data.get("State") or {}
    health = state.get("Health") or {}
    status = ContainerStatus(state["Status"])
    checks = health.get("Log") or ()
    return ContainerState(
        id=str(data["Id"]),
        name=str(data.get("Name", "")).removeprefix("/"),
        service=str(labels.get("com.docker.compose.service", "")),
        status=status,
        one_off=labels.get("com.docker.compose.oneoff") == "True",
        image=str(config.get("Image", "")),
        image_id=str(data.get("Image", "")),
        config_hash=str(labels.get(COMPOSE_HASH, "")),
        depends_on=_dependencies(str(labels.get("com.docker.compose.depends_on", ""))),
        ports=_ports(data),
        health=Health(health["Status"]) if health.get("Status") in set(Health) else None,
        health_outputs=tuple(_check(entry) for entry in checks[-KEPT_CHECKS:]),
        exit_code=int(state.get("ExitCode", 0)),
        error=" ".join(lines_of(str(state.get("Error", "")))),
        out_of_memory=bool(state.get("OOMKilled", False)),
        restarts=int(data.get("RestartCount", 0)),
        exposed=_exposed(config),
        unnamed=tuple(
            sorted(
                str(mount["Destination"])
                for mount in data.get("Mounts") or ()
                if mount.get("Type") == "volume" and UNNAMED.fullmatch(str(mount.get("Name", "")))
            )
        ),
        restart_policy=str(((data.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or ""),
        seconds=_seconds(data, status, now),
        stop_seconds=ENGINE_STOP_SECONDS if config.get("StopTimeout") is None else int(config["StopTimeout"]),
    )


def _dependencies(label: str) -> tuple[Dependency, ...]:
    """Read compose's label: `db:service_healthy:false,cache:service_started:true`."""
    parts = [entry.split(":") for entry in label.split(",") if entry]
    return tuple(
        Dependency(service=part[0], condition=Condition(part[1]) if part[1:] else Condition.STARTED) for part in parts
    )


def _exposed(config: Mapping[str, Any]) -> frozenset[int]:
    found = (re.fullmatch(r"([0-9]{1,5})/tcp", str(port)) for port in config.get("ExposedPorts") or ())
    return frozenset(int(port[1]) for port in found if port)


def _ports(data: Mapping[str, Any]) -> tuple[Port, ...]:
    # A container that does not run has no ports: then, those that it asks for.
    bound = (data.get("NetworkSettings") or {}).get("Ports")
    bound = bound or (data.get("HostConfig") or {}).get("PortBindings") or {}
    found: list[Port] = []
    for inside, outside in bound.items():
        target, _, protocol = inside.partition("/")
        found += [
            Port(
                host_ip=str(binding.get("HostIp", "")),
                published=int(binding["HostPort"]) if str(binding.get("HostPort", "")).isdigit() else None,
                target=int(target),
                protocol=protocol or "tcp",
            )
            for binding in outside or ()
        ]
    return tuple(found)


def _check(entry: Mapping[str, Any]) -> str:
    output = " ".join(lines_of(str(entry.get("Output", ""))))
    return f"exit code {entry.get('ExitCode')}: {output or '(no output)'}"


def _seconds(data: Mapping[str, Any], status: ContainerStatus, now: datetime | None) -> float:
    state = data.get("State") or {}
    runs = status in {ContainerStatus.RUNNING, ContainerStatus.PAUSED}
    began = state.get("StartedAt" if runs else "FinishedAt")
    since = str((data.get("Created") if status is ContainerStatus.CREATED else began) or "")
    return max((now - datetime.fromisoformat(since)).total_seconds(), 0.0) if now and since else 0.0


def of_service(stack: Stack, containers: Sequence[ContainerState], service: str | None) -> tuple[ContainerState, ...]:
    """Return the containers of a service, or all of a stack's own.

    Raises StackError: nothing of the stack is there, or it has no such service.
    """
    own = tuple(container for container in containers if not container.one_off)
    if not own:
        raise StackError(
            f"nothing of {stack.app} is up.",
            where=stack.compose_project,
            fix=f"Bring it up: `invoke up --app {stack.app}`.",
        )
    chosen = tuple(container for container in own if service in {None, container.service})
    if not chosen:
        raise StackError(
            f"{stack.app} has no service {service!r}.",
            where=stack.compose_project,
            fix=did_you_mean(str(service), {container.service for container in own}),
        )
    return chosen


def running(stack: Stack, containers: Sequence[ContainerState], service: str) -> ContainerState:
    """Return a running container of a service. Raises StackError: it does not run; the message tells what does."""
    chosen = of_service(stack, containers, service)
    up = [container for container in containers if container.status is ContainerStatus.RUNNING]
    for container in chosen:
        if container in up:
            return container
    others = sorted({container.service for container in up if not container.one_off})
    ended = f"it ended with exit code {chosen[0].exit_code}" if chosen[0].status is ContainerStatus.EXITED else ""
    raise StackError(
        f"{service} is not running{f': {ended}' if ended else f': it is {chosen[0].status.value}'}.",
        where=stack.compose_project,
        fix=f"Running: {', '.join(others)}." if others else f"Nothing runs: `invoke up --app {stack.app}`.",
    )


WAITING_LINES = 1000
"""Lines that may wait for the reader before a container's own reader waits."""
LONGEST_PENDING = 16 * LONGEST_LINE
"""Characters without a line end that are collected before they count as a line."""


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line that a service printed: plain text."""

    service: str
    text: str


def logs(
    stack: Stack, *, engine: Engine, service: str | None = None, follow: bool = False, tail: int | None = 100
) -> Iterator[LogLine]:
    """Return the lines of a stack's containers, oldest first; with `follow`, those to come too.

    Only those of `service`, where one is named; at first the last `tail` lines of each container, or all.

    Raises StackError: the stack has no container, or none of that service.
    """
    chosen = of_service(stack, containers(stack, engine), service)
    return _followed(chosen, engine, tail) if follow else _merged(chosen, engine, tail)


def split(chunks: Iterable[bytes]) -> Iterator[str]:
    """Return the lines of a stream that comes in pieces, each made plain."""
    pending = b""
    for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield from lines_of(line)
        if len(pending) > LONGEST_PENDING:
            yield from lines_of(pending)
            pending = b""
    yield from lines_of(pending)


def _merged(containers: Sequence[ContainerState], engine: Engine, tail: int | None) -> Iterator[LogLine]:
    def stamped(container: ContainerState) -> Iterator[tuple[str, str, str]]:
        for line in split(_stream(container, engine, tail, follow=False)):
            stamp, _, text = line.partition(" ")
            yield stamp, container.service, text

    with engine_errors("reading the stack's logs"):
        for _, service, text in heapq.merge(*map(stamped, containers)):
            yield LogLine(service=service, text=text)


def _followed(containers: Sequence[ContainerState], engine: Engine, tail: int | None) -> Iterator[LogLine]:
    lines: queue.Queue[LogLine | None] = queue.Queue(WAITING_LINES)

    def read(container: ContainerState, stream: Any) -> None:
        try:
            for text in split(stream):
                lines.put(LogLine(service=container.service, text=text))
        finally:
            lines.put(None)

    with engine_errors("reading the stack's logs"):
        streams = [_stream(container, engine, tail, follow=True) for container in containers]
    for container, stream in zip(containers, streams, strict=True):
        threading.Thread(target=read, args=(container, stream), daemon=True).start()
    try:
        for _ in streams:
            # Each reader ends with None.
            yield from iter(lines.get, None)
    finally:
        for stream in streams:
            stream.close()


def _stream(container: ContainerState, engine: Engine, tail: int | None, *, follow: bool) -> Any:
    most: Any = "all" if tail is None else tail
    return engine.client.api.logs(container.id, stream=True, follow=follow, timestamps=not follow, tail=most)
