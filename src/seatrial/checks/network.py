"""network/*: the ports that the running application listens on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.declaration import check
from seatrial.checks.model import Outcome, UndecidedError, failed, passed

if TYPE_CHECKING:
    from seatrial.facts import Configuration, Listener, ProcInfo


RESOLVER = "127.0.0.11"
"""Where the engine itself answers names, in every container on a user-defined network."""
PRIVILEGED = 1024
EPHEMERAL = 32768
"""From here on the kernel hands out numbers for outgoing UDP, which look like listening: ip_local_port_range."""


@check(
    "network/exposed-ports",
    title="Listens on what EXPOSE names, and on nothing else",
    why="Whoever runs the image publishes the ports that EXPOSE names; an undeclared port is left unguarded.",
    source="CIS Docker Benchmark 5.9; Dockerfile reference, EXPOSE",
    example='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "127.0.0.1", "--port", "8000"]',
    fixed='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
)
def exposed_ports(proc: ProcInfo, configuration: Configuration) -> Outcome:
    """Compare what EXPOSE names with what is listened on."""
    exposed = configuration.exposed_ports
    listeners = _listeners(proc)
    reachable = {_port(seen): seen for seen in listeners if not seen.loopback and not _outgoing(seen)}
    other = [port for port in exposed if not port.endswith(("/tcp", "/udp"))]
    if other:
        raise UndecidedError(f"only TCP and UDP are looked at, and EXPOSE names {', '.join(other)}")
    silent = [port for port in exposed if port not in reachable]
    undeclared = {port: listener for port, listener in reachable.items() if port not in exposed}
    evidence = tuple(f"listens on {listener}" for listener in listeners) or ("listens on nothing",)
    expected = f"listens on {', '.join(exposed)}, and on nothing else" if exposed else "listens on nothing: no EXPOSE"
    if silent:
        local = [listener for listener in listeners if listener.loopback and _port(listener) in silent]
        return failed(
            f"EXPOSE names {', '.join(silent)}, and "
            + (f"{local[0]} answers inside the container only" if local else "nothing listens there"),
            expected=expected,
            fix=(
                "Listen on 0.0.0.0 (uvicorn: `--host 0.0.0.0`; gunicorn: `--bind 0.0.0.0:PORT`)."
                if local
                else f"Correct the port in EXPOSE or in the command, or remove EXPOSE.{_slow(configuration)}"
            ),
            evidence=evidence,
        )
    if undeclared:
        return failed(
            f"it listens on {', '.join(map(str, undeclared.values()))}, which EXPOSE does not name",
            expected=expected,
            fix=f"Add `EXPOSE {' '.join(undeclared)}`, or let it listen on 127.0.0.1 if nothing outside needs it.",
            evidence=evidence,
        )
    return passed("; ".join(evidence), expected=expected)


def _slow(configuration: Configuration) -> str:
    if configuration.health_check is not None:
        return ""
    return " It has no HEALTHCHECK that tells when it is ready: a slow start needs a larger `stays-up`."


@check(
    "network/no-privileged-ports",
    title="Listens on no port below 1024",
    why="Ports below 1024 need a privilege on many hosts that the application has no other use for.",
    source="CIS Docker Benchmark 5.8",
    example='EXPOSE 80\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "80"]',
    fixed='EXPOSE 8000\nCMD ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000"]',
)
def no_privileged_ports(proc: ProcInfo) -> Outcome:
    """Look for a port below 1024 among those that are listened on."""
    listeners = _listeners(proc)
    low = [listener for listener in listeners if listener.port < PRIVILEGED]
    expected = "listens on no port below 1024"
    if low:
        return failed(
            f"it listens on {', '.join(map(str, low))}",
            expected=expected,
            fix="Listen on a port such as 8000, EXPOSE that, and publish it as 80 where it is run: `80:8000`.",
        )
    return passed(
        "; ".join(f"listens on {listener}" for listener in listeners) or "listens on nothing", expected=expected
    )


def _listeners(inside: ProcInfo) -> tuple[Listener, ...]:
    if "listeners" in inside.truncated or any(part.startswith("/proc/net/") for part in inside.truncated):
        raise UndecidedError(f"it listens on more than {len(inside.listeners)} ports, too many to look at")
    return tuple(listener for listener in inside.listeners if listener.address != RESOLVER)


def _port(listener: Listener) -> str:
    return f"{listener.port}/{listener.protocol}"


def _outgoing(listener: Listener) -> bool:
    return listener.protocol == "udp" and listener.port >= EPHEMERAL
