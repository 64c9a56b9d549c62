"""The one place that makes containers."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests
import urllib3

from seatrial.engine.runs import (
    COMMITTED,
    LABEL,
    OWNER,
    STILL_ENDING,
    RunEndedError,
    ignoring_gone,
    remove,
    remove_image,
)
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from seatrial.engine.runs import Run

Json = dict[str, Any]
NO_ENTRYPOINT = [""]
"""Leaves out an image's ENTRYPOINT: an empty list would mean the image's own."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container with its own connection, so that each thread has one."""

    id: str
    client: docker.APIClient
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when its run is over."""
    written: list[int] = field(default_factory=list)
    """The bytes that it had written to the engine's disk when it was killed for that."""

    def wait(self, seconds: float) -> None:
        """Let some seconds pass; a RunEndedError once its run is over."""
        if self.ended.wait(seconds):
            raise RunEndedError


MOST_WRITTEN = 1024**3
"""Bytes that a watched container may write to the engine's disk."""
WATCH_EVERY = 1.0
"""Seconds between two looks at what a container has written."""


@contextmanager
def container(run: Run, config: Mapping[str, Any], *, watched: bool = False) -> Iterator[Container]:
    """Make a container, not started, from the engine's own JSON; however this ends, it is removed.

    One that is `watched` is killed when it has written more than `MOST_WRITTEN` to its root and its volumes.
    """
    if run.ended.is_set():
        raise RunEndedError
    client = run.engine.connection()
    made = ""
    try:
        made = _create(client, {**config, "Labels": {**config.get("Labels", {}), **run.labels}})
        if run.ended.is_set():
            # The run ended while the engine made this container, too early to remove it.
            raise RunEndedError
        yielded = Container(id=made, client=client, ended=run.ended)
        with _watching(run, yielded) if watched else nullcontext():
            yield yielded
    finally:
        try:
            if made:
                remove(client, made)
        finally:
            client.close()


@contextmanager
def _watching(run: Run, container: Container) -> Iterator[None]:
    """Watch what a container writes; not every engine can limit that itself."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(run, container, over), name="watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()


def _watch(run: Run, container: Container, over: threading.Event) -> None:
    # OSError and the others: the engine is gone, or the container; whoever waits for it sees that too.
    with (
        suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError),
        closing(run.engine.connection()) as client,
    ):
        mounts = client.inspect_container(container.id).get("Mounts") or ()
        volumes = frozenset(str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume")
        first = before = None
        pause = WATCH_EVERY
        while not over.wait(pause):
            began = time.monotonic()
            size = disk_bytes(client, container.id, volumes)
            first = size if first is None else first
            # What grows no more does no harm: a sparse file counts as large as it says it is.
            if size - first > MOST_WRITTEN and before is not None and size > before:
                container.written.append(size - first)
                client.kill(container.id)
                return
            before = size
            # A slow count is made less often: on a host with large volumes it reads them all.
            pause = max(WATCH_EVERY, 4 * (time.monotonic() - began))


def disk_bytes(client: Any, container: str, volumes: Collection[str]) -> int:
    """Return the bytes of files in a container's root that its image has not, and in volumes."""
    rows = client.containers(all=True, size=True, filters={"id": container})
    size = sum(int(row.get("SizeRw") or 0) for row in rows)
    if volumes:
        # docker-py's `df` cannot ask for the volumes alone.
        found = client._result(client._get(client._url("/system/df"), params={"type": "volume"}), json=True)  # noqa: SLF001
        sizes = {str(row["Name"]): (row.get("UsageData") or {}).get("Size") or 0 for row in found.get("Volumes") or ()}
        size += sum(max(0, int(sizes.get(name, 0))) for name in volumes)
    return size


@contextmanager
def committed(run: Run, container: Container) -> Iterator[str]:
    """Give the id of an image that holds what a container changed; it is removed at the end."""
    labels = {LABEL: "", OWNER: "", COMMITTED: run.owner}
    made = str(container.client.commit(container.id, conf={"Labels": labels})["Id"])
    try:
        yield made
    finally:
        remove_image(container.client, made)


def recreate(client: docker.APIClient, inspected: Json) -> str:
    """Make a container, not started, like a removed one, from its last inspection; return its id."""
    config, host = dict(inspected["Config"]), dict(inspected["HostConfig"])
    # The name may mean another image by now.
    config["Image"] = inspected["Image"]
    # None would mean the image's own, which a service may have removed.
    config["Entrypoint"] = config.get("Entrypoint") or NO_ENTRYPOINT
    if inspected["Id"].startswith(config.get("Hostname") or "-"):
        config.pop("Hostname")  # The engine's own choice, from an id that is gone.
    declared = config.get("Volumes") or {}
    unnamed = [
        f"{mount['Name']}:{mount['Destination']}"
        for mount in inspected.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Destination") in declared
    ]
    binds = [str(bind) for bind in host.get("Binds") or ()]
    taken = {bind.split(":")[1] for bind in binds if ":" in bind}
    taken |= {str(mount.get("Target")) for mount in host.get("Mounts") or ()}
    host["Binds"] = [*binds, *(bind for bind in unnamed if bind.split(":")[1] not in taken)]
    known = inspected["NetworkSettings"]["Networks"]
    networks = {name: endpoint_of(endpoint, inspected) for name, endpoint in known.items()}
    plan = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": networks}}
    return _create(client, plan, name=inspected["Name"].removeprefix("/"))


def endpoint_of(endpoint: Json, inspected: Json) -> Json:
    """Return the settings of a network for a container like one that was inspected."""
    aliases = [alias for alias in endpoint.get("Aliases") or () if not inspected["Id"].startswith(alias)]
    return {"Aliases": aliases, "IPAMConfig": endpoint.get("IPAMConfig"), "Links": endpoint.get("Links")}


def _create(client: docker.APIClient, config: Json, *, name: str | None = None) -> str:
    """Make a container in all of its networks, and return its id."""
    endpoints = (config.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    # Engines before 25 take one network at the creation.
    first, others = dict(list(endpoints.items())[:1]), list(endpoints.items())[1:]
    begun = {**config, "NetworkingConfig": {"EndpointsConfig": first}} if first else config
    made = str(client.create_container_from_config(begun, name=name)["Id"])  # type: ignore[no-untyped-call]
    try:
        for network, endpoint in others:
            fixed = endpoint.get("IPAMConfig") or {}
            client.connect_container_to_network(
                made,
                network,
                aliases=endpoint.get("Aliases"),
                links=[tuple(link.split(":", 1)) for link in endpoint.get("Links") or ()],
                ipv4_address=fixed.get("IPv4Address"),
                ipv6_address=fixed.get("IPv6Address"),
            )
    except BaseException:
        remove(client, made)
        raise
    return made


def kill(container: Container) -> None:
    """Kill a container; one that has ended already is left alone, and one that is still ending is not waited for."""
    with ignoring_gone():
        try:
            container.client.kill(container.id)
        except docker.errors.APIError as error:
            if STILL_ENDING not in str(error.explanation):
                raise


def refusal(error: docker.errors.APIError) -> str:
    """Return why the engine could not start a container, without the names of its own parts before it."""
    return start_refusal(str(error.explanation))


def start_refusal(text: str) -> str:
    """Return the reason in what the engine says of a container that it could not start."""
    return text.rpartition("unable to start container process: ")[2]


@contextmanager
def engine_errors(doing: str, *, ignoring: Collection[int] = ()) -> Iterator[None]:
    """Turn what docker-py and its connection raise into an EngineError that says what was being done.

    `ignoring` are the status codes of refusals that end the block without an error.
    """
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in ignoring:
            raise EngineError(f"the engine refused: {error.explanation or error}", where=doing) from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    ) as error:
        raise EngineError(
            "the engine stopped answering.",
            where=doing,
            fix="See whether it still runs: `invoke doctor`. Then run this again.",
            detail=str(error),
        ) from error
