"""A stack file for swarm from compose's model; what swarm ignores or refuses is noted, never dropped in silence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from seatrial.compose.services import completing, read_services
from seatrial.compose.text import ComposeText
from seatrial.swarm.deployment import DeploymentContext
from seatrial.swarm.secrets import named
from seatrial.swarm.service import convert_service
from seatrial.swarm.state import Conversion, Image, Note, Notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.facts import EnvironmentFile
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

    Args:
        document: compose's model, as `docker compose config --format json` prints it. A `$` in it is doubled, and
            `docker stack deploy` reads it so.
        stack: the stack's name on the swarm.
        project: the name that compose read the file under: names that it made of that become swarm's own.
        images: what each service is to run.
        contents: what the secrets and configs hold that are not the swarm's already.
        node: the id of the node that keeps the services with data.
        node_name: its name.
        pins: the nodes that keep services of this stack already, by service.
        text: what only the file itself tells: the env files, and the services of profiles that are not chosen.
        open_ports: a person accepts that a port of one interface becomes one of all interfaces.

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
        services[name] = convert_service(service, image, context, notes, open_ports=open_ports)
        _environment_notes(text.env_files.get(name, ()), notes)
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


def _environment_notes(files: tuple[EnvironmentFile, ...], notes: Notes) -> None:
    if files:
        notes.risk(
            "env_file",
            f"{', '.join(file.path for file in files)} was read here: its values stand in the swarm's definition of "
            "the service, where whoever may inspect it reads them. A secret keeps them apart",
        )


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
        if gone := sorted(
            set(given) - {"name", "driver", "driver_opts", "ipam", "internal", "attachable", "labels", "external"}
        ):
            notes.lost(name, f"{', '.join(gone)}: a stack file does not know it")
        made[name] = {
            key: value for key, value in given.items() if key not in gone and value not in (None, {}, [], False)
        }
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
