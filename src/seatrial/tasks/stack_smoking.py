"""smoke --stack: an app with its services up, in a compose project of its own."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.tasks import reporting, stacks, surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.errors import ExitCode
    from seatrial.settings.read import Project
    from seatrial.stack.model import ServiceState


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Tells on one line how a stack comes up."""

    say: Callable[[str], None]

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Tell what it waits for."""
        from seatrial.stack.model import Phase

        waiting = [one.service for one in services if one.phase not in {Phase.UP, Phase.DONE}]
        self.say(f"{seconds:.0f} s: waiting for {', '.join(waiting)}" if waiting else f"{seconds:.0f} s: all is up")


def smoke_stacks(
    app: str | None,
    python: str | None,
    reports: Sequence[reporting.Report],
    *,
    verbose: bool,
    others: Mapping[str, object],
) -> ExitCode:
    """Try the app that is named, or every app with a compose file, with its services.

    Raises:
        SettingsError: an option goes with a smoke of an image alone, or no app has a compose file.

    """
    from seatrial.reports.data import worst

    if given := [name for name, value in others.items() if value]:
        raise SettingsError(f"{given[0]} does not go with --stack.", fix="Give one of them; or run smoke twice.")
    project = surroundings.project()
    names = (
        [stacks.app_of(project, app)] if app else [name for name, one in project.settings.apps.items() if one.compose]
    )
    if not names:
        names = [stacks.app_of(project, None)]
    engine = surroundings.engine()
    with surroundings.telling() as tell:
        smokes = [_smoke(project, name, python, engine, _about(name, tell)) for name in names]
    reporting.write(smokes, reports, verbose=verbose)
    reporting.summarise(smokes, surroundings.host().environment)
    return worst(smokes).exit_code


def _about(name: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda said: tell(f"{name}: {said}")


def _smoke(project: Project, name: str, python: str | None, engine: Engine, tell: Callable[[str], None]) -> Smoke:
    from seatrial import smoke as smoking
    from seatrial.engine import runs, sweep
    from seatrial.lock import locked
    from seatrial.stack.private import plan_private
    from seatrial.stack.trial import Trial, try_stack

    started = time.perf_counter()
    host = surroundings.host()
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
        say=surroundings.say,
    )
    target = smoking.of_image(target, stack.image)
    trial = Trial(
        stack=stack,
        contract=target.contract,
        engine=engine,
        host=host,
        observer=Telling(say=tell),
        stand_in=stacks.stand_in(project, engine, host, tell),
        say=tell,
    )
    with locked(
        project.folder, waiting=lambda: surroundings.say("Waiting for another smoke of this project's stacks.")
    ):
        return smoking.smoke_stack(target, try_stack(trial), engine, started=started)
