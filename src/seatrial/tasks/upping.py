"""What `up` does around bringing a stack up: it looks first, asks, and answers as text or as JSON."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, SeatrialError
from seatrial.tasks import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.settings.read import Project
    from seatrial.stack.model import Observer, ServiceState


def dry_run(project: Project, name: str, *, as_json: bool) -> ExitCode:
    """Look whether a stack could be started, and say all that was found."""
    from seatrial.images import standins
    from seatrial.reports.stack_data import preflight_document
    from seatrial.reports.stack_look import print_preflight
    from seatrial.stack.preflight import look

    table = standins.table(project)
    found = look(
        project,
        name,
        engine=surroundings.engine(),
        host=surroundings.host(),
        has_stand_in=lambda image: standins.stand_in_for(image, table) is not None,
    )
    if as_json:
        print(preflight_document(found), end="")
    else:
        print_preflight(found, surroundings.screen())
    return ExitCode.OK if found.ready else ExitCode.UNDECIDED


def up(project: Project, name: str, *, timeout: float, create_env: bool, as_json: bool) -> ExitCode:
    """Bring a stack up, and say how it went."""
    from seatrial.reports.stack import print_up
    from seatrial.reports.stack_data import up_document
    from seatrial.stack.names import identify
    from seatrial.tasks.composed import bring_up

    started = time.monotonic()
    recorder = Recorder()
    try:
        state = bring_up(
            project,
            name,
            engine=surroundings.engine(),
            host=surroundings.host(),
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
        print_up(state, surroundings.screen())
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
