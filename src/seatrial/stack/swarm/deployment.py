"""The `deploy` section of a service: resources, restarts, updates, placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.stack.swarm.mounts import node_volumes, size_of
from seatrial.stack.swarm.ports import on_the_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.stack.swarm.notes import Notes

Json = dict[str, Any]

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
class Surroundings:
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


def deployment(service: Mapping[str, Any], around: Surroundings, notes: Notes) -> Json:
    """Return a service's `deploy` section: what it says itself, then what its other keys come to."""
    deploy = {key: value for key, value in (service.get("deploy") or {}).items() if value not in (None, {}, [])}
    _scale(service, deploy, notes)
    if around.completes and (job_mode := AS_JOB.get(str(deploy.get("mode") or "replicated"))):
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
        _updates(service, deploy, around, notes)
    _placement(service, deploy, around, notes)
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


def _updates(service: Mapping[str, Any], deploy: Json, around: Surroundings, notes: Notes) -> None:
    own = {key: value for key, value in (deploy.get("update_config") or {}).items() if value is not None}
    order = "start-first"
    if held := sorted(set(node_volumes(service, around.volumes))):
        order = "stop-first"
        if "order" not in own:
            notes.risk("updates", f"the old one stops before the new one starts: both would write to {held[0]}")
    elif on_the_node(service):
        order = "stop-first"
        if "order" not in own:
            notes.risk("updates", "the old one stops before the new one starts: both want one port of the node")
    deploy["update_config"] = {
        "parallelism": 1,
        "order": order,
        "failure_action": "rollback",
        "monitor": MONITOR,
        **own,
    }
    deploy["rollback_config"] = {"parallelism": 1, "order": deploy["update_config"]["order"]} | {
        key: value for key, value in (deploy.get("rollback_config") or {}).items() if value is not None
    }
    if not around.checked:
        monitor = deploy["update_config"]["monitor"]
        notes.risk("healthcheck", f"it has none: an update of it counts as good when it merely runs for {monitor}")


def _placement(service: Mapping[str, Any], deploy: Json, around: Surroundings, notes: Notes) -> None:
    held = sorted(set(node_volumes(service, around.volumes)))
    placement = dict(deploy.get("placement") or {})
    if not held or deploy.get("mode") in ON_EACH_NODE:
        return
    names = ", ".join(held)
    if placement.get("constraints"):
        notes.risk("volumes", f"each node has a {names} of its own: see that its placement keeps it where its data is")
        return
    placement["constraints"] = [f"node.id=={around.node}"]
    deploy["placement"] = placement
    notes.risk(
        "volumes",
        f"each node has a {names} of its own: the service is kept on {around.node_name}, and is down while that is",
    )
