"""All that can be known before a stack is started; nothing is started, pulled or changed.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from seatrial.checks import registry
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import judge, linked
from seatrial.compose import guard
from seatrial.compose.readiness import Finding, Readiness, blocked, note, ready
from seatrial.compose.runner import Compose, Stack, beside, identify
from seatrial.compose.services import (
    app_of,
    below,
    lost_in_env_files,
    model_with_placeholders,
    own_images,
    read_compose,
)
from seatrial.compose.text import ComposeText, text_of
from seatrial.compose.values import names_not_set
from seatrial.compose.variables import (
    check_services,
    check_variables,
    to_copy,
    variable_sources,
    with_examples,
    without_missing,
)
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import StackError
from seatrial.facts import ComposeSource, Json, Service, Unavailable
from seatrial.filesystem import exists, is_file
from seatrial.host import Host
from seatrial.images import services as built_services
from seatrial.observe.image_files import image_index, kept_index
from seatrial.observe.project.services import with_images
from seatrial.settings.model import Contract
from seatrial.settings.read import Project
from seatrial.stack import images, inspect
from seatrial.stack.plan import StackPlan, compose_file, planned
from seatrial.stack.ports import check_ports
from seatrial.yaml_tree import at


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """All that was checked before a stack is started."""

    stack: Stack
    file: Path
    """The compose file."""
    services: tuple[Service, ...]
    """Empty where compose refuses the file."""
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Tell whether nothing prevents the start."""
        return not any(finding.readiness is Readiness.BLOCKED for finding in self.findings)

    @property
    def errors(self) -> bool:
        """Tell whether something of it does not do what it should, once it is started."""
        return any(finding.readiness is Readiness.ERROR for finding in self.findings)


def check_all(
    project: Project, name: str, *, engine: Engine, host: Host, has_substitute: images.HasSubstitute = lambda _: False
) -> Preflight:
    """Return what there is to know before the start of an app's stack.

    `has_substitute` tells whether a recipe could take an image's place.

    Raises:
        SettingsError: no app has that name.
        StackError: the app has no compose file.
        EngineError: the engine does not answer, or compose is not there.
    """
    stack, file = identify(project, name), compose_file(project, name)
    try:
        compose, reading = guard.guarded(stack, file, project.folder, engine=engine, host=host)
    except guard.UntrustedError as error:
        return Preflight(stack=stack, file=file, services=(), findings=error.findings)
    except StackError as error:
        return Preflight(stack=stack, file=file, services=(), findings=(_refused(error),))
    text = text_of(file, stack.beside.files)
    try:
        valued = variable_sources(
            without_missing(compose),
            [variable.name for variable in text.variables],
        )
    except StackError as error:
        return Preflight(stack=stack, file=file, services=(), findings=(_refused(error, "env file"),))
    variables = tuple(check_variables(file, text, valued, stack.beside))
    document, said, complete = _document(compose, text, variables)
    if complete:
        # Compose takes the file as it is: what is missing is wanted by a profile that is not asked for.
        variables = tuple(
            replace(finding, readiness=Readiness.NOTE) if finding.readiness is Readiness.BLOCKED else finding
            for finding in variables
        )
    findings = [*said, *variables, *guard.findings(reading, document or {}, host.trust)]
    plan = planned(project, stack, file, document or {})
    if plan.services:
        findings += check_start(plan, engine, has_substitute=has_substitute, builds=True)
    findings += check_override(file, stack.beside.files)
    if text != ComposeText():  # Of a file that is not YAML, compose has said so.
        findings += check_catalogue(project, name, file, engine=engine, host=host, read=True)
    return Preflight(stack=stack, file=file, services=plan.services, findings=tuple(findings))


def check_start(
    plan: StackPlan,
    engine: Engine,
    *,
    has_substitute: images.HasSubstitute = lambda _: False,
    builds: bool = False,
) -> Iterator[Finding]:
    """Yield findings on a plan's images, ports, variables, and what it takes from outside.

    `builds`: what the compose file builds is built before the start.
    """
    there = images.present(plan, engine)
    yield from images.check_images(plan, there, has_substitute=has_substitute, builds=builds)
    yield from check_ports(plan, inspect.containers(plan.stack, engine), engine)
    own = [service.name for service in plan.services if app_of(service.image, plan.own_images) == plan.stack.app]
    yield from check_services(plan.file, plan.services, own, plan.required, plan.stack.beside)
    yield from check_external(plan, engine)


def check_catalogue(
    project: Project, name: str, file: Path, *, engine: Engine, host: Host, read: bool = False
) -> Iterator[Finding]:
    """Yield what the catalogue's compose/* checks say of an app's compose file.

    None of it stops a start: `invoke smoke` judges by it.

    What images hold is taken from what is kept of them; with `read` those that are here are read, too.
    """
    shown = below(file, project.folder)
    own, named = own_images(project), partial(built_services.with_images, project, name, file)
    around = (file, shown, project.folder, engine, host)
    source = read_compose(*around, beside=beside(project, name), own=own, with_images=named)
    if isinstance(source, ComposeSource):
        index_of = partial(image_index, engine) if read else partial(kept_index, engine)
        source = with_images(source, engine, index_of)
    for result in judge_compose(source, project.app(name).contract):
        if result.status is not Status.SKIP:
            yield _of_catalogue(result)


def judge_compose(compose: ComposeSource | Unavailable, contract: Contract) -> tuple[Result, ...]:
    """Return the results of the compose/* checks, waivers among them, where nothing but the file was read."""
    checks = registry.of_family("compose")
    judged = [judge(check, {"compose": compose}, contract) for check in checks]
    return linked(judged, checks, fixed={result.id for result in judged if result.severity_reason})


def _of_catalogue(result: Result) -> Finding:
    # What is waived has been decided on: its reason is shown, and nothing has to be done.
    fine = result.status in {Status.PASS, Status.WAIVED}
    said = result.fix if result.status is Status.WAIVED else result.title
    grave = result.status is Status.FAIL and result.severity is Severity.ERROR and not result.follows_from
    follows = f" (follows from {result.follows_from})" if result.follows_from else ""
    word = "follows" if follows else "undecided" if result.status is Status.ERROR else result.severity.value
    several = len(result.evidence) > 1 and not fine
    return Finding(
        check=result.id,
        readiness=Readiness.READY if fine else Readiness.ERROR if grave else Readiness.NOTE,
        what=said if fine else f"{result.actual}{follows}",
        where=result.where,
        fix=result.fix,
        evidence=result.evidence if several else (),
        result="" if fine else word,
    )


def _document(
    compose: Compose, text: ComposeText, variables: Sequence[Finding]
) -> tuple[Json | None, tuple[Finding, ...], bool]:
    """Return compose's model of the file, what compose says of it, and whether it takes the file as it is.

    There is no model where compose refuses the file even if all that is missing were there.
    """
    beside = compose.stack.beside
    if all(map(exists, beside.env_files)) and not to_copy(compose.file, beside):
        try:
            document, notes = compose.model()
        except StackError as error:
            if not any(finding.readiness is Readiness.BLOCKED for finding in variables):
                return None, (_refused(error),), False
        else:
            return document, _taken_as_it_is(document, compose, text, notes), True
    try:
        # What is missing has been named: the rest is checked as if it were there.
        document, notes = model_with_placeholders(with_examples(compose), text)
    except StackError as error:
        return None, (_refused(error),), False
    return document, _taken_as_it_is(document, compose, text, notes), False


MERGED = ("compose", "docker-compose")
"""The names of files, without ending, beside which compose looks for an override file when none is named."""


def check_override(file: Path, others: Sequence[Path] = ()) -> Iterator[Finding]:
    """Yield that an override file lies beside a compose file: compose would merge it, where no others are named."""
    if not others and file.stem in MERGED and file.suffix in {".yaml", ".yml"}:
        beside = [file.with_name(f"{name}.override{end}") for name in MERGED for end in (".yml", ".yaml")]
        for other in (path for path in beside if is_file(path)):
            yield Finding(
                check="override file",
                readiness=Readiness.NOTE,
                what=f"{other.name} lies beside it: `docker compose up` merges it, and seatrial leaves it out",
                where=str(other),
                fix=f'To have it here, too, name both in the settings: compose = ["{file.name}", "{other.name}"].',
            )


def check_external(plan: StackPlan, engine: Engine) -> Iterator[Finding]:
    """Yield a finding for each network and volume that the compose file takes from outside: it is there, or not."""
    wanted = [
        (key, name, str(entry.get("name") or name))
        for key in ("networks", "volumes")
        for name, entry in (plan.document.get(key) or {}).items()
        if entry and entry.get("external")
    ]
    if not wanted:
        return
    with engine_errors("looking for external networks and volumes"):
        there = {
            "networks": {str(network["Name"]) for network in engine.client.api.networks()},
            "volumes": {str(volume["Name"]) for volume in engine.client.api.volumes().get("Volumes") or ()},
        }
    for key, name, real in wanted:
        kind = key.removesuffix("s")
        if real in there[key]:
            yield ready(kind, f"the external {kind} {real} is there")
        else:
            what = f"the {kind} {real} is external, and the engine has none of that name."
            line = text_of(plan.file, plan.stack.beside.files).top.get(f"{key}.{name}", 0)
            where = at(plan.file, line)
            yield blocked(kind, what, where=where, fix=f"Make it: `docker {kind} create {real}`.")


def _taken_as_it_is(document: Json, compose: Compose, text: ComposeText, notes: Sequence[str]) -> tuple[Finding, ...]:
    file = compose.file
    names = sorted(document.get("services") or {})
    if not names:
        fix = "Declare one under `services:`."
        return (blocked("compose file", "it declares no service.", where=str(file), fix=fix),)
    found = ready("compose file", f"compose takes it: {', '.join(names)}", where=str(file))
    # What the file or an env file says is named with its line: among the variables, or by compose/interpolation.
    named = {variable.name for variable in text.variables}
    named |= {lost.name for lost in lost_in_env_files(file, text.files, names_not_set(notes), compose.stack.beside)}
    warnings = [message for message in notes if not (unset := names_not_set([message])) or not unset <= named]
    return (found, *(note("compose file", f"compose warns: {message}", where=str(file)) for message in warnings))


def _refused(problem: StackError, check: str = "compose file") -> Finding:
    details = f" ({problem.detail})" if problem.detail else ""
    return blocked(check, f"{problem.what}{details}", where=problem.where, fix=problem.fix)
