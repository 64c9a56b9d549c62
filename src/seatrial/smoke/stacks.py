"""The smoke of an app with its services up, in its own compose project."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from seatrial import owner
from seatrial.checks.model import Level
from seatrial.checks.registry import among_services
from seatrial.checks.verdict import smoke_of
from seatrial.engine import runs
from seatrial.errors import SettingsError
from seatrial.facts import Facts, ServiceBoots, Unavailable
from seatrial.filesystem import locked
from seatrial.observe.configuration import read_configuration
from seatrial.observe.gather import Wanted
from seatrial.settings.model import StackContract
from seatrial.smoke.images import Smoked, app_target, each, of_image
from seatrial.smoke.masking import masked, variables_of
from seatrial.stack.images import substitute_maker
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.state import Phase
from seatrial.stack.trial import Trial, try_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.checks.model import Severity
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts import StackRun
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.smoke.baseline import BaselineFile
    from seatrial.smoke.images import Target
    from seatrial.stack.state import ServiceState

STACK_ALONE = Unavailable(reason="only the app with its services was checked")


@dataclass(frozen=True, kw_only=True)
class StatusObserver:
    """Shows on a status line what a stack waits for; messages are passed on."""

    status: Callable[[str], None]
    say: Callable[[str], None]

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Show what it waits for."""
        waiting = [state.service for state in services if state.phase not in {Phase.UP, Phase.DONE}]
        self.status(f"{seconds:.0f} s: waiting for {', '.join(waiting)}" if waiting else f"{seconds:.0f} s: all is up")


def apps_with_stack_contract(project: Project) -> list[str]:
    """Return the apps with a compose file whose contract says what to ask the app."""
    apps = project.settings.apps.items()
    return [name for name, app in apps if app.compose and app.contract.stack != StackContract()]


def require_started(level: Level) -> None:
    """Refuse the level that starts nothing.

    Raises:
        SettingsError: it is quick.

    """
    if level is Level.QUICK:
        raise SettingsError("--level quick starts nothing, and --stack starts all.", fix="Give standard or deep.")


def smoke_stacks(
    project: Project,
    names: Iterable[str],
    engine: Engine,
    host: Host,
    *,
    level: Level,
    python: str | None = None,
    fail_on: Severity | None = None,
    baseline: BaselineFile | None = None,
    say: Callable[[str], None],
    status: Callable[[str], None] = lambda _: None,
) -> Smoked:
    """Smoke apps with their services, one after the other.

    The level, standard or deep, says how often the app is started among its services. `python` takes the app's image
    for that version in place of the one that its compose file names. `fail_on` is
    taken in place of the contracts' own, and each is compared with the baseline, if there is one. `say` receives
    messages for a person, such as that a local substitute is used, and `status` how far it is.

    Raises:
        SettingsError: the level starts nothing.

    """
    require_started(level)

    def run(name: str) -> Smoke:
        def waits(text: str) -> None:
            status(f"{name}: {text}")

        with locked(project.folder, waiting=lambda: say("Waiting for another smoke of this project's stacks.")):
            started = time.perf_counter()
            target = app_target(project, name, python, trust=host.trust).failing_on(fail_on)
            labels = {runs.LABEL: secrets.token_hex(8), runs.OWNER: str(owner.this())}
            image = target.reference if python else None
            stack = plan_isolated(project, name, engine=engine, host=host, labels=labels, image=image, say=say)
            target = replace(of_image(target, stack.image), baseline=baseline)
            trial = Trial(
                stack=stack,
                contract=target.contract,
                engine=engine,
                host=host,
                observer=StatusObserver(status=waits, say=say),
                substitute=substitute_maker(project, engine, host, say),
                say=waits,
                wanted=Wanted(deep=level is Level.DEEP),
            )
            judged = judge_stack(target, try_stack(trial), engine, started=started, level=level)
            return target.beside_baseline(masked(judged, variables_of(stack.compose.document or {})))

    return each([(name, partial(run, name)) for name in names])


def judge_stack(
    target: Target, run: StackRun | Unavailable, engine: Engine, *, started: float, level: Level | None = None
) -> Smoke:
    """Judge an app with its services up, which began at `started` by `time.perf_counter`.

    `level` is that of the starts among its services, None where there were none.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer.

    """
    again = run if isinstance(run, Unavailable) else run.boots
    seconds = time.perf_counter() - started
    facts = Facts(
        configuration=read_configuration(engine, target.reference),
        command=STACK_ALONE,
        probe=STACK_ALONE,
        boot=again if isinstance(again, Unavailable) else again.boot,
        project=target.project,
        stack=run,
        seconds={"stack": seconds},
    )
    if isinstance(again, ServiceBoots):
        facts = msgspec.structs.replace(
            facts,
            configuration=msgspec.structs.replace(again.configuration, reference=target.reference),
            relaxed=again.relaxed,
            deep=again.deep,
            seconds={**facts.seconds, **again.seconds},
        )
    checks = among_services(level, target.own_checks)
    return smoke_of(
        facts, target.contract, checks, seconds=seconds, app=target.app or "", level="stack", notes=target.notes
    )
