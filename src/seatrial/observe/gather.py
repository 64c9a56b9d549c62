"""Gathers the facts of an image once: one probe, and one boot beside it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine import runs
from seatrial.engine.containers import engine_errors
from seatrial.facts import NO_LAYERS, NO_SOURCES, NOT_DEEP, Boot, Facts, OwnCode, ProjectFacts, Unavailable
from seatrial.observe import index_cache, paths
from seatrial.observe.by_files import ByFiles
from seatrial.observe.command.application import application_of
from seatrial.observe.command.resolve import (
    MOST_FOLDERS,
    find_python,
    health_command,
    launched,
    resolve_command,
    running_application,
    searched,
    with_short_path,
)
from seatrial.observe.configuration import other_platform, read_configuration
from seatrial.observe.files import (
    EngineFiles,
    empty_volumes,
    maps_users,
    own_folders,
    read_account,
    read_accounts,
    tmpfs_folders,
)
from seatrial.observe.image_files import NOT_READ, image_files, read_layers, read_limits
from seatrial.observe.index import IndexFiles, read_index
from seatrial.observe.inventory import inventory_of
from seatrial.observe.project.sources import read_sources
from seatrial.observe.python.agreement import Image, settle
from seatrial.observe.python.own_code import sources_below
from seatrial.observe.running.boot_series import boots, timed
from seatrial.observe.running.probe import ProbeRequest, entrypoint_accepts_command, run_override, run_probe
from seatrial.observe.running.sandbox import BootSetup

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.find import Engine
    from seatrial.engine.runs import Run
    from seatrial.facts import (
        Account,
        Accounts,
        Agreement,
        CommandOverride,
        Configuration,
        Layers,
        PathRule,
        Probe,
        ResolvedCommand,
        ResolvedPath,
        Sources,
    )
    from seatrial.observe.command.application import Application
    from seatrial.observe.command.resolve import Python, Running
    from seatrial.observe.configuration import OtherCommand
    from seatrial.observe.index import Index
    from seatrial.observe.project.sources import SourceFiles
    from seatrial.observe.running.boot_series import BootSeries
    from seatrial.settings.model import Contract


NOT_COMPARED = Unavailable(reason="the image holds no Python interpreter")
NOT_ASKED = Unavailable(reason="not started: level quick starts no application")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How much of an image to observe."""

    boot: bool = True
    """Start the application; level quick does not."""
    deep: bool = False
    """Start it several times more, as level deep does."""
    imports: bool = True
    """Import the application, which takes most of a probe's time; its code and bytecode are checked then only."""


STANDARD = Wanted()


def gather(
    engine: Engine,
    reference: str,
    contract: Contract,
    project: ProjectFacts | None = None,
    wanted: Wanted = STANDARD,
    *,
    sources: SourceFiles | None = None,
    other_command: OtherCommand | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Observe an image, named by its name, tag, id or digest.

    The contract says what to import and look for, and the limits that hold meanwhile; `other_command` what it is
    started with in place of its own command.

    Raises:
        ImageError: the engine has no such image.
        EngineError: the engine does not answer, or stopped answering.

    """
    seconds: dict[str, float] = {}
    with engine_errors(f"smoking {reference}"), runs.running(engine, pid=os.getpid()) as run:
        with timed(seconds, "configuration"):
            configuration = read_configuration(engine, reference)
        if other_command is not None:
            configuration = other_command.of(configuration)
        say("probing and starting" if wanted.boot else "probing")
        with ThreadPoolExecutor(max_workers=5) as beside, runs.ending(run):
            observation = Observation(
                run=run,
                configuration=with_folders(run, configuration, contract.tmpfs),
                contract=contract,
                wanted=wanted,
                beside=beside,
                seconds=seconds,
                project=project.name if project else "",
            )
            return observation.facts(project or ProjectFacts(), sources, say)


@dataclass(frozen=True, kw_only=True)
class EngineView:
    """What the engine's side reads of an image while the probe runs."""

    index: Index
    accounts: Accounts
    working_directory: ResolvedPath


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One image's observation in progress; what takes long runs in threads, each on its own connection."""

    run: Run
    configuration: Configuration
    contract: Contract
    wanted: Wanted
    beside: ThreadPoolExecutor
    seconds: dict[str, float]
    project: str = ""
    """The project's name."""

    def facts(self, project: ProjectFacts, sources: SourceFiles | None, say: Callable[[str], None]) -> Facts:
        """Observe everything that is wanted."""
        interpreter: Future[str] = Future()
        with timed(self.seconds, "probe"), image_files(self.run, self.configuration) as files:
            who = read_account(self.configuration, files)
            probed = threading.Event()
            booting = self._boot(interpreter, probed)
            known, seen = self._known(files)
            # The probe and the reading take longest after that, and need no more than this to begin.
            started = launched(seen, files, self.contract.environment)
            python = find_python(seen, files, self.contract.interpreter, started)
            interpreter.set_result(python.path if python else "")
            meant = application_of(started, files)
            request, probing = self._probe(who, python, meant)
            probing.add_done_callback(lambda _: probed.set())
            reading = self.beside.submit(read_image, self.run, files.container, self.configuration, known)
            # The project's own files need no container.
            looking_up = self.beside.submit(self._sources, sources, reading) if sources else None
            # While the engine packs a container's files, it answers nothing else about that container.
            read = reading.result()
            files.index = None if read.index.cut else IndexFiles(read.index)
            start = resolve_command(seen, files, who, self.contract.interpreter, started)
            overriding = self._override(seen, files, start)
            health = health_command(seen, files, who)
            own_code = self._own_code(who, python, meant, read.index, files)
            answer = probing.result()
            agreement: Agreement | Unavailable = NOT_COMPARED
            if isinstance(answer, Unavailable):
                agreement = answer
            elif python is not None:
                answer, agreement = settle(answer, python.path, request, self._image(seen, who, read, start))
        say("waiting for the application")
        first, relaxed, starts = booting.result() if booting else (NOT_ASKED, (), NOT_DEEP)
        modules = self.contract.modules or meant.modules
        if not modules and self.wanted.imports and isinstance(first, Boot):
            directory = self.configuration.working_directory or "/"
            running = running_application(first, start, IndexFiles(read.index), directory, self._environment)
            if running.modules or (running.python is not None and running.python.path != start.python):
                start, modules = running.told(start), running.modules
                answer, agreement = self._again(who, running, lambda: self._image(seen, who, read, start))
                with image_files(self.run, self.configuration) as files:
                    own_code = self._own_code(who, running.python, running.application, read.index, files)
        found = looking_up.result() if looking_up else NO_SOURCES
        return Facts(
            configuration=self.configuration,
            command=start,
            probe=answer,
            agreement=agreement,
            boot=_unless_other_platform(self.configuration, first),
            relaxed=relaxed,
            deep=starts,
            sources=found,
            override=overriding.result() if overriding else None,
            project=project,
            health_command=health,
            contents=self._by_files.contents(read.index, modules),
            accounts=read.accounts,
            working_directory=read.working_directory,
            own_code=own_code,
            inventory=inventory_of(read.index),
            today=datetime.now(UTC).date(),
            layers=self._layers(found, self._by_files.rules(read.index, modules)),
            seconds=self.seconds,
        )

    def _known(self, files: EngineFiles) -> tuple[Index | None, Configuration]:
        """Return what is kept of the image, and its configuration to look for programs by.

        Where PATH names very many folders, the image is read first: the engine is not asked for each of them.
        """
        known = index_cache.load(self.run.engine.cache, self.configuration.id)
        long = searched(self.configuration)[0].count(":") >= MOST_FOLDERS
        if known is None and long:
            known = read_index(files, read_limits(self.configuration))
            index_cache.store(self.run.engine.cache, self.configuration.id, known)
        if known is None:
            return None, self.configuration
        there = IndexFiles(known)
        files.index = None if known.cut else there
        return known, with_short_path(self.configuration, there) if long else self.configuration

    def _boot(self, python: Future[str], probed: threading.Event) -> Future[BootSeries] | None:
        if not self.wanted.boot:
            return None
        starter = BootSetup(
            run=self.run, configuration=self.configuration, contract=self.contract, python=python, probed=probed
        )
        return self.beside.submit(boots, starter, self.seconds, deep=self.wanted.deep)

    @property
    def _by_files(self) -> ByFiles:
        return ByFiles(configuration=self.configuration, contract=self.contract, project=self.project)

    @property
    def _environment(self) -> dict[str, str]:
        return self._by_files.environment

    def _probe(
        self, who: Account, python: Python | None, meant: Application
    ) -> tuple[ProbeRequest, Future[Probe | Unavailable]]:
        """Start the probe."""
        request = self._request(who, meant)
        asked = (self.run, self.configuration, python, request, self.contract)
        return request, self.beside.submit(run_probe, *asked, beside=self.wanted.boot)

    def _again(
        self, who: Account, running: Running, image: Callable[[], Image]
    ) -> tuple[Probe | Unavailable, Agreement | Unavailable]:
        """Probe again, for what the processes of the start show and the command does not tell."""
        request = self._request(who, running.application)
        with timed(self.seconds, "probe again"):
            answer = run_probe(self.run, self.configuration, running.python, request, self.contract, beside=False)
        if isinstance(answer, Unavailable) or running.python is None:
            return answer, answer if isinstance(answer, Unavailable) else NOT_COMPARED
        return settle(answer, running.python.path, request, image())

    def _request(self, who: Account, meant: Application) -> ProbeRequest:
        """Plan what the probe is asked."""
        return self._by_files.request(who, meant, imports=self.wanted.imports)

    def _layers(self, sources: Sources | Unavailable, asked: tuple[PathRule, ...]) -> Layers | Unavailable:
        """Return what its layers say; read once its starts are over, which the engine's work would slow down."""
        if not self.wanted.deep:
            return NO_LAYERS
        with timed(self.seconds, "layers"):
            return read_layers(self.run.engine, self.configuration, sources, asked)

    def _image(self, seen: Configuration, who: Account, read: EngineView, start: ResolvedCommand) -> Image:
        return self._by_files.image(seen, who, read.index, read.accounts, start)

    def _own_code(
        self, who: Account, python: Python | None, meant: Application, index: Index, files: EngineFiles
    ) -> OwnCode | Unavailable:
        """Return what the application's own modules ask for."""
        if not self.wanted.imports:
            return OwnCode()
        return self._by_files.own_code(who, python, meant, index, partial(sources_below, files, IndexFiles(index)))

    def _sources(self, files: SourceFiles, reading: Future[EngineView]) -> Sources | Unavailable:
        def index_of(image: Configuration) -> Index | Unavailable:
            return reading.result().index if image.id == self.configuration.id else NOT_READ

        with timed(self.seconds, "sources"):
            return read_sources(files, self.run.engine, index_of)

    def _override(
        self, seen: Configuration, files: EngineFiles, start: ResolvedCommand
    ) -> Future[CommandOverride | Unavailable] | None:
        if not (self.wanted.boot and self.wanted.deep and entrypoint_accepts_command(seen, files)):
            return None
        return self.beside.submit(run_override, self.run, self.configuration, start, self.contract)


def with_folders(run: Run, configuration: Configuration, tmpfs: tuple[str, ...]) -> Configuration:
    """Return the configuration with the volumes that hold nothing in the image, and the folders below the tmpfs.

    None of them where the engine maps the users of containers to others.
    """
    if not (configuration.volumes or own_folders(tmpfs)) or maps_users(run.engine.client.api):
        return configuration
    with image_files(run, configuration) as files:
        return msgspec.structs.replace(
            configuration,
            empty_volumes=empty_volumes(configuration, files),
            tmpfs_folders=tmpfs_folders(tmpfs, files),
        )


def read_image(run: Run, container: str, configuration: Configuration, index: Index | None) -> EngineView:
    """Read an image's files from a container that is not started, on its own connection, but for what is known."""
    client = run.engine.connection()
    try:
        with engine_errors(f"reading the files of {configuration.reference}"):
            files = EngineFiles(client, container)
            if index is None:
                index = read_index(files, read_limits(configuration))
                index_cache.store(run.engine.cache, configuration.id, index)
            return EngineView(
                index=index,
                accounts=read_accounts(*(_text(files, f"/etc/{name}") for name in ("passwd", "shadow", "group"))),
                working_directory=paths.follow(configuration.working_directory or "/", files),
            )
    finally:
        client.close()


def _text(files: EngineFiles, path: str) -> str:
    """Return a small file that may be a link; of a pipe, a device or nothing no text."""
    trail = paths.follow(path, files)
    return files.text(trail.end) if trail.is_file else ""


def _unless_other_platform(configuration: Configuration, boot: Boot | Unavailable) -> Boot | Unavailable:
    """Return the boot; of an image for another platform, which this engine cannot run, why there is none."""
    if isinstance(boot, Boot) and (reason := other_platform(configuration, *boot.log, boot.start_error)):
        return Unavailable(reason=reason)
    return boot
