"""What is smoked: an image, its contract, and the files that it was made from."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.own import own_checks
from seatrial.errors import ImageError
from seatrial.facts import ProjectFacts
from seatrial.images.plan import plan_build
from seatrial.observe.sources import SourceFiles, read_project_facts
from seatrial.settings.model import Contract
from seatrial.settings.read import TABLE, read_contract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.checks.model import Check
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
    """Where the Dockerfile, the context and the compose file are; None where they are not to be read."""
    own_checks: tuple[Check, ...] = ()
    """Checks beside seatrial's: of installed distributions, and of the app's project."""

    @contextmanager
    def build_named(self) -> Iterator[None]:
        """Name the command that builds an app's image, when the engine does not have it."""
        try:
            yield
        except ImageError as error:
            if self.app is not None:
                python = f" --python {self.contract.python}" if self.contract.python else ""
                error.fix = f"Build it: `invoke build --app {self.app}{python}`."
            raise


def app_target(project: Project, name: str, python: str | None = None, *, host: Host | None = None) -> Target:
    """Return the image that a build of an app makes, with the app's contract.

    Args:
        project: the project.
        name: the app.
        python: one of its Python versions; its first without it.
        host: this machine, whose hadolint and compose are asked about the sources; without it they are not read.

    Raises:
        SettingsError: the app, the Python version or a waiver does not exist, or a module of checks is broken.
        BuildError: its context or Dockerfile is missing.

    """
    plan = plan_build(project, name, python=python)
    contract = project.app(name).contract
    own = own_checks(project)
    _require_known_waivers(contract, f"{project.file} {TABLE}.apps.{name}.contract.waive", own)
    if contract.python is None:
        contract = msgspec.structs.replace(contract, python=plan.python)
    sources = None if host is None else _source_files(project, plan, host)
    return Target(
        reference=plan.tags[0],
        contract=contract,
        project=read_project_facts(plan.context),
        app=name,
        sources=sources,
        own_checks=own,
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
    own = own_checks()
    _require_known_waivers(contract, f"{contract_file} waive", own)
    return Target(reference=reference, contract=contract, project=ProjectFacts(), own_checks=own)


def _require_known_waivers(contract: Contract, where: str, own: tuple[Check, ...]) -> None:
    if contract.waive:
        # Here: a quick smoke loads the checks while its container runs.
        from seatrial.checks.registry import require_known_waivers

        require_known_waivers(contract, where, own)


def of_image(target: Target, reference: str) -> Target:
    """Return an app's target with the image that its compose file names: of which Python is not known."""
    contract = target.contract
    if reference != target.reference:
        contract = msgspec.structs.replace(contract, python=None)
    return replace(target, reference=reference, contract=contract)
