"""One service of a compose file, as a stack file says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.swarm.deployment import deployment, mounts, ports
from seatrial.swarm.state import IMAGE_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.swarm.deployment import DeploymentContext
    from seatrial.swarm.state import Image, Notes


Json = dict[str, Any]

SAME = (
    "cap_add",
    "cap_drop",
    "command",
    "credential_spec",
    "dns",
    "dns_search",
    "entrypoint",
    "environment",
    "healthcheck",
    "hostname",
    "init",
    "isolation",
    "labels",
    "logging",
    "read_only",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "tty",
    "ulimits",
    "user",
    "working_dir",
)
"""Keys that a stack file has too, with the same meaning."""

CONVERTED = frozenset(
    {
        "image",
        "ports",
        "volumes",
        "tmpfs",
        "shm_size",
        "networks",
        "secrets",
        "configs",
        "extra_hosts",
        "deploy",
        "scale",
        "restart",
        "mem_limit",
        "mem_reservation",
        "cpus",
        "pids_limit",
        "pull_policy",
        "depends_on",
        "healthcheck",
        "env_file",
    }
)
"""Keys that are said in another way, or that have their own note."""

NO_LOSS = frozenset({"profiles", "develop", "expose", "attach", "build", "extends"})
"""Keys that mean nothing for a service that runs: nothing is lost with them."""

LOST = {
    "container_name": "swarm names the containers; other services reach this one by its service's name",
    "security_opt": "a stack file has none: the engine's own hold (each node's daemon.json may set no-new-privileges)",
    "links": "services of one network reach each other by name",
    "external_links": "services of one network reach each other by name",
    "platform": "a node runs what its own platform can",
    "group_add": "the process has its user's own groups only",
    "oom_score_adj": "the kernel's own order holds",
    "oom_kill_disable": "the kernel's own order holds",
    "memswap_limit": "the engine's own limit holds: as much swap as memory",
    "mem_swappiness": "the node's own holds",
    "cpu_shares": "deploy.resources.limits.cpus is all that swarm knows",
    "cpu_quota": "deploy.resources.limits.cpus is all that swarm knows",
    "cpu_period": "deploy.resources.limits.cpus is all that swarm knows",
    "cpuset": "deploy.resources.limits.cpus is all that swarm knows",
    "domainname": "the container has none",
    "mac_address": "the engine chooses it",
    "annotations": "the container has none",
    "cgroup_parent": "the engine's own holds",
    "userns_mode": "the engine's own holds",
    "dns_opt": "the node's own hold",
}
"""Keys that swarm has nothing for, and what holds instead."""

REFUSED = {
    "privileged": "swarm runs no privileged container",
    "devices": "swarm hands no device of a node to a container",
    "gpus": "swarm hands no device of a node to a container",
    "network_mode": "swarm puts services on its own networks only",
    "pid": "swarm shares no process namespace",
    "ipc": "swarm shares no memory between containers",
    "uts": "swarm shares no host name",
    "volumes_from": "swarm has no such thing: name the volumes",
    "post_start": "swarm runs no hooks",
    "pre_stop": "swarm runs no hooks",
    "runtime": "the node's own runtime holds",
    "provider": "swarm runs containers only",
}
"""Keys without which the service would not be the same."""

HARMLESS = {
    "network_mode": {"bridge", "default"},
    "ipc": {"private", "shareable"},
    "pid": {""},
    "privileged": {"False"},
}
"""Values of refused keys that ask for what swarm does anyhow."""


def convert_service(
    service: Mapping[str, Any], image: Image, context: DeploymentContext, notes: Notes, *, open_ports: bool
) -> Json:
    """Return a service as a stack file says it.

    `context` is what its deployment depends on outside of it. With `open_ports` a person accepts that a port of one
    interface becomes one of all interfaces.

    """
    made: Json = {key: service[key] for key in SAME if service.get(key) not in (None, [], {})}
    made["image"] = image.reference
    if (made.get("healthcheck") or {}).get("disable"):
        # What an override disables keeps its test; the docker command line refuses both together.
        made["healthcheck"] = {"disable": True}
    if image.reference != image.name:
        made["labels"] = {**(made.get("labels") or {}), IMAGE_LABEL: image.name}
    _image_notes(service, image, notes)
    _entrypoint(service, made, notes)
    for key, value in (
        ("ports", ports(service, notes, open_ports=open_ports)),
        ("volumes", mounts(service, notes)),
        ("networks", _networks(service, notes)),
        ("secrets", _materials(service, "secrets")),
        ("configs", _materials(service, "configs")),
        ("extra_hosts", _hosts(service, notes)),
        ("deploy", deployment(service, context, notes)),
    ):
        if value:
            made[key] = value
    _startup_order(service, notes)
    _other_keys(service, notes)
    return made


def _entrypoint(service: Mapping[str, Any], made: Json, notes: Notes) -> None:
    """Say in swarm's words that the image's own entrypoint must not run: an empty one is none to swarm."""
    if service.get("entrypoint") != []:
        return
    if command := made.pop("command", None):
        made["entrypoint"] = command
        notes.changed("entrypoint", "empty: the command takes its place, as swarm would run the image's own")
    else:
        notes.refused("entrypoint", "empty, and no command: swarm would run the image's own. Write the command out")


def _image_notes(service: Mapping[str, Any], image: Image, notes: Notes) -> None:
    if not service.get("image"):
        notes.refused("image", "it has none, only a build section: give it the `image` of one of the project's apps")
        return
    policy = service.get("pull_policy")
    if image.reference.startswith("sha256:"):
        notes.changed(
            "image",
            f"{image.name} by its id: each node must hold it already, and none pulls another image of that name "
            "(`docker save NAME | docker --host NODE load`)",
        )
    elif image.reference != image.name:
        notes.changed("image", f"{image.reference}: each node runs exactly this one")
    else:
        notes.risk("image", f"{image.name} is not here: each node fetches what has that name when it starts the task")
        if policy in {"never", "missing", "if_not_present"}:
            notes.lost("pull_policy", f"{policy}: a node asks the registry first, whatever it holds")
    if policy in {"always", "build", "refresh", "daily", "weekly"}:
        notes.lost("pull_policy", f"{policy}: what was found here now is deployed")


def _networks(service: Mapping[str, Any], notes: Notes) -> Json:
    found: Json = {}
    for name, options in (service.get("networks") or {}).items():
        given = dict(options or {})
        aliases = given.pop("aliases", None)
        found[name] = {"aliases": aliases} if aliases else None
        if gone := sorted(key for key, value in given.items() if value not in (None, "", 0)):
            notes.lost("networks", f"{', '.join(gone)} on {name}: swarm chooses addresses itself")
    return found


def _materials(service: Mapping[str, Any], kind: str) -> list[Json]:
    found: list[Json] = []
    for use in service.get(kind) or ():
        used = {key: use[key] for key in ("source", "target", "uid", "gid", "mode") if use.get(key) is not None}
        if isinstance(used.get("mode"), str):
            # Newer versions of compose write it as text, in octal.
            used["mode"] = int(used["mode"], 8)
        found.append(used)
    return found


def _hosts(service: Mapping[str, Any], notes: Notes) -> list[str]:
    given = service.get("extra_hosts") or ()
    pairs = [f"{name}:{address}" for name, address in given.items()] if isinstance(given, dict) else map(str, given)
    # Compose writes name=address; a stack file has name:address.
    found = [pair.replace("=", ":", 1) for pair in pairs]
    for pair in found:
        name, _, address = pair.partition(":")
        if address == "host-gateway":
            notes.risk("extra_hosts", f"{name} is whichever node the task runs on")
    return found


def _startup_order(service: Mapping[str, Any], notes: Notes) -> None:
    waits = [
        f"{name} ({str(needed.get('condition', 'service_started')).removeprefix('service_')})"
        for name, needed in sorted((service.get("depends_on") or {}).items())
    ]
    if waits:
        notes.lost("depends_on", f"{', '.join(waits)}: swarm starts all at once, and again what ends meanwhile")


def _other_keys(service: Mapping[str, Any], notes: Notes) -> None:
    for key in sorted(set(service) - set(SAME) - CONVERTED - NO_LOSS):
        value = service[key]
        if key.startswith("x-") or value in (None, "", [], {}, False) or str(value) in HARMLESS.get(key, ()):
            continue
        if key in REFUSED:
            notes.refused(key, REFUSED[key])
        elif key in LOST:
            shown = f"{', '.join(map(str, value))}: " if key == "security_opt" else ""
            notes.lost(key, shown + LOST[key])
        else:
            notes.lost(key, "a stack file does not know it")
