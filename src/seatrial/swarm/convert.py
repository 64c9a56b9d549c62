"""A stack file for swarm from compose's model; what swarm ignores or refuses is noted, never dropped in silence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from seatrial.compose.services import completing, read_services
from seatrial.compose.text import ComposeText
from seatrial.swarm.deployment import DeploymentContext, deployment, mounts, ports
from seatrial.swarm.materials import named
from seatrial.swarm.state import IMAGE_LABEL, Conversion, Image, Note, Notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.swarm.state import Material, MaterialKind


Json = dict[str, Any]

VERSION = "3.9"
"""The first with a limit of processes; the docker CLI reads it since 20.10."""
VERSION_START_INTERVAL = "3.12"
"""The first with a health check's start_interval; the docker CLI reads it since 25.0."""
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
LONGEST_NAME = 63
"""Characters of a service's name, its stack's before it; this and its form: swarmkit, manager/controlapi/common.go."""
BRIDGE_OPTIONS = "com.docker.network.bridge."
EXPOSED = "its values stand in the swarm's definition of the service, where whoever may inspect it reads them"
NETWORK_KEYS = {"name", "driver", "driver_opts", "ipam", "internal", "attachable", "labels", "external"}
"""Keys of a network that a stack file has."""

SAME = (
    "cap_add", "cap_drop", "command", "credential_spec", "dns", "dns_search", "entrypoint", "environment",
    "healthcheck", "hostname", "init", "isolation", "labels", "logging", "read_only", "stdin_open",
    "stop_grace_period", "stop_signal", "sysctls", "tty", "ulimits", "user", "working_dir",
)  # fmt: skip
"""Keys that a stack file has too, with the same meaning."""

CONVERTED = frozenset({
    "image", "ports", "volumes", "tmpfs", "shm_size", "networks", "secrets", "configs", "extra_hosts", "deploy",
    "scale", "restart", "mem_limit", "mem_reservation", "cpus", "pids_limit", "pull_policy", "depends_on",
    "healthcheck", "env_file",
})  # fmt: skip
"""Keys that are said in another way, or that have their own note."""

NO_LOSS = frozenset({"profiles", "develop", "expose", "attach", "build", "extends"})
"""Keys that mean nothing for a service that runs: nothing is lost with them."""

LOST = {
    "container_name": "swarm names the containers; other services reach this one by its service's name",
    "security_opt": "a stack file has none: the engine's own hold (each node's daemon.json may set no-new-privileges)",
    **dict.fromkeys(("links", "external_links"), "services of one network reach each other by name"),
    "platform": "a node runs what its own platform can",
    "group_add": "the process has its user's own groups only",
    **dict.fromkeys(("oom_score_adj", "oom_kill_disable"), "the kernel's own order holds"),
    "memswap_limit": "the engine's own limit holds: as much swap as memory",
    "mem_swappiness": "the node's own holds",
    **dict.fromkeys(
        ("cpu_shares", "cpu_quota", "cpu_period", "cpuset"), "deploy.resources.limits.cpus is all that swarm knows"
    ),
    **dict.fromkeys(("domainname", "annotations"), "the container has none"),
    "mac_address": "the engine chooses it",
    "cgroup_parent": "the engine's own holds",
    "userns_mode": "the engine's own holds",
    "dns_opt": "the node's own hold",
}
"""Keys that swarm has nothing for, and what holds instead."""

REFUSED = {
    "privileged": "swarm runs no privileged container",
    **dict.fromkeys(("devices", "gpus"), "swarm hands no device of a node to a container"),
    "network_mode": "swarm puts services on its own networks only",
    "pid": "swarm shares no process namespace",
    "ipc": "swarm shares no memory between containers",
    "uts": "swarm shares no host name",
    "volumes_from": "swarm has no such thing: name the volumes",
    **dict.fromkeys(("post_start", "pre_stop"), "swarm runs no hooks"),
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


def convert(
    document: Mapping[str, Any],
    *,
    stack: str,
    project: str,
    images: Mapping[str, Image],
    contents: Mapping[tuple[MaterialKind, str], bytes],
    node: str,
    node_name: str,
    pins: Mapping[str, str],
    text: ComposeText | None = None,
    open_ports: bool = False,
) -> Conversion:
    """Return the stack file that means what a compose file means, as far as swarm can.

    `document` is compose's model, as `docker compose config --format json` prints it: a `$` in it is doubled, and
    `docker stack deploy` reads it so. Compose read it under the name `project`: names that it made of that become
    swarm's own. `contents` are the secrets and configs that are not the swarm's already. A service with data is kept
    on `node`, or on the one that `pins` says keeps it already. `text` is what only the file itself tells: env files,
    and services of profiles that are not chosen. With `open_ports` a person accepts that a port of one interface
    becomes one of all interfaces.
    """
    found: list[Note] = []
    text = text or ComposeText()
    completes = completing(read_services(dict(document)))
    services: Json = {}
    for name, service in (document.get("services") or {}).items():
        notes = Notes(name, found)
        image = images.get(name) or Image(name=str(service.get("image")), reference=str(service.get("image")))
        pin = pins.get(name, node)
        context = DeploymentContext(
            volumes=document.get("volumes") or {},
            node=pin,
            node_name=node_name if pin == node else f"node {pin}",
            completes=name in completes,
            checked=_checked(service, image),
        )
        _name_notes(name, stack, notes)
        services[name] = _service(service, image, context, notes, open_ports=open_ports)
        if files := text.env_files.get(name):
            paths = ", ".join(file.path for file in files)
            notes.risk("env_file", f"{paths} was read here: {EXPOSED}. A secret keeps them apart")
    for name in sorted(set(text.lines) - set(services)):
        Notes(name, found).lost("profiles", "its profile is not chosen (COMPOSE_PROFILES): not deployed")
    materials = named(contents, stack)
    tables = {
        "networks": _networks(document, project, found),
        "volumes": _volumes(document, project, found),
        "secrets": _materials(document, "secrets", materials),
        "configs": _materials(document, "configs", materials),
    }
    made = {"version": _version(services), "services": services, **{key: held for key, held in tables.items() if held}}
    return Conversion(document=made, notes=tuple(found), materials=materials)


def _version(services: Mapping[str, Json]) -> str:
    quick = any((service.get("healthcheck") or {}).get("start_interval") for service in services.values())
    return VERSION_START_INTERVAL if quick else VERSION


def _checked(service: Mapping[str, Any], image: Image) -> bool:
    check = service.get("healthcheck") or {}
    if check.get("disable") or check.get("test") == ["NONE"]:
        return False
    return bool(check.get("test")) or image.checked


def _name_notes(name: str, stack: str, notes: Notes) -> None:
    whole = f"{stack}_{name}"
    if not NAME.fullmatch(whole):
        notes.refused("name", f"swarm takes letters, digits, - and _ in {whole}, a letter or digit last: rename it")
    elif len(whole) > LONGEST_NAME:
        notes.refused("name", f"{whole} has {len(whole)} characters; swarm takes {LONGEST_NAME}. Use a shorter --stack")


def _networks(document: Mapping[str, Any], project: str, found: list[Note]) -> Json:
    made: Json = {}
    for name, table in (document.get("networks") or {}).items():
        notes = Notes("networks", found)
        given = _own_name(name, table or {}, project)
        if given.get("external"):
            made[name] = {"external": True, "name": given.get("name", name)}
            notes.risk(name, "it must be there already, as a network of the swarm")
            continue
        driver = given.pop("driver", None)
        if driver in {"bridge", "host", "none", "ipvlan", "macvlan"}:
            notes.changed(name, f"driver overlay instead of {driver}: it spans all nodes")
        elif driver:
            given["driver"] = driver
        options = given.get("driver_opts") or {}
        if lost := sorted(key for key in options if key.startswith(BRIDGE_OPTIONS)):
            notes.lost(name, f"driver_opts {', '.join(lost)}: swarm's networks are not bridges of one node")
            given["driver_opts"] = {key: value for key, value in options.items() if key not in lost}
        given["ipam"] = _addresses(name, given.get("ipam") or {}, notes)
        if gone := sorted(set(given) - NETWORK_KEYS):
            notes.lost(name, f"{', '.join(gone)}: a stack file does not know it")
        made[name] = {key: given[key] for key in given if key not in gone and given[key] not in (None, {}, [], False)}
    return made


def _addresses(name: str, ipam: Mapping[str, Any], notes: Notes) -> Json:
    subnets = [{"subnet": pool["subnet"]} for pool in ipam.get("config") or () if pool.get("subnet")]
    if gone := sorted({key for pool in ipam.get("config") or () for key in pool} - {"subnet"}):
        notes.lost(name, f"ipam {', '.join(gone)}: swarm chooses within the subnet")
    if ipam.get("options"):
        notes.lost(name, f"ipam options {', '.join(sorted(ipam['options']))}: a stack file cannot express them")
    made: Json = {key: ipam[key] for key in ("driver",) if ipam.get(key)}
    return made | ({"config": subnets} if subnets else {})


def _volumes(document: Mapping[str, Any], project: str, found: list[Note]) -> Json:
    made: Json = {}
    for name, table in (document.get("volumes") or {}).items():
        given = _own_name(name, table or {}, project)
        if given.get("external"):
            Notes("volumes", found).risk(name, "each node makes an empty one of that name where it has none")
            given = {"external": True, "name": given.get("name", name)}
        made[name] = {key: value for key, value in given.items() if value not in (None, {}, [])}
    return made


def _own_name(name: str, table: Mapping[str, Any], project: str) -> Json:
    given = {key: value for key, value in table.items() if not key.startswith("x-")}
    if given.get("name") == f"{project}_{name}":
        del given["name"]
    return given


def _materials(document: Mapping[str, Any], kind: MaterialKind, materials: tuple[Material, ...]) -> Json:
    names = {material.key: material.name for material in materials if material.kind == kind}
    made: Json = {}
    for key, table in (document.get(kind) or {}).items():
        # All are in the swarm by then: those of files are put there under a name of their content.
        if key in names or (table or {}).get("external"):
            made[key] = {"external": True, "name": names.get(key) or table.get("name") or key}
    return made


def _service(
    service: Mapping[str, Any], image: Image, context: DeploymentContext, notes: Notes, *, open_ports: bool
) -> Json:
    """Return a service as a stack file says it."""
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
        ("networks", _service_networks(service, notes)),
        ("secrets", _material_uses(service, "secrets")),
        ("configs", _material_uses(service, "configs")),
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


def _service_networks(service: Mapping[str, Any], notes: Notes) -> Json:
    found: Json = {}
    for name, options in (service.get("networks") or {}).items():
        given = dict(options or {})
        aliases = given.pop("aliases", None)
        found[name] = {"aliases": aliases} if aliases else None
        if gone := sorted(key for key, value in given.items() if value not in (None, "", 0)):
            notes.lost("networks", f"{', '.join(gone)} on {name}: swarm chooses addresses itself")
    return found


def _material_uses(service: Mapping[str, Any], kind: str) -> list[Json]:
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
