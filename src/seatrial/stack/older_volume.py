"""A database that refuses the password of its compose file, as its volume was made with another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seatrial.checks.compose_images import Kind, kind_of
from seatrial.facts import MountKind
from seatrial.stack.plan import StackPlan

REFUSALS = (
    (Kind.POSTGRES, re.compile(r"password authentication failed for user \"?([\w.-]+)"), "POSTGRES_PASSWORD"),
    (Kind.MYSQL, re.compile(r"Access denied for user '([\w.-]+)'@"), "MYSQL_PASSWORD"),
    (Kind.MONGO, re.compile(r"(?:SCRAM\S* authentication|Authentication) failed()"), "MONGO_INITDB_ROOT_PASSWORD"),
)
"""What a database or its client says of a wrong password, and the variable that counts only in a new volume."""


@dataclass(frozen=True, kw_only=True)
class OlderVolume:
    """A volume that is older than the password."""

    service: str
    volume: str
    kind: Kind
    user: str
    variable: str

    def __str__(self) -> str:
        """Return it as a sentence without its full stop."""
        return (
            f"{self.service} refused the password: the volume {self.volume} is older than the password, and "
            f"{self.variable} counts only when a volume is new"
        )

    def fix(self, app: str) -> str:
        """Return what to do: nothing of the data is lost by it."""
        change = "change it in the database"
        if self.kind is Kind.POSTGRES:
            command = f"psql -U {self.user} -d template1 -c \"ALTER USER {self.user} PASSWORD 'NEW'\""
            change = f"change it there: `invoke exec --app {app} --service {self.service} -- {command}`"
        return (
            f"Set the password that the volume was made with, and run `invoke up --app {app}`. For another one, then "
            f"{change}, set it where the old one was, and run `up` again. `invoke down --app {app} --volumes` would "
            "make way for a new volume, and delete all data of the old one."
        )


def older_volume(plan: StackPlan, outputs: Mapping[str, Sequence[str]], volumes: Iterable[str]) -> OlderVolume | None:
    """Return the volume that a database refuses a password for; None where none was there before this run.

    `outputs` are lines of services; `volumes` are those of the stack that were there, by their real names.
    """
    there = frozenset(volumes)
    said = "\n".join(line for lines in outputs.values() for line in lines)
    for kind, pattern, variable in REFUSALS:
        found = pattern.search(said)
        for service in plan.services if found else ():
            kept = [mount for mount in service.volumes if mount.kind is MountKind.VOLUME and mount.source]
            names = [_real_name(plan, mount.source) for mount in kept]
            old = next((name for name in names if name in there), None)
            if found and old is not None and kind_of(service.image) is kind:
                return OlderVolume(service=service.name, volume=old, kind=kind, user=found[1], variable=variable)
    return None


def databases(plan: StackPlan) -> frozenset[str]:
    """Return the services that are databases with a password."""
    kinds = {kind for kind, _, _ in REFUSALS}
    return frozenset(service.name for service in plan.services if kind_of(service.image) in kinds)


def _real_name(plan: StackPlan, key: str) -> str:
    declared = (plan.document.get("volumes") or {}).get(key) or {}
    return str(declared.get("name") or f"{plan.stack.compose_project}_{key}")
