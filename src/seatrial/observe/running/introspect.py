"""Inspects a running container: its processes as the engine lists them, and /proc as its interpreter reads it."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker.errors
from msgspec.structs import replace

from seatrial import inside
from seatrial.engine.containers import engine_errors
from seatrial.engine.startup import processes
from seatrial.errors import EngineError
from seatrial.facts import ProcessList, ProcInfo, Unavailable, Usage
from seatrial.observe.running.questions import ask_interpreter, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.engine.runs import Run
    from seatrial.engine.startup import ProcessRow
    from seatrial.engine.streams import Output


LOOK_SECONDS = 5.0
"""The most seconds that an application is kept running for the look; it takes about a tenth of one."""
MOST_OUTPUT = 512 * 1024
"""Bytes that the script in the container may write; its own limits keep it far below."""
MOST_COMMANDS = 200
MOST_CHARACTERS = 1000
SHOWN = 500
LATE = f"its interpreter did not answer within {LOOK_SECONDS:g} s in the running container"


@dataclass(kw_only=True)
class Introspection:
    """An inspection in progress, in its own thread and on its own connection: an image may never answer."""

    run: Run
    container: str
    python: Future[str]
    """The interpreter to look with; empty where the image holds none."""
    pid: int
    """PID 1's number on the engine's host."""
    names: tuple[str, ...] = ()
    """Names of hosts to look up in it."""
    started: float = field(default_factory=time.monotonic)
    process_list: ProcessList | Unavailable = field(
        default=Unavailable(reason="the engine did not list the processes in time")
    )
    rows: tuple[ProcessRow, ...] = ()
    """The same with the states and parents; none where the engine does not tell them."""
    proc: ProcInfo | Unavailable = field(default=Unavailable(reason=LATE))
    usage: Usage | Unavailable = field(
        default=Unavailable(reason="the engine did not report its resource usage in time")
    )
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._look, name="look", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has ended, or has taken too long."""
        return not self._thread.is_alive() or time.monotonic() >= self.started + LOOK_SECONDS

    def wait(self) -> None:
        """Wait for its end, within its limit. What it has not said by then, it will not have said."""
        self._thread.join(max(0.0, self.started + LOOK_SECONDS - time.monotonic()))

    def _look(self) -> None:
        # The container may end while it is inspected: then there is nothing to see, which is what the facts say.
        try:
            with engine_errors("inspecting the container"):
                client = self.run.engine.connection()
                try:
                    self.rows = processes(client, self.container)
                    self.process_list = listed(self.rows, self.pid) or process_list(client, self.container, self.pid)
                    self.usage = usage(client, self.container)
                    python = self.python.result(timeout=LOOK_SECONDS)
                    answer = proc_info(client, self.container, python, self.names)
                    # After its time the container is stopped: what is said then is not about the application.
                    if time.monotonic() < self.started + LOOK_SECONDS:
                        self.proc = answer
                finally:
                    client.close()
        except (EngineError, OSError, TimeoutError, CancelledError) as error:
            if time.monotonic() < self.started + LOOK_SECONDS:
                reason = "the running container could not be inspected"
                self.proc = Unavailable(reason=reason, detail=str(error)[:SHOWN])


def listed(rows: tuple[ProcessRow, ...], pid: int) -> ProcessList | None:
    """Return the processes of a list with their states; None where there is none."""
    first = next((row.command for row in rows if row.pid == pid), "")
    commands = [*([first] if first else []), *(row.command for row in rows if row.pid != pid)]
    return _shortened(first, commands) if rows else None


def process_list(client: docker.APIClient, container: str, pid: int) -> ProcessList | Unavailable:
    """Return the processes as the engine lists them: an image cannot hide one, though it may name it as it likes."""
    try:
        listed = client.top(container)
    except docker.errors.APIError as error:
        return Unavailable(reason="the engine does not list the container's processes", detail=str(error)[:SHOWN])
    return read_top(listed, pid)


def read_top(listed: Mapping[str, Any], pid: int) -> ProcessList | Unavailable:
    """Read the engine's table of processes."""
    titles = listed.get("Titles") or []
    rows = [row for row in listed.get("Processes") or [] if len(row) == len(titles)]
    if "PID" not in titles or not {"CMD", "COMMAND"} & set(titles):
        return Unavailable(reason="the engine does not list the container's processes")
    number, command = titles.index("PID"), titles.index("CMD" if "CMD" in titles else "COMMAND")
    first = next((row[command] for row in rows if row[number] == str(pid)), "")
    others = [row[command] for row in rows if row[number] != str(pid)]
    commands = [first, *others] if first else others
    return _shortened(first, commands)


def _shortened(first: str, commands: list[str]) -> ProcessList:
    return ProcessList(
        first=first[:MOST_CHARACTERS], commands=tuple(line[:MOST_CHARACTERS] for line in commands[:MOST_COMMANDS])
    )


def usage(client: docker.APIClient, container: str) -> Usage | Unavailable:
    """Return what the engine counts for a running container."""
    try:
        counted: Any = client.stats(container, stream=False, one_shot=True)
        return Usage(memory=int(counted["memory_stats"]["usage"]), processes=int(counted["pids_stats"]["current"]))
    except (docker.errors.APIError, docker.errors.InvalidVersion) as error:
        return Unavailable(reason="the engine does not report its resource usage", detail=str(error)[:SHOWN])
    except (KeyError, TypeError, ValueError):
        return Unavailable(reason="the engine does not report its resource usage")


def shared_memory(client: docker.APIClient, container: str) -> int:
    """Return the bytes that a running container's tmpfs and shared memory hold; 0 where the engine does not tell."""
    try:
        counted: Any = client.stats(container, stream=False, one_shot=True)
        memory = counted["memory_stats"]["stats"]
        if "shmem" in memory:
            return int(memory["shmem"])
        # Older kernels count it among the files that are cached, but in no list of files: cgroup-v1/memory.rst.
        return int(memory["total_cache"] - memory["total_active_file"] - memory["total_inactive_file"])
    except (docker.errors.APIError, docker.errors.InvalidVersion, KeyError, TypeError, ValueError):
        return 0


def proc_info(
    client: docker.APIClient, container: str, python: str, names: Iterable[str] = ()
) -> ProcInfo | Unavailable:
    """Let the image's interpreter read /proc in the running container, and look up the `names` of hosts there."""
    if not python:
        return Unavailable(reason="the image holds no Python interpreter to inspect the running container with")
    secret = secrets.token_hex(32)
    text = inside.look(secret, names)
    try:
        output = ask_interpreter(client, container, python, text, seconds=LOOK_SECONDS, most=MOST_OUTPUT)
    except docker.errors.APIError as error:
        return Unavailable(reason=f"{python} could not be started in the running container", detail=str(error)[:SHOWN])
    return read_look(output, secret, python)


def read_look(output: Output, secret: str, python: str) -> ProcInfo | Unavailable:
    """Return what the interpreter answered; an image may write anything beside it."""
    answer = read_answer(output, secret, ProcInfo, seconds=LOOK_SECONDS, most=MOST_OUTPUT)
    if isinstance(answer, Unavailable):
        return replace(answer, reason=f"{python}, asked in the running container, {answer.reason}")
    return answer
