"""A swarm in memory, and the two commands of the docker CLI that change it: `docker stack deploy` and `rm`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.compose import Exit
from tests.fakes.engine import Life, MemoryContainer, chosen, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.fakes.engine import MemoryEngine

Json = dict[str, Any]
NAMESPACE = "com.docker.stack.namespace"
HERE = "node-1"


@dataclass(frozen=True, kw_only=True)
class TaskLife:
    """What each task of a service does. Moments are seconds after the one before."""

    assigned: float | None = 0.1
    """When it gets a node; None: never, as no node suits it."""
    runs: float | None = 0.5
    """When it runs, healthy where it has a check; None: it is rejected."""
    ends: float | None = None
    """When it ends by itself."""
    code: int = 0
    error: str = ""
    computes: float = 0.0
    """Seconds of its start for which it takes a whole processor."""
    node: str = HERE
    prints: Sequence[str] = ()
    """What the swarm has of its output."""
    prints_here: Sequence[str] | None = None
    """What its container's engine has of it, where that is something else."""
    check_output: str = ""


@dataclass(kw_only=True)
class MemoryTask:
    """A task, as the swarm keeps it."""

    id: str
    service: str
    spec: Json
    slot: int
    life: TaskLife
    state: str = "new"
    desired: str = "running"
    node: str = ""
    error: str = ""
    code: int = 0
    container: str = ""
    changed: float = 0.0
    round: int = 0


@dataclass(kw_only=True)
class MemoryService:
    """A service, as the swarm keeps it."""

    id: str
    spec: Json
    previous: Json | None = None
    update: str | None = None
    round: int = 0
    failures: int = 0

    @property
    def job(self) -> bool:
        """Whether it is to end."""
        return "ReplicatedJob" in self.spec["Mode"]

    @property
    def replicas(self) -> int:
        """How many tasks it has; a global service has one, on one node."""
        mode = self.spec["Mode"]
        replicated = mode.get("Replicated") or {}
        return int(replicated.get("Replicas", 1))


@dataclass
class MemorySwarm:
    """What the swarm holds. Its methods are what `docker.APIClient` asks it."""

    memory: MemoryEngine
    held: dict[str, MemoryService] = field(default_factory=dict)
    all_tasks: list[MemoryTask] = field(default_factory=list)
    materials: dict[str, dict[str, Json]] = field(default_factory=lambda: {"secrets": {}, "configs": {}})
    lives: dict[str, Sequence[TaskLife]] = field(default_factory=dict)
    """What the tasks of a service do, by its name without the stack's: the first, the second…; the last repeats."""
    most_failures: dict[str, int] = field(default_factory=dict)
    """After how many failures swarm starts a service no more; without a number, never."""
    starts_again_after: float = 1.0
    stops_in: float = 1.0
    """Seconds that a task takes to stop when its stack is removed."""
    lost: set[str] = field(default_factory=set)
    """Nodes that do not answer."""
    failing_update: set[str] = field(default_factory=set)
    """Services whose next update swarm rolls back when a task fails."""
    refuses: str = ""
    """What `docker stack deploy` says in place of deploying."""
    documents: list[Json] = field(default_factory=list)
    """The stack files that were deployed."""

    def __post_init__(self) -> None:
        """Make the engine a manager of it."""
        self.memory.swarm = self
        self.memory.information["Swarm"] = {"NodeID": HERE, "ControlAvailable": True, "LocalNodeState": "active"}

    # What docker-py asks.

    def nodes(self) -> list[Json]:
        return [
            {
                "ID": node,
                "Description": {"Hostname": f"host-{node}"},
                "Status": {"State": "down" if node in self.lost else "ready"},
            }
            for node in (HERE, "node-2")
        ]

    def services(self, filters: Mapping[str, Any] | None = None) -> list[Json]:
        return [self._said(service) for service in self.held.values() if chosen(filters, service.spec["Labels"])]

    def _said(self, service: MemoryService) -> Json:
        said: Json = {"ID": service.id, "Spec": service.spec}
        if service.previous is not None:
            said["PreviousSpec"] = service.previous
        if service.update is not None:
            said["UpdateStatus"] = {"State": service.update}
        if service.job:
            said["JobStatus"] = {"JobIteration": {"Index": service.round}}
        return said

    def tasks(self, filters: Mapping[str, Any] | None = None) -> list[Json]:
        return [
            {
                "ID": task.id,
                "ServiceID": task.service,
                "Slot": task.slot,
                "NodeID": task.node,
                "Spec": task.spec,
                "DesiredState": task.desired,
                "JobIteration": {"Index": task.round},
                "Status": {
                    "State": task.state,
                    "Err": task.error,
                    "Timestamp": self.memory.clock.datetime(task.changed).isoformat(),
                    "ContainerStatus": {"ContainerID": task.container, "ExitCode": task.code},
                },
            }
            for task in self.all_tasks
            if chosen(filters, task.spec["Namespace"])
        ]

    def secrets(self, filters: Mapping[str, Any] | None = None) -> list[Json]:
        return [
            material for material in self.materials["secrets"].values() if chosen(filters, material["Spec"]["Labels"])
        ]

    def configs(self, filters: Mapping[str, Any] | None = None) -> list[Json]:
        return [
            material for material in self.materials["configs"].values() if chosen(filters, material["Spec"]["Labels"])
        ]

    def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> Json:
        return self._create("secrets", name, data, labels)

    def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> Json:
        return self._create("configs", name, data, labels)

    def remove_secret(self, identity: str) -> None:
        del self.materials["secrets"][identity]

    def remove_config(self, identity: str) -> None:
        del self.materials["configs"][identity]

    def _create(self, kind: str, name: str, data: bytes, labels: Mapping[str, str]) -> Json:
        identity = f"id-{name}"
        if identity in self.materials[kind]:
            raise refusal(409, f"{name} already exists")
        self.materials[kind][identity] = {"ID": identity, "Spec": {"Name": name, "Labels": dict(labels)}, "Data": data}
        return {"ID": identity}

    def service_logs(self, service: str, **_: Any) -> list[bytes]:
        found = []
        for task in self.all_tasks:
            if task.service == service and task.container:
                label = f"com.docker.swarm.node.id={task.node},com.docker.swarm.task.id={task.id}"
                stamp = self.memory.clock.datetime(task.changed).isoformat()
                found += [f"{stamp} {label} {line}\n".encode() for line in task.life.prints]
        return found

    # What the docker CLI does.

    def __call__(self, words: Sequence[str], *, text_in: str | None, **_: Any) -> tuple[int, str, str]:
        """Run `docker`; return its exit code, output and errors."""
        try:
            match list(words[:2]):
                case ["stack", "deploy"]:
                    self._deploy(words[-1], json.loads(text_in or "{}"))
                case ["stack", "rm"]:
                    self._remove_stack(words[-1])
                case _:
                    raise AssertionError(f"the scripted docker knows no {words}: add it to tests/fakes/swarm.py")
        except Exit as ended:
            return ended.code, "", ended.errors
        return 0, "", ""

    def _deploy(self, stack: str, document: Json) -> None:
        if self.refuses:
            raise Exit(1, self.refuses)
        self.documents.append(document)
        labels = {NAMESPACE: stack}
        for key in document.get("networks") or {"default": None}:
            identity = f"{stack}_{key}"
            self.memory.networks[identity] = {"Id": identity, "Name": identity, "Labels": labels}
        for name in [key for key in self.held if key.startswith(f"{stack}_")]:
            if name.removeprefix(f"{stack}_") not in document["services"]:
                self._drop(self.held.pop(name))
        for key, table in document["services"].items():
            name = f"{stack}_{key}"
            spec = self._spec(name, table, labels, document)
            service = self.held.get(name)
            if service is None:
                self.held[name] = service = MemoryService(id=f"service-{name}", spec=spec)
            elif service.spec == spec and not service.job:
                continue
            else:
                service.previous, service.spec = service.spec, spec
                service.round += 1
                service.failures = 0
                if not service.job:
                    service.update = "updating"
            for slot in range(1, service.replicas + 1):
                self._start(service, slot)

    def _spec(self, name: str, table: Json, labels: Mapping[str, str], document: Json) -> Json:
        deploy = table.get("deploy") or {}
        replicas = deploy.get("replicas", 1)
        mode = {
            "replicated": {"Replicated": {"Replicas": replicas}},
            "global": {"Global": {}},
            "replicated-job": {"ReplicatedJob": {"TotalCompletions": replicas}},
        }[deploy.get("mode", "replicated")]
        container = {key: value for key, value in table.items() if key not in {"deploy", "secrets", "configs"}}
        for kind, key in (("secrets", "Secret"), ("configs", "Config")):
            names = [document[kind][use["source"]]["name"] for use in table.get(kind) or ()]
            if names:
                container[f"{key}s"] = [{f"{key}ID": f"id-{entry}"} for entry in names]
        template = {
            "ContainerSpec": container,
            "Placement": {"Constraints": (deploy.get("placement") or {}).get("constraints") or []},
            "Namespace": dict(labels),
        }
        return {"Name": name, "Labels": dict(labels), "TaskTemplate": template, "Mode": mode}

    def _start(self, service: MemoryService, slot: int) -> None:
        name = service.spec["Name"].partition("_")[2]
        lives = self.lives.get(name, (TaskLife(),))
        number = sum(task.service == service.id for task in self.all_tasks)
        life = lives[min(number, len(lives) - 1)]
        task = MemoryTask(
            id=f"task-{len(self.all_tasks)}",
            service=service.id,
            spec=service.spec["TaskTemplate"],
            slot=slot,
            life=life,
            desired="complete" if service.job else "running",
            round=service.round,
            changed=self.memory.clock.now,
        )
        self.all_tasks.append(task)
        if life.assigned is None:
            task.state, task.error = "pending", life.error
            return
        self.memory.clock.after(life.assigned, lambda: self._prepare(service, task))

    def _alive(self, service: MemoryService, task: MemoryTask) -> bool:
        return task.desired in {"running", "complete"} and service.spec["Name"] in self.held

    def _turn(self, task: MemoryTask, state: str) -> None:
        task.state, task.changed = state, self.memory.clock.now

    def _prepare(self, service: MemoryService, task: MemoryTask) -> None:
        if not self._alive(service, task):
            return
        task.node = task.life.node
        self._turn(task, "preparing")
        if task.life.runs is None:
            self._fail(service, task, "rejected")
        else:
            self.memory.clock.after(task.life.runs, lambda: self._run(service, task))

    def _run(self, service: MemoryService, task: MemoryTask) -> None:
        if not self._alive(service, task):
            return
        self._turn(task, "running")
        task.container = f"{len(self.memory.containers) + 1:032x}{task.id:>32}".replace(" ", "0")
        if task.node == HERE:
            made = MemoryContainer(
                id=task.container,
                name=task.container,
                config={"Labels": {}, "Image": ""},
                host_config={},
                networks={},
                image_id="",
                created=self.memory.clock.now,
                status="running",
                started=self.memory.clock.now,
                health="unhealthy" if task.life.check_output else None,
                life=Life(check_output=task.life.check_output, computes=task.life.computes),
            )
            here = task.life.prints if task.life.prints_here is None else task.life.prints_here
            made.output = [(self.memory.clock.now, line) for line in here]
            self.memory.containers[made.id] = made
        if task.life.ends is not None:
            self.memory.clock.after(task.life.ends, lambda: self._end(service, task))
        others = [entry for entry in self.all_tasks if entry.service == service.id and entry is not task]
        for other in others:
            if other.desired == "running" and other.slot == task.slot:
                other.desired = "shutdown"
                self._turn(other, "shutdown")
        mine = [entry for entry in self.all_tasks if entry.service == service.id and entry.spec == task.spec]
        if service.update == "updating" and sum(entry.state == "running" for entry in mine) >= service.replicas:
            service.update = "completed"
        if service.update == "rollback_started":
            service.update = "rollback_completed"

    def _end(self, service: MemoryService, task: MemoryTask) -> None:
        if not self._alive(service, task):
            return
        task.code = task.life.code
        if task.code == 0:
            task.desired = "shutdown"
            self._turn(task, "complete")
            if not service.job:
                self._again(service, task)
            return
        self._fail(service, task, "failed")

    def _fail(self, service: MemoryService, task: MemoryTask, state: str) -> None:
        task.error, task.desired = task.life.error or f"task: non-zero exit ({task.life.code})", "shutdown"
        self._turn(task, state)
        name = service.spec["Name"].partition("_")[2]
        if name in self.failing_update and service.previous is not None:
            self.failing_update.remove(name)
            service.update = "rollback_started"
            service.spec, service.previous = service.previous, service.spec
            self.memory.clock.after(self.starts_again_after, lambda: self._start(service, task.slot))
            return
        self._again(service, task)

    def _again(self, service: MemoryService, task: MemoryTask) -> None:
        name = service.spec["Name"].partition("_")[2]
        service.failures += 1
        if service.failures < self.most_failures.get(name, 10**9):
            self.memory.clock.after(
                self.starts_again_after,
                lambda: self._start(service, task.slot) if service.spec["Name"] in self.held else None,
            )

    def _drop(self, service: MemoryService) -> None:
        for task in self.all_tasks:
            if task.service == service.id:
                task.desired = "remove"
        self.memory.clock.after(self.stops_in, lambda: self._gone(service))

    def _gone(self, service: MemoryService) -> None:
        self.all_tasks = [
            task for task in self.all_tasks if task.service != service.id or (task.node or HERE) in self.lost
        ]

    def _remove_stack(self, stack: str) -> None:
        for name in [key for key in self.held if key.startswith(f"{stack}_")]:
            self._drop(self.held.pop(name))
        for kind in self.materials.values():
            for identity in [key for key, held in kind.items() if held["Spec"]["Labels"].get(NAMESPACE) == stack]:
                del kind[identity]
        networks = [key for key, network in self.memory.networks.items() if network["Labels"].get(NAMESPACE) == stack]
        if networks and any(task.spec["Namespace"][NAMESPACE] == stack for task in self.all_tasks):
            raise Exit(1, f"Failed to remove network {networks[0]}: network is in use by task\n")
        for key in networks:
            del self.memory.networks[key]
