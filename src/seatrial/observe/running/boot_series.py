"""The starts of one image: the hardened one, those with restrictions relaxed, and those of level deep."""

from __future__ import annotations

import os
import posixpath
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine import runs
from seatrial.engine.containers import engine_errors
from seatrial.facts import NOT_DEEP, DeepBoots, ProcessList, ProcInfo, Restriction, ServiceBoots, Unavailable
from seatrial.facts.boot import REFUSED, TRACEBACK
from seatrial.observe.command.resolve import find_python
from seatrial.observe.configuration import other_platform, read_configuration
from seatrial.observe.files import EngineFiles, maps_users, own_folders, tmpfs_folders
from seatrial.observe.running.boot import run_boot
from seatrial.observe.running.deep_boots import deep_boots
from seatrial.observe.running.sandbox import AT_ONCE, BootSetup, as_configured, read_service, with_service_environment
from seatrial.observe.running.watch import POLL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seatrial.engine.find import Engine
    from seatrial.facts import Boot, Configuration
    from seatrial.settings.model import Contract

    Lifted = frozenset[Restriction]
    BootSeries = tuple[Boot, tuple[Boot, ...], DeepBoots | Unavailable]
    """The first start, those with restrictions lifted, and those of level deep."""


ALL = frozenset(Restriction)
NOT_THERE = ("no such file", "executable file not found")
"""How the engine says that the command leads to nothing."""


def next_boots(came_up: Mapping[Lifted, bool]) -> tuple[Lifted, ...]:
    """Return which starts to try next, given which succeeded; none when nothing more can be learnt.

    First with nothing in the way, beside the likeliest cause; then with one restriction lifted after the other. Where
    it takes more than one, each is tried alone: those that it does not start with are what is in the way.
    """
    if ALL not in came_up:
        return (ALL, frozenset({Restriction.READ_ONLY}))
    one_lifted = [frozenset({restriction}) for restriction in Restriction]
    if not came_up[ALL] or any(came_up.get(lifted) for lifted in one_lifted):
        return ()
    one_left = [ALL - {restriction} for restriction in Restriction]
    left = [lifted for lifted in one_lifted if lifted not in came_up]
    left = left or [lifted for lifted in one_left if lifted not in came_up]
    return tuple(left[:AT_ONCE])


def relaxed_boots(start: Callable[[Lifted], Boot], *, at_once: int = AT_ONCE) -> tuple[Boot, ...]:
    """Start an image again and again, `at_once` side by side, until it is clear what was in its way."""
    boots: dict[Lifted, Boot] = {}
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="relaxed") as pool:
        while wanted := next_boots({lifted: boot.came_up for lifted, boot in boots.items()}):
            boots.update(zip(wanted, pool.map(start, wanted), strict=True))
    return tuple(boots.values())


def boots(starter: BootSetup, seconds: dict[str, float], *, deep: bool) -> BootSeries:
    """Boot hardened; when it does not start, with fewer restrictions, to tell which was why; then the deep starts.

    `seconds` gets how long each kind of start took.

    Raises:
        EngineError: the engine does not answer.

    """
    with timed(seconds, "boot"):
        first = run_boot(starter)
    relaxed: tuple[Boot, ...] = ()
    if _may_start_relaxed(first) and not other_platform(starter.configuration, *first.log, first.start_error):
        wait_for_the_probe(starter)
        with timed(seconds, "relaxed boots"):
            relaxed = relaxed_boots(lambda lifted: run_boot(starter, lifted=lifted), at_once=starter.at_once)
    elif first.came_up and _is_doubtful(first, starter.configuration):
        wait_for_the_probe(starter)
        with timed(seconds, "relaxed boots"):
            again = run_boot(starter, lifted={Restriction.READ_ONLY})
        if short := falls_short(first, again, starter.configuration):
            first, relaxed = msgspec.structs.replace(first, fell_short=short), (again,)
    if not deep:
        return first, relaxed, NOT_DEEP
    wait_for_the_probe(starter)
    came_up = sorted((boot for boot in relaxed if boot.came_up), key=lambda boot: len(boot.lifted))
    with timed(seconds, "deep starts"):
        return first, relaxed, deep_boots(starter, came_up[0] if came_up else first)


def _may_start_relaxed(first: Boot) -> bool:
    """Tell whether a start failed that may succeed with fewer restrictions."""
    # What fills the disk or forks without end would do so again. What ended for want of a thread may need a few more.
    # What is not there cannot be started at all.
    missing = any(words in first.start_error.lower() for words in NOT_THERE)
    return not first.came_up and not first.filled and not first.out_of_processes and not missing


def _is_doubtful(boot: Boot, configuration: Configuration) -> bool:
    """Tell whether a read-only root may have broken a start that has not failed.

    An entrypoint script may go on after what it is refused, and end in a start without a server.
    """
    if any(REFUSED in line.lower() for line in boot.log):
        return True
    if configuration.health_check is not None:
        return False
    return _has_traceback(boot) or bool(
        configuration.tcp_ports and isinstance(boot.proc, ProcInfo) and not _ports(boot)
    )


def falls_short(hardened: Boot, writable: Boot, configuration: Configuration) -> str:
    """Return what a start on a read-only root lacks that the same on a writable one has, as a clause; or nothing."""
    if not writable.came_up:
        return ""
    if isinstance(hardened.proc, ProcInfo) and (missing := _ports(writable) - _ports(hardened)):
        named = ", ".join(f"{port}/tcp" for port in sorted(missing))
        return f"it runs, and does not listen on {named} as with a writable root"
    if configuration.health_check is None and _has_traceback(hardened) and not _has_traceback(writable):
        return "it runs, and its log holds a traceback that it does not with a writable root"
    before, after = _first_program(hardened), _first_program(writable)
    if before and after and before != after:
        return f"its PID 1 is {before}, and {after} with a writable root"
    if hardened.stop and writable.stop and hardened.stop.killed and not writable.stop.killed:
        return f"it does not exit on {hardened.stop.signal} as with a writable root"
    return ""


def _ports(boot: Boot) -> set[int]:
    return boot.proc.tcp_ports if isinstance(boot.proc, ProcInfo) else set()


def _has_traceback(boot: Boot) -> bool:
    return any(TRACEBACK in line for line in boot.log)


def _first_program(boot: Boot) -> str:
    listed = boot.process_list.first.split() if isinstance(boot.process_list, ProcessList) else []
    return posixpath.basename(listed[0]) if listed else ""


def wait_for_the_probe(starter: BootSetup) -> None:
    """Wait until the probe has ended, or the run has: its limit of time bounds that."""
    while starter.probed is not None and not starter.probed.wait(POLL) and not starter.run.ended.is_set():
        continue


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how long the block takes."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


OTHERS_PORTS = Unavailable(reason="it shares the network of another container, whose ports cannot be told apart")


def boot_as_service(engine: Engine, container: str, contract: Contract, *, deep: bool) -> ServiceBoots:
    """Start what a service's container runs, again and again, in containers of our own beside the other services.

    They have the contract's limits, and of the service its command, values, mounts and networks. One at a time: what
    stores in one database is not always meant to run twice. `container` is the id of the service's own, by now stopped.

    Raises:
        ImageError: its image was removed.
        EngineError: the engine does not answer.

    """
    with engine_errors("starting the app among its services"), runs.running(engine, pid=os.getpid()) as run:
        inspected = engine.client.api.inspect_container(container)
        files = EngineFiles(engine.client.api, container)
        configured = as_configured(read_configuration(engine, str(inspected["Image"])), inspected)
        if own_folders(contract.tmpfs) and not maps_users(engine.client.api):
            configured = msgspec.structs.replace(configured, tmpfs_folders=tmpfs_folders(contract.tmpfs, files))
        found = find_python(configured, files, contract.interpreter)
        python: Future[str] = Future()
        python.set_result(found.path if found else "")
        starter = BootSetup(
            run=run,
            configuration=configured,
            contract=with_service_environment(contract, configured),
            python=python,
            service=read_service(inspected),
        )
        seconds: dict[str, float] = {}
        # In a thread: when this one is interrupted, the run ends first, and with it what the thread waits for.
        with ThreadPoolExecutor(max_workers=1) as beside, runs.ending(run):
            first, relaxed, starts = beside.submit(boots, starter, seconds, deep=deep).result()
        if starter.service is not None and starter.service.shares_network:
            first = msgspec.structs.replace(first, proc=OTHERS_PORTS)
        return ServiceBoots(configuration=configured, boot=first, relaxed=relaxed, deep=starts, seconds=seconds)
