"""The hardened run profile: what a container of an untrusted image may do. Plans only, as the engine's JSON.

Sources: CIS Docker Benchmark 5.4 (capabilities), 5.11 (memory), 5.13 (read-only root), 5.26 (no new
privileges), 5.29 (processes); the network is `none`, as nothing that is observed needs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.facts import Restriction
from seatrial.text import parse_size

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from seatrial.facts import Configuration, Json
    from seatrial.settings.model import Contract


NANOSECONDS = 1_000_000_000
TMPFS_OPTIONS = "rw,nosuid,nodev,size=256m,mode=1777"
HOSTNAME = "seatrial"
PROBE_SHARES = 32
"""The probe's weight in sharing processors; a container has 1024 by default."""
LOG_BYTES = "1m"
HEALTH_EVERY = 0.5
"""Seconds between two health checks of a boot: the image's own 30 s would only be waited out."""
HEALTH_AT_START = 1.0
"""Seconds between two until the first good answer: `seatrial.observe.health_check` asks at better moments meanwhile."""
LIFTED_LIMITS = 4
"""A start with lifted limits gets this many times the contract's: what is not trusted stays bounded."""


def host_config(contract: Contract, *, log: Json, lifted: Collection[Restriction] = ()) -> Json:
    """Return the limits that every container of an untrusted image gets.

    Args:
        contract: the limits' sizes, what is writable, and the capabilities that are needed.
        log: the engine's log driver.
        lifted: the restrictions to leave out, to tell whether they are in an application's way.

    """
    times = LIFTED_LIMITS if Restriction.LIMITS in lifted else 1
    memory = parse_size(contract.memory) * times
    return {
        "NetworkMode": "none",
        "ExtraHosts": [f"{HOSTNAME}:127.0.0.1"],
        "ReadonlyRootfs": Restriction.READ_ONLY not in lifted,
        "CapDrop": [] if Restriction.CAPABILITIES in lifted else ["ALL"],
        "CapAdd": list(contract.capabilities),
        "SecurityOpt": [] if Restriction.NO_NEW_PRIVILEGES in lifted else ["no-new-privileges"],
        "PidsLimit": contract.processes * times,
        "Memory": memory,
        "MemorySwap": memory,
        "Tmpfs": dict.fromkeys(contract.tmpfs, TMPFS_OPTIONS),
        "LogConfig": log,
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
    }


def environment(contract: Contract, *, without: str = "") -> list[str]:
    """Return the contract's environment as the engine takes it; the image's own holds beside it.

    A name without a value takes away the image's own variable of that name.
    """
    given = [f"{key}={value}" for key, value in contract.environment.items() if key != without]
    return [*given, without] if without else given


def override_config(image: str, words: Sequence[str], contract: Contract) -> Json:
    """Plan a container of the image's own ENTRYPOINT with another command; its output is read as it comes."""
    return {
        "Image": image,
        "Cmd": list(words),
        "Hostname": HOSTNAME,
        "Env": environment(contract),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {**host_config(contract, log={"Type": "none"}), "CpuShares": PROBE_SHARES},
    }


def probe_config(image: str, python: str, words: Sequence[str], contract: Contract, *, beside: bool = True) -> Json:
    """Plan the probe's container: the image's interpreter runs one script; its output is read as it comes.

    Where a boot runs beside it, that is what is waited for: where processors are short, the probe gets the rest.
    """
    shares = {"CpuShares": PROBE_SHARES} if beside else {}
    return {
        "Image": image,
        "Entrypoint": [python],
        "Cmd": list(words),
        "Env": environment(contract),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {**host_config(contract, log={"Type": "none"}), **shares},
    }


def boot_config(
    configuration: Configuration,
    contract: Contract,
    *,
    lifted: Collection[Restriction] = (),
    without: str = "",
    user: str = "",
) -> Json:
    """Plan the boot's container: the image's own command, as it would run for real.

    The health check is the image's own, asked more often; until the contract's deadline a failing answer
    does not count, as within a start period.

    Args:
        configuration: the image's configuration.
        contract: the limits and the environment.
        lifted: the restrictions to lift.
        without: a variable that it must do without, whoever sets it.
        user: an account to run as in place of the image's.

    """
    log = {"Type": "json-file", "Config": {"max-size": LOG_BYTES, "max-file": "2"}}
    plan: Json = {
        "Image": configuration.id,
        # Without a network, a container's own name leads nowhere; many applications look it up at their start.
        "Hostname": HOSTNAME,
        "Env": environment(contract, without=without),
        "HostConfig": host_config(contract, lifted=lifted, log=log),
    }
    if user:
        plan["User"] = user
    check = configuration.health_check
    if check is not None:
        plan["Healthcheck"] = {
            "Test": list(check.test),
            "Interval": int(HEALTH_EVERY * NANOSECONDS),
            "StartInterval": int(HEALTH_AT_START * NANOSECONDS),
            "Timeout": int(check.timeout * NANOSECONDS),
            "StartPeriod": int(contract.healthy_within * NANOSECONDS),
            "Retries": check.retries,
        }
    return plan
