"""What a container of an untrusted image may do, alone or as its compose service. Plans only, as the engine's JSON.

Sources: CIS Docker Benchmark 5.4 (capabilities), 5.11 (memory), 5.13 (read-only root), 5.26 (no new
privileges), 5.29 (processes); the network is `none`, as nothing that is observed needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine.containers import NO_ENTRYPOINT, endpoint_of
from seatrial.facts import Restriction
from seatrial.observe.configuration import NANOSECONDS, configuration_of
from seatrial.settings.model import TMPFS_SIZE
from seatrial.text import parse_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future

    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, Json, VolumeFolder
    from seatrial.settings.model import Contract


TMPFS_OPTIONS = f"rw,nosuid,nodev,size={TMPFS_SIZE}"
FOR_ALL = 0o1777
"""The mode of a tmpfs whose folder the image lacks: every account may write there."""
PERIOD = 100_000
"""Microseconds in which a limit of processors is counted."""
HOSTNAME = "seatrial"
PROBE_SHARES, USUAL_SHARES = 32, 1024
"""The probe's weight in sharing processors at first, and what a container has by default."""
MASKED = (
    "/etc/ld.so.preload",
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware"),
)
"""What the probe cannot read: the engine's own list, and the file by which the loader puts a library before all."""
SHM_SIZE = 64 * 1024**2
"""Bytes of /dev/shm, as Docker has it; what lies there counts towards the memory limit."""
LOG_BYTES = "1m"
HEALTH_EVERY = 0.5
"""Seconds between two health checks of a boot: the image's own 30 s would only be waited out."""
HEALTH_AT_START = 1.0
"""Seconds between two until the first good answer: the health poller asks at better moments meanwhile."""
LIFTED_LIMITS = 4
"""A start with lifted limits gets this many times the contract's: what is not trusted stays bounded."""


def host_config(
    contract: Contract, configuration: Configuration, *, log: Json, lifted: Collection[Restriction] = ()
) -> Json:
    """Return the limits that every container of an untrusted image gets; `log` is the engine's log driver.

    The volumes of the image that are empty are memory-backed and of limited size here. What the image holds in the
    others would be hidden by that: they are watched (`seatrial.engine.containers.container`).
    """
    volumes = {path: folder for path, folder in configuration.empty_volumes.items() if path not in contract.tmpfs}
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
        "ShmSize": min(SHM_SIZE, memory),
        # Not NanoCpus: an engine refuses more of these than its host has processors.
        "CpuPeriod": PERIOD,
        "CpuQuota": round(contract.processors * PERIOD),
        "Tmpfs": {path: tmpfs_options(configuration.tmpfs_folders.get(path)) for path in contract.tmpfs},
        "Mounts": volume_mounts(volumes),
        "LogConfig": log,
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
    }


def tmpfs_options(folder: VolumeFolder | None) -> str:
    """Return the options of a tmpfs; of one on a folder of the image, with that one's owner and mode.

    Without these, an engine gives it to root, with the folder's mode: nobody else could write there.
    """
    if folder is None:
        return f"{TMPFS_OPTIONS},mode={FOR_ALL:o}"
    return f"{TMPFS_OPTIONS},mode={folder.mode:o},uid={folder.uid},gid={folder.gid}"


def volume_mounts(volumes: Mapping[str, VolumeFolder]) -> list[Json]:
    """Return memory-backed volumes of limited size, as the engine's JSON; they go with their container."""

    def options(folder: VolumeFolder) -> str:
        return f"nosuid,nodev,size={TMPFS_SIZE},mode={folder.mode:o},uid={folder.uid},gid={folder.gid}"

    return [
        {
            "Type": "volume",
            "Target": path,
            "VolumeOptions": {
                "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": options(folder)}}
            },
        }
        for path, folder in volumes.items()
    ]


def with_lasting_volumes(plan: Json) -> Json:
    """Return the plan with volumes that outlast a start of their container: a memory-backed one is empty at the next.

    The engine makes a volume of its own for each place that the image declares; it goes with the container.
    """
    host = plan["HostConfig"]
    # Those of `volume_mounts`; a named one is its service's.
    lasting = [mount for mount in host["Mounts"] if mount.get("Source") or mount.get("Type") != "volume"]
    return {**plan, "HostConfig": {**host, "Mounts": lasting}}


def environment(contract: Contract, *, without: str = "") -> list[str]:
    """Return the contract's environment as the engine takes it; the image's own holds beside it.

    A name without a value takes away the image's own variable of that name.
    """
    given = [f"{key}={value}" for key, value in contract.environment.items() if key != without]
    return [*given, without] if without else given


def override_config(configuration: Configuration, words: Sequence[str], contract: Contract) -> Json:
    """Plan a container of the image's own ENTRYPOINT with another command."""
    plan = _short_run(configuration, words, contract, CpuShares=PROBE_SHARES)
    return {**plan, **_other_command(configuration), "Cmd": list(words)}


def _other_command(configuration: Configuration) -> Json:
    """Return what a plan says of its command; nothing where it is the image's own."""
    if not configuration.command_from:
        return {}
    return {"Entrypoint": list(configuration.entrypoint) or NO_ENTRYPOINT, "Cmd": list(configuration.command)}


def probe_config(
    configuration: Configuration,
    python: str,
    words: Sequence[str],
    contract: Contract,
    *,
    beside: bool = True,
    without: Collection[str] = (),
) -> Json:
    """Plan the probe's container: the image's interpreter runs one script, which comes through its standard input.

    Where a boot runs beside it, that is what is waited for: where processors are short, the probe gets the rest.
    `without` names variables that it does not have.
    """
    shares = {"CpuShares": PROBE_SHARES} if beside else {}
    plan = _short_run(configuration, words, contract, **shares, MaskedPaths=list(MASKED))
    held = [line for line in plan["Env"] if line.partition("=")[0] not in without]
    streams = {"OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    return {**plan, **streams, "Entrypoint": [python], "Env": [*held, *without]}


def _short_run(configuration: Configuration, words: Sequence[str], contract: Contract, **more: object) -> Json:
    """Plan a container whose output is read as it comes."""
    return {
        "Image": configuration.id,
        # As in a start: what is imported may look it up.
        "Hostname": HOSTNAME,
        "Cmd": list(words),
        "Env": environment(contract),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {**host_config(contract, configuration, log={"Type": "none"}), **more},
    }


def boot_config(
    configuration: Configuration,
    contract: Contract,
    *,
    lifted: Collection[Restriction] = (),
    without: str = "",
    user: str = "",
) -> Json:
    """Plan the boot's container: the image's own command, or that of the settings, as it would run for real.

    The health check is the image's own, asked more often; until the contract's deadline a failing answer
    does not count, as within a start period. `seatrial.observe.running.boot.run_boot` tells what a start may change.
    """
    log = {"Type": "json-file", "Config": {"max-size": LOG_BYTES, "max-file": "2"}}
    plan: Json = {
        "Image": configuration.id,
        # Without a network, a container's own name leads nowhere; many applications look it up at their start.
        "Hostname": HOSTNAME,
        **_other_command(configuration),
        "Env": environment(contract, without=without),
        "HostConfig": host_config(contract, configuration, lifted=lifted, log=log),
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


TAKEN_OVER = ("Binds", "Mounts", "VolumesFrom", "ExtraHosts", "Dns", "DnsOptions", "DnsSearch", "GroupAdd", "Init")
"""Of a container's host configuration, what tells where its data and services are, and its init; no limit, no right."""
SHARED = "container:"
"""How a network mode begins that is another container's network: name, hosts and networks are that one's."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a compose service adds to its image."""

    mode: str
    """The engine's network mode: the network that the container begins in, or `none`, or another container's."""
    networks: dict[str, Json]
    """By name, each with the names that the service has in it, and those that it calls others by."""
    hostname: str
    """Empty where it is the engine's own choice."""
    tmpfs: dict[str, str]
    host: Json
    """More of the engine's host configuration."""
    mounted: frozenset[str]
    """Where the service mounts something."""
    shm: int = 0
    """Bytes of its /dev/shm; 0: the engine's own choice."""

    @property
    def shares_network(self) -> bool:
        """Whether it has the network of another container."""
        return self.mode.startswith(SHARED)


def read_service(inspected: Json) -> Service:
    """Return what a service adds, from what the engine says of its container."""
    host = inspected.get("HostConfig") or {}
    config = inspected.get("Config") or {}
    mode = str(host.get("NetworkMode") or "none")
    own = mode != "none" and not mode.startswith(SHARED)
    known = ((inspected.get("NetworkSettings") or {}).get("Networks") or {}) if own else {}
    # An address that is fixed belongs to the service's own container.
    networks = {name: {**endpoint_of(endpoint, inspected), "IPAMConfig": None} for name, endpoint in known.items()}
    hostname = str(config.get("Hostname") or "")
    asked = {str(mount.get("Target")) for mount in host.get("Mounts") or ()}
    asked |= {str(bind).split(":")[1] for bind in host.get("Binds") or () if ":" in str(bind)}
    unnamed = set(config.get("Volumes") or ()) - asked
    return Service(
        mode=mode,
        networks=dict(sorted(networks.items(), key=lambda pair: pair[0] != mode)),
        hostname="" if str(inspected.get("Id", "")).startswith(hostname or "-") else hostname,
        tmpfs=dict(host.get("Tmpfs") or {}),
        host={key: host[key] for key in TAKEN_OVER if host.get(key)},
        shm=int(host.get("ShmSize") or 0),
        mounted=frozenset(
            str(mount["Destination"]).rstrip("/")
            for mount in inspected.get("Mounts") or ()
            if mount.get("Type") != "volume" or mount["Destination"] not in unnamed
        ),
    )


def with_service_environment(contract: Contract, configured: Configuration) -> Contract:
    """Return the contract with the service's environment: the contract's own is for a start without services."""
    return msgspec.structs.replace(contract, environment=configured.environment)


def as_configured(image: Configuration, inspected: Json) -> Configuration:
    """Return an image's configuration with what its service says otherwise, from the service's container.

    What the service mounts counts as a volume: it may be written to.
    """
    made = configuration_of({"Id": image.id, "Config": inspected.get("Config")}, [], image.reference)
    mounted = (str(mount["Destination"]) for mount in inspected.get("Mounts") or () if mount.get("RW", True))
    tmpfs = (inspected.get("HostConfig") or {}).get("Tmpfs") or {}
    return msgspec.structs.replace(
        image,
        user=made.user,
        entrypoint=made.entrypoint,
        command=made.command,
        environment=made.environment,
        working_directory=made.working_directory,
        exposed_ports=made.exposed_ports,
        health_check=made.health_check,
        stop_signal=made.stop_signal,
        volumes=tuple(sorted({*image.volumes, *mounted, *tmpfs})),
    )


def joined(plan: Json, service: Service, configured: Configuration) -> Json:
    """Return the plan of a boot's container as the service runs it, still under the contract's limits."""
    host = {key: value for key, value in plan["HostConfig"].items() if key != "ExtraHosts"}
    # The engine takes one mount for a place: the service's.
    tmpfs = {path: options for path, options in host["Tmpfs"].items() if path.rstrip("/") not in service.mounted}
    taken = {path.rstrip("/") for path in (*service.mounted, *service.tmpfs)}
    volumes = [mount for mount in host["Mounts"] if mount["Target"].rstrip("/") not in taken]
    mounts = [*volumes, *service.host.get("Mounts", ())]
    named = {"Hostname": service.hostname} if service.hostname else {}
    own = {key: value for key, value in plan.items() if service.networks or key != "Hostname"}
    made = {
        "User": configured.user,
        "Healthcheck": {"Test": ["NONE"]},
        **own,
        **(named if service.networks else {}),
        "Entrypoint": list(configured.entrypoint) or NO_ENTRYPOINT,
        "Cmd": list(configured.command),
        "WorkingDir": configured.working_directory,
        "StopSignal": configured.stop_signal,
        "HostConfig": {
            **host,
            **service.host,
            "NetworkMode": service.mode,
            # Within the memory limit, towards which it counts.
            "ShmSize": min(service.shm or host["ShmSize"], host["Memory"]),
            "Tmpfs": {**tmpfs, **service.tmpfs},
            "Mounts": mounts,
        },
        "NetworkingConfig": {"EndpointsConfig": service.networks},
    }
    return _with_fresh_volumes(made) if "User" in plan else made


def _with_fresh_volumes(plan: Json) -> Json:
    """Return the plan of a start as another user: what the service's own user stored is not that one's to change."""
    host = dict(plan["HostConfig"])
    bound = [str(bind) for bind in host.get("Binds") or ()]
    named = [bind for bind in bound if not bind.startswith("/")]
    mounts = list(host.get("Mounts") or ())
    # One without a source is the container's own, fresh as it is.
    volumes = [mount for mount in mounts if mount.get("Type") == "volume" and mount.get("Source")]
    places = (*(bind.split(":")[1] for bind in named), *(str(volume["Target"]) for volume in volumes))
    host["Binds"] = [bind for bind in bound if bind not in named]
    host["Mounts"] = [mount for mount in mounts if mount not in volumes]
    return {**plan, "HostConfig": host, "Volumes": {place: {} for place in places}}


AT_ONCE = 2
"""Starts side by side: more would make each other late on a small machine."""


@dataclass(frozen=True, kw_only=True)
class BootSetup:
    """What every start of an image's own command needs."""

    run: Run
    configuration: Configuration
    contract: Contract
    python: Future[str]
    """The interpreter to read /proc with; it is looked for while the first container starts."""
    probed: threading.Event | None = None
    """Set when the probe has ended: starts that may loop do not take its processors. None where there is no probe."""
    service: Service | None = None
    """What a compose service adds, where it is started among its services; None where it is started alone."""

    def interpreter(self) -> str:
        """Return the interpreter to read /proc with; empty where the image holds none, or it is not known yet."""
        return self.python.result() if self.python.done() else ""

    @property
    def asked_names(self) -> tuple[str, ...]:
        """The names of hosts that the health check asks, of those that are in each container's /etc/hosts."""
        hosts = {address.host for address in self.configuration.health_addresses}
        return tuple(sorted(hosts & {"localhost", HOSTNAME}))

    @property
    def at_once(self) -> int:
        """How many starts may run side by side."""
        return AT_ONCE if self.service is None else 1

    def writes_to_disk(self, lifted: Collection[Restriction]) -> bool:
        """Whether a start can write to the engine's disk: to a writable root, or a volume that is no tmpfs."""
        volumes = set(self.configuration.volumes) - set(self.contract.tmpfs) - set(self.configuration.empty_volumes)
        return Restriction.READ_ONLY in lifted or bool(volumes) or self.service is not None

    def plan(self, *, lifted: Collection[Restriction] = (), without: str = "", user: str = "") -> Json:
        """Return the engine's JSON for a container of one start."""
        plan = boot_config(self.configuration, self.contract, lifted=lifted, without=without, user=user)
        return plan if self.service is None else joined(plan, self.service, self.configuration)
