"""The containers of one service, or of all; or a clear word on what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import StackError
from seatrial.names import did_you_mean
from seatrial.stack.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.stack.model import ContainerState, Stack


def of_service(stack: Stack, containers: Sequence[ContainerState], service: str | None) -> tuple[ContainerState, ...]:
    """Return the containers of a service, or all of a stack's own.

    Raises:
        StackError: nothing of the stack is there, or it has no such service.

    """
    own = tuple(one for one in containers if not one.one_off)
    if not own:
        raise StackError(
            f"nothing of {stack.app} is up.",
            where=stack.compose_project,
            fix=f"Bring it up: `invoke up --app {stack.app}`.",
        )
    chosen = tuple(one for one in own if service in {None, one.service})
    if not chosen:
        raise StackError(
            f"{stack.app} has no service {service!r}.",
            where=stack.compose_project,
            fix=did_you_mean(str(service), {one.service for one in own}),
        )
    return chosen


def running(stack: Stack, containers: Sequence[ContainerState], service: str) -> ContainerState:
    """Return a running container of a service.

    Raises:
        StackError: it does not run; the message tells what does.

    """
    chosen = of_service(stack, containers, service)
    for one in chosen:
        if one.status is Status.RUNNING:
            return one
    others = sorted({one.service for one in containers if one.status is Status.RUNNING and not one.one_off})
    ended = f"it ended with exit code {chosen[0].exit_code}" if chosen[0].status is Status.EXITED else ""
    raise StackError(
        f"{service} is not running{f': {ended}' if ended else f': it is {chosen[0].status.value}'}.",
        where=stack.compose_project,
        fix=f"Running: {', '.join(others)}." if others else f"Nothing runs: `invoke up --app {stack.app}`.",
    )
