"""The smoke: an image's facts, gathered once and judged by its contract."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.model import Level
from seatrial.facts import Facts, Missing, ProjectFacts, ServiceStarts
from seatrial.images.plan import plan_build
from seatrial.observe.gather import Wanted, gather
from seatrial.observe.sources import read_project_facts
from seatrial.settings.model import Contract
from seatrial.settings.read import TABLE, read_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from seatrial.checks.model import Check
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts import Sources, StackRun
    from seatrial.host import Host
    from seatrial.images.plan import BuildPlan
    from seatrial.observe.sources import SourceFiles
    from seatrial.settings.read import Project

STACK_ALONE = Missing(reason="only the app with its services was looked at")


@dataclass(frozen=True, kw_only=True)
class Target:
    """An image to smoke, and what it must be."""

    reference: str
    contract: Contract
    project: ProjectFacts
    app: str | None = None
    sources: SourceFiles | None = None
    """Where the Dockerfile, the context and the compose file lie; None where they are not to be looked at."""


def app_target(project: Project, name: str, python: str | None = None, *, host: Host | None = None) -> Target:
    """Return the image that a build of an app makes, with the app's contract.

    Args:
        project: the project.
        name: the app.
        python: one of its Python versions; its first without it.
        host: this machine, whose hadolint and compose are asked about the sources; without it they are not read.

    Raises:
        SettingsError: the app, the Python version or a waiver does not exist.
        BuildError: its context or Dockerfile is missing.

    """
    plan = plan_build(project, name, python=python)
    contract = project.app(name).contract
    _require_known_waivers(contract, f"{project.file} {TABLE}.apps.{name}.contract.waive")
    if contract.python is None:
        contract = msgspec.structs.replace(contract, python=plan.python)
    sources = None if host is None else _source_files(project, plan, host)
    return Target(
        reference=plan.tags[0],
        contract=contract,
        project=read_project_facts(plan.context),
        app=name,
        sources=sources,
    )


def _source_files(project: Project, plan: BuildPlan, host: Host) -> SourceFiles:
    from seatrial.observe.sources import SourceFiles

    compose = project.app(plan.app).compose
    return SourceFiles(
        project=project.folder,
        dockerfile=plan.dockerfile,
        context=plan.context,
        compose=project.folder / compose if compose else None,
        build_arguments=plan.build_arguments,
        host=host,
    )


def image_target(reference: str, contract_file: Path | None) -> Target:
    """Return any image, with the contract of a file or the catalogue's defaults.

    Raises:
        SettingsError: the file cannot be read, or says something wrong.

    """
    contract = Contract() if contract_file is None else read_contract(contract_file)
    _require_known_waivers(contract, f"{contract_file} waive")
    return Target(reference=reference, contract=contract, project=ProjectFacts())


def _require_known_waivers(contract: Contract, where: str) -> None:
    if contract.waive:
        from seatrial.checks.registry import require_known_waivers

        require_known_waivers(contract, where)


def observe(
    target: Target,
    engine: Engine,
    level: Level,
    say: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
    *,
    imports: bool = True,
) -> Facts:
    """Gather what a level's checks look at; call `meanwhile` while the containers run.

    Without `imports`, the application is not imported.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    with ThreadPoolExecutor(max_workers=2) as beside:
        # The project's own files need no container: they are read while the probe and the boot run.
        reading: list[Future[tuple[Sources | Missing, float]]] = []

        waiting: list[Future[None]] = []

        def under_way() -> None:
            if target.sources:
                reading.append(beside.submit(_sources, target.sources, engine))
            waiting.append(beside.submit(meanwhile))

        wanted = Wanted(boot=level is not Level.QUICK, deep=level is Level.DEEP, imports=imports)
        asked = (engine, target.reference, target.contract, target.project, wanted)
        facts = gather(*asked, say=say, under_way=under_way)
        for other in waiting:
            other.result()
        for one in reading:
            sources, seconds = one.result()
            facts = msgspec.structs.replace(facts, sources=sources, seconds={**facts.seconds, "sources": seconds})
        return facts


def _sources(files: SourceFiles, engine: Engine) -> tuple[Sources | Missing, float]:
    from seatrial.observe.sources import read_sources

    started = time.perf_counter()
    return read_sources(files, engine), time.perf_counter() - started


def smoke(
    target: Target,
    engine: Engine,
    *,
    level: Level,
    checks: Iterable[Check] | None = None,
    say: Callable[[str], None] = lambda _: None,
    meanwhile: Callable[[], None] = lambda: None,
    imports: bool = True,
) -> tuple[Smoke, Facts]:
    """Prove one image: observe it, and judge what was seen.

    Args:
        target: the image.
        engine: where it is.
        level: how much to do.
        checks: those to judge by; without it all of the level.
        say: told what is under way.
        meanwhile: called while the containers run: what is needed afterwards can be made ready.
        imports: whether to import the application; no check of the imports may be among `checks` without it.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    started = time.perf_counter()

    def prepare() -> None:
        import_module("seatrial.checks.registry")
        meanwhile()

    facts = observe(target, engine, level, say, prepare, imports=imports)
    from seatrial.checks.registry import up_to
    from seatrial.checks.verdict import smoke_of

    chosen = up_to(level) if checks is None else checks
    seconds = time.perf_counter() - started
    return smoke_of(facts, target.contract, chosen, seconds=seconds, app=target.app or "", level=level.value), facts


def of_image(target: Target, reference: str) -> Target:
    """Return an app's target with the image that its compose file names: of which Python is not known."""
    contract = target.contract
    if reference != target.reference:
        contract = msgspec.structs.replace(contract, python=None)
    return replace(target, reference=reference, contract=contract)


def smoke_stack(
    target: Target, run: StackRun | Missing, engine: Engine, *, started: float, level: Level | None = None
) -> Smoke:
    """Judge an app with its services up.

    Args:
        target: the app's image, as its compose file names it.
        run: what was seen.
        engine: where the image is.
        started: when it was begun, by `time.perf_counter`.
        level: of the starts among its services; None where there were none.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer.

    """
    from seatrial.checks import stack
    from seatrial.checks.registry import among_services
    from seatrial.checks.verdict import smoke_of
    from seatrial.observe.configuration import read_configuration

    again = run if isinstance(run, Missing) else run.started
    seconds = time.perf_counter() - started
    facts = Facts(
        configuration=read_configuration(engine, target.reference),
        start=STACK_ALONE,
        probe=STACK_ALONE,
        boot=again if isinstance(again, Missing) else again.boot,
        project=target.project,
        stack=run,
        seconds={"stack": seconds},
    )
    if isinstance(again, ServiceStarts):
        facts = msgspec.structs.replace(
            facts,
            configuration=msgspec.structs.replace(again.configuration, reference=target.reference),
            relaxed=again.relaxed,
            starts=again.starts,
            seconds={**facts.seconds, **again.seconds},
        )
    checks = stack.CHECKS if level is None else among_services(level)
    return smoke_of(facts, target.contract, checks, seconds=seconds, app=target.app or "", level="stack")
