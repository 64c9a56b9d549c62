"""network/*: the ports that the running application listens on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, deciding_boot, failed, passed
from seatrial.facts import ProcInfo, Unavailable

if TYPE_CHECKING:
    from seatrial.facts import Facts, Listener
    from seatrial.settings.model import Contract

RESOLVER = "127.0.0.11"
"""Where the engine itself answers names, inside of every container in a network of a person's making."""
PRIVILEGED = 1024
EPHEMERAL = 32768
"""From here on the kernel hands out numbers for outgoing UDP, which look like listening: ip_local_port_range."""


def inside_of(facts: Facts) -> ProcInfo:
    """Return what was seen inside the running application.

    Raises:
        UndecidedError: it did not run, or could not be looked into.

    """
    boot = deciding_boot(facts)
    if not boot.came_up:
        raise UndecidedError("it does not come up: boot/healthy or boot/stays-up tells why")
    if isinstance(boot.proc, Unavailable):
        raise UndecidedError(boot.proc.reason, boot.proc.detail)
    return boot.proc


def exposed_ports(facts: Facts, _: Contract) -> Outcome:
    """Hold what EXPOSE names against what is listened on."""
    exposed = facts.configuration.exposed_ports
    listeners = _listeners(facts)
    reachable = {f"{one.port}/{one.protocol}": one for one in listeners if not one.loopback and not _outgoing(one)}
    other = [port for port in exposed if not port.endswith(("/tcp", "/udp"))]
    if other:
        raise UndecidedError(f"only TCP and UDP are looked at, and EXPOSE names {', '.join(other)}")
    silent = [port for port in exposed if port not in reachable]
    undeclared = [one for port, one in reachable.items() if port not in exposed]
    seen = tuple(f"listens on {one}" for one in listeners) or ("listens on nothing",)
    expected = f"listens on {', '.join(exposed)}, and on nothing else" if exposed else "listens on nothing: no EXPOSE"
    if silent:
        local = [one for one in listeners if one.loopback and f"{one.port}/{one.protocol}" in silent]
        return failed(
            f"EXPOSE names {', '.join(silent)}, and "
            + (f"{local[0]} answers inside the container only" if local else "nothing listens there"),
            expected=expected,
            fix=(
                "Listen on 0.0.0.0 (uvicorn: `--host 0.0.0.0`; gunicorn: `--bind 0.0.0.0:PORT`)."
                if local
                else f"Mend the port in EXPOSE or in the command, or take EXPOSE out.{_slow(facts)}"
            ),
            evidence=seen,
        )
    if undeclared:
        ports = ", ".join(f"{one.port}/{one.protocol}" for one in undeclared)
        return failed(
            f"it listens on {', '.join(map(str, undeclared))}, which EXPOSE does not name",
            expected=expected,
            fix=f"Add `EXPOSE {ports.replace(', ', ' ')}`, or let it listen on 127.0.0.1 if nobody outside needs it.",
            evidence=seen,
        )
    return passed("; ".join(seen), expected=expected)


def _slow(facts: Facts) -> str:
    if facts.configuration.health_check is not None:
        return ""
    return " It has no HEALTHCHECK that tells when it is ready: a slow start needs a larger `stays-up`."


def no_privileged_ports(facts: Facts, _: Contract) -> Outcome:
    """Look for a port below 1024 among those that are listened on."""
    listeners = _listeners(facts)
    low = [one for one in listeners if one.port < PRIVILEGED]
    expected = "listens on no port below 1024"
    if low:
        return failed(
            f"it listens on {', '.join(map(str, low))}",
            expected=expected,
            fix="Listen on a port such as 8000, EXPOSE that, and publish it as 80 where it is run: `80:8000`.",
        )
    return passed("; ".join(f"listens on {one}" for one in listeners) or "listens on nothing", expected=expected)


def _listeners(facts: Facts) -> tuple[Listener, ...]:
    inside = inside_of(facts)
    if "listeners" in inside.truncated or any(one.startswith("/proc/net/") for one in inside.truncated):
        raise UndecidedError(f"it listens on more than {len(inside.listeners)} ports, too many to look at")
    return tuple(one for one in inside.listeners if one.address != RESOLVER)


def _outgoing(one: Listener) -> bool:
    return one.protocol == "udp" and one.port >= EPHEMERAL


CHECKS = (
    Check(
        id="network/exposed-ports",
        title="Listens on what EXPOSE names, and on nothing else",
        why="Who runs the image publishes what EXPOSE names; a port that nobody declared is one that nobody guards.",
        source="CIS Docker Benchmark 5.9; Dockerfile reference, EXPOSE",
        example='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "127.0.0.1", "--port", "8000"]',
        mend='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
        level=Level.STANDARD,
        function=exposed_ports,
    ),
    Check(
        id="network/no-privileged-ports",
        title="Listens on no port below 1024",
        why="Ports below 1024 need a privilege on many hosts that the application has no other use for.",
        source="CIS Docker Benchmark 5.8",
        example='EXPOSE 80\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "80"]',
        mend='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
        level=Level.STANDARD,
        function=no_privileged_ports,
    ),
)
