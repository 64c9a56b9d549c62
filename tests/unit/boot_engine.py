"""An engine in memory that starts one kind of container after a script, on a clock of its own."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
import types
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import docker.errors
from tests.unit.factories import configuration

from seatrial import inside
from seatrial.engine.containers import Container
from seatrial.engine.startup import COLUMNS, READ_TABLES
from seatrial.observe.running.questions import proof
from seatrial.observe.running.sandbox import BootSetup
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from seatrial.facts import Json

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def api_error(status: int, explanation: str) -> docker.errors.APIError:
    answer = types.SimpleNamespace(status_code=status, url="", reason="")
    return docker.errors.APIError(explanation, response=answer, explanation=explanation)  # type: ignore[arg-type]


@dataclass(kw_only=True)
class Script:
    """How a container behaves; times in seconds from its start."""

    healthy: float | None = 1.0
    """When the engine's health check says so."""
    unhealthy: float | None = None
    exits: float | None = None
    code: int = 0
    out_of_memory: bool = False
    stops: float | None = 0.2
    """Seconds that it takes its stop signal; None where it ignores it."""
    stop_code: int = 0
    log: tuple[str, ...] = ("started",)
    first_log: float = 0.1
    refuses: str = ""
    """Why the engine cannot start it."""
    changed: tuple[str, ...] = ()
    """The paths that `docker diff` lists."""
    frozen_health: float | None = 2.0
    """Seconds from SIGSTOP to unhealthy."""
    stays_awake: bool = False
    """One of its processes is not stopped by the signal."""
    computes: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """From when to when it computes, each at the full speed of a processor."""
    starved: tuple[float, float] = (0.0, 0.0)
    """From when to when it would compute, but gets no processor: its processes are ready to run."""
    listens: tuple[tuple[float, int], ...] = ()
    """From when on it listens on which TCP port."""
    has_cat: bool = True
    """The image holds a program that reads the kernel's tables."""
    second: Script | None = None
    """How the same container behaves when it is started again."""
    left: tuple[str, ...] = ()
    """Files in its volume when it has ended."""
    workers: tuple[tuple[int, float, float | None], ...] = ()
    """Of its workers: the number, and from when to when it runs (None: to the end)."""


@dataclass(kw_only=True)
class Life:
    """One container."""

    plan: Json
    script: Script
    made: float
    started: float | None = None
    signalled: float | None = None
    killed: float | None = None
    frozen: float | None = None


@dataclass(kw_only=True)
class BootEngine:
    """What a start asks an engine; `scripts` are used one after the other, the last one again and again."""

    scripts: list[Script] = field(default_factory=lambda: [Script()])
    now: float = 1000.0
    lives: dict[str, Life] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    watched: list[bool] = field(default_factory=list)
    """Of each container, whether it is watched for what it writes."""
    answer: int | None = None
    """The exit code of the health check where it is asked by us; None where the engine counts no processor time."""
    choose: Any = None
    """Of a plan the script, where the order does not tell."""
    counts: bool = False
    """It counts processor time, though nobody is to ask the health check."""
    execs: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """The container and the words of each program that was started in one."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    threads: list[threading.Thread] = field(default_factory=list)
    """Those that were started meanwhile."""

    # --- what docker-py is asked ------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        life = self.lives[name]
        if life.script.refuses:
            raise api_error(400, f"OCI runtime create failed: unable to start container process: {life.script.refuses}")
        if life.started is not None:
            life.script, life.killed, life.signalled = life.script.second or life.script, None, None
        life.started = self.now

    def kill(self, name: str, signal: str = "SIGKILL") -> None:
        life = self.lives[name]
        if self._ended(life) is not None:
            raise api_error(409, "is not running")
        self.signals.append(signal)
        if signal == "SIGKILL":
            life.killed = self.now
        elif signal == "SIGSTOP":
            life.frozen = self.now
        else:
            life.signalled = self.now

    def inspect_container(self, name: str) -> Json:
        life = self.lives[name]
        ended = self._ended(life)
        host = life.plan["HostConfig"]
        state: Json = {
            "Status": "running" if ended is None else "exited",
            "Pid": 42,
            "StartedAt": self._time(life.started or self.now),
            "FinishedAt": self._time(ended[0]) if ended else "0001-01-01T00:00:00Z",
            "ExitCode": ended[1] if ended else 0,
            "OOMKilled": life.script.out_of_memory,
            "Error": "",
        }
        if life.plan.get("Healthcheck"):
            state["Health"] = {"Status": self._health(life), "Log": []}
        return {
            "State": state,
            "HostConfig": host,
            "Mounts": [{"Type": "volume", "Destination": "/data/"}],
            "ExecIDs": None,
        }

    def logs(self, name: str, **options: Any) -> Any:
        life = self.lives[name]
        lines = [f"{line}\n" for line in life.script.log]
        if options.get("timestamps"):
            stamp = self._time((life.started or 0.0) + life.script.first_log)
            spoken = life.started is not None and self.now >= life.started + life.script.first_log
            return stream([f"{stamp} {line}".encode() for line in lines] if spoken else [])
        return stream([line.encode() for line in lines[-int(options["tail"]) :]])

    def diff(self, name: str) -> list[Json]:
        return [{"Path": path} for path in self.lives[name].script.changed]

    def top(self, name: str, ps_args: str = "") -> Json:
        life = self.lives[name]
        if not ps_args:
            return {"Titles": ["UID", "PID", "CMD"], "Processes": [["0", "42", "shop serve"], ["0", "43", "worker"]]}
        if ps_args == COLUMNS and life is None:
            return {"Titles": ["UID"], "Processes": []}
        if ps_args == COLUMNS:
            since = self._since(life)
            state = "R" if life.script.starved[0] <= since < life.script.starved[1] else "S"
            workers = [
                [str(number), "42", "S", f"worker {number}"]
                for number, begins, ends in life.script.workers
                if begins <= since and (ends is None or since < ends)
            ]
            rows = [["42", "1", state, "shop serve"], ["43", "42", "S", "worker"], *workers]
            return {"Titles": ["PID", "PPID", "STAT", "COMMAND"], "Processes": rows}
        stopped = "T" if life.frozen is not None else "S"
        worker = "S" if life.script.stays_awake else stopped
        rows = [["42", "1", stopped], ["43", "42", worker], ["9", "1", "S"]]
        return {"Titles": ["PID", "PPID", "STAT"], "Processes": rows}

    def stats(self, name: str, **_: Any) -> Json:
        life = self.lives[name]
        # Without processor time, nothing of ours asks the health check.
        spans = life.script.computes if self.counts else ()
        taken = sum(max(0.0, min(self._since(life), end) - begin) for begin, end in spans)
        counted = self.counts or self.answer is not None
        cpu = {"cpu_usage": {"total_usage": 20_000_000 + int(taken * 1e9)}} if counted else {}
        return {"memory_stats": {"usage": 123}, "pids_stats": {"current": 4}, "cpu_stats": cpu}

    def exec_create(self, name: str, words: list[str], **_: Any) -> Json:
        assert name in self.lives
        if words[0] == "cat" or READ_TABLES in words:
            self.execs[f"look{len(self.execs)}"] = (name, words)
            return {"Id": f"look{len(self.execs) - 1}"}
        self.commands.append(words)
        return {"Id": f"exec{len(self.commands)}"}

    def exec_start(self, identity: str, **options: Any) -> Any:
        if identity in self.execs:
            name, words = self.execs[identity]
            life = self.lives[name]
            if not life.script.has_cat and words[0] == "cat":
                return stream([b'exec: "cat": executable file not found in $PATH'])
            ports = [port for begins, port in life.script.listens if begins <= self._since(life)]
            return stream([table(ports)])
        if options.get("detach"):
            return None
        ours, its = socket.socketpair()
        its.sendall(b"\1\0\0\0\0\0\0\x09no answer")
        its.close()
        return ours

    def exec_inspect(self, _: str) -> Json:
        return {"Running": False, "ExitCode": self.answer or 0}

    def _url(self, _: str, container: str) -> str:
        return container

    def _get(self, container: str, **_: Any) -> Any:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name in self.lives[container].script.left:
                archive.addfile(tarfile.TarInfo(f"data/{name}"))
        packed.seek(0)
        return types.SimpleNamespace(raw=packed, close=packed.close)

    def _raise_for_status(self, _: object) -> None:
        pass

    def close(self) -> None:
        pass

    # --- the clock --------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> bool:
        """Let time pass, in place of a run's end: other threads of the start have their say first."""
        # Not threading.enumerate(): a thread leaves that list a little before it has ended.
        for thread in self.threads:
            if thread.name == "look":
                thread.join(5)
        with self.lock:
            self.now += seconds
        return False

    def monotonic(self) -> float:
        return self.now

    def _time(self, at: float) -> str:
        return (BEGIN + timedelta(seconds=at - 1000.0)).isoformat().replace("+00:00", "000Z").replace("000Z", "Z")

    def _since(self, life: Life) -> float:
        return self.now - (life.started if life.started is not None else self.now)

    def _ended(self, life: Life) -> tuple[float, int] | None:
        ends: list[tuple[float, int]] = []
        if life.started is not None and life.script.exits is not None:
            ends.append((life.started + life.script.exits, life.script.code))
        if life.signalled is not None and life.script.stops is not None:
            ends.append((life.signalled + life.script.stops, life.script.stop_code))
        if life.killed is not None:
            ends.append((life.killed, 137))
        over = [end for end in ends if end[0] <= self.now]
        return min(over) if over else None

    def _health(self, life: Life) -> str:
        script, since = life.script, self.now - (life.started if life.started is not None else self.now)
        if life.frozen is not None:
            late = script.frozen_health is not None and self.now >= life.frozen + script.frozen_health
            return "unhealthy" if late else "healthy"
        if script.unhealthy is not None and since >= script.unhealthy:
            return "unhealthy"
        return "healthy" if script.healthy is not None and since >= script.healthy else "starting"

    # --- what a start is given ----------------------------------------------------------------------------------

    @contextmanager
    def container(self, _: object, plan: Json, *, watched: bool = False) -> Iterator[Container]:
        self.watched.append(watched)
        with self.lock:
            name = f"c{len(self.lives)}"
            script = self.choose(plan) if self.choose else self.scripts[min(len(self.lives), len(self.scripts) - 1)]
            self.lives[name] = Life(plan=plan, script=script, made=self.now)
        yield Container(id=name, client=cast("Any", self), ended=cast("Any", self))

    def connection(self, _: int = 0) -> Any:
        return self

    def starter(self, contract: Contract | None = None, python: str = "/usr/bin/python3", **image: Any) -> BootSetup:
        found: Future[str] = Future()
        found.set_result(python)
        return BootSetup(
            run=cast("Any", types.SimpleNamespace(engine=self)),
            configuration=configuration(**image),
            contract=contract or Contract(),
            python=found,
        )


def table(ports: list[int]) -> bytes:
    """Return the kernel's table of TCP sockets that listen on these ports, and on the engine's own for names."""
    rows = [f"   {at}: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000" for at, port in enumerate(ports)]
    rows.append("   9: 0B00007F:9C40 00000000:0000 0A 00000000:00000000")
    rows.append("   8: 0100007F:1234 0100007F:0050 01 00000000:00000000")
    return "\n".join(["  sl  local_address rem_address   st tx_queue rx_queue", *rows, ""]).encode()


def asked(answer: Callable[[bytes], bytes]) -> socket.socket:
    """Return the engine's end of an interpreter that is handed a script and answers so, with its proof."""
    ours, its = socket.socketpair()

    def piece(text: bytes) -> bytes:
        return b"\1\0\0\0" + len(text).to_bytes(4, "big") + text

    def behaves() -> None:
        its.sendall(piece(b"noise\n" + inside.READY + b"\n"))
        text = its.recv(1 << 16)
        body = answer(text)
        its.sendall(piece(b"\n" + proof(text.split(b"\n")[1].split(b"'")[1].decode(), body) + b" " + body + b"\n"))
        its.close()

    threading.Thread(target=behaves, daemon=True).start()
    return ours


def stream(parts: list[bytes]) -> Any:
    """Return what docker-py gives for an answer that comes in parts."""

    class Stream:
        _response = types.SimpleNamespace(close=lambda: None)

        def __iter__(self) -> Iterator[bytes]:
            return iter(parts)

        def close(self) -> None:
            pass

    return Stream()


def installed(monkeypatch: pytest.MonkeyPatch, *scripts: Script) -> BootEngine:
    """Return an engine that the starts of this test use, with its clock."""
    engine = BootEngine(scripts=list(scripts) or [Script()])
    monkeypatch.setattr("time.monotonic", engine.monotonic)
    begin = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        begin(thread)
        engine.threads.append(thread)

    monkeypatch.setattr(threading.Thread, "start", started)
    monkeypatch.setattr("seatrial.observe.running.boot.container", engine.container)
    monkeypatch.setattr("seatrial.observe.running.deep_boots.container", engine.container)
    return engine
