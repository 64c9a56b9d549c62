"""up: which app is meant, what is asked first, and the answer as text or as JSON."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.errors import ExitCode, SeatrialError, SettingsError, StackFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.state import Observer, ServiceState, StackState


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
    from seatrial.filesystem import locked
    from seatrial.reports.stack import progress
    from seatrial.stack import up
    from seatrial.stack.plan import plan_up
    from seatrial.stack.preflight import look_at_catalogue

    plan = plan_up(project, name, engine=engine, host=host, say=output.say, create_env=create_env, ask=ask)
    contract = project.app(name).contract
    with (
        locked(plan.file.parent, waiting=lambda: output.say("Waiting for another up of this stack.")),
        progress(output.progress_screen()) as screen,
        told_once(),
    ):
        observer = seen(screen)
        for note in plan.notes:
            observer.say(f"compose warns: {note}")
        return up.up(
            plan,
            engine=engine,
            host=host,
            observer=observer,
            timeout=timeout,
            substitute=substitute_maker(project, engine, host, observer.say),
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


def substitute_maker(
    project: Project, engine: Engine, host: Host, say: Callable[[str], None]
) -> Callable[[str], str | None]:
    """Return what makes a local image for an official one that cannot be pulled."""

    def make(reference: str) -> str | None:
        from seatrial import offline

        found = offline.find_substitute(reference, offline.recipes(project))
        if found is None:
            return None
        return offline.ensure_substitute(found, engine=engine, host=host, say=say)

    return make


def dry_run(project: Project, name: str, *, as_json: bool) -> ExitCode:
    """Look whether a stack could be started, and say all that was found."""
    from seatrial import offline
    from seatrial.reports.json import preflight_document
    from seatrial.reports.stack import print_preflight
    from seatrial.stack.preflight import look

    recipes = offline.recipes(project)
    found = look(
        project,
        name,
        engine=output.engine(),
        host=output.host(),
        has_substitute=lambda image: offline.find_substitute(image, recipes) is not None,
    )
    if as_json:
        print(preflight_document(found), end="")
    else:
        print_preflight(found, output.screen())
    return ExitCode.OK if found.ready else ExitCode.UNDECIDED


def up(project: Project, name: str, *, timeout: float, create_env: bool, as_json: bool) -> ExitCode:
    """Bring a stack up, and say how it went."""
    from seatrial.compose.services import identify
    from seatrial.reports.json import up_document
    from seatrial.reports.stack import print_up

    started = time.monotonic()
    recorder = Recorder()
    try:
        state = bring_up(
            project,
            name,
            engine=output.engine(),
            host=output.host(),
            timeout=timeout,
            create_env=create_env,
            ask=asker(),
            seen=recorder.before,
        )
    except SeatrialError as error:
        if as_json:
            seconds = time.monotonic() - started
            stack = identify(project, name)
            problem = error.__cause__ if isinstance(error.__cause__, SeatrialError) else error
            changed = bool(recorder.services)
            print(up_document(stack, recorder.services, changed=changed, seconds=seconds, problem=problem), end="")
        raise
    if as_json:
        print(
            up_document(
                state.stack, state.services, addresses=state.addresses, changed=state.changed, seconds=state.seconds
            ),
            end="",
        )
    else:
        print_up(state, output.screen())
    return ExitCode.OK


def asker() -> Callable[[str], bool] | None:
    """Return what asks a person; None where nobody sits there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> bool:
        # Not by `input`: its question goes to standard output, which may have to hold JSON alone.
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    return ask


@dataclass(kw_only=True)
class Recorder:
    """Keeps the last that was seen of the services, on its way to the screen."""

    services: tuple[ServiceState, ...] = ()
    screen: Observer | None = None

    def before(self, screen: Observer) -> Observer:
        """Stand before a screen."""
        self.screen = screen
        return self

    def say(self, text: str) -> None:
        """Hand a message on."""
        if self.screen is not None:
            self.screen.say(text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Keep the services, and hand them on."""
        self.services = services
        if self.screen is not None:
            self.screen.show(services, seconds)
