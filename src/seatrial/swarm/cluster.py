"""What the engine says of its swarm and of a stack on it, and the docker CLI that changes it.

All that asks the engine raises an EngineError where it does not answer.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from seatrial import process
from seatrial.compose.runner import lines_of, messages
from seatrial.engine.containers import engine_errors
from seatrial.errors import EngineError, ProgramError, StackFailedError
from seatrial.stack import inspect
from seatrial.swarm.state import NAMESPACE_LABEL, Swarm, SwarmService, Task, Update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.swarm.state import Conversion, SwarmServiceState


DEPLOY_TIMEOUT = 120
"""Seconds that the command line may take to hand everything to the swarm; waiting comes after."""


def find(engine: Engine, host: Host) -> str:
    """Return the path of the docker command line; an EngineError where it is not installed."""
    own = str(host.engine_folder / "programs" / "usr" / "bin")
    path = host.environment.get("PATH", "")
    try:
        # Our engine's own program fits it best; for any other engine it is the last resort.
        return process.find_program("docker", path=f"{own}:{path}" if engine.own else f"{path}:{own}")
    except ProgramError as error:
        raise EngineError(
            "the docker command line is needed to deploy; it is not installed.",
            where=str(engine),
            fix="Install your system's docker-cli, or run `invoke engine.start` to have seatrial's.",
        ) from error


def deploy(program: str, stack: str, conversion: Conversion, engine: Engine) -> None:
    """Hand a stack file to the swarm; a StackFailedError with its own message where it is refused."""
    words = ["--compose-file", "-", "--prune", "--resolve-image", "never", "--with-registry-auth", stack]
    done = process.run(
        [program, "stack", "deploy", *words],
        timeout=DEPLOY_TIMEOUT,
        environment=engine.programs_environment,
        # By standard input: it holds secrets, and nothing is to be cleaned up.
        text_in=json.dumps(conversion.document),
        check=False,
    )
    if done.code != 0:
        said = messages(done.errors) or (f"exit code {done.code}",)
        raise StackFailedError(
            f"docker stack deploy refuses it: {said[-1].removesuffix('.')}.",
            where=f"stack {stack}",
            fix="Correct the compose file.",
            detail="\n".join(said[:-1]),
        )


def remove(program: str, stack: str, engine: Engine) -> str:
    """Tell the swarm to remove a stack; return what the command line complains of."""
    argv = [program, "stack", "rm", stack]
    done = process.run(argv, timeout=DEPLOY_TIMEOUT, environment=engine.programs_environment, check=False)
    return "" if done.code == 0 else "\n".join(messages(done.errors))


INSPECTING = "inspecting the swarm"
PIN = "node.id=="
TASK_PARTS = ("ContainerSpec", "Resources", "RestartPolicy", "LogDriver", "Networks", "ForceUpdate")
LOG_SECONDS = 5
"""Seconds that a service's log may take: it comes from nodes that may be gone."""
TASK_LABEL = "com.docker.swarm.task.id"


def swarm_of(engine: Engine) -> Swarm:
    """Return the swarm that an engine manages; an EngineError where it manages none."""
    with engine_errors(INSPECTING):
        said = engine.client.api.info().get("Swarm") or {}
        problem = _no_manager(said)
        if problem is not None:
            raise EngineError(problem[0], where=str(engine), fix=problem[1])
        nodes = engine.client.api.nodes()
    return Swarm(
        node=str(said["NodeID"]),
        names={str(node["ID"]): str((node.get("Description") or {}).get("Hostname") or node["ID"]) for node in nodes},
    )


def _no_manager(said: Mapping[str, Any]) -> tuple[str, str] | None:
    if said.get("ControlAvailable"):
        return None
    match said.get("LocalNodeState"):
        case "locked":
            return "this engine's swarm is locked.", "Unlock it: `docker swarm unlock`."
        case "active" if said.get("Error"):
            return f"this engine's swarm has no leader: {said['Error']}", "Bring its managers back."
        case "active":
            return "this engine is a worker of its swarm; a manager is needed.", "Set DOCKER_HOST to a manager."
        case _:
            return "this engine is not a swarm manager.", "Make it one: `docker swarm init`."


def services(stack: str, engine: Engine) -> tuple[SwarmService, ...]:
    """Return the services of a stack, by name."""
    with engine_errors(INSPECTING):
        listed = engine.client.api.services(filters=label(stack))  # type: ignore[no-untyped-call]
    return tuple(sorted((read_service(entry, stack) for entry in listed), key=lambda service: service.name))


def tasks(stack: str, engine: Engine, known: Sequence[SwarmService]) -> tuple[Task, ...]:
    """Return the tasks of a stack, those of its past that the swarm still remembers among them."""
    with engine_errors(INSPECTING):
        listed = engine.client.api.tasks(filters=label(stack))  # type: ignore[no-untyped-call]
    versions = {service.id: service.version for service in known}
    return tuple(read_task(entry, versions) for entry in listed)


def lost_nodes(engine: Engine) -> frozenset[str]:
    """Return the ids of the nodes that do not answer."""
    with engine_errors(INSPECTING):
        nodes = engine.client.api.nodes()
    return frozenset(str(node["ID"]) for node in nodes if (node.get("Status") or {}).get("State") == "down")


def label(stack: str) -> dict[str, str]:
    """Return the engine's filter for all that belongs to a stack."""
    return {"label": f"{NAMESPACE_LABEL}={stack}"}


def read_service(data: Mapping[str, Any], stack: str) -> SwarmService:
    """Return a service from what the engine says of it."""
    spec = data.get("Spec") or {}
    mode = spec.get("Mode") or {}
    replicas: int | None = 1
    if "Replicated" in mode:
        replicas = int((mode["Replicated"] or {}).get("Replicas", 1))
    elif "ReplicatedJob" in mode:
        replicas = int((mode["ReplicatedJob"] or {}).get("TotalCompletions", 1))
    elif mode:
        replicas = None
    template = spec.get("TaskTemplate") or {}
    state = (data.get("UpdateStatus") or {}).get("State")
    constraints = (template.get("Placement") or {}).get("Constraints") or ()
    return SwarmService(
        id=str(data["ID"]),
        name=str(spec.get("Name", "")).removeprefix(f"{stack}_"),
        version=_version(template),
        spec=_hash(spec),
        replicas=replicas,
        job="ReplicatedJob" in mode or "GlobalJob" in mode,
        job_round=int(((data.get("JobStatus") or {}).get("JobIteration") or {}).get("Index", 0)),
        update=Update(state) if state in set(Update) else None,
        node_pin=next((rule.removeprefix(PIN).strip() for rule in constraints if rule.startswith(PIN)), None),
    )


def read_task(data: Mapping[str, Any], versions: Mapping[str, str]) -> Task:
    """Return a task from what the engine says of it; `versions` says what each service is to run now, by id."""
    status = data.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    service = str(data.get("ServiceID", ""))
    return Task(
        id=str(data["ID"]),
        service_id=service,
        state=str(status.get("State", "new")),
        desired=str(data.get("DesiredState", "")),
        slot=int(data.get("Slot", 0)),
        node_id=str(data.get("NodeID", "")),
        error=" ".join(lines_of(str(status.get("Err", "")))),
        exit_code=int(container.get("ExitCode", 0)),
        container_id=str(container.get("ContainerID", "")),
        current=_version(data.get("Spec") or {}) == versions.get(service),
        job_round=int((data.get("JobIteration") or {}).get("Index", 0)),
        changed=str(status.get("Timestamp", "")),
    )


def _version(template: Mapping[str, Any]) -> str:
    """Return a hash of what a task is to run: when that changes, swarm puts another task in its place.

    Where it may run makes no other task of it, unless it must not run where it runs: swarmkit,
    manager/orchestrator/task.go, IsTaskDirty.
    """
    return _hash({key: _whole(template.get(key)) for key in TASK_PARTS})


def _whole(part: Any) -> Any:
    """Return a part without what is empty: swarm does not always leave that out."""
    if isinstance(part, dict):
        held = {key: _whole(value) for key, value in part.items()}
        return {key: value for key, value in held.items() if value not in (None, {}, 0)} or None
    return part


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def output(state: SwarmServiceState, swarm: Swarm, engine: Engine, *, count: int) -> tuple[str, ...]:
    """Return the last lines of the tasks that show why a service is not up."""
    for task in state.telling:
        # Swarm shows no output of a task before it runs, the engine does.
        if task.container_id and task.node_id == swarm.node:
            lines = inspect.last_lines(task.container_id, engine, count=count)
            if lines:
                return lines
    broken = frozenset(task.id for task in state.broken if task.container_id)
    return last_lines(state.service, broken, engine, count=count) if broken else ()


def last_lines(service: SwarmService, wanted: frozenset[str], engine: Engine, *, count: int) -> tuple[str, ...]:
    """Return the last lines that some tasks of a service printed; none where they cannot be had."""
    with (
        closing(engine.connection(LOG_SECONDS)) as connection,
        suppress(EngineError, OSError),
        engine_errors(INSPECTING),
    ):
        # Each task's last lines come in the order in which their nodes answer.
        log = connection.service_logs(
            service.id, details=True, stdout=True, stderr=True, tail=str(count), timestamps=True, is_tty=False
        )
        return printed_by(lines_of(b"".join(log)), wanted)[-count:]
    return ()


def printed_by(lines: Sequence[str], wanted: frozenset[str]) -> tuple[str, ...]:
    """Return the text of those log lines that some tasks printed, oldest first.

    A line is: its time, a space, labels as a list with commas, a space, the text.
    """
    found: list[tuple[str, str]] = []
    for line in lines:
        stamp, _, rest = line.partition(" ")
        labels, _, text = rest.partition(" ")
        if dict(label.partition("=")[::2] for label in labels.split(",")).get(TASK_LABEL) in wanted:
            found.append((stamp, text))
    return tuple(text for _, text in sorted(found, key=lambda pair: pair[0]))


def health_outputs(task: Task, swarm: Swarm, engine: Engine) -> tuple[str, ...]:
    """Return what a task's last health checks said; nothing where its container is on another node, or removed."""
    found: tuple[str, ...] = ()
    if task.container_id and task.node_id == swarm.node:
        with engine_errors(INSPECTING, ignoring=[404]):
            inspected = engine.client.api.inspect_container(task.container_id)
            found = inspect.read_container(inspected, now=None).health_outputs
    return found
