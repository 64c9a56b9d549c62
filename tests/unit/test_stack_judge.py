from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from seatrial.compose.runner import LONGEST_LINE, Stack, lines_of
from seatrial.compose.services import read_services, waiting_for
from seatrial.errors import ExitCode
from seatrial.facts import Condition, Dependency, Port, Service
from seatrial.reports.stack_console import state_text
from seatrial.stack.down import levels
from seatrial.stack.explain import explain
from seatrial.stack.inspect import read_container
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import (
    ContainerState,
    ContainerStatus,
    Health,
    Phase,
    ServiceState,
    all_up,
    declared_by,
    states,
)
from seatrial.stack.up import addresses, machine_of


def container(
    service: str = "api", status: ContainerStatus = ContainerStatus.RUNNING, **more: object
) -> ContainerState:
    made = ContainerState(id=f"id-{service}", name=f"x-{service}-1", service=service, status=status)
    return replace(made, **more)  # type: ignore[arg-type]


def needs(*services: str, condition: Condition = Condition.STARTED) -> tuple[Dependency, ...]:
    return tuple(Dependency(service=service, condition=condition) for service in services)


API = Service(name="api", image="ship:1")
SERVING = structs.replace(API, ports=(Port(host_ip="", published=80, target=80),))


@pytest.mark.parametrize(
    ("seen", "phase"),
    [
        (container(status=ContainerStatus.CREATED), Phase.WAITING),
        (container(status=ContainerStatus.CREATED, error="no such program"), Phase.FAILED),
        (container(start_over=False, seconds=99), Phase.STARTING),
        (container(start_over=True), Phase.UP),
        (container(), Phase.UP),
        (container(seconds=9.0, restarts=1, start_over=True), Phase.STARTING),
        (container(seconds=10.0, restarts=1, start_over=True), Phase.UP),
        (container(seconds=10.0, restarts=1, start_over=False), Phase.STARTING),
        (container(health=Health.STARTING, seconds=99), Phase.STARTING),
        (container(health=Health.HEALTHY), Phase.UP),
        (container(health=Health.UNHEALTHY), Phase.FAILED),
        (container(status=ContainerStatus.PAUSED), Phase.STARTING),
        (container(status=ContainerStatus.RESTARTING, exit_code=1), Phase.RESTARTING),
        (container(status=ContainerStatus.EXITED), Phase.FAILED),
        (container(status=ContainerStatus.EXITED, exit_code=1), Phase.FAILED),
        (container(status=ContainerStatus.DEAD), Phase.FAILED),
    ],
)
def test_where_a_service_stands(seen: ContainerState, phase: Phase) -> None:
    (state,) = states([API], [seen])
    assert state.phase is phase


def test_what_serves_may_not_end_but_a_one_shot_that_others_wait_for_may() -> None:
    ended = container(status=ContainerStatus.EXITED)
    waits = Service(name="b", image="x", depends_on=needs("api", condition=Condition.COMPLETED))
    assert states([SERVING], [ended])[0].phase is Phase.FAILED
    assert states([structs.replace(API, checked=True)], [ended])[0].phase is Phase.FAILED
    assert states([SERVING, waits], [ended])[0].phase is Phase.DONE
    # What has no word for it in the compose file is there to run on; `restart: "no"` or `on-failure` is such a word.
    assert states([API], [ended])[0].phase is Phase.FAILED
    job = structs.replace(API, one_shot=True)
    assert states([job], [ended])[0].phase is Phase.DONE
    assert states([structs.replace(job, ports=SERVING.ports)], [ended])[0].phase is Phase.FAILED


@pytest.mark.parametrize(
    ("table", "one_shot"),
    [
        ({}, False),
        ({"restart": "no"}, True),
        ({"restart": "on-failure:3"}, True),
        ({"restart": "always"}, False),
        ({"restart": "no", "deploy": {"restart_policy": {"condition": "any"}}}, False),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, True),
        ({"deploy": {"mode": "replicated-job"}}, True),
    ],
)
def test_composes_words_for_a_one_shot(table: dict[str, Any], *, one_shot: bool) -> None:
    (service,) = read_services({"services": {"job": {"image": "x", **table}}})
    assert service.one_shot is one_shot


def test_of_containers_alone_what_has_ended_is_not_blamed_for_it() -> None:
    ended = container(status=ContainerStatus.EXITED, restart_policy="no")
    assert states(list(declared_by([ended]).values()), [ended])[0].phase is Phase.DONE
    # What ran when it was restarted is there to run.
    runs = declared_by([container(restart_policy="no")])
    assert states(list(runs.values()), [ended])[0].phase is Phase.FAILED


def test_a_one_shot_that_others_wait_for_is_not_up_before_it_ends() -> None:
    waits = Service(name="b", image="x", depends_on=needs("api", condition=Condition.COMPLETED))
    for health in (Health.HEALTHY, Health.UNHEALTHY, None):
        assert states([API, waits], [container(health=health, seconds=60)])[0].phase is Phase.STARTING


def test_what_an_earlier_run_left_is_not_blamed() -> None:
    left = container(status=ContainerStatus.EXITED, exit_code=137)
    assert states([API], [left], unstarted=frozenset({left.id}))[0].phase is Phase.WAITING


def test_the_worst_replica_counts_and_all_are_needed() -> None:
    two = structs.replace(API, replicas=2)
    good, bad = container(start_over=True), container(status=ContainerStatus.EXITED, exit_code=1)
    assert states([two], [good, bad])[0].phase is Phase.FAILED
    assert states([two], [good])[0].phase is Phase.STARTING
    assert states([two], [good, good])[0].phase is Phase.UP
    assert states([structs.replace(API, replicas=0)], [])[0].phase is Phase.DONE
    assert states([API], [])[0].phase is Phase.ABSENT


def test_a_one_off_container_is_not_the_service() -> None:
    assert states([API], [container(one_off=True, seconds=5)])[0].phase is Phase.ABSENT
    assert declared_by([container(one_off=True)]) == {}


def test_all_up() -> None:
    up, done = ServiceState(service="a", phase=Phase.UP), ServiceState(service="b", phase=Phase.DONE)
    assert all_up([up, done])
    assert not all_up([up, ServiceState(service="c", phase=Phase.WAITING)])


CHAIN = (
    Service(name="db", image="postgres:17"),
    Service(name="migrate", image="ship:1", depends_on=needs("db")),
    Service(name="other", image="x"),
    Service(name="api", image="ship:1", depends_on=needs("migrate")),
)


def test_who_waits_for_a_service() -> None:
    assert waiting_for("db", CHAIN) == ("migrate", "api")
    assert waiting_for("api", CHAIN) == ()


def test_what_a_service_waits_for_itself() -> None:
    services = (
        Service(name="db", image="x"),
        Service(name="migrate", image="x", depends_on=needs("db", condition=Condition.HEALTHY)),
        Service(
            name="api",
            image="x",
            depends_on=(*needs("db", "gone"), *needs("migrate", condition=Condition.COMPLETED)),
        ),
    )
    starting = states(
        services, [container("db", health=Health.STARTING), container("migrate", ContainerStatus.CREATED)]
    )
    assert [service.waits_for for service in starting] == [(), ("db",), ("migrate",)]
    assert state_text(starting[1]) == "waiting for db"
    done = states(services, [container("db", health=Health.HEALTHY), container("migrate", ContainerStatus.EXITED)])
    assert [service.waits_for for service in done] == [(), (), ()]


def test_an_unhealthy_service_tells_which_of_its_dependencies_it_waits_for() -> None:
    services = (
        Service(name="cache", image="x"),
        Service(name="db", image="x"),
        Service(name="api", image="x", depends_on=needs("cache", "db", condition=Condition.HEALTHY)),
    )
    seen = [
        container("cache", health=Health.HEALTHY),
        container("db", health=Health.STARTING),
        container("api", health=Health.UNHEALTHY, health_outputs=("exit code 1: refused",)),
    ]
    error = explain(replace(plan(), services=services), states(services, seen), outputs={"api": ["no database"]})
    assert error.detail.splitlines() == [
        "api is unhealthy",
        "  it waits for db, which runs and is not healthy yet",
        "  what else it depends on is there: cache",
        "  its last health checks:",
        "    exit code 1: refused",
        "  its last output:",
        "    no database",
    ]


def test_a_full_disk_is_recognised() -> None:
    seen = [container("db", ContainerStatus.EXITED, exit_code=1)]
    full = {"db": ['FATAL: could not write "x": No space left on device']}
    assert explain(plan(), states(CHAIN, seen), outputs=full).fix.startswith("A disk is full: make room")
    assert explain(plan(), (), outputs={}, compose_errors=["no space left on device"]).fix.startswith("A disk is full")


def plan() -> StackPlan:
    stack = Stack(app="ship", compose_project="ship-1")
    file = Path("compose.yaml")
    return StackPlan(stack=stack, file=file, services=CHAIN, own_images={"ship": "ship"})


def test_an_explanation_names_state_code_output_checks_and_who_waits() -> None:
    seen = [
        container("db", health=Health.UNHEALTHY, health_outputs=("exit code 1: refused",)),
        container("migrate", ContainerStatus.CREATED),
        container("other", ContainerStatus.EXITED, exit_code=137, out_of_memory=True),
    ]
    error = explain(plan(), states(CHAIN, seen), outputs={"db": [f"line {number}" for number in range(30)]})
    assert error.exit_code is ExitCode.FAILED
    assert error.what == ("ship did not come up: db is unhealthy and other ended with exit code 137, out of memory.")
    assert error.fix.startswith("Raise its memory limit")
    lines = error.detail.splitlines()
    assert lines[:4] == [
        "db is unhealthy; migrate and api waited for it",
        "  its last health checks:",
        "    exit code 1: refused",
        "  its last output:",
    ]
    assert lines[4:24] == [f"    line {number}" for number in range(10, 30)]
    assert lines[24:] == ["other ended with exit code 137, out of memory", "  it printed nothing"]


def test_a_timeout_blames_what_has_not_come_up_and_waits_for_nobody() -> None:
    seen = [
        container("db", health=Health.STARTING, restarts=2),
        container("migrate", ContainerStatus.CREATED),
        container("other", ContainerStatus.RESTARTING, exit_code=2, restarts=4),
    ]
    error = explain(plan(), states(CHAIN, seen), outputs={}, timed_out=30)
    assert error.what == (
        "ship was not up after 30 s: db runs and is not healthy yet after 2 restarts "
        "and other keeps ending with exit code 2 (4 restarts)."
    )
    # More time helps no service that ends again and again.
    assert "--timeout" not in error.fix
    slow = [container("db", health=Health.STARTING), *seen[1:2], container("other", start_over=False)]
    late = explain(plan(), states(CHAIN, slow), outputs={}, timed_out=30)
    assert late.what.endswith("db runs and is not healthy yet and other runs and has not finished starting.")
    assert "--timeout" in late.fix
    silent = [container("other", start_over=False, silent=frozenset({80}))]
    error = explain(plan(), states([CHAIN[2]], silent), outputs={}, timed_out=30)
    assert error.what.endswith("other runs and does not listen on 80, which it publishes.")


def test_compose_is_quoted_when_no_service_is_to_blame() -> None:
    seen = [container("db", health=Health.STARTING)]
    error = explain(plan(), states(CHAIN, seen), outputs={}, compose_errors=["first", "no space left."])
    assert error.what == "ship could not be started: no space left."
    assert error.detail == "first"


def test_addresses_are_for_this_machine_and_name_http_for_own_images_only() -> None:
    def bound(service: str, *ports: tuple[str, int | None, str]) -> ServiceState:
        made = tuple(Port(host_ip=ip, published=number, target=1, protocol=kind) for ip, number, kind in ports)
        return ServiceState(service=service, phase=Phase.UP, container=container(service, ports=made))

    every = "0.0.0.0"  # noqa: S104 - as the engine writes it
    services = [
        bound("api", (every, 8000, "tcp"), ("::", 8000, "tcp"), ("", 53, "udp"), ("", None, "tcp")),
        bound("db", ("127.0.0.1", 5432, "tcp"), ("::1", 5432, "tcp")),
        ServiceState(service="gone", phase=Phase.ABSENT),
    ]
    images = {"api": "own/ship:3.13", "db": "postgres:17"}
    found = [address.text for address in addresses(services, {"own/ship": "ship"}, images)]
    assert found == ["http://127.0.0.1:8000", "127.0.0.1:5432", "[::1]:5432"]
    (remote, *_) = addresses(services, {}, {}, machine=machine_of("ssh://me@harbour:22"))
    assert remote.text == "harbour:8000"
    assert machine_of("unix:///var/run/docker.sock") == "127.0.0.1"


def test_containers_stop_before_what_they_depend_on() -> None:
    db, api = container("db"), container("api", depends_on=needs("migrate"))
    migrate = container("migrate", depends_on=needs("db"))
    other = container("other")
    assert levels([db, migrate, other, api]) == [[other, api], [migrate], [db]]
    loop = [container("a", depends_on=needs("b")), container("b", depends_on=needs("a"))]
    assert levels(loop) == [loop]
    assert levels([]) == []


INSPECTED = {
    "Id": "abc",
    "Name": "/ship-1-api-1",
    "Created": "2026-01-01T00:00:00.123456789Z",
    "Image": "sha256:1",
    "RestartCount": 2,
    "Config": {
        "Image": "ship:1",
        "StopTimeout": 30,
        "Labels": {
            "com.docker.compose.service": "api",
            "com.docker.compose.config-hash": "h",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.depends_on": "db:service_healthy:false,cache:service_started:true",
        },
    },
    "State": {
        "Status": "running",
        "ExitCode": 0,
        "Error": "",
        "OOMKilled": False,
        "StartedAt": "2026-01-01T00:00:01.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {
            "Status": "starting",
            "Log": [{"ExitCode": number, "Output": f"\x1b[2Jtry {number}\n"} for number in range(5)],
        },
    },
    "NetworkSettings": {"Ports": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}], "9/udp": None}},
}
NOW = datetime(2026, 1, 1, 0, 0, 11, 500000, tzinfo=UTC)


def test_a_container_is_read_from_its_inspection() -> None:
    read = read_container(INSPECTED, now=NOW)
    assert read == ContainerState(
        id="abc",
        name="ship-1-api-1",
        service="api",
        status=ContainerStatus.RUNNING,
        image="ship:1",
        image_id="sha256:1",
        config_hash="h",
        depends_on=(
            Dependency(service="db", condition=Condition.HEALTHY),
            Dependency(service="cache", condition=Condition.STARTED),
        ),
        ports=(Port(host_ip="127.0.0.1", published=80, target=8000),),
        health=Health.STARTING,
        health_outputs=("exit code 2: try 2", "exit code 3: try 3", "exit code 4: try 4"),
        restarts=2,
        seconds=10.0,
        stop_seconds=30,
    )
    services = states(list(declared_by([read]).values()), [read])
    assert services[0].phase is Phase.STARTING


def test_a_bare_container_is_read_too() -> None:
    bare = {"Id": "abc", "State": {"Status": "created", "Error": "no\x1b[2J\nroom"}}
    read = read_container(bare, now=NOW)
    assert (read.service, read.error, read.health, read.stop_seconds) == ("", "no room", None, 10)


def test_outside_lines_are_plain_and_bounded() -> None:
    assert lines_of(b"a\x1b[31mb\r\n\n\xff\tc\n") == ("ab", "\ufffd   c")
    (long,) = lines_of("x" * 5000)
    assert len(long) == LONGEST_LINE + 1
