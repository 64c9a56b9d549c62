"""All that can be known before a stack is started; nothing is started, pulled or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.checks.compose_alone import judge_compose
from seatrial.checks.model import Status
from seatrial.errors import StackError
from seatrial.facts.compose import as_if_filled, read_compose
from seatrial.facts.data import Missing
from seatrial.stack import compose, images, observe
from seatrial.stack.envfile import example_to_copy
from seatrial.stack.finding import Finding, Preflight, Standing, blocked, note, ready
from seatrial.stack.names import identify
from seatrial.stack.plan import compose_file, compose_text, planned, read_services
from seatrial.stack.ports import look_at_ports
from seatrial.stack.variables import look_at_services, look_at_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from seatrial.checks.model import Result
    from seatrial.engine.find import Engine
    from seatrial.facts.data import Json
    from seatrial.host import Host
    from seatrial.settings.model import Contract
    from seatrial.settings.read import Project
    from seatrial.stack.model import Stack, StackPlan


def look(
    project: Project, name: str, *, engine: Engine, host: Host, has_stand_in: Callable[[str], bool] = lambda _: False
) -> Preflight:
    """Return what there is to know before the start of an app's stack.

    Args:
        project: the project.
        name: the app whose stack it is.
        engine: the engine.
        host: this machine.
        has_stand_in: tells whether a recipe could take an image's place.

    Raises:
        SettingsError: no app has that name.
        StackError: the app has no compose file.
        EngineError: the engine does not answer, or compose is not there.

    """
    stack, file = identify(project, name), compose_file(project, name)
    variables = tuple(look_at_variables(file, compose_text(file), host.environment))
    document, said, whole = _document(stack, file, variables, engine=engine, host=host)
    if whole:
        # Compose takes the file as it is: what is missing is wanted by a profile that is not asked for.
        variables = tuple(replace(one, standing=_at_most_a_note(one.standing)) for one in variables)
    services = read_services(document) if document is not None else ()
    findings = [*said, *variables]
    if services:
        plan = planned(project, stack, file, services, env_file=None)
        findings += look_at_start(plan, engine, has_stand_in=has_stand_in)
    findings += look_at_catalogue(project, file, project.app(name).contract, engine=engine, host=host)
    return Preflight(stack=stack, file=file, services=services, findings=tuple(findings))


def _at_most_a_note(standing: Standing) -> Standing:
    return Standing.NOTE if standing is Standing.BLOCKED else standing


def look_at_start(
    plan: StackPlan, engine: Engine, *, has_stand_in: Callable[[str], bool] = lambda _: False
) -> Iterator[Finding]:
    """Yield of a plan's images, ports and variables whether it can be started with them.

    Raises:
        EngineError: the engine does not answer.

    """
    yield from images.look_at_images(plan, images.present(plan, engine), has_stand_in=has_stand_in)
    yield from look_at_ports(plan, observe.containers(plan.stack, engine), engine)
    own = [
        one.name
        for one in plan.services
        if one.image is not None and plan.own_images.get(images.repository(one.image)) == plan.stack.app
    ]
    yield from look_at_services(plan.file, plan.services, own, plan.required)


def look_at_catalogue(
    project: Project, file: Path, contract: Contract, *, engine: Engine, host: Host
) -> Iterator[Finding]:
    """Yield what the catalogue's compose/* checks say. None of it stops a start: `invoke smoke` judges by it."""
    shown = str(file.relative_to(project.folder) if file.is_relative_to(project.folder) else file)
    for one in judge_compose(read_compose(file, shown, engine, host), contract):
        if one.status is not Status.SKIP:
            yield _of_catalogue(one)


def _of_catalogue(result: Result) -> Finding:
    # What is waived has been decided on: its reason is shown, and nothing has to be done.
    fine = result.status in {Status.PASS, Status.WAIVED}
    said = result.fix if result.status is Status.WAIVED else result.title
    return Finding(
        check=result.id,
        standing=Standing.READY if fine else Standing.NOTE,
        what=said if fine else f"{result.status.value}: {result.actual}",
        where=result.where,
        fix=result.fix,
    )


def _document(
    stack: Stack, file: Path, variables: Sequence[Finding], *, engine: Engine, host: Host
) -> tuple[Json | None, tuple[Finding, ...], bool]:
    """Return compose's model of the file, what compose says of it, and whether it takes the file as it is.

    There is no model where compose refuses the file even if all that is missing were there.
    """
    program = compose.find(stack, file, engine=engine, host=host)
    example = example_to_copy(file)
    problem: StackError | None = None
    if example is None:
        try:
            document, notes = program.model()
        except StackError as error:
            problem = error
        else:
            return document, _taken(document, file, notes), True
    if problem is not None and not any(one.standing is Standing.BLOCKED for one in variables):
        return None, (_refused(problem),), False
    # What is missing has been named: the rest is looked at as if it were there.
    filled = as_if_filled(file, compose_text(file), engine, host, env_file=example)
    if isinstance(filled, Missing):
        problem = compose.refused(filled.reason.removeprefix(f"{compose.REFUSES} "), file)
        return None, (_refused(problem),), False
    return filled, _taken(filled, file, ()), False


def _taken(document: Json, file: Path, notes: Sequence[str]) -> tuple[Finding, ...]:
    names = sorted(document.get("services") or {})
    if not names:
        return (
            blocked("compose file", "it declares no service.", where=str(file), fix="Declare one under `services:`."),
        )
    found = ready("compose file", f"compose takes it: {', '.join(names)}", where=str(file))
    # An unset variable is named among the variables, with its line.
    warnings = [one for one in notes if "variable is not set" not in one]
    return (found, *(note("compose file", f"compose warns: {one}", where=str(file)) for one in warnings))


def _refused(problem: StackError) -> Finding:
    details = f" ({problem.detail})" if problem.detail else ""
    return blocked("compose file", f"{problem.what}{details}", where=problem.where, fix=problem.fix)
