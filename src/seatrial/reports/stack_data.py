"""A stack as JSON, for programs: what `up`, `up --dry-run` and `ps` say with `--format json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from seatrial.stack.judge import all_up
from seatrial.stack.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.errors import SeatrialError
    from seatrial.stack.finding import Preflight
    from seatrial.stack.model import Address, Removed, ServiceState, Stack

SCHEMA = 1
"""The form of these documents; a key that is taken away or changes its meaning raises it, a new key does not."""

ENDED = {Status.EXITED, Status.RESTARTING, Status.DEAD}
"""The states that have an exit code; in any other the engine says 0, which means nothing."""


def up_document(
    stack: Stack,
    services: Sequence[ServiceState],
    *,
    addresses: Sequence[Address] = (),
    changed: bool,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return how bringing a stack up went.

    Args:
        stack: the stack.
        services: how each service stands; of a stack that did not come up, how it stood last.
        addresses: where it answers.
        changed: whether anything was started.
        seconds: how long it took.
        problem: why it is not up; None where it is.

    """
    return text(
        {
            **_head(stack),
            "up": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_service(one) for one in services],
            "addresses": [{"service": one.service, "address": one.text} for one in addresses],
            "problem": problem_table(problem),
        }
    )


def ps_document(stack: Stack, services: Sequence[ServiceState]) -> str:
    """Return how each service of a stack stands."""
    up = bool(services) and all_up(services)
    return text({**_head(stack), "up": up, "services": [_service(one) for one in services]})


def down_document(stack: Stack, removed: Removed, *, problem: SeatrialError | None = None) -> str:
    """Return what was removed of a stack; nothing is known of that where it could not be taken down whole."""
    return text(
        {
            **_head(stack),
            "down": problem is None,
            "removed": {
                "containers": list(removed.containers),
                "networks": list(removed.networks),
                "volumes": list(removed.volumes),
            },
            "kept_volumes": list(removed.kept_volumes),
            "problem": problem_table(problem),
        }
    )


def restart_plan_document(stack: Stack, services: Sequence[str], *, problem: SeatrialError | None = None) -> str:
    """Return the names of the services that would be restarted."""
    return text({**_head(stack), "would_restart": list(services), "problem": problem_table(problem)})


def preflight_document(found: Preflight) -> str:
    """Return what was looked at before a start."""
    checks = [
        {
            "check": one.check,
            "standing": one.standing.value,
            "what": one.what,
            "where": one.where,
            "fix": one.fix,
        }
        for one in found.findings
    ]
    return text({**_head(found.stack), "file": str(found.file), "ready": found.ready, "checks": checks})


def _head(stack: Stack) -> dict[str, Any]:
    return {"schema": SCHEMA, "app": stack.app, "compose_project": stack.compose_project}


def _service(state: ServiceState) -> dict[str, Any]:
    one = state.container
    found: dict[str, Any] = {"service": state.service, "state": state.phase.value, "waits_for": list(state.waits_for)}
    if one is not None:
        found |= {
            "container": one.name,
            "status": one.status.value,
            "health": one.health.value if one.health is not None else None,
            "since_seconds": round(one.seconds, 3),
            "exit_code": one.exit_code if one.status in ENDED else None,
            "restarts": one.restarts,
            "health_outputs": list(one.health_outputs),
        }
    return found | {"last_line": state.last_line}


def problem_table(error: SeatrialError | None) -> dict[str, Any] | None:
    """Return a problem's parts; None where there is none."""
    if error is None:
        return None
    return {"what": error.what, "where": error.where, "fix": error.fix, "detail": error.detail.splitlines()}


def text(document: dict[str, Any]) -> str:
    """Return a document as JSON: plain ASCII, by Python's own escapes, whatever a container printed."""
    return json.dumps(document, indent=2) + "\n"
