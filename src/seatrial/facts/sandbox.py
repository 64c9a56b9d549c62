"""The hardened run profile: what a container of an untrusted image may do. Plans only, as the engine's JSON.

Sources: CIS Docker Benchmark 5.4 (capabilities), 5.11 (memory), 5.13 (read-only root), 5.26 (no new
privileges), 5.29 (processes); the network is `none`, as nothing that is observed needs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.facts.data import Configuration, Json
    from seatrial.settings.model import Contract

NANOSECONDS = 1_000_000_000
TMPFS_OPTIONS = "rw,nosuid,nodev,size=256m,mode=1777"
HOSTNAME = "seatrial"
PROBE_SHARES = 32
"""The probe's weight in sharing processors; a container has 1024 by default."""
LOG_BYTES = "1m"
HEALTH_EVERY = 0.5
"""Seconds between two health checks of a boot: the image's own 30 s would only be waited out."""


def host_config(contract: Contract, *, read_only: bool, log: Json) -> Json:
    """Return the limits that every container of an untrusted image gets."""
    memory = parse_size(contract.memory)
    return {
        "NetworkMode": "none",
        "ExtraHosts": [f"{HOSTNAME}:127.0.0.1"],
        "ReadonlyRootfs": read_only,
        "CapDrop": ["ALL"],
        "CapAdd": list(contract.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": contract.processes,
        "Memory": memory,
        "MemorySwap": memory,
        "Tmpfs": dict.fromkeys(contract.tmpfs, TMPFS_OPTIONS),
        "LogConfig": log,
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
    }


def environment(contract: Contract) -> list[str]:
    """Return the contract's environment as the engine takes it; the image's own holds beside it."""
    return [f"{key}={value}" for key, value in contract.environment.items()]


def probe_config(image: str, python: str, words: Sequence[str], contract: Contract) -> Json:
    """Plan the probe's container: the image's interpreter runs one script; its output is read as it comes."""
    return {
        "Image": image,
        "Entrypoint": [python],
        "Cmd": list(words),
        "Env": environment(contract),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdout": True,
        "AttachStderr": True,
        # What is waited for is the boot beside it: where processors are short, the probe gets the rest.
        "HostConfig": {**host_config(contract, read_only=True, log={"Type": "none"}), "CpuShares": PROBE_SHARES},
    }


def boot_config(configuration: Configuration, contract: Contract, *, read_only: bool) -> Json:
    """Plan the boot's container: the image's own command, as it would run for real.

    The health check is the image's own, asked more often; until the contract's deadline a failing answer
    does not count, as within a start period.
    """
    log = {"Type": "json-file", "Config": {"max-size": LOG_BYTES, "max-file": "2"}}
    plan: Json = {
        "Image": configuration.id,
        # Without a network, a container's own name leads nowhere; many applications look it up at their start.
        "Hostname": HOSTNAME,
        "Env": environment(contract),
        "HostConfig": host_config(contract, read_only=read_only, log=log),
    }
    check = configuration.health_check
    if check is not None:
        plan["Healthcheck"] = {
            "Test": list(check.test),
            "Interval": int(HEALTH_EVERY * NANOSECONDS),
            "StartInterval": int(HEALTH_EVERY * NANOSECONDS),
            "Timeout": int(check.timeout * NANOSECONDS),
            "StartPeriod": int(contract.healthy_within * NANOSECONDS),
            "Retries": check.retries,
        }
    return plan
