"""What the tasks of a stack share: which app is meant, the way up, and stand-ins on the way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError, StackFailedError
from seatrial.tasks import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.model import Observer, StackState

APP = {"app": "the app; may be left out where only one has a compose file"}
"""The help of an option that all of them have."""


def app_of(project: Project, name: str | None) -> str:
    """Return the app that is meant: the named one, or the only one with a compose file."""
    if name is not None:
        project.app(name)
        return name
    composed = [key for key, one in project.settings.apps.items() if one.compose]
    if len(composed) == 1:
        return composed[0]
    raise SettingsError(
        "which app?" if composed else "no app has a compose file.",
        where=f"{project.file.name} [tool.seatrial.apps]",
        fix=f"Say --app with one of: {', '.join(sorted(composed))}." if composed else "Set `compose` for one.",
    )


def bring_up(
    project: Project,
    name: str,
    *,
    engine: Engine,
    host: Host,
    timeout: float = 120,
    create_env: bool = False,
    ask: Callable[[str], bool] | None = None,
    seen: Callable[[Observer], Observer] = lambda observer: observer,
) -> StackState:
    """Bring one app up, and show how it goes.

    Args:
        project: the project.
        name: the app.
        engine: the engine.
        host: this machine.
        timeout: seconds until it must be up.
        create_env: copy a missing `.env` from its example.
        ask: asks whether to copy it; None where nobody can answer.
        seen: stands between the screen and what is shown on it.

    """
    from seatrial.lock import locked
    from seatrial.reports.stack import progress
    from seatrial.stack import bringup
    from seatrial.stack.plan import plan_up
    from seatrial.stack.preflight import look_at_catalogue

    plan = plan_up(project, name, engine=engine, host=host, say=surroundings.say, create_env=create_env, ask=ask)
    contract = project.app(name).contract
    with (
        locked(plan.file.parent, waiting=lambda: surroundings.say("Waiting for another up of this stack.")),
        progress(surroundings.progress_screen()) as screen,
        told_once(),
    ):
        observer = seen(screen)
        for note in plan.notes:
            observer.say(f"compose warns: {note}")
        return bringup.up(
            plan,
            engine=engine,
            host=host,
            observer=observer,
            timeout=timeout,
            stand_in=stand_in(project, engine, host, observer.say),
            catalogue=lambda: look_at_catalogue(project, plan.file, contract, engine=engine, host=host),
        )


@contextmanager
def told_once() -> Iterator[None]:
    """Take the details from the error of a stack that did not come up: they were shown before it was taken down.

    Raises:
        StackFailedError: with what, where and fix alone; its cause has all.

    """
    try:
        yield
    except StackFailedError as error:
        raise StackFailedError(error.what, where=error.where, fix=error.fix) from error


def stand_in(project: Project, engine: Engine, host: Host, say: Callable[[str], None]) -> Callable[[str], str | None]:
    """Return what makes a local image for an official one that cannot be pulled."""

    def make(reference: str) -> str | None:
        from seatrial.images import standins

        recipe = standins.stand_in_for(reference, standins.table(project))
        if recipe is None:
            return None
        return standins.ensure(recipe, engine=engine, host=host, say=say)

    return make
