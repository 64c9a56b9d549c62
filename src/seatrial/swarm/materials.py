"""What a stack needs in the swarm: images, named by their content; secrets and configs, named and put there.

All that asks the engine raises an EngineError where it refuses, or does not answer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from seatrial.compose.runner import unescaped
from seatrial.engine.containers import engine_errors
from seatrial.errors import StackError
from seatrial.facts.image import repository
from seatrial.filesystem import read_bytes
from seatrial.stack.images import inspected
from seatrial.swarm.state import NAMESPACE_LABEL, Image, Material, MaterialKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from seatrial.engine.find import Engine
    from seatrial.stack.plan import StackPlan


LONGEST_NAME = 64
"""Characters of a secret's name: swarmkit, manager/controlapi/common.go."""
MOST_BYTES = 1024 * 1024
"""Of a file: swarm takes no secret or config that is as large."""
HASH_LENGTH = 12
KINDS: tuple[MaterialKind, ...] = get_args(MaterialKind)
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409
PRUNING = "inspecting the stack's secrets and configs"


def named(contents: Mapping[tuple[MaterialKind, str], bytes], stack: str) -> tuple[Material, ...]:
    """Return materials under names of their content: a change makes another one, and so rolls out."""
    made: list[Material] = []
    for (kind, key), data in sorted(contents.items()):
        mark = hashlib.sha256(data).hexdigest()[:HASH_LENGTH]
        readable = f"{stack}_{key}"[: LONGEST_NAME - HASH_LENGTH - 1]
        made.append(Material(kind=kind, key=key, name=f"{readable}_{mark}", data=data))
    return tuple(made)


def read(
    document: Mapping[str, Any], values_of: Callable[[Iterable[str]], Mapping[str, str]], *, where: Path
) -> dict[tuple[MaterialKind, str], bytes]:
    """Return what the secrets and configs hold that services use, those apart that are the swarm's already.

    `values_of` returns what variables hold, as compose tells. Raises a StackError where a file cannot be read, or a
    variable is not set; it names `where`, the compose file.
    """
    services = (document.get("services") or {}).values()
    tables: dict[tuple[MaterialKind, str], Mapping[str, Any]] = {}
    for kind in KINDS:
        used = {use.get("source") for service in services for use in service.get(kind) or ()}
        for key, table in (document.get(kind) or {}).items():
            if key in used and not (table or {}).get("external"):
                tables[kind, key] = table or {}
    values = values_of(str(table["environment"]) for table in tables.values() if table.get("environment"))
    return {(kind, key): _content(table, values, f"{where} {kind}.{key}") for (kind, key), table in tables.items()}


def _content(table: Mapping[str, Any], values: Mapping[str, str], where: str) -> bytes:
    if file := table.get("file"):
        path = Path(unescaped(str(file)))
        try:
            return read_bytes(path, MOST_BYTES)
        except OSError as error:
            raise StackError(
                f"{path} cannot be read: {error.strerror}.", where=where, fix="Make that file, or name another."
            ) from error
    if "content" in table:
        return unescaped(str(table["content"])).encode()
    variable = str(table.get("environment") or "")
    if variable in values:
        return values[variable].encode()
    what = f"the variable {variable} is not set." if variable else "it says neither a file nor a variable."
    raise StackError(
        what, where=where, fix="Set it in your environment, or in .env." if variable else "Give it a `file`."
    )


def create(materials: Iterable[Material], stack: str, engine: Engine) -> None:
    """Put materials into the swarm, each of 500 kB at the most; those that are there already hold the same."""
    api = engine.client.api
    for material in materials:
        make = api.create_secret if material.kind == "secrets" else api.create_config
        with engine_errors(f"making {material.kind.removesuffix('s')} {material.key}", ignoring=[CONFLICT]):
            make(material.name, material.data, labels={NAMESPACE_LABEL: stack})


def prune(materials: Iterable[Material], stack: str, engine: Engine) -> tuple[str, ...]:
    """Remove the stack's materials of earlier deploys that nothing needs any more; return their names.

    What a service would roll back to is still needed, and stays.
    """
    api = engine.client.api
    wanted = {material.name for material in materials}
    own = {"label": f"{NAMESPACE_LABEL}={stack}"}
    removed: list[str] = []
    with engine_errors(PRUNING):
        needed = _needed(api.services(filters=own))  # type: ignore[no-untyped-call]
        held = [(entry, api.remove_secret) for entry in api.secrets(filters=own)]
        held += [(entry, api.remove_config) for entry in api.configs(filters=own)]  # type: ignore[no-untyped-call]
    for entry, delete in held:
        name = str(entry["Spec"]["Name"])
        if name not in wanted and entry["ID"] not in needed:
            # A service of another stack needs it; or it is gone already. Neither stops this deploy.
            with engine_errors(PRUNING, ignoring=[BAD_REQUEST, NOT_FOUND]):
                delete(entry["ID"])
                removed.append(name)
    return tuple(removed)


def _needed(services: Iterable[Mapping[str, Any]]) -> set[str]:
    specs = [service.get(which) or {} for service in services for which in ("Spec", "PreviousSpec")]
    containers = [(spec.get("TaskTemplate") or {}).get("ContainerSpec") or {} for spec in specs]
    return {
        str(use[identity])
        for container in containers
        for kind, identity in (("Secrets", "SecretID"), ("Configs", "ConfigID"))
        for use in container.get(kind) or ()
    }


def resolve(plan: StackPlan, engine: Engine, *, local: Mapping[str, str]) -> dict[str, Image]:
    """Return what each service is to run.

    A tag can move, and a rollback to a moved tag brings the new image back: what is here is named by its content.
    `local` are local images that take the place of a service's own.
    """
    found: dict[str, Image] = {}
    for service in plan.services:
        if service.image is None:
            continue
        data = inspected(local.get(service.name, service.image), engine)
        own = plan.builder(service) is not None or service.name in local
        found[service.name] = choose(service.image, data, own=own)
    return found


def choose(name: str, data: Mapping[str, Any] | None, *, own: bool) -> Image:
    """Return what the stack file names for an image.

    `data` is what the engine says of it; None where it is not here. `own` means that it was built here: no registry
    has it, whatever the engine says of its digests.
    """
    if data is None:
        return Image(name=name, reference=name)
    test = ((data.get("Config") or {}).get("Healthcheck") or {}).get("Test") or ()
    checked = bool(test) and list(test) != ["NONE"]
    digests = [str(digest) for digest in data.get("RepoDigests") or ()]
    digest = next((text.partition("@")[2] for text in digests if _same(repository(text), repository(name))), None)
    if digest and not own:
        pinned = name if "@" in name else f"{name}@{digest}"
        return Image(name=name, reference=pinned, checked=checked)
    # By its id, a node neither asks a registry for it nor takes another image of that name.
    return Image(name=name, reference=str(data["Id"]), checked=checked)


def _same(left: str, right: str) -> bool:
    short = {name.removeprefix("docker.io/").removeprefix("library/") for name in (left, right)}
    return len(short) == 1
