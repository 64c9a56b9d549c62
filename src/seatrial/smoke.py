"""The smoke: an image's facts, gathered once and judged by its contract."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks import registry
from seatrial.checks.model import Level
from seatrial.checks.verdict import smoke_of
from seatrial.facts.data import ProjectFacts
from seatrial.facts.gather import gather
from seatrial.facts.project import read_project_facts
from seatrial.images.plan import plan_build
from seatrial.settings.model import Contract
from seatrial.settings.read import TABLE, read_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from seatrial.checks.model import Check
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts.data import Facts
    from seatrial.settings.read import Project


@dataclass(frozen=True, kw_only=True)
class Target:
    """An image to smoke, and what it must be."""

    reference: str
    contract: Contract
    project: ProjectFacts
    app: str | None = None


def app_target(project: Project, name: str, python: str | None = None) -> Target:
    """Return the image that a build of an app makes, with the app's contract.

    Raises:
        SettingsError: the app, the Python version or a waiver does not exist.
        BuildError: its context or Dockerfile is missing.

    """
    plan = plan_build(project, name, python=python)
    contract = project.app(name).contract
    registry.require_known_waivers(contract, f"{project.file} {TABLE}.apps.{name}.contract.waive")
    if contract.python is None:
        contract = msgspec.structs.replace(contract, python=plan.python)
    return Target(reference=plan.tags[0], contract=contract, project=read_project_facts(plan.context), app=name)


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
    booted = level is not Level.QUICK
    return gather(engine, target.reference, target.contract, target.project, boot=booted, say=say)


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
    return smoke_of(facts, target.contract, chosen, seconds=time.perf_counter() - started), facts
