"""smoke --stack: an app with its services up, in a compose project of its own."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.cli import output, reporting, up
from seatrial.errors import ExitCode, ImageError, SettingsError, StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.checks.model import Level
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.errors import SeatrialError
    from seatrial.settings.model import App
    from seatrial.settings.read import Project
    from seatrial.stack.state import ServiceState


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Tells on one line how a stack comes up, and in full what a person must know, such as a local substitute."""

    tell: Callable[[str], None]

    def say(self, text: str) -> None:
        """Tell what is not to be missed."""
        output.say(text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Tell what it waits for."""
        from seatrial.stack.state import Phase

        waiting = [one.service for one in services if one.phase not in {Phase.UP, Phase.DONE}]
        self.tell(f"{seconds:.0f} s: waiting for {', '.join(waiting)}" if waiting else f"{seconds:.0f} s: all is up")


def smoke_stacks(
    app: str | None,
    python: str | None,
    reports: Sequence[reporting.Report],
    *,
    level: Level,
    verbose: bool,
    others: Mapping[str, object],
) -> ExitCode:
    """Try the app that is named, or every app whose contract says what to ask, with its services.

    Raises:
        SettingsError: an option goes with a smoke of an image alone, or no app can be meant.
        SeatrialError: nothing could be tried.

    """
    from seatrial.checks.model import Level
    from seatrial.checks.verdict import worst

    if given := [name for name, value in others.items() if value]:
        raise SettingsError(f"{given[0]} does not go with --stack.", fix="Give one of them; or run smoke twice.")
    if level is Level.QUICK:
        raise SettingsError("--level quick starts nothing, and --stack starts all.", fix="Say standard or deep.")
    project = output.project()
    names = [app] if app else [name for name, one in project.settings.apps.items() if _asks(one)]
    names = names or [up.app_of(project, None)]
    engine = output.engine()
    smokes: list[Smoke] = []
    problems: list[SeatrialError] = []
    with output.telling() as tell:
        for name in names:
            try:
                smokes.append(_smoke(project, name, python, engine, level, _about(name, tell)))
            except (ImageError, StackError) as error:
                problems.append(error)
    if not smokes:
        raise problems[0]
    reporting.write(smokes, reports, verbose=verbose)
    reporting.summarise(smokes, output.host().environment)
    for one in problems:
        output.say(f"error: {one}")
    # What could not be tried was not proven; what failed still counts most.
    return worst(smokes).exit_code or (ExitCode.UNDECIDED if problems else ExitCode.OK)


def _asks(app: App) -> bool:
    from seatrial.settings.model import StackContract

    return bool(app.compose) and app.contract.stack != StackContract()


def _about(name: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda said: tell(f"{name}: {said}")


def _smoke(
    project: Project, name: str, python: str | None, engine: Engine, level: Level, tell: Callable[[str], None]
) -> Smoke:
    from seatrial import smoke as smoking
    from seatrial.checks.model import Level
    from seatrial.engine import runs
    from seatrial.engine import runs as sweep
    from seatrial.filesystem import locked
    from seatrial.observe.gather import Wanted
    from seatrial.stack.isolated import plan_private
    from seatrial.stack.trial import Trial, try_stack

    started = time.perf_counter()
    host = output.host()
    owner = runs.owner(os.getpid())
    sweep.start(engine, owner)
    target = smoking.app_target(project, name, python)
    stack = plan_private(
        project,
        name,
        engine=engine,
        host=host,
        labels={runs.LABEL: secrets.token_hex(8), runs.OWNER: str(owner)},
        image=target.reference if python else None,
        say=output.say,
    )
    target = smoking.of_image(target, stack.image)
    trial = Trial(
        stack=stack,
        contract=target.contract,
        engine=engine,
        host=host,
        observer=Telling(tell=tell),
        substitute=up.substitute_maker(project, engine, host, output.say),
        say=tell,
        wanted=Wanted(deep=level is Level.DEEP),
    )
    with locked(project.folder, waiting=lambda: output.say("Waiting for another smoke of this project's stacks.")):
        return smoking.smoke_stack(target, try_stack(trial), engine, started=started, level=level)
