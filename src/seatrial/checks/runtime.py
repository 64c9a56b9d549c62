"""process/* of what runs, runtime/*, network/*: PID 1 and what it waits for, the workers, where it listens."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence

from seatrial.checks.declaration import check
from seatrial.checks.model import (
    Cause,
    Expect,
    Outcome,
    Severity,
    UndecidedError,
    first_lines,
    present,
    shorten,
    skipped,
)
from seatrial.checks.python import THREAD, stopped_before
from seatrial.facts import (
    Boot,
    CommandOverride,
    ComposeSource,
    Configuration,
    Heartbeat,
    Listener,
    Probe,
    ProcessList,
    ProcInfo,
    ResolvedCommand,
    Unavailable,
)
from seatrial.facts.image import repository
from seatrial.facts.probe import SelfTest
from seatrial.settings.model import Contract
from seatrial.text import is_below


@check(
    "runtime/deep-recursion",
    title="Survives deep recursion in a thread",
    severity=Severity.WARNING,
    why="Where threads have too small a stack, a deep call kills the whole process instead of raising an error.",
    source="docker-library, official-images tests: python-stack-size",
    example="FROM alpine\nRUN apk add build-base && ./configure && make install",
    fixed='FROM alpine\nRUN apk add build-base && ./configure LDFLAGS="-Wl,-z,stack-size=0x100000" && make install',
)
def deep_recursion(selftest: SelfTest) -> Outcome:
    expect = Expect("a thread that recurses to the limit gets its RecursionError, and the process goes on")
    if selftest.recursion:
        return expect.passed("it got its RecursionError")
    if selftest.at != THREAD or selftest.late:
        raise stopped_before(selftest)
    return expect.failed(
        selftest.ended or "the thread ended without a RecursionError",
        fix="Threads get too small a stack. On musl, link Python with `-Wl,-z,stack-size=0x100000` as the official "
        "Alpine image does, or use a glibc base; elsewhere remove the call of `threading.stack_size`.",
    )


GUNICORN = re.compile(r"(^|[/\s])gunicorn(\s|:|$)")
MEMORY_BACKED = {"tmpfs", "ramfs"}
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what every container has in memory


@check(
    "runtime/worker-heartbeat",
    title="Keeps gunicorn's heartbeat in memory",
    severity=Severity.WARNING,
    why="A slow disk under the heartbeat file makes gunicorn kill healthy workers.",
    source="pythonspeed.com, Configuring Gunicorn for Docker; gunicorn's FAQ on worker_tmp_dir",
    example='CMD ["gunicorn", "shop:app"]',
    fixed='CMD ["gunicorn", "--worker-tmp-dir", "/dev/shm", "shop:app"]',
)
def worker_heartbeat(running: Boot, configuration: Configuration, contract: Contract) -> Outcome:
    listed = running.process_list
    commands = listed.commands if isinstance(listed, ProcessList) else (first_process(running),)
    line = next((command for command in commands if GUNICORN.search(command)), "")
    if not line:
        return skipped("gunicorn does not run in it")
    expect = Expect("gunicorn's heartbeat files in memory, such as in /dev/shm, and not on the overlay file system")
    chosen, proc = _chosen(line, configuration, contract), running.proc
    files = proc.heartbeats if isinstance(proc, ProcInfo) else ()
    if not files and not chosen:
        reason = proc.reason if isinstance(proc, Unavailable) else "no heartbeat file of gunicorn was seen"
        raise UndecidedError(reason, f"gunicorn's command: {line}")
    folders = {posixpath.dirname(file.path) for file in files} or {chosen}
    kinds = {file.filesystem for file in files}
    bad = sorted(folder for folder in folders if not _in_memory(folder, chosen, files, contract))
    if bad:
        kind = "/".join(sorted(kinds)) or "not known"
        return expect.failed(
            f"gunicorn's workers write their heartbeat to {', '.join(bad)}, which is on the overlay file system "
            f"wherever nothing is mounted there (here: {kind})",
            fix="Add `--worker-tmp-dir /dev/shm` to gunicorn's command.",
            evidence=(f"gunicorn's command: {line}", *(f"open: {file.path} on {file.filesystem}" for file in files)),
        )
    return expect.passed(f"gunicorn's workers write their heartbeat to {', '.join(sorted(folders))}")


def _in_memory(folder: str, chosen: str, files: tuple[Heartbeat, ...], contract: Contract) -> bool:
    """Tell whether a folder is in memory wherever the image runs; gunicorn's default, /tmp, is only where mounted."""
    if is_below(folder, SHARED_MEMORY):
        return True
    seen = {file.filesystem for file in files if posixpath.dirname(file.path) == folder}
    mounted = any(is_below(folder, top) for top in contract.tmpfs)
    return folder == chosen and (seen <= MEMORY_BACKED if seen else mounted)


def _chosen(line: str, configuration: Configuration, contract: Contract) -> str:
    """Return the folder of gunicorn's `--worker-tmp-dir`; empty where it has none."""
    more = {**configuration.environment, **contract.environment}.get("GUNICORN_CMD_ARGS", "")
    try:
        words = [*shlex.split(more), *line.split(), *configuration.words]
    except ValueError:
        words = line.split()
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--worker-tmp-dir":
            return value if equals else next(iter(words[at + 1 :]), "")
    return ""


DEVELOPMENT = ("WARNING: This is a development server", "Starting development server at")
"""What Werkzeug's and Django's say when they start."""


@check(
    "runtime/production-server",
    title="Runs a production server",
    severity=Severity.WARNING,
    why="A server for development restarts at each change, shows its code in errors, and takes one request at a time.",
    source="Flask's, FastAPI's, Django's and uvicorn's documentation on deployment",
    example='CMD ["flask", "--app", "shop", "run", "--host", "0.0.0.0"]',
    fixed='CMD ["gunicorn", "--bind", "0.0.0.0:8000", "shop:app"]',
)
def production_server(command: ResolvedCommand | Unavailable, boot: Boot | Unavailable) -> Outcome:
    """Judge by the words of the command, and by what a server says as it starts."""
    expect = Expect("a server for production, without reloading")
    lines = () if isinstance(boot, Unavailable) else boot.log
    said = next((line for line in lines if any(words in line for words in DEVELOPMENT)), "")
    if isinstance(boot, Unavailable):
        present(command)
    # Among its services, the command is the compose file's to say: the log alone tells.
    development, programs = ("", ()) if isinstance(command, Unavailable) else (command.development, command.programs)
    shown = "; ".join(" ".join(words) for words in programs)
    if development or said:
        return expect.failed(
            f"the command runs `{development}`" if development else f"it logs: {said.strip()}",
            fix=f"Start it without `{development.split()[-1]}`."
            if development.endswith("--reload")
            else "Start it with gunicorn, uvicorn or another server for production; `fastapi run` in place of "
            "`fastapi dev`.",
            evidence=tuple(" ".join(words) for words in programs),
        )
    return expect.passed(shown or "its log names none")


@check(
    "runtime/command-override",
    title="Runs another command when given one",
    severity=Severity.WARNING,
    why="Migrations, a shell and a debugging session all run as another command of the same image.",
    source="docker-library, official images' tests: override-cmd",
    example='ENTRYPOINT ["/start.sh"]    # which ends with: exec uvicorn shop:app',
    fixed='ENTRYPOINT ["/start.sh"]    # which ends with: exec "$@"\nCMD ["uvicorn", "shop:app"]',
)
def command_override(probe: Probe, configuration: Configuration, override: CommandOverride | None) -> Outcome:
    expect = Expect("runs another command than its own when given one")
    if not configuration.entrypoint:
        python = probe.interpreter.executable
        return expect.passed(f"it has no ENTRYPOINT, and ran {python}")
    if override is None:
        return skipped("its ENTRYPOINT is the application itself: CMD holds no program, but arguments or nothing")
    entrypoint = " ".join(configuration.entrypoint)
    if override.ran:
        return expect.passed(f"`{entrypoint}` ran the command behind it")
    return expect.failed(
        f"`{entrypoint}` did not run the command behind it: {override.happened}",
        fix='Let the entrypoint end with the command that it is given: `exec "$@"` in a shell script.',
        evidence=tuple(f"it said: {line}" for line in override.output.splitlines()[-10:]),
    )


PRIVILEGED = 1024
MOST_PORTS = 10
"""Ports that a finding names."""
EPHEMERAL = 32768
"""From here on the kernel hands out numbers for outgoing UDP, which look like listening: ip_local_port_range."""


@check(
    "network/exposed-ports",
    title="Listens on what EXPOSE names, and on nothing else",
    severity=Severity.NOTE,
    follows=(Cause(check="boot/recreate", says="^the first time it listened on"),),
    why="Whoever runs the image publishes the ports that EXPOSE names; an undeclared port is left unguarded.",
    source="CIS Docker Benchmark 5.9; Dockerfile reference, EXPOSE",
    example='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "127.0.0.1", "--port", "8000"]',
    fixed='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
)
def exposed_ports(proc: ProcInfo, running: Boot, configuration: Configuration) -> Outcome:
    exposed = configuration.exposed_ports
    listeners = _listeners(proc)
    reachable = {_port(seen): seen for seen in listeners if not seen.loopback and not _outgoing(seen)}
    other = [port for port in exposed if not port.endswith(("/tcp", "/udp"))]
    if other:
        raise UndecidedError(f"only TCP and UDP are checked, and EXPOSE names {_some(other)}")
    silent = [port for port in exposed if port not in reachable]
    undeclared = {port: listener for port, listener in reachable.items() if port not in exposed}
    evidence = tuple(f"listens on {listener}" for listener in listeners) or ("listens on nothing",)
    expect = Expect(f"listens on {_some(exposed)}, and on nothing else" if exposed else "listens on nothing: no EXPOSE")
    if silent:
        local = [listener for listener in listeners if listener.loopback and _port(listener) in silent]
        slow = " It has no HEALTHCHECK that tells when it is ready: a slow start needs a larger `healthy-within`."
        return expect.failed(
            f"EXPOSE names {_some(silent)}, and "
            + (f"{local[0]} answers inside the container only" if local else "nothing listens there")
            + ("" if running.finished else f", {running.watched:.1f} s after its start"),
            fix=(
                "Listen on 0.0.0.0 (uvicorn: `--host 0.0.0.0`; gunicorn: `--bind 0.0.0.0:PORT`)."
                if local
                else "Correct the port in EXPOSE or in the command, or remove EXPOSE."
                f"{slow if configuration.health_check is None else ''}"
            ),
            evidence=evidence,
            items=silent,
            severity=Severity.ERROR if local else None,  # Nobody outside of the container reaches it.
        )
    if undeclared:
        return expect.failed(
            f"it listens on {_some([*map(str, undeclared.values())])}, which EXPOSE does not name",
            fix=f"Add `EXPOSE {' '.join([*undeclared][:MOST_PORTS])}`, or let it listen on 127.0.0.1 if nothing "
            "outside needs it.",
            evidence=evidence,
            items=[*undeclared],
        )
    _require_finished(running, listeners)
    return expect.passed(shorten(evidence, MOST_PORTS))


@check(
    "network/no-privileged-ports",
    title="Listens on no port below 1024",
    severity=Severity.WARNING,
    why="Ports below 1024 need a privilege on many hosts that the application has no other use for.",
    source="CIS Docker Benchmark 5.8",
    example='EXPOSE 80\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "80"]',
    fixed='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
)
def no_privileged_ports(proc: ProcInfo, running: Boot) -> Outcome:
    listeners = _listeners(proc)
    _require_finished(running, listeners)
    low = [listener for listener in listeners if listener.port < PRIVILEGED]
    expect = Expect("listens on no port below 1024")
    if low:
        return expect.failed(
            f"it listens on {_some([*map(str, low)])}",
            items=[*map(str, low)],
            fix="Listen on a port such as 8000, EXPOSE that, and publish it as 80 where it is run: `80:8000`.",
        )
    return expect.passed("; ".join(f"listens on {listener}" for listener in listeners) or "listens on nothing")


def _some(ports: Sequence[str]) -> str:
    """Return ports as a list, and how many more there are than are worth reading."""
    more = len(ports) - MOST_PORTS
    return ", ".join(ports[:MOST_PORTS]) + (f" and {more:,} more" if more > 0 else "")


def _require_finished(running: Boot, listeners: tuple[Listener, ...]) -> None:
    """Leave open what an application listens on that had not finished starting, and listened on nothing yet."""
    if not running.finished and not listeners:
        raise UndecidedError(
            f"{running.watched:.1f} s after its start it listened on nothing, and had not finished starting: it still "
            "computed. A slow start needs a larger `healthy-within`"
        )


def _listeners(inside: ProcInfo) -> tuple[Listener, ...]:
    if "listeners" in inside.truncated or any(part.startswith("/proc/net/") for part in inside.truncated):
        raise UndecidedError(f"it listens on more than {len(inside.listeners)} ports, too many to check")
    return inside.served


def _port(listener: Listener) -> str:
    return f"{listener.port}/{listener.protocol}"


def _outgoing(listener: Listener) -> bool:
    return listener.protocol == "udp" and listener.port >= EPHEMERAL


STAYING = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "su", "sudo", "runuser", "make", "xargs", "script"}
"""Programs that start another program and stay its parent."""
INITS = {"tini", "dumb-init", "catatonit", "docker-init", "s6-svscan"}
"""Programs that are made to be PID 1: they forward signals and reap ended processes."""


@check(
    "process/pid1-is-app",
    title="Runs the application as PID 1",
    severity=Severity.WARNING,
    follows=("process/exec-form",),
    why="The stop signal goes to PID 1; a shell there does not forward it, and the application is killed instead.",
    source="Docker's build best practices, ENTRYPOINT: `exec` in a script",
    example="#!/bin/sh\nalembic upgrade head\nuvicorn shop:app",
    fixed="#!/bin/sh\nalembic upgrade head\nexec uvicorn shop:app",
)
def pid1_is_app(running: Boot) -> Outcome:
    """Look at PID 1 of the running container: the engine's list first, which an image cannot hide from."""
    line = first_process(running)
    words = line.split()
    name = posixpath.basename(words[0]).removeprefix("-")
    expect = Expect("PID 1 is the application itself, or an init that the command names, such as tini")
    commands = first_lines(running.process_list.commands, 10) if isinstance(running.process_list, ProcessList) else ()
    evidence = tuple(f"runs: {command}" for command in commands)
    if name in STAYING:
        return expect.failed(
            f"PID 1 is `{line}`: it started the application and stays its parent",
            fix='Use the exec form, and end an entrypoint script with `exec "$@"`; or start it under tini.',
            evidence=evidence,
        )
    init = "the init " if name in INITS else ""
    return expect.passed(f"PID 1 is {init}`{line}`", evidence=evidence if init else ())


def _has_init(configuration: Configuration, compose: ComposeSource | Unavailable) -> bool:
    """Tell whether all services of the compose file that run the image have the engine's init."""
    if isinstance(compose, Unavailable) or isinstance(compose.model, Unavailable):
        return False
    name = repository(configuration.reference)
    own = [service for service in compose.model.services if repository(service.image or "") == name]
    return bool(own) and all(service.init for service in own)


FEW_ZOMBIES = 2
"""One may be a child that the application will still wait for."""


@check(
    "process/reaps-children",
    title="Waits for the processes that end below it",
    severity=Severity.ERROR,
    why="A child that PID 1 never waits for stays as a zombie and keeps its process number, until none is left.",
    source="tini's documentation: reaping zombies; Docker's documentation, `docker run --init`",
    example='CMD ["uvicorn", "shop.api:app"]    # and shop.api starts `sh -c "job &"`',
    fixed='ENTRYPOINT ["tini", "--"]\nCMD ["uvicorn", "shop.api:app"]',
)
def reaps_children(
    proc: ProcInfo, running: Boot, configuration: Configuration, compose: ComposeSource | Unavailable
) -> Outcome:
    expect = Expect("no ended process left as a zombie (state Z) below PID 1")
    if len(zombies := proc.zombies) < FEW_ZOMBIES:
        return expect.passed(f"{len(zombies)} in state Z" if zombies else "none in state Z")
    if _has_init(configuration, compose):
        return expect.passed(f"{len(zombies)} in state Z; its services of the compose file run under an init")
    grows = ", and more of them a second later" if proc.more_zombies else ""
    return expect.failed(
        f"{len(zombies)} processes in state Z below PID 1, `{first_process(running)}`, which does not wait for them"
        f"{grows}: {', '.join(sorted(set(zombies)))}",
        fix='Start it under an init: `apt-get install tini` and `ENTRYPOINT ["tini", "--"]`, `docker run --init`, or '
        "`init: true` in the compose file; or wait for each process that the application starts.",
        items=sorted(set(zombies)),
        # A few that stay are untidy; a number that grows ends at the limit of processes.
        severity=None if proc.more_zombies else Severity.WARNING,
    )


def first_process(boot: Boot) -> str:
    """Return PID 1's command line; undecided where neither the engine nor the image's interpreter could tell."""
    if isinstance(boot.process_list, ProcessList) and boot.process_list.first.strip():
        return boot.process_list.first
    if isinstance(boot.proc, ProcInfo) and any(boot.proc.command):
        return " ".join(boot.proc.command)
    missing = [fact for fact in (boot.process_list, boot.proc) if isinstance(fact, Unavailable)]
    reason = missing[0].reason if missing else "neither the engine nor the image says what PID 1 is"
    raise UndecidedError(reason, *(fact.detail for fact in missing))
