"""The `deploy`, `volumes` and `ports` sections of a service in a stack file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.swarm.state import Notes


Json = dict[str, Any]

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount in the container
DEFAULT_OPTIONS = frozenset({"rw", "nosuid", "nodev", "noexec", "mode=1777", "mode=01777"})
"""What a tmpfs has anyhow."""
SHARED_TYPES = ("nfs", "cifs", "smb", "ceph", "gluster", "9p")
"""How the kernel's types of file systems begin that a network carries."""
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?")
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def mounts(service: Mapping[str, Any], notes: Notes) -> list[Json]:
    """Return all mounts of a service, in the long form of a stack file."""
    found = [_volume(mount, notes) for mount in service.get("volumes") or ()]
    found += (_tmpfs(str(text), notes) for text in service.get("tmpfs") or ())
    if size := service.get("shm_size"):
        found.append(_memory(SHARED_MEMORY, size_of(str(size))))
        notes.changed("shm_size", f"a tmpfs of that size at {SHARED_MEMORY}")
    return found


def node_volumes(service: Mapping[str, Any], volumes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the named volumes that a service writes to and that each node has for itself."""
    for mount in service.get("volumes") or ():
        source = mount.get("source")
        if mount.get("type") != "volume" or not source or mount.get("read_only"):
            continue
        volume = volumes.get(source) or {}
        if volume.get("driver") in {None, "", "local"} and not _shared(volume.get("driver_opts") or {}):
            yield str(source)


def _shared(options: Mapping[str, Any]) -> bool:
    """Tell whether the local driver mounts what several nodes may share: not a folder or a device of its node."""
    return str(options.get("type") or "").startswith(SHARED_TYPES) or "addr=" in str(options.get("o") or "")


def size_of(text: str) -> int | None:
    """Return the bytes that a size means as the engine reads it (16m, 1.5GiB, 16777216); None for another text."""
    found = SIZE.fullmatch(text.strip().lower())
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def _volume(mount: Mapping[str, Any], notes: Notes) -> Json:
    kind = str(mount.get("type") or "volume")
    where = str(mount.get("target") or "")
    kept: Json = {key: mount[key] for key in ("type", "source", "target", "read_only") if mount.get(key) is not None}
    kept.setdefault("type", kind)
    if kind == "bind":
        notes.risk(
            "volumes", f"{mount.get('source')} must exist on each node that it may run on; swarm does not create it"
        )
    if kind == "volume" and not mount.get("source"):
        notes.risk("volumes", f"{where} has no named volume: each new task, so each update, starts with an empty one")
    for part, known in (("bind", {"propagation"}), ("volume", {"nocopy"}), ("tmpfs", {"size"})):
        options = dict(mount.get(part) or {})
        options.pop("create_host_path", None)
        if part == "tmpfs" and "size" in options:
            options["size"] = size_of(str(options["size"])) or 0
        if held := {key: value for key, value in options.items() if key in known}:
            kept[part] = held
        if gone := sorted(set(options) - known):
            notes.lost("volumes", f"{', '.join(gone)} of the mount at {where}: a stack file cannot express it")
    if kind not in {"bind", "volume", "tmpfs", "npipe"}:
        notes.refused("volumes", f"the mount at {where} is of the type {kind}, which a stack file does not have")
    return kept


def _tmpfs(text: str, notes: Notes) -> Json:
    target, _, rest = text.partition(":")
    size: int | None = None
    gone: list[str] = []
    for option in filter(None, rest.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and size_of(value) is not None:
            size = size_of(value)
        elif option not in DEFAULT_OPTIONS:
            gone.append(option)
    if gone:
        notes.lost("tmpfs", f"{', '.join(gone)} of {target}: swarm mounts it rw,nosuid,nodev,noexec with mode 1777")
    return _memory(target, size)


def _memory(target: str, size: int | None) -> Json:
    mount: Json = {"type": "tmpfs", "target": target}
    if size:
        mount["tmpfs"] = {"size": size}
    return mount


EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - read, not bound


def ports(service: Mapping[str, Any], notes: Notes, *, open_ports: bool) -> list[Json]:
    """Return the published ports of a service, in the long form of a stack file."""
    made = [_port(port, notes, open_ports=open_ports) for port in service.get("ports") or ()]
    endpoint = (service.get("deploy") or {}).get("endpoint_mode")
    if endpoint == "dnsrr" and any(port["mode"] == "ingress" for port in made):
        notes.refused("ports", "endpoint_mode dnsrr has no mesh to publish on: give each port `mode: host`")
    return made


def on_the_node(service: Mapping[str, Any]) -> bool:
    """Tell whether a service holds a certain port of the node that it runs on: two of it cannot run there."""
    return any(port.get("mode") == "host" and port.get("published") for port in service.get("ports") or ())


def _port(declared: Mapping[str, Any], notes: Notes, *, open_ports: bool) -> Json:
    target, published = int(declared["target"]), str(declared.get("published") or "")
    port: Json = {
        "target": target,
        "protocol": str(declared.get("protocol") or "tcp"),
        "mode": str(declared.get("mode") or "ingress"),
    }
    if published.isdigit() and int(published):
        port["published"] = int(published)
    elif published.strip("0"):
        notes.changed("ports", f"{published} for {target}: swarm supports no range here and chooses a port itself")
    address = str(declared.get("host_ip") or "")
    if address not in EVERY_INTERFACE:
        where = f"{address}:{published or 'any'} for {target}"
        everywhere = "swarm publishes on every interface of every node, for whoever reaches them"
        if open_ports:
            notes.risk("ports", f"{where}: {everywhere}. Allowed by --open-ports")
        else:
            notes.refused("ports", f"{where}: {everywhere}. Use --open-ports to allow it, or publish no port")
    return port


MONITOR = "15s"
"""How long swarm watches a new task, once it is healthy, before it goes on to the next."""
JOB_RESTART = {"condition": "on-failure", "delay": "5s", "max_attempts": 10}
REPLICATED_JOB = "replicated-job"
GLOBAL_JOB = "global-job"
JOBS = frozenset({REPLICATED_JOB, GLOBAL_JOB})
AS_JOB = {"replicated": REPLICATED_JOB, "global": GLOBAL_JOB}
"""What a mode becomes when others wait for the service's end."""
ON_EACH_NODE = frozenset({"global", GLOBAL_JOB})
LIMITS = {"mem_limit": "memory", "cpus": "cpus", "pids_limit": "pids"}


@dataclass(frozen=True, kw_only=True)
class DeploymentContext:
    """What a service's deployment depends on outside of the service."""

    volumes: Mapping[str, Any]
    """The top level's volumes."""
    node: str
    """The id of the node that keeps a service with data, where none keeps it already."""
    node_name: str
    completes: bool
    """Others wait for it to end with success: it is a one-shot."""
    checked: bool
    """It has a health check, its own or its image's."""


def deployment(service: Mapping[str, Any], context: DeploymentContext, notes: Notes) -> Json:
    """Return a service's `deploy` section: its own, and what its other keys are converted to."""
    deploy = {key: value for key, value in (service.get("deploy") or {}).items() if value not in (None, {}, [])}
    _scale(service, deploy, notes)
    if context.completes and (job_mode := AS_JOB.get(str(deploy.get("mode") or "replicated"))):
        deploy["mode"] = job_mode
        if job_mode == REPLICATED_JOB:
            deploy.setdefault("replicas", 1)
        notes.changed("restart", "a job of the swarm, as others wait for its end; it runs again at each deploy")
    job = deploy.get("mode") in JOBS
    _resources(service, deploy, notes)
    _restart(service, deploy, notes, job=job)
    if job:
        for key in ("update_config", "rollback_config"):
            if deploy.pop(key, None):
                notes.lost("deploy", f"{key}: a job is never updated, it runs again")
    else:
        _updates(service, deploy, context, notes)
    _placement(service, deploy, context, notes)
    return deploy


def _scale(service: Mapping[str, Any], deploy: Json, notes: Notes) -> None:
    if (scale := service.get("scale")) is not None:
        deploy["replicas"] = int(scale)
        notes.changed("scale", f"deploy.replicas: {scale}")
    if deploy.get("mode") in ON_EACH_NODE and "replicas" in deploy:
        notes.refused("deploy", f"mode {deploy['mode']} runs one task on each node: swarm takes no replicas or scale")


def _resources(service: Mapping[str, Any], deploy: Json, notes: Notes) -> None:
    resources = {key: dict(value) for key, value in (deploy.get("resources") or {}).items() if value}
    limits = resources.setdefault("limits", {})
    for key, name in LIMITS.items():
        value = service.get(key)
        # -1 and 0 mean no limit.
        if value and float(value) > 0 and name not in limits:
            limits[name] = value
            notes.changed(key, f"deploy.resources.limits.{name}")
    if service.get("mem_reservation"):
        resources.setdefault("reservations", {}).setdefault("memory", service["mem_reservation"])
        notes.changed("mem_reservation", "deploy.resources.reservations.memory; swarm sets that much aside on a node")
    for part in resources.values():
        if "cpus" in part:
            part["cpus"] = str(part["cpus"])
        if "memory" in part:
            part["memory"] = str(size_of(str(part["memory"])) or part["memory"])
        if "pids" in part:
            part["pids"] = int(part["pids"])
    if (reserved := resources.get("reservations")) and reserved.pop("devices", None):
        notes.refused("deploy", "a stack file reserves no devices such as GPUs")
    deploy["resources"] = {key: value for key, value in resources.items() if value}
    if not deploy["resources"]:
        del deploy["resources"]


def _restart(service: Mapping[str, Any], deploy: Json, notes: Notes, *, job: bool) -> None:
    restart = str(service.get("restart") or "")
    if deploy.get("restart_policy"):
        return
    if job:
        # What it needs may come up after it: swarm starts all at once.
        deploy["restart_policy"] = dict(JOB_RESTART)
        notes.changed("restart", "tried up to 10 times, 5 s apart, as swarm starts it before what it waits for is up")
        return
    word, _, times = restart.partition(":")
    condition = {"no": "none", "on-failure": "on-failure"}.get(word, "any")
    deploy["restart_policy"] = {"condition": condition}
    if times.isdigit():
        deploy["restart_policy"]["max_attempts"] = int(times)
    if not word:
        notes.changed("restart", "none is given: swarm starts it again whenever it ends (deploy.restart_policy)")
    else:
        notes.changed("restart", f"deploy.restart_policy: {condition}")


def _updates(service: Mapping[str, Any], deploy: Json, context: DeploymentContext, notes: Notes) -> None:
    own = {key: value for key, value in (deploy.get("update_config") or {}).items() if value is not None}
    conflict = ""
    if held := sorted(set(node_volumes(service, context.volumes))):
        conflict = f"both would write to {held[0]}"
    elif on_the_node(service):
        conflict = "both need the same port of the node"
    if conflict and "order" not in own:
        notes.risk("updates", f"the old one stops before the new one starts: {conflict}")
    order = "stop-first" if conflict else "start-first"
    defaults = {"parallelism": 1, "order": order, "failure_action": "rollback", "monitor": MONITOR}
    deploy["update_config"] = {**defaults, **own}
    deploy["rollback_config"] = {"parallelism": 1, "order": deploy["update_config"]["order"]} | {
        key: value for key, value in (deploy.get("rollback_config") or {}).items() if value is not None
    }
    if not context.checked:
        monitor = deploy["update_config"]["monitor"]
        notes.risk("healthcheck", f"it has none: an update succeeds once it has run for {monitor}")


def _placement(service: Mapping[str, Any], deploy: Json, context: DeploymentContext, notes: Notes) -> None:
    held = sorted(set(node_volumes(service, context.volumes)))
    placement = dict(deploy.get("placement") or {})
    if not held or deploy.get("mode") in ON_EACH_NODE:
        return
    names = ", ".join(held)
    if placement.get("constraints"):
        notes.risk("volumes", f"each node has its own {names}: see that its placement keeps it where its data is")
        return
    placement["constraints"] = [f"node.id=={context.node}"]
    deploy["placement"] = placement
    notes.risk(
        "volumes",
        f"each node has its own {names}: the service is kept on {context.node_name}, and is down while that is",
    )
