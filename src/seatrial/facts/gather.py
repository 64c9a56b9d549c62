"""Gathers the facts of an image once: one probe, and one boot beside it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.engine import runs, sweep
from seatrial.engine.containers import container, engine_errors
from seatrial.errors import ImageError
from seatrial.facts import follow
from seatrial.facts.boot import run_boot
from seatrial.facts.configuration import read_configuration
from seatrial.facts.data import INSTALLERS, Boot, Facts, FileKind, Missing, ProjectFacts
from seatrial.facts.files import EngineFiles
from seatrial.facts.probe import ProbeRequest, run_probe
from seatrial.facts.start import import_root, named_modules, start_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.engine.runs import Run
    from seatrial.facts.data import Account, Configuration, Start
    from seatrial.settings.model import Contract

NOT_ASKED = Missing(reason="not started: level quick starts no application")


def gather(
    engine: Engine,
    reference: str,
    contract: Contract,
    project: ProjectFacts | None = None,
    *,
    boot: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Observe an image.

    Args:
        engine: where the image is.
        reference: the image, by name, tag, id or digest.
        contract: what to import and look for, and the limits that hold meanwhile.
        project: what the app's own files declare.
        boot: whether to start the application; level quick does not.
        say: told what is under way.

    Raises:
        ImageError: the engine has no such image.
        EngineError: the engine does not answer, or stopped answering.

    """
    seconds: dict[str, float] = {}
    with engine_errors(f"smoking {reference}"), runs.running(engine, pid=os.getpid()) as run:
        sweep.start(engine, runs.owner(os.getpid()))
        with _timed(seconds, "configuration"):
            configuration = read_configuration(engine.client.api, reference)
        say("probing and starting" if boot else "probing")
        with ThreadPoolExecutor(max_workers=1) as beside, _ending(run):
            with _timed(seconds, "probe"):
                with looking(run, configuration) as files:
                    who = account(configuration, files)
                    booting = beside.submit(_boots, run, configuration, contract, seconds) if boot else None
                    start = start_facts(configuration, files, who, contract.interpreter)
                answer = run_probe(run, configuration, start, _request(configuration, start, contract), contract)
            say("waiting for the application")
            first, relaxed = booting.result() if booting else (NOT_ASKED, None)
        return Facts(
            configuration=configuration,
            start=start,
            probe=answer,
            boot=first,
            relaxed_boot=relaxed,
            project=project or ProjectFacts(),
            seconds=seconds,
        )


@contextmanager
def looking(run: Run, configuration: Configuration) -> Iterator[EngineFiles]:
    """Give the image's files, to be read without running anything."""
    plan = {
        "Image": configuration.id,
        "Entrypoint": ["/nothing"],
        "Cmd": [],
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


def _request(configuration: Configuration, start: Start, contract: Contract) -> ProbeRequest:
    """Plan what the probe is asked."""
    environment = {**configuration.environment, **contract.environment}
    home = environment.get("HOME") or start.account.home or "/"
    cache = environment.get("XDG_CACHE_HOME") or f"{home.rstrip('/')}/.cache"
    return ProbeRequest(
        modules=contract.modules or named_modules(start.words),
        import_root=import_root(start.words, configuration.working_directory, environment),
        executables=tuple(dict.fromkeys((*contract.executables, *INSTALLERS))),
        places=tuple(dict.fromkeys((cache, *contract.writable_paths))),
    )


def _boots(
    run: Run, configuration: Configuration, contract: Contract, seconds: dict[str, float]
) -> tuple[Boot, Boot | None]:
    """Boot hardened; when it does not come up, once more with a writable root, to tell whether that was why."""
    with _timed(seconds, "boot"):
        first = run_boot(run, configuration, contract)
    if first.up or first.start_error:
        return first, None
    with _timed(seconds, "relaxed boot"):
        return first, run_boot(run, configuration, contract, read_only=False)


@contextmanager
def _ending(run: Run) -> Iterator[None]:
    """When anything goes wrong, take the containers away at once: a thread that waits for one ends too."""
    try:
        yield
    except BaseException:
        run.ended.set()
        runs.end(run)
        raise


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
