"""A Docker engine in memory, on a virtual clock, behind the part of docker-py's client that seatrial uses.

A test scripts what containers do (`Engine.script`), what the engine refuses (`refuse`), what happens before a request
is answered (`before`), and when it stops answering (`hang`, `die`); then runs the code under test against `engine`.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
import tarfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import requests
from tests.fakes.clock import VirtualClock

from seatrial.engine.find import API_TIMEOUT, Candidate, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Json = dict[str, Any]
ELSEWHERE = "tcp://engine.test:2375"
"""An engine on another machine: which ports of this one are taken does not matter."""
KILLED = 137
STOP_TIMEOUT = 10
FIRST_BACKOFF = 0.1
"""Seconds until the engine starts a container again; doubled each time, as the engine does."""


def refusal(status: int, text: str) -> docker.errors.APIError:
    """Return the error that docker-py raises for an engine's answer."""
    response = requests.Response()
    response.status_code = status
    kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return kind(text, response=response, explanation=text)


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a container does from one start on. All moments are seconds after that start."""

    health: Sequence[tuple[float, str]] = ()
    """When its health check says what: `((3, "healthy"), (9, "unhealthy"))`; it says "starting" before. Empty: none."""
    check_output: str = ""
    """What its health check prints."""
    ends: float | None = None
    """When it ends by itself."""
    code: int = 0
    out_of_memory: bool = False
    refused: str = ""
    """Why the engine cannot start it."""
    stops: float | None = 0.1
    """Seconds that it takes to stop when it is asked to; None: it ignores that, and is killed."""
    stop_code: int = 0
    prints: Sequence[str] = ()
    """Its output, printed at the start."""
    computes: float = 0.0
    """Seconds of its start for which it takes a whole processor."""
    listens: Sequence[tuple[float, int]] | None = None
    """From when on it listens on which TCP port; None: at once on all that it publishes or exposes."""


def healthy(seconds: float = 1.0, **more: Any) -> Life:
    """Return a life with a health check that passes after some seconds."""
    return Life(health=((seconds, "healthy"),), **more)


STAYS = Life()


@dataclass(kw_only=True)
class MemoryContainer:
    """A container, as the engine keeps it."""

    id: str
    name: str
    config: Json
    host_config: Json
    networks: dict[str, Json]
    image_id: str
    created: float
    status: str = "created"
    started: float | None = None
    finished: float | None = None
    exit_code: int = 0
    error: str = ""
    out_of_memory: bool = False
    restarts: int = 0
    stopping: bool = False
    """It was asked to stop, and has not ended yet; the engine calls it running."""
    health: str | None = None
    output: list[tuple[float, str]] = field(default_factory=list)
    life: Life = STAYS
    start_number: int = 0
    """Tells one start from the next, so that what was scheduled in an earlier one does not happen in a later."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}

    @property
    def service(self) -> str:
        """Its compose service; its name where it has none."""
        return self.labels.get("com.docker.compose.service", self.name)

    @property
    def volumes(self) -> list[str]:
        """The volumes that it mounts, by name."""
        return [entry.split(":")[0] for entry in self.host_config.get("Binds") or () if not entry.startswith("/")]


class MemoryEngine:
    """What the engine holds; `engine` is what the code under test is given."""

    def __init__(self, clock: VirtualClock | None = None, *, url: str = ELSEWHERE) -> None:
        self.clock = clock or VirtualClock()
        self.containers: dict[str, MemoryContainer] = {}
        self.networks: dict[str, Json] = {}
        self.volumes: dict[str, Json] = {}
        self.images: dict[str, Json] = {}
        self.execs: dict[str, MemoryContainer] = {}
        self.files: dict[str, bytes] = {"/usr/bin/python3": b"\x7fELF"}
        """What can be read from each container, by path."""
        self.apps: dict[str, Callable[[Json], Json | None]] = {}
        """What answers the script that asks an app from inside of its container, by service; None: it ends."""
        self.calls: list[tuple[str, str]] = []
        """The requests that change something, in order: method and container (by service), network or volume."""
        self.information: Json = {}
        """Added to what `info` says."""
        self.swarm: Any = None
        self._lives: dict[str, Sequence[Life]] = {}
        self._starts: dict[str, int] = {}
        self._faults: list[tuple[str, str | None, BaseException]] = []
        self._before: list[tuple[str, Callable[[str], None]]] = []
        self._hung = self._dead = False
        self._numbers = itertools.count(1)
        self.engine = _Engine(
            candidate=Candidate(source="memory", url=url),
            version="28.0.0",
            api_version="1.48",
            platform="linux/amd64",
            programs_environment={"PATH": "/nonexistent"},
            memory=self,
        )

    # What a test scripts.

    def script(self, service: str, *lives: Life) -> None:
        """Say what each start of a service's containers does from now on: the first, the second…; the last repeats."""
        self._lives[service] = lives
        self._starts[service] = 0

    def refuse(self, method: str, status: int, text: str = "refused", *, of: str | None = None, times: int = 1) -> None:
        """Refuse the next requests of a method; `of` a container (by service or id), network or volume only."""
        self._faults += [(method, of, refusal(status, text))] * times

    def fail(self, method: str, error: BaseException, *, of: str | None = None, times: int = 1) -> None:
        """Raise an error in place of the next answers to a method."""
        self._faults += [(method, of, error)] * times

    def before(self, method: str, action: Callable[[str], None]) -> None:
        """Carry out an action each time before a method is answered; it is given what the method is about."""
        self._before.append((method, action))

    def hang(self) -> None:
        """Take requests and answer none, from now on."""
        self._hung = True

    def die(self) -> None:
        """Refuse connections from now on."""
        self._dead = True

    def add_image(self, name: str, **config: Any) -> str:
        """Hold an image; return its id. Keywords are its configuration: `Healthcheck`, `ExposedPorts`…"""
        identity = f"sha256:{hashlib.sha256(json.dumps([name, config]).encode()).hexdigest()}"
        self.images[name] = {
            "Id": identity,
            "RepoTags": [name],
            "RepoDigests": [],
            "Config": config,
            "Architecture": "amd64",
            "Os": "linux",
            "Size": 1,
            "Created": self._iso(0),
            "RootFS": {"Type": "layers", "Layers": []},
        }
        return identity

    def of(self, service: str) -> MemoryContainer:
        """Return the container of a service.

        Raises:
            LookupError: it has none.

        """
        return next(container for container in self.containers.values() if container.service == service)

    def statuses(self) -> dict[str, str]:
        """Return how each container stands, by service."""
        return {container.service: container.status for container in self.containers.values()}

    def called(self, method: str) -> list[str]:
        """Return what a method was called on, in order."""
        return [target for name, target in self.calls if name == method]

    # What the engine does.

    def create(
        self,
        name: str,
        config: Json,
        *,
        host: Json | None = None,
        networks: Mapping[str, Json] | None = None,
    ) -> MemoryContainer:
        """Make a container, as the engine does."""
        image = config.get("Image", "")
        known = self.images.get(image) or next((entry for entry in self.images.values() if entry["Id"] == image), None)
        if known is None:
            raise refusal(404, f"No such image: {image}")
        if any(container.name == name for container in self.containers.values()):
            raise refusal(409, f'Conflict. The container name "/{name}" is already in use')
        made = MemoryContainer(
            id=f"{next(self._numbers):064x}",
            name=name,
            config=config,
            host_config=host or {},
            networks={key: dict(value or {}) for key, value in (networks or {}).items()},
            image_id=known["Id"],
            created=self.clock.now,
        )
        self.containers[made.id] = made
        return made

    def start(self, made: MemoryContainer) -> None:
        """Start a container: its life begins."""
        lives = self._lives.get(made.service, (STAYS,))
        number = self._starts.get(made.service, 0)
        self._starts[made.service] = number + 1
        made.life = life = lives[min(number, len(lives) - 1)]
        if life.refused:
            made.error, made.exit_code = life.refused, 127
            raise refusal(400, life.refused)
        made.start_number += 1
        made.stopping = False
        made.status, made.started, made.error = "running", self.clock.now, ""
        made.health = "starting" if life.health else None
        made.exit_code, made.out_of_memory = 0, False
        made.output += [(self.clock.now, line) for line in life.prints]
        current = made.start_number
        for seconds, state in life.health:
            self.clock.after(seconds, lambda state=state: self._turn(made, current, state))  # type: ignore[misc]
        if life.ends is not None:
            self.clock.after(life.ends, lambda: self._end(made, current, life.code))

    def end(self, made: MemoryContainer, code: int, *, wanted: bool = True) -> None:
        """End a container; one that nobody wanted to end is started again where its restart policy says so."""
        made.start_number += 1
        made.status, made.finished, made.exit_code = "exited", self.clock.now, code
        made.out_of_memory = made.life.out_of_memory and not wanted
        if made.health is not None:
            made.health = "unhealthy"
        policy = (made.host_config.get("RestartPolicy") or {}).get("Name", "no")
        if not wanted and (policy in {"always", "unless-stopped"} or (policy == "on-failure" and code)):
            made.status = "restarting"
            current = made.start_number
            self.clock.after(FIRST_BACKOFF * 2**made.restarts, lambda: self._restart(made, current))

    def remove(self, made: MemoryContainer) -> None:
        """Remove a container."""
        made.start_number += 1
        self.containers.pop(made.id, None)

    def _turn(self, made: MemoryContainer, number: int, state: str) -> None:
        if made.start_number == number:
            made.health = state

    def _end(self, made: MemoryContainer, number: int, code: int) -> None:
        if made.start_number == number:
            self.end(made, code, wanted=False)

    def _restart(self, made: MemoryContainer, number: int) -> None:
        if made.start_number == number and made.id in self.containers:
            made.restarts += 1
            self.start(made)

    def stop(self, made: MemoryContainer, seconds: float) -> None:
        """Stop a container: this takes as long as it does, and kills it after `seconds`."""
        if made.status in {"restarting", "paused"}:
            self.end(made, made.exit_code)
        if made.status != "running":
            return
        takes, number = made.life.stops, made.start_number
        killed = takes is None or takes > seconds
        made.stopping = True
        self.clock.sleep(seconds if killed else takes or 0)
        if made.start_number == number:
            self.end(made, KILLED if killed else made.life.stop_code)

    def asked(self, method: str, target: str, timeout: float) -> None:
        """Stand before each answer: what was scripted happens now."""
        for name, action in self._before:
            if name == method:
                action(target)
        for fault in self._faults:
            if fault[0] == method and fault[1] in {None, target}:
                self._faults.remove(fault)
                raise fault[2]
        if self._dead:
            raise requests.exceptions.ConnectionError("connection refused")
        if self._hung:
            self.clock.sleep(timeout)
            raise requests.exceptions.ReadTimeout("read timed out")

    def find(self, key: str) -> MemoryContainer:
        """Return a container by its id, the beginning of it, or its name.

        Raises:
            docker.errors.NotFound: there is none.

        """
        if not key:
            raise docker.errors.NullResource("Resource ID was not provided")
        for container in self.containers.values():
            if key in {container.id, container.name} or (len(key) >= 12 and container.id.startswith(key)):
                return container
        raise refusal(404, f"No such container: {key}")

    def inspected(self, made: MemoryContainer) -> Json:
        """Return what the engine says of a container."""
        state: Json = {
            "Status": made.status,
            "Running": made.status in {"running", "restarting", "paused"},
            "ExitCode": made.exit_code,
            "Error": made.error,
            "OOMKilled": made.out_of_memory,
            "StartedAt": self._iso(made.started),
            "FinishedAt": self._iso(made.finished),
        }
        if made.health is not None:
            code = 0 if made.health == "healthy" else 1
            log = [{"ExitCode": code, "Output": made.life.check_output}] if made.health != "starting" else []
            state["Health"] = {"Status": made.health, "Log": log}
        bindings = made.host_config.get("PortBindings") or {}
        return {
            "Id": made.id,
            "Name": f"/{made.name}",
            "Created": self._iso(made.created),
            "Image": made.image_id,
            "RestartCount": made.restarts,
            "State": state,
            "Config": made.config,
            "HostConfig": made.host_config,
            "Mounts": [
                {"Type": "volume", "Name": entry.split(":")[0], "Destination": entry.split(":")[1]}
                for entry in made.host_config.get("Binds") or ()
                if not entry.startswith("/")
            ],
            "NetworkSettings": {
                "Networks": made.networks,
                "Ports": bindings if made.status == "running" else {},
            },
        }

    def _iso(self, moment: float | None) -> str:
        return "0001-01-01T00:00:00Z" if moment is None else self.clock.datetime(moment).isoformat()


@dataclass(frozen=True, kw_only=True)
class _Engine(Engine):
    memory: MemoryEngine

    @cached_property
    def client(self) -> Any:
        api = MemoryApi(self.memory)
        return SimpleNamespace(api=api, images=SimpleNamespace(get=lambda name: SimpleNamespace(id=api.image_id(name))))

    def connection(self, timeout: int = API_TIMEOUT) -> Any:
        return MemoryApi(self.memory, timeout=timeout)


def chosen(filters: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    wanted = (filters or {}).get("label") or ()
    for item in [wanted] if isinstance(wanted, str) else wanted:
        key, separator, value = item.partition("=")
        if key not in labels or (separator and labels[key] != value):
            return False
    return True


class MemoryApi:
    """docker-py's `APIClient`, as far as it is used."""

    def __init__(self, memory: MemoryEngine, timeout: float = API_TIMEOUT) -> None:
        self._memory = memory
        self.timeout = timeout

    def __getattr__(self, name: str) -> Any:
        """Answer what a swarm is asked from the swarm in memory."""
        if self._memory.swarm is None or not hasattr(self._memory.swarm, name):
            raise AttributeError(f"the engine in memory has no {name}: add it to tests/fakes")

        def answer(*words: Any, **options: Any) -> Any:
            self._memory.asked(name, str(words[0]) if words else "", self.timeout)
            return getattr(self._memory.swarm, name)(*words, **options)

        return answer

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def info(self) -> Json:
        self._ask("info")
        return {"SystemTime": self._memory.clock.datetime().isoformat(), **self._memory.information}

    def ping(self) -> bool:
        self._ask("ping")
        return True

    def containers(self, *, all: bool = False, filters: Mapping[str, Any] | None = None, **_: Any) -> list[Json]:  # noqa: A002
        self._ask("containers")
        return [
            {
                "Id": container.id,
                "ImageID": container.image_id,
                "Names": [f"/{container.name}"],
                "Labels": dict(container.labels),
                "State": container.status,
            }
            for container in self._memory.containers.values()
            if (all or container.status == "running") and chosen(filters, container.labels)
        ]

    def inspect_container(self, container: str) -> Json:
        self._ask("inspect_container", container)
        found: Json = json.loads(json.dumps(self._memory.inspected(self._memory.find(container))))
        return found

    def start(self, container: str) -> None:
        made = self._change("start", container)
        if made.status != "running":
            self._memory.start(made)

    def stop(self, container: str, timeout: float | None = None) -> None:
        made = self._change("stop", container)
        seconds = made.config.get("StopTimeout", STOP_TIMEOUT) if timeout is None else timeout
        self._memory.stop(made, seconds)

    def kill(self, container: str, signal: str | None = None) -> None:  # noqa: ARG002
        made = self._change("kill", container)
        if made.status != "running":
            raise refusal(409, f"container {made.id} is not running")
        self._memory.end(made, KILLED)

    def remove_container(self, container: str, *, v: bool = False, force: bool = False) -> None:
        made = self._change("remove_container", container)
        if made.status == "running" and not force:
            raise refusal(409, "cannot remove a running container")
        self._memory.remove(made)
        if v:
            for name in made.volumes:
                if self._memory.volumes.get(name, {}).get("anonymous"):
                    del self._memory.volumes[name]

    def wait(self, container: str, **_: Any) -> Json:
        made = self._memory.find(container)
        self._ask("wait", made.service)
        while made.status == "running":
            self._memory.clock.sleep(0.05)
        return {"StatusCode": made.exit_code}

    def logs(
        self, container: str, *, stream: bool = False, timestamps: bool = False, tail: int | str = "all", **_: Any
    ) -> Any:
        made = self._memory.find(container)
        self._ask("logs", made.service)
        count = None if tail == "all" else int(tail)
        lines = made.output if count is None else made.output[len(made.output) - count :] if count else []
        output = [
            (f"{self._memory.clock.datetime(moment).isoformat()} " if timestamps else "").encode()
            + f"{line}\n".encode()
            for moment, line in lines
        ]
        return (chunk for chunk in output) if stream else b"".join(output)

    def create_container_from_config(self, config: Json, name: str | None = None) -> Json:
        self._ask("create_container", name or "")
        plan = {key: value for key, value in config.items() if key not in {"HostConfig", "NetworkingConfig"}}
        networks = (config.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
        made = self._memory.create(
            name or f"unnamed_{len(self._memory.containers)}", plan, host=config.get("HostConfig"), networks=networks
        )
        self._memory.calls.append(("create_container", made.service))
        return {"Id": made.id}

    def connect_container_to_network(self, container: str, network: str, **endpoint: Any) -> None:
        made = self._change("connect", container)
        made.networks[network] = {"Aliases": endpoint.get("aliases")}

    def networks(self, *, filters: Mapping[str, Any] | None = None) -> list[Json]:
        self._ask("networks")
        return [network for network in self._memory.networks.values() if chosen(filters, network["Labels"])]

    def remove_network(self, network: str) -> None:
        found = self._memory.networks.get(network)
        self._change_named("remove_network", network if found is None else found["Name"])
        if found is None:
            raise refusal(404, f"network {network} not found")
        if any(
            found["Name"] in container.networks
            for container in self._memory.containers.values()
            if container.status == "running"
        ):
            raise refusal(403, f"network {found['Name']} has active endpoints")
        del self._memory.networks[network]

    def volumes(self, *, filters: Mapping[str, Any] | None = None) -> Json:
        self._ask("volumes")
        found = [
            {"Name": name, "Labels": one.get("Labels", {})}
            for name, one in self._memory.volumes.items()
            if chosen(filters, one.get("Labels", {}))
        ]
        return {"Volumes": found or None}

    def remove_volume(self, name: str) -> None:
        self._change_named("remove_volume", name)
        if name not in self._memory.volumes:
            raise refusal(404, f"get {name}: no such volume")
        if any(name in container.volumes for container in self._memory.containers.values()):
            raise refusal(409, f"remove {name}: volume is in use")
        del self._memory.volumes[name]

    def inspect_image(self, name: str) -> Json:
        self._ask("inspect_image", name)
        if re.fullmatch(r"\s*", name) or name != name.strip():
            raise refusal(400, "invalid reference format")
        for key, image in self._memory.images.items():
            if name in {key, image["Id"]}:
                return image
        raise docker.errors.ImageNotFound(f"No such image: {name}", response=_response(404))

    def image_id(self, name: str) -> str:
        return str(self.inspect_image(name)["Id"])

    def images(self, **_: Any) -> list[Json]:
        self._ask("images")
        return list(self._memory.images.values())

    def history(self, image: str) -> list[Json]:
        self._ask("history", image)
        return []

    def _url(self, address: str, container: str) -> str:
        return address.format(container)

    def _get(self, address: str, *, params: Mapping[str, str], **_: Any) -> Any:
        """Answer the archive of a file, or of all: each container holds `MemoryEngine.files`, and nothing else."""
        self._ask("archive", address.split("/")[2])
        path, files = params["path"], self._memory.files
        if path not in files and path != "/":
            raise refusal(404, f"Could not find the file {path} in container")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            above = {str(folder) for name in files for folder in PurePosixPath(name).parents} if path == "/" else set()
            for name in sorted({*above, *files}) if path == "/" else [path]:
                member = tarfile.TarInfo(name if path == "/" else path.rpartition("/")[2])
                member.mode = 0o755
                if name in above:
                    member.type = tarfile.DIRTYPE
                    archive.addfile(member)
                else:
                    member.size = len(files[name])
                    archive.addfile(member, io.BytesIO(files[name]))
        packed.seek(0)
        return SimpleNamespace(raw=packed, close=packed.close)

    def _raise_for_status(self, answer: Any) -> None:
        """Do nothing: what is not there was refused before."""

    def stats(self, container: str, **_: Any) -> Json:
        self._ask("stats", container)
        made = self._memory.find(container)
        computed = min(self._since(made), made.life.computes)
        return {"cpu_stats": {"cpu_usage": {"total_usage": 20_000_000 + int(computed * 1e9)}}}

    def top(self, container: str, ps_args: str = "") -> Json:
        self._ask("top", container)
        self._memory.find(container)
        assert ps_args
        return {"Titles": ["PID", "PPID", "STAT", "COMMAND"], "Processes": [["42", "1", "Ss", "serve"]]}

    def _since(self, made: MemoryContainer) -> float:
        return self._memory.clock.now - (made.started or 0.0)

    def _table(self, made: MemoryContainer) -> bytes:
        bound = {*(made.host_config.get("PortBindings") or ()), *(made.config.get("ExposedPorts") or ())}
        ports = (
            [(0.0, int(port.partition("/")[0])) for port in bound] if made.life.listens is None else made.life.listens
        )
        rows = [f" 0: 00000000:{port:04X} 00000000:0000 0A" for begins, port in ports if begins <= self._since(made)]
        return "\n".join(["  sl  local_address rem_address   st", *rows, ""]).encode()

    def exec_create(self, container: str, cmd: Sequence[str], **_: Any) -> Json:
        if cmd[0] == "cat":
            self._ask("exec_create", container)
            return {"Id": f"cat {self._memory.find(container).id}"}
        made = self._change("exec_create", container)
        if made.status != "running":
            raise refusal(409, f"container {made.id} is not running")
        identity = f"exec-{len(self._memory.execs)}"
        self._memory.execs[identity] = made
        return {"Id": identity}

    def exec_start(self, exec_id: str, *, socket: bool = False, **_: Any) -> Any:  # noqa: ARG002
        if exec_id.startswith("cat "):
            return MemoryStream([self._table(self._memory.find(exec_id.removeprefix("cat ")))])
        made = self._memory.execs[exec_id]
        self._ask("exec_start", made.service)
        return MemorySocket(self._memory, made)

    def _ask(self, method: str, target: str = "") -> None:
        self._memory.asked(method, target, self.timeout)

    def _change(self, method: str, container: str) -> MemoryContainer:
        found = next((entry for entry in self._memory.containers.values() if entry.id == container), None)
        self._change_named(method, found.service if found else container)
        return self._memory.find(container)

    def _change_named(self, method: str, target: str) -> None:
        self._memory.calls.append((method, target))
        self._ask(method, target)


def _response(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


class MemoryStream(list[bytes]):
    """An answer that comes in parts."""

    _response = SimpleNamespace(close=lambda: None)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemorySocket:
    """The channel to the script that asks an app inside of its container: lines of JSON, in the engine's frames."""

    def __init__(self, memory: MemoryEngine, container: MemoryContainer) -> None:
        self._memory = memory
        self._container = container
        self._number = container.start_number
        self._answers: Iterator[bytes] = iter(())
        self._pending: list[bytes] = []

    def settimeout(self, seconds: float) -> None:
        """Take a limit: what is in memory answers at once."""

    def sendall(self, data: bytes) -> None:
        """Take questions, and keep their answers."""
        if self._container.start_number != self._number:
            raise BrokenPipeError
        app = self._memory.apps.get(self._container.service)
        for line in data.splitlines():
            answer = app(json.loads(line)) if app is not None else None
            if answer is None:
                self._number = -1
                return
            body = json.dumps(answer).encode() + b"\n"
            self._pending += [b"\x01\0\0\0" + len(body).to_bytes(4, "big"), body]

    def recv(self, _: int) -> bytes:
        """Return a piece of an answer; nothing where the container has ended."""
        if self._container.start_number != self._number or not self._pending:
            return b""
        return self._pending.pop(0)

    def close(self) -> None:
        """Do nothing: the script ends with its input."""
