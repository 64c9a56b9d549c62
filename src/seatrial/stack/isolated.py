"""A stack of its own for a smoke: the same services, without the ports, names and data of the developer's stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seatrial.compose import guard, runner
from seatrial.compose.readiness import unready
from seatrial.compose.runner import Compose, identify
from seatrial.compose.services import app_of, completing, own_images, read_services
from seatrial.compose.variables import missing_env, to_copy, with_examples
from seatrial.engine.find import Engine
from seatrial.errors import StackError
from seatrial.facts import Service
from seatrial.filesystem import exists
from seatrial.host import Host
from seatrial.images.services import named, with_builds, with_named
from seatrial.settings.model import StackContract
from seatrial.settings.read import Project
from seatrial.stack.plan import StackPlan, compose_file
from seatrial.text import did_you_mean
from seatrial.trust import Trust

SUFFIX = "-smoke"
"""Behind the name of the developer's own stack."""
SHARED = ("ports", "container_name", "labels", "external_links", "build", "env_file", "profiles", "develop")
"""Of a service, what reaches out of its stack (a proxy of the machine reads labels), or was carried out by now."""
ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")


@dataclass(frozen=True, kw_only=True)
class IsolatedStack:
    """What a smoke brings up."""

    plan: StackPlan
    compose: Compose
    app: str
    """The service that is the app."""
    image: str
    """Its image, by name."""
    port: int | None
    """The port inside of its container that the contract or the compose file names."""
    published: Mapping[str, frozenset[int]]
    """The TCP ports inside of their containers that the compose file publishes, by service."""


def plan_isolated(
    project: Project,
    name: str,
    *,
    engine: Engine,
    host: Host,
    labels: Mapping[str, str],
    image: str | None = None,
    say: Callable[[str], None],
) -> IsolatedStack:
    """Return what a smoke brings up; nothing is started.

    `labels`, which tell who made it, are put on each container, network and volume; `image` is the app's in place of
    the compose file's; `say` receives a message when the values come from the example.

    Raises:
        SettingsError: no app has that name.
        StackError: it has no compose file, compose refuses it, or it would touch what is not its own.
        EngineError: compose is not installed, or too old.
    """
    own_stack = identify(project, name)
    stack = replace(own_stack, compose_project=f"{own_stack.compose_project}{SUFFIX}")
    file = compose_file(project, name)
    compose, reading = guard.guarded(stack, file, project.folder, engine=engine, host=host, say=say)
    copies = to_copy(file, stack.beside)
    for env_file in stack.beside.env_files:
        if env_file not in copies and not exists(env_file):
            raise unready([missing_env(env_file, None)])
    compose = with_examples(compose)
    document, notes = compose.model()
    for env_file, example in copies.items():
        say(f"There is no {env_file}: this smoke takes its values from {example.name}.")
    # A trusted project's own networks and volumes are made anew below.
    brought_up = document if host.trust is Trust.NONE else {**document, "networks": {}, "volumes": {}}
    guard.require_trusted(guard.findings(reading, brought_up, host.trust, smoke=True), say)
    project = with_builds(project, name, file, document)
    document = with_named(document, named(project, document))
    own, contract = own_images(project, name), project.app(name).contract.stack
    declared = {service.name: service for service in read_services(document)}
    app = app_service(tuple(declared.values()), own, name, contract, file)
    document = isolated(document, file, labels=labels, environment={app: contract.environment})
    if image is not None:
        same = [service.name for service in declared.values() if service.image == declared[app].image]
        document = runner.replaced(document, dict.fromkeys(same, image))
    plan = StackPlan(stack=stack, file=file, services=read_services(document), own_images=own, notes=notes)
    published = {
        service.name: frozenset(port.target for port in service.ports if port.protocol == "tcp")
        for service in declared.values()
    }
    return IsolatedStack(
        plan=plan,
        compose=replace(compose, document=document),
        app=app,
        image=image or declared[app].image or "",
        port=contract.port or next((port.target for port in declared[app].ports if port.protocol == "tcp"), None),
        published=published,
    )


def app_service(
    services: tuple[Service, ...],
    own: Mapping[str, str],
    name: str,
    contract: StackContract,
    file: Path,
) -> str:
    """Return the service that is the app: the one that the contract names, or the only one that can be meant.

    `own` are the project's apps by their images.

    Raises StackError: a named service does not exist, or none, or several, can be meant.
    """
    known = {service.name for service in services}
    for key, wanted in (("service", contract.service), ("database", contract.database)):
        if wanted is not None and wanted not in known:
            raise StackError(
                f"the contract's `stack.{key}` names {wanted!r}, and there is no such service.",
                where=str(file),
                fix=did_you_mean(wanted, known),
            )
    if contract.service is not None:
        return contract.service
    running = [service.name for service in services if app_of(service.image, own) == name]
    staying = [service for service in running if service not in completing(services)]
    if len(staying) == 1:
        return staying[0]
    choice = ", ".join(sorted(staying or known))
    raise StackError(
        f"{'several services run' if staying else 'no service runs'} the image of {name}: which one is the app?",
        where=str(file),
        fix=f'Set it in the `contract.stack` of {name}: service = "NAME", one of {choice}.',
    )


def isolated(
    document: Mapping[str, Any], file: Path, *, labels: Mapping[str, str], environment: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return a compose model that touches nothing outside its project, with these labels and variables of services.

    Raises StackError: a service writes to a folder of this machine, or shares its network: no copy of that can be made.
    """
    services: dict[str, Any] = {}
    for name, table in (document.get("services") or {}).items():
        _require_own(name, table, file)
        kept = {key: value for key, value in table.items() if key not in SHARED}
        kept["labels"] = dict(labels)
        if more := environment.get(name):
            kept["environment"] = {**(kept.get("environment") or {}), **more}
        if isinstance(kept.get("networks"), dict):
            kept["networks"] = {key: _without(network, ADDRESSES) for key, network in kept["networks"].items()}
        services[name] = kept
    made: dict[str, Any] = {"services": services}
    # Without a name, an address range, a driver or `external`: compose makes each anew, in the project of its own.
    if networks := document.get("networks"):
        made["networks"] = {
            key: {"internal": bool((network or {}).get("internal")), "labels": dict(labels)}
            for key, network in networks.items()
        }
    if volumes := document.get("volumes"):
        made["volumes"] = {key: {"labels": dict(labels)} for key in volumes}
    for key in ("configs", "secrets"):
        if table := document.get(key):
            made[key] = {name: _without(entry, ("name",)) for name, entry in table.items()}
    return made


def copied_in(document: Mapping[str, Any], service: str) -> tuple[str, ...]:
    """Return the secrets and configs of a service that compose copies into its container, as they are not files."""
    table = (document.get("services") or {}).get(service) or {}
    return tuple(
        str(use["source"])
        for key in ("secrets", "configs")
        for use in table.get(key) or ()
        if {"environment", "content"} & set((document.get(key) or {}).get(use["source"]) or ())
    )


def _without(table: Mapping[str, Any] | None, keys: tuple[str, ...]) -> dict[str, Any] | None:
    return None if table is None else {key: value for key, value in table.items() if key not in keys}


def _require_own(name: str, table: Mapping[str, Any], file: Path) -> None:
    if table.get("network_mode") == "host":
        raise StackError(
            f"the service {name!r} shares this machine's network, so that it cannot run beside the one that is up.",
            where=str(file),
            fix="Give it a network of the compose file, or leave --stack out.",
        )
    for mount in table.get("volumes") or ():
        if mount.get("type") == "bind" and not mount.get("read_only"):
            raise StackError(
                f"the service {name!r} may write to {mount.get('source')}, a path of this machine: a smoke would too.",
                where=str(file),
                fix="Mount it read-only, or keep what must last in a named volume: each smoke gets its own.",
            )
