"""The smoke: an image's facts, gathered once and judged by its contract."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks import registry
from seatrial.checks.model import Level
from seatrial.checks.verdict import smoke_of
from seatrial.facts.data import ProjectFacts
from seatrial.facts.gather import gather
from seatrial.facts.project import read_project_facts
from seatrial.facts.sources import SourceFiles, read_sources
from seatrial.images.plan import plan_build
from seatrial.settings.model import Contract
from seatrial.settings.read import TABLE, read_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from seatrial.checks.model import Check
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts.data import Facts, Missing, Sources
    from seatrial.host import Host
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project


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
    registry.require_known_waivers(contract, f"{project.file} {TABLE}.apps.{name}.contract.waive")
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
    registry.require_known_waivers(contract, f"{contract_file} waive")
    return Target(reference=reference, contract=contract, project=ProjectFacts())


def observe(target: Target, engine: Engine, level: Level, say: Callable[[str], None]) -> Facts:
    """Gather what a level's checks look at.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    booted, deep = level is not Level.QUICK, level is Level.DEEP
    # The project's own files need no container: they are read while the probe and the boot run.
    with ThreadPoolExecutor(max_workers=1) as beside:
        reading = beside.submit(_sources, target.sources, engine) if target.sources else None
        facts = gather(engine, target.reference, target.contract, target.project, boot=booted, deep=deep, say=say)
        if reading is None:
            return facts
        sources, seconds = reading.result()
        return msgspec.structs.replace(facts, sources=sources, seconds={**facts.seconds, "sources": seconds})


def _sources(files: SourceFiles, engine: Engine) -> tuple[Sources | Missing, float]:
    started = time.perf_counter()
    return read_sources(files, engine), time.perf_counter() - started


def smoke(
    target: Target,
    engine: Engine,
    *,
    level: Level,
    checks: Iterable[Check] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Smoke, Facts]:
    """Prove one image: observe it, and judge what was seen.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    started = time.perf_counter()
    facts = observe(target, engine, level, say)
    chosen = registry.up_to(level) if checks is None else checks
    seconds = time.perf_counter() - started
    return smoke_of(facts, target.contract, chosen, seconds=seconds, app=target.app or "", level=level.value), facts
