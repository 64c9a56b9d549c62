"""Gathers the facts of an image once: one probe, and one boot beside it."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine import runs, sweep
from seatrial.engine.containers import container, engine_errors
from seatrial.errors import ImageError
from seatrial.facts import follow
from seatrial.facts.boot import Starter, run_boot
from seatrial.facts.configuration import other_platform, read_configuration
from seatrial.facts.contents import look_beside, walk_request, whole_contents
from seatrial.facts.data import INSTALLERS, NOT_DEEP, Boot, Facts, FileKind, Missing, ProjectFacts
from seatrial.facts.files import EngineFiles
from seatrial.facts.health import health_command
from seatrial.facts.override import hands_on, run_override
from seatrial.facts.probe import ProbeRequest, run_probe
from seatrial.facts.restrictions import relaxed_starts
from seatrial.facts.start import find_python, import_root, named_modules, start_facts, unwrapped
from seatrial.facts.starts import deep_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.engine.runs import Run
    from seatrial.facts.data import Account, Configuration, Starts
    from seatrial.settings.model import Contract

NOT_ASKED = Missing(reason="not started: level quick starts no application")


def gather(
    engine: Engine,
    reference: str,
    contract: Contract,
    project: ProjectFacts | None = None,
    *,
    boot: bool = True,
    deep: bool = False,
    imports: bool = True,
    say: Callable[[str], None] = lambda _: None,
    under_way: Callable[[], None] = lambda: None,
) -> Facts:
    """Observe an image.

    Args:
        engine: where the image is.
        reference: the image, by name, tag, id or digest.
        contract: what to import and look for, and the limits that hold meanwhile.
        project: what the app's own files declare.
        boot: whether to start the application; level quick does not.
        deep: whether to start it several times more, as level deep does.
        imports: whether to import the application, which takes most of a probe's time.
        say: told what is under way.
        under_way: called once, when the containers have been started: what else is to be done can be done from then on.

    Raises:
        ImageError: the engine has no such image.
        EngineError: the engine does not answer, or stopped answering.

    """
    seconds: dict[str, float] = {}
    with engine_errors(f"smoking {reference}"), runs.running(engine, pid=os.getpid()) as run:
        sweep.start(engine, runs.owner(os.getpid()))
        with _timed(seconds, "configuration"):
            configuration = read_configuration(engine, reference)
        say("probing and starting" if boot else "probing")
        interpreter: Future[str] = Future()
        starter = Starter(run=run, configuration=configuration, contract=contract, python=interpreter)
        with ThreadPoolExecutor(max_workers=4) as beside, runs.ending(run):
            with _timed(seconds, "probe"), looking(run, configuration) as files:
                who = account(configuration, files)
                booting = beside.submit(_boots, starter, seconds, deep=deep) if boot else None
                python = find_python(configuration, files, contract.interpreter)
                interpreter.set_result(python.path if python else "")
                request = _request(configuration, who, contract)
                walking = walk_request(request.modules, contract)
                request = msgspec.structs.replace(request, walk=walking, modules=request.modules if imports else ())
                probing = beside.submit(run_probe, run, configuration, python, request, contract, beside=boot)
                asked = (run, files.container, configuration, contract, walking)
                reading = beside.submit(look_beside, *asked, whole=python is None)
                start = start_facts(configuration, files, who, contract.interpreter)
                other = boot and deep and hands_on(configuration, files)
                overriding = beside.submit(run_override, run, configuration, start, contract) if other else None
                health = health_command(configuration, files, who)
                under_way()
                answer, read = probing.result(), reading.result()
                contents = whole_contents(files, walking, read, answer)
            say("waiting for the application")
            first, relaxed, starts = booting.result() if booting else (NOT_ASKED, (), NOT_DEEP)
            override = overriding.result() if overriding else None
        return Facts(
            configuration=configuration,
            start=start,
            probe=answer,
            boot=_here(configuration, first),
            relaxed=relaxed,
            starts=starts,
            override=override,
            project=project or ProjectFacts(),
            health_command=health,
            contents=contents,
            accounts=read.accounts,
            working_directory=read.working_directory,
            seconds=seconds,
        )


@contextmanager
def looking(run: Run, configuration: Configuration) -> Iterator[EngineFiles]:
    """Give the image's files, to be read without running anything."""
    plan = {
        "Image": configuration.id,
        "Entrypoint": ["/nothing"],
        "Cmd": [],
        # The engine makes a WORKDIR that is missing: here it shall be seen to be missing.
        "WorkingDir": "/",
        "HostConfig": {"NetworkMode": "none"},
    }
    with container(run, plan) as unstarted:
        yield EngineFiles(unstarted.client, unstarted.id)


def account(configuration: Configuration, files: EngineFiles) -> Account:
    """Return the account that USER names.

    Raises:
        ImageError: an account file is a pipe or a device: the engine would read it at a start, and wait for ever.

    """
    texts: list[str] = []
    for path in ("/etc/passwd", "/etc/group"):
        # Some builders (Nix among them) make links of them.
        trail = follow.follow(path, files)
        if trail.entry is not None and trail.entry.kind is FileKind.OTHER:
            raise ImageError(
                f"its {trail} is no file; the engine would wait on it for ever, so nothing was started.",
                where=configuration.reference,
                fix=f"Make {trail.end} a plain file.",
            )
        texts.append(files.text(trail.end))
    return follow.account(configuration.user, *texts)


def _request(configuration: Configuration, who: Account, contract: Contract) -> ProbeRequest:
    """Plan what the probe is asked."""
    environment = {**configuration.environment, **contract.environment}
    home = environment.get("HOME") or who.home or "/"
    words, _ = unwrapped(configuration.words)
    cache = environment.get("XDG_CACHE_HOME") or f"{home.rstrip('/')}/.cache"
    return ProbeRequest(
        modules=contract.modules or named_modules(words),
        import_root=import_root(words, configuration.working_directory, environment),
        executables=tuple(dict.fromkeys((*contract.executables, *INSTALLERS))),
        places=tuple(dict.fromkeys((cache, *contract.writable_paths))),
    )


def _boots(
    starter: Starter, seconds: dict[str, float], *, deep: bool
) -> tuple[Boot, tuple[Boot, ...], Starts | Missing]:
    """Boot hardened; when it does not come up, with fewer restrictions, to tell which was why; then the deep starts."""
    with _timed(seconds, "boot"):
        first = run_boot(starter)
    relaxed: tuple[Boot, ...] = ()
    if not first.up and not first.start_error and not other_platform(starter.configuration, *first.log):
        with _timed(seconds, "relaxed boots"):
            relaxed = relaxed_starts(lambda lifted: run_boot(starter, lifted=lifted))
    if not deep:
        return first, relaxed, NOT_DEEP
    came_up = sorted((one for one in relaxed if one.up), key=lambda one: len(one.lifted))
    with _timed(seconds, "deep starts"):
        return first, relaxed, deep_starts(starter, came_up[0] if came_up else first)


def _here(configuration: Configuration, boot: Boot | Missing) -> Boot | Missing:
    """Return the boot; of an image for another platform, which this engine cannot run, why there is none."""
    if isinstance(boot, Boot) and (reason := other_platform(configuration, *boot.log, boot.start_error)):
        return Missing(reason=reason)
    return boot


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
