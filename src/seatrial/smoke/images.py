"""A smoke of images: what to smoke, one image observed and judged, and several of them one after the other."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.model import Level
from seatrial.checks.registry import own_checks
from seatrial.checks.verdict import Smoke, smoke_of, worst
from seatrial.compose.runner import beside
from seatrial.compose.services import own_images
from seatrial.errors import EngineError, ExitCode, ImageError, SeatrialError, StackLeftError
from seatrial.facts import ProjectFacts, Unavailable
from seatrial.images.plan import declared, plan_build
from seatrial.images.services import with_images
from seatrial.observe.command.resolve import find_python
from seatrial.observe.configuration import OtherCommand, read_configuration
from seatrial.observe.gather import Wanted, gather
from seatrial.observe.image_files import image_index
from seatrial.observe.index import IndexFiles
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.project.sources import SourceFiles
from seatrial.settings.model import Contract
from seatrial.settings.read import key_in, read_contract
from seatrial.smoke.contracts import counted, unasked
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from seatrial.checks.model import Check, Severity
    from seatrial.engine.find import Engine
    from seatrial.facts import Facts
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.smoke.baseline import BaselineFile
    from seatrial.structure.files import StructureFile


@dataclass(frozen=True, kw_only=True)
class Target:
    """An image to smoke, and what it must be."""

    reference: str
    contract: Contract
    project: ProjectFacts
    app: str | None = None
    sources: SourceFiles | None = None
    """Where the Dockerfile, the context and the compose file are; None where they are not to be read."""
    other_command: OtherCommand | None = None
    """What it is started with in place of its own command."""
    own_checks: tuple[Check, ...] = ()
    """Checks beside seatrial's: of installed distributions, and of the app's project."""
    notes: tuple[str, ...] = ()
    """What of the project's own say does not count."""
    baseline: BaselineFile | None = None
    """What it is compared with."""

    def failing_on(self, fail_on: Severity | None) -> Target:
        """Return it, failed by findings of this severity and above; as its contract says, where none is given."""
        if fail_on is None:
            return self
        return replace(self, contract=msgspec.structs.replace(self.contract, fail_on=fail_on.value))

    def beside_baseline(self, smoke: Smoke) -> Smoke:
        """Return its smoke as its baseline leaves it."""
        return smoke if self.baseline is None else self.baseline.judged(smoke, self.contract)

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


def app_target(
    project: Project, name: str, python: str | None = None, *, host: Host | None = None, trust: Trust = Trust.PROJECT
) -> Target:
    """Return the image that a build of an app makes, for one of its Python versions or its first, with its contract.

    The app's sources are read where a host is given, whose hadolint and compose are asked about them, and which says
    how far the project is trusted; else `trust` does.

    Raises:
        SettingsError: the app, the Python version or a check of the contract does not exist, a module of checks is
            broken, or the contract asks for what the project may not have.
        BuildError: its context or Dockerfile is missing, or lies outside of a project that is not trusted.

    """
    trust = trust if host is None else host.trust
    plan = plan_build(project, name, python=python, trust=trust)
    table = key_in(project.file, "apps", name, "contract")
    contract, notes = counted(project.app(name).contract, trust, project.file, table)
    if trust is Trust.NONE:
        own, notes = own_checks(), (*unasked(project), *notes)
    else:
        own = own_checks(project)
    _require_known(contract, f"{project.file} {table}.", own)
    if contract.python is None:
        contract = msgspec.structs.replace(contract, python=plan.python)
    compose = next(iter(project.compose_files(project.app(name))), None)
    sources = None
    if host is not None:
        sources = SourceFiles(
            project=project.folder,
            dockerfile=plan.dockerfile,
            context=plan.context,
            compose=compose,
            beside=beside(project, name),
            build_arguments=plan.build_arguments,
            target=plan.target,
            host=host,
            own_images=own_images(project, name),
            with_images=partial(with_images, project, name, compose or project.folder),
        )
    return Target(
        reference=plan.tags[0],
        contract=contract,
        project=read_project_facts(plan.context, plan.dockerfile, plan.build_arguments, plan.target),
        app=name,
        sources=sources,
        other_command=_other_command(project, name),
        own_checks=own,
        notes=notes,
    )


def _other_command(project: Project, name: str) -> OtherCommand | None:
    app = project.app(name)
    said = [key for key in ("entrypoint", "command") if getattr(app, key) is not None]
    if not said:
        return None
    return OtherCommand(entrypoint=app.entrypoint, command=app.command, where=declared(project, name, said[0]))


def holds_python(target: Target, engine: Engine) -> bool:
    """Tell whether an image holds a Python that its command could run on; also where that is not known.

    Raises ImageError: the engine has no such image.
    """
    with target.build_named():
        configuration = read_configuration(engine, target.reference)
    if target.other_command is not None:
        configuration = target.other_command.of(configuration)
    index = image_index(engine, configuration)
    return isinstance(index, Unavailable) or find_python(configuration, IndexFiles(index)) is not None


def image_target(reference: str, contract_file: Path | None, trust: Trust = Trust.PROJECT) -> Target:
    """Return any image, with the contract of a file or the catalogue's defaults.

    Raises:
        SettingsError: the file cannot be read, says something wrong, or asks for what it may not have.

    """
    contract = Contract()
    notes: tuple[str, ...] = ()
    if contract_file is not None:
        contract, notes = counted(read_contract(contract_file), trust, contract_file)
    own = own_checks()
    _require_known(contract, f"{contract_file} ", own)
    return Target(reference=reference, contract=contract, project=ProjectFacts(), own_checks=own, notes=notes)


def _require_known(contract: Contract, where: str, own: tuple[Check, ...]) -> None:
    if contract.waive or contract.severity:
        # Here: a quick smoke loads the checks while its container runs.
        from seatrial.checks.registry import require_known

        require_known(contract, where, own)


def of_image(target: Target, reference: str) -> Target:
    """Return an app's target with the image that its compose file names: of which Python is not known."""
    contract = target.contract
    if reference != target.reference:
        contract = msgspec.structs.replace(contract, python=None)
    return replace(target, reference=reference, contract=contract)


def observe(
    target: Target, engine: Engine, level: Level, say: Callable[[str], None] = lambda _: None, *, imports: bool = True
) -> Facts:
    """Gather the facts that a level's checks need; the application is imported unless `imports` is false.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    wanted = Wanted(boot=level is not Level.QUICK, deep=level is Level.DEEP, imports=imports)
    asked = (engine, target.reference, target.contract, target.project, wanted)
    return gather(*asked, sources=target.sources, other_command=target.other_command, say=say)


def smoke(
    target: Target,
    engine: Engine,
    *,
    level: Level,
    checks: Iterable[Check] | None = None,
    say: Callable[[str], None] = lambda _: None,
    imports: bool = True,
) -> tuple[Smoke, Facts]:
    """Smoke one image: gather its facts, and judge them by the checks that are given, or by all of the level.

    Without `imports` the application is not imported, and no check of the imports may be given.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    started = time.perf_counter()
    facts = observe(target, engine, level, say, imports=imports)
    # Loading the checks takes 60 ms. A command does it while the containers run.
    from seatrial.checks.registry import up_to

    chosen = up_to(level, target.own_checks) if checks is None else checks
    return judged_by_facts(target, facts, chosen, level=level.value, started=started), facts


def judged_by_facts(target: Target, facts: Facts, checks: Iterable[Check], *, level: str, started: float) -> Smoke:
    """Judge an image by its facts, of which gathering began at `started`; values that look like secrets are masked."""
    from seatrial.smoke.masking import masked

    seconds = time.perf_counter() - started
    about = {"app": target.app or "", "level": level}
    judged = smoke_of(facts, target.contract, checks, seconds=seconds, notes=target.notes, **about)
    given = {**facts.configuration.environment, **target.contract.environment}
    return masked(judged, given.items())


@dataclass(frozen=True, kw_only=True)
class Smoked:
    """The result of several smokes."""

    smokes: tuple[Smoke, ...]
    """Those that finished."""
    problems: tuple[SeatrialError, ...] = ()
    """Why the others did not."""

    def joined(self, others: Smoked) -> Smoked:
        """Return these, and others behind them."""
        return Smoked(smokes=self.smokes + others.smokes, problems=self.problems + others.problems)

    @property
    def exit_code(self) -> ExitCode:
        """The worst verdict's; where all pass, a smoke that did not finish is undecided. Ctrl-C counts most."""
        codes = [problem.exit_code for problem in self.problems]
        if ExitCode.INTERRUPTED in codes:
            return ExitCode.INTERRUPTED
        if codes and not self.smokes:
            return codes[0]
        return worst(self.smokes).exit_code or (ExitCode.UNDECIDED if codes else ExitCode.OK)


@dataclass(frozen=True, kw_only=True)
class StructureTests:
    """container-structure-test files to run."""

    files: Mapping[Path, StructureFile]
    environment: Mapping[str, str]
    """The variables that their commands may be given."""
    folder: Path
    """Where relative paths in them begin."""


def each(smokes: Sequence[tuple[str, Callable[[], Smoke]]]) -> Smoked:
    """Run smokes, each with a name for messages, one after the other.

    A `SeatrialError` is kept, and the next one is tried. None is after an `EngineError` or an interrupt.
    """
    finished: list[Smoke] = []
    problems: list[SeatrialError] = []
    for number, (_, run) in enumerate(smokes, 1):
        try:
            finished.append(run())
        except (EngineError, StackLeftError) as error:
            problems.append(error)
            if left := [name for name, _ in smokes[number:]]:
                problems.append(EngineError(f"not smoked after that: {', '.join(left)}."))
            break
        except SeatrialError as error:
            problems.append(error)
    return Smoked(smokes=tuple(finished), problems=tuple(problems))


def smoke_images(
    targets: Iterable[Target],
    engine: Engine,
    *,
    level: Level | None,
    tests: StructureTests | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Smoked:
    """Smoke images by their contracts, unless the level is None, and by structure tests, where there are any."""

    def run(target: Target) -> Smoke:
        with target.build_named():
            made = _smoke(target, engine, level, tests, lambda step: say(f"{target.reference}: {step}"))
        return target.beside_baseline(made)

    return each([(target.reference, partial(run, target)) for target in targets])


def _smoke(
    target: Target, engine: Engine, level: Level | None, tests: StructureTests | None, say: Callable[[str], None]
) -> Smoke:
    contracted = None if level is None else smoke(target, engine, level=level, say=say)[0]
    if contracted is not None and tests is None:
        return contracted
    if tests is None:
        raise ValueError("neither a level nor structure tests")
    from seatrial.structure.run import joined, prove

    structure = prove(
        tests.files,
        target.reference,
        target.contract,
        engine,
        environment=tests.environment,
        folder=tests.folder,
        say=say,
    )
    return structure if contracted is None else joined(contracted, structure)
