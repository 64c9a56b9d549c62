"""A scripted `docker compose` that acts on the engine in memory, at the one place that starts programs.

It knows `config`, `up`, `pull` and `exec`, in the words that `seatrial.compose.runner` uses. `Programs.install` puts it
in the place of `seatrial.process.stream`; every other program fails the test.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.fakes.engine import refusal

from seatrial import process
from seatrial.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import docker.errors
    import pytest
    from tests.fakes.engine import MemoryContainer, MemoryEngine

Json = dict[str, Any]
PREFIX = "com.docker.compose"


class Exit(Exception):  # noqa: N818 - not an error
    """A program ends."""

    def __init__(self, code: int, errors: str = "") -> None:
        super().__init__(errors)
        self.code = code
        self.errors = errors


class Programs:
    """What is run in the place of programs, by the file name of each."""

    def __init__(self) -> None:
        self.known: dict[str, Callable[..., tuple[int, str, str]]] = {}
        self.ran: list[tuple[str, ...]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of `seatrial.process.stream`, and so of `run`, which stands on it."""
        monkeypatch.setattr(process, "stream", self.stream)

    def stream(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float | None,
        on_output: Callable[[str], None],
        on_error: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        text_in: str | None = None,
        tick: Callable[[], None] | None = None,
        limits: process.Limits = process.UNLIMITED,
    ) -> process.Completed:
        """Run a program, as `seatrial.process.stream` does."""
        assert limits.output is None or limits.output > 0
        words = tuple(map(str, argv))
        self.ran.append(words)
        program = self.known.get(Path(words[0]).name)
        if program is None:
            raise ProgramError(f"the program {words[0]!r} is not installed.", where="PATH")
        code, output, errors = program(
            words[1:], text_in=text_in, environment=environment or {}, folder=folder, tick=tick, timeout=timeout
        )
        for line in output.splitlines(keepends=True):
            on_output(line)
        for line in errors.splitlines(keepends=True):
            on_error(line)
        return process.Completed(argv=words, code=code, output=output, errors=errors)


class ScriptedCompose:
    """`docker compose` against an engine in memory. The file is read as YAML, in the short and the long forms."""

    def __init__(self, memory: MemoryEngine) -> None:
        self.memory = memory
        self.refuses = ""
        """What it says of each file, in place of reading it."""
        self.needs: set[str] = set()
        """Variables of the environment without which it refuses each file."""
        self.warns = ""
        """What it writes to standard error when it reads a file."""
        self.pullable: set[str] = set()
        """Images that a pull brings."""
        self.creates_in = process.TICK
        """Seconds until the containers are created."""
        self.ends_in = 0.0
        """Seconds that it takes to end when it is interrupted."""
        self.at_end: Callable[[], None] = lambda: None
        """Carried out when it was ended: what it had asked the engine for before may be done still."""
        self.execute: Callable[[str, Sequence[str]], tuple[int, str, str]] = lambda _service, _words: (0, "", "")
        """Answers `exec`: service and words to exit code, output and errors."""
        self.model: Json | None = None
        """The model that it resolves the file to, in place of reading it."""

    def __call__(
        self,
        words: Sequence[str],
        *,
        text_in: str | None,
        environment: Mapping[str, str],
        folder: Path | None,  # noqa: ARG002
        tick: Callable[[], None] | None,
        timeout: float | None,  # noqa: ARG002
    ) -> tuple[int, str, str]:
        """Run it; return its exit code, output and errors."""
        if list(words) == ["version"]:
            return 0, "Docker Compose version v2.40.3\n", ""
        try:
            return 0, self._run(list(words), text_in, environment, tick), self.warns
        except Exit as ended:
            return ended.code, "", ended.errors
        except BaseException:
            # As `process.stream` does: the program is ended, which takes a while, and meanwhile all may happen again.
            self.memory.clock.sleep(self.ends_in)
            self.at_end()
            raise

    def _run(
        self, words: list[str], text_in: str | None, environment: Mapping[str, str], tick: Callable[[], None] | None
    ) -> str:
        options: dict[str, list[str]] = {}
        while words and words[0].startswith("--"):
            options.setdefault(words.pop(0), []).append(words.pop(0))
        project = options["--project-name"][0]
        command, *rest = words
        if self.refuses:
            raise Exit(15, self.refuses)
        document = self._document(options.get("--file", []), text_in, environment, project)
        if set(options.get("--file", [])) - {"-"} and (lacking := sorted(self.needs - set(environment))):
            raise Exit(15, f"required variable {lacking[0]} is missing a value\n")
        match command:
            case "config":
                return self._config(rest, document, options, environment)
            case "pull":
                return self._pull(document["services"][rest[-1]]["image"])
            case "exec":
                code, output, errors = self.execute(rest[1], rest[2:])
                if code:
                    raise Exit(code, errors)
                return output
            case "up":
                _Up(self, project, document, tick).run()
                return ""
        raise AssertionError(f"the scripted compose knows no {command!r}: add it to tests/fakes/compose.py")

    def _document(
        self, files: Sequence[str], text_in: str | None, environment: Mapping[str, str], project: str
    ) -> Json:
        tables = [self.read(file, environment) if file != "-" else json.loads(text_in or "{}") for file in files]
        document, *others = tables or [{}]
        for other in others:
            for name, table in other["services"].items():
                document["services"][name] = {**document["services"][name], **table}
        return {"name": project, **document}

    def read(self, file: str, environment: Mapping[str, str]) -> Json:  # noqa: ARG002
        """Return the model of a file."""
        if self.model is not None:
            copied: Json = json.loads(json.dumps(self.model))
            return copied
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        folder = Path(file).parent
        document["services"] = {name: _long(table, folder) for name, table in (document.get("services") or {}).items()}
        return dict(document)

    def _config(
        self, rest: Sequence[str], document: Json, options: Mapping[str, list[str]], environment: Mapping[str, str]
    ) -> str:
        if "--hash" in rest:
            return "".join(f"{name} {digest(table)}\n" for name, table in document["services"].items())
        if "--environment" in rest:
            env_file = Path(options.get("--env-file", [str(Path(options["--file"][0]).with_name(".env"))])[0])
            lines = env_file.read_text(encoding="utf-8").splitlines() if env_file.exists() else []
            values = dict(line.split("=", 1) for line in lines if "=" in line)
            return "".join(f"{key}={value}\n" for key, value in {**values, **environment}.items())
        return json.dumps(document)

    def _pull(self, image: str) -> str:
        if image not in self.pullable:
            raise Exit(1, f"Error response from daemon: pull access denied for {image}\n")
        self.memory.add_image(image)
        return ""


def digest(table: Json) -> str:
    """Return the hash of a service's configuration."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _long(table: Json, folder: Path) -> Json:
    """Return a service with its dependencies, ports, volumes and build in the long form, as compose prints them."""
    made = dict(table)
    if build := made.get("build"):
        long = {"context": build} if isinstance(build, str) else dict(build)
        long["context"] = str((folder / long.get("context", ".")).resolve())
        made["build"] = {"dockerfile": "Dockerfile", **long}
    depends = made.get("depends_on")
    if isinstance(depends, list):
        made["depends_on"] = {name: {"condition": "service_started", "required": True} for name in depends}
    made["ports"] = [_port(entry) for entry in made.get("ports") or ()]
    made["volumes"] = [_volume(entry) for entry in made.get("volumes") or ()]
    return {key: value for key, value in made.items() if value not in ([], {})}


def _port(one: Any) -> Json:
    if isinstance(one, dict):
        return one
    published, _, target = str(one).rpartition(":")
    host, _, number = published.rpartition(":")
    port: Json = {"mode": "ingress", "target": int(target), "protocol": "tcp"}
    return port | ({"published": number} if number else {}) | ({"host_ip": host} if host else {})


def _volume(one: Any) -> Json:
    if isinstance(one, dict):
        return one
    source, _, target = str(one).partition(":")
    return {"type": "bind" if source.startswith(("/", ".")) else "volume", "source": source, "target": target}


class _Up:
    """One `docker compose up --detach`."""

    def __init__(self, compose: ScriptedCompose, project: str, document: Json, tick: Callable[[], None] | None) -> None:
        self._compose = compose
        self._memory = compose.memory
        self._project = project
        self._document = document
        self._services: dict[str, Json] = document["services"]
        self._tick = tick

    def run(self) -> None:
        """Create what is not there, replace what has changed, and start each behind what it waits for."""
        self._pass(self._compose.creates_in)
        self._rest()
        made = {name: self._container(name, table) for name, table in self._services.items()}
        left = dict(self._services)
        while left:
            # What an earlier run left is judged when it has been started again.
            ready = [
                name
                for name, table in left.items()
                if not set(table.get("depends_on") or ()) & set(left) and self._met(table, made)
            ]
            for name in ready:
                self._start(made[name])
                del left[name]
            if not ready or left:
                self._pass(process.TICK)

    def _pass(self, seconds: float) -> None:
        for _ in range(round(seconds / process.TICK)):
            self._memory.clock.sleep(process.TICK)
            if self._tick is not None:
                self._tick()

    def _rest(self) -> None:
        label = {f"{PREFIX}.project": self._project}
        for key in self._document.get("networks") or {"default": None}:
            name = f"{self._project}_{key}"
            if all(network["Name"] != name for network in self._memory.networks.values()):
                identity = hashlib.sha256(name.encode()).hexdigest()
                self._memory.networks[identity] = {"Id": identity, "Name": name, "Labels": label}
        for key in self._document.get("volumes") or ():
            self._memory.volumes.setdefault(f"{self._project}_{key}", {"Labels": label})

    def _container(self, name: str, table: Json) -> MemoryContainer:
        image = str(table.get("image"))
        known = self._memory.images.get(image)
        there = next((container for container in self._memory.containers.values() if self._is(container, name)), None)
        wanted = digest(table)
        if there is not None:
            if there.labels[f"{PREFIX}.config-hash"] == wanted and (known is None or there.image_id == known["Id"]):
                return there
            self._memory.stop(there, there.config.get("StopTimeout", 10))
            self._memory.remove(there)
        try:
            return create(self._memory, self._project, name, table)
        except Exception as error:
            raise Exit(1, _said(error)) from error

    def _is(self, container: MemoryContainer, service: str) -> bool:
        labels = container.labels
        return labels.get(f"{PREFIX}.project") == self._project and container.service == service

    def _met(self, table: Json, made: Mapping[str, MemoryContainer]) -> bool:
        for name, needed in (table.get("depends_on") or {}).items():
            one = made[name]
            match needed.get("condition", "service_started"):
                case "service_healthy":
                    if one.status in {"exited", "restarting", "dead"}:
                        raise Exit(1, f"dependency failed to start: container {one.name} exited ({one.exit_code})\n")
                    if one.health == "unhealthy":
                        raise Exit(1, f"dependency failed to start: container {one.name} is unhealthy\n")
                    if one.health != "healthy":
                        return False
                case "service_completed_successfully":
                    if one.status == "exited" and one.exit_code:
                        raise Exit(1, f'service "{name}" didn\'t complete successfully: exit {one.exit_code}\n')
                    if one.status != "exited":
                        return False
                case _:
                    pass
        return True

    def _start(self, container: MemoryContainer) -> None:
        if container.id not in self._memory.containers:
            raise Exit(1, _said(refusal(404, f"No such container: {container.id}")))
        if container.status not in {"running", "restarting"}:
            try:
                self._memory.start(container)
            except Exception as error:
                raise Exit(1, _said(error)) from error


def _said(error: Exception) -> str:
    explained: docker.errors.APIError = error  # type: ignore[assignment]
    return f"Error response from daemon: {explained.explanation}\n"


def create(memory: MemoryEngine, project: str, service: str, table: Json, **labels: str) -> MemoryContainer:
    """Make a container of a service, not started, as compose does."""
    depends = ",".join(
        f"{name}:{needed.get('condition', 'service_started')}:false"
        for name, needed in (table.get("depends_on") or {}).items()
    )
    config: Json = {
        "Image": str(table.get("image")),
        "Labels": {
            f"{PREFIX}.project": project,
            f"{PREFIX}.service": service,
            f"{PREFIX}.config-hash": digest(table),
            f"{PREFIX}.depends_on": depends,
            f"{PREFIX}.oneoff": "False",
            **(table.get("labels") or {}),
            **labels,
        },
    }
    if (grace := table.get("stop_grace_period")) is not None:
        config["StopTimeout"] = int(str(grace).rstrip("s"))
    bindings: Json = {}
    for port in table.get("ports") or ():
        if port.get("published"):
            held = bindings.setdefault(f"{port['target']}/{port.get('protocol', 'tcp')}", [])
            held.append({"HostIp": port.get("host_ip", ""), "HostPort": str(port["published"])})
    host: Json = {
        "RestartPolicy": {"Name": table.get("restart", "no")},
        "PortBindings": bindings,
        "Binds": [
            f"{project}_{entry['source']}:{entry['target']}"
            for entry in table.get("volumes") or ()
            if entry.get("type") == "volume"
        ],
    }
    networks: Json = {f"{project}_{key}": {"Aliases": [service]} for key in table.get("networks") or ("default",)}
    return memory.create(f"{project}-{service}-1", config, host=host, networks=networks)
