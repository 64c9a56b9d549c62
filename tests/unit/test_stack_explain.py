"""A database that refuses the password of its compose file: what its volume has to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seatrial.compose.runner import Stack
from seatrial.compose.services import read_services
from seatrial.facts import Json
from seatrial.stack.explain import databases, explain, older_volume
from seatrial.stack.plan import StackPlan

DOCUMENT: Json = {
    "services": {
        "web": {"image": "ship", "depends_on": {"db": {"condition": "service_healthy"}}},
        "db": {
            "image": "postgres:17",
            "volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql"}],
        },
    },
    "volumes": {"data": {"name": "ship-1_data"}},
}
SAID = {"web": ['psycopg.OperationalError: FATAL:  password authentication failed for user "shop"']}


def plan(document: Json = DOCUMENT) -> StackPlan:
    return StackPlan(
        stack=Stack(app="ship", compose_project="ship-1"),
        file=Path("compose.yaml"),
        services=read_services(document),
        own_images={},
        document=document,
    )


def test_the_volume_is_older_than_the_password() -> None:
    older = older_volume(plan(), SAID, ["ship-1_data"])
    assert older is not None
    assert str(older).startswith("db refused the password: the volume ship-1_data is older than the password")
    error = explain(plan(), (), outputs={}, older=older)
    assert "older than the password" in error.what
    assert "ALTER USER shop PASSWORD 'NEW'" in error.fix
    assert "Set the password that the volume was made with" in error.fix
    # What destroys data says so.
    assert error.fix.index("--volumes") < error.fix.index("delete all data of the old one")


@pytest.mark.parametrize(
    ("said", "volumes"),
    [
        (SAID, []),
        (SAID, ["other_data"]),
        ({"web": ["connection refused"]}, ["ship-1_data"]),
        ({"web": ["Access denied for user 'shop'@'10.0.0.2'"]}, ["ship-1_data"]),
    ],
)
def test_otherwise_nothing_is_said_of_it(said: Any, volumes: list[str]) -> None:
    assert older_volume(plan(), said, volumes) is None


def test_other_databases_have_their_own_words() -> None:
    services = {**DOCUMENT["services"], "db": {**DOCUMENT["services"]["db"], "image": "mariadb:11"}}
    other = plan({**DOCUMENT, "services": services})
    older = older_volume(
        other, {"db": ["Access denied for user 'shop'@'10.0.0.2' (using password: YES)"]}, ["ship-1_data"]
    )
    assert older is not None
    assert (older.user, older.variable) == ("shop", "MYSQL_PASSWORD")
    assert "psql" not in older.fix("ship")
    assert databases(other) == {"db"}
