"""How a stack is taken down, and what is removed however a smoke ends."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.fakes.engine import Life
from tests.fakes.world import World

from seatrial.compose.runner import Stack
from seatrial.errors import EngineError, StackFailedError, StackLeftError
from seatrial.stack.down import INTERRUPTED_STOP, PRIVATE_STOP, Holdings, down, holdings, removed_afterwards, roll_back
from seatrial.stack.inspect import logs
from seatrial.stack.up import ps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.clock import VirtualClock

LABEL = "com.docker.compose.project"
UNNAMED = "ab" * 32


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, monkeypatch)
    project = world.stack.compose_project
    volume = [{"type": "volume", "source": "data", "target": "/data"}]
    world.memory.networks["n1"] = {"Id": "n1", "Name": f"{project}_default", "Labels": {LABEL: project}}
    world.memory.networks["n2"] = {"Id": "n2", "Name": "another", "Labels": {LABEL: "another"}}
    world.memory.volumes[f"{project}_data"] = {"Labels": {LABEL: project}}
    world.memory.volumes["another"] = {"Labels": {LABEL: "another"}}
    world.container("db", volumes=volume)
    world.container("api", depends_on={"db": {"condition": "service_started"}})
    return world


def test_all_of_it_goes_and_nothing_else(world: World) -> None:
    project = world.stack.compose_project
    removed = down(world.stack, engine=world.engine)
    assert removed.containers == (f"{project}-api-1", f"{project}-db-1")
    assert removed.networks == (f"{project}_default",)
    assert (removed.volumes, removed.kept_volumes) == ((), (f"{project}_data",))
    assert not removed.nothing
    assert world.memory.called("stop") == ["api", "db"]
    assert [network["Name"] for network in world.memory.networks.values()] == ["another"]
    assert len(world.memory.volumes) == 2


def beside(world: World, *, labels: dict[str, str], of_image: dict[str, str]) -> str:
    """Make a container beside the stack's own; the engine gives it its image's labels too."""
    world.memory.add_image("other:1", Labels=of_image)
    config = {"Image": "other:1", "Labels": {**of_image, **labels}}
    return str(world.memory.engine.client.api.create_container_from_config(config, name="beside")["Id"])


@pytest.mark.parametrize("committed", [False, True])
def test_a_container_whose_image_carries_the_label_is_left_alone_and_told(world: World, committed: bool) -> None:
    inherited = {LABEL: world.stack.compose_project}
    if committed:
        inherited = dict(world.memory.of("api").labels)
    key = beside(world, labels={"mine": "1"}, of_image=inherited)
    assert key not in {container.id for container in holdings(world.stack, world.engine).containers}
    assert {state.service for state in ps(world.stack, engine=world.engine)} == {"api", "db"}
    removed = down(world.stack, engine=world.engine, volumes=True)
    assert removed.strangers == ("beside",)
    assert list(world.memory.containers) == [key]
    assert down(world.stack, engine=world.engine, volumes=True).nothing


@pytest.mark.parametrize("own", ["config-hash", "image", "project"])
def test_a_service_whose_image_carries_the_label_too_is_removed(world: World, own: str) -> None:
    inherited = {**world.memory.of("api").labels, "com.docker.compose.image": "sha256:before"}
    beside(world, labels={f"com.docker.compose.{own}": world.stack.compose_project}, of_image=inherited)
    if own == "project":
        world.memory.images["other:1"]["Config"]["Labels"][LABEL] = "another"
    assert not down(world.stack, engine=world.engine).strangers
    assert world.memory.containers == {}


def test_where_the_image_is_gone_its_id_in_composes_label_decides(world: World) -> None:
    known = world.memory.of("api")
    known.config["Labels"]["com.docker.compose.image"] = known.image_id = "sha256:gone"
    world.memory.of("db").image_id = "sha256:gone too"
    world.memory.networks.clear()  # It stays in use by what is left alone.
    removed = down(world.stack, engine=world.engine)
    assert removed.containers == (known.name,)
    assert removed.strangers == (world.memory.of("db").name,)


def test_its_volumes_go_when_that_is_asked_for(world: World) -> None:
    removed = down(world.stack, engine=world.engine, volumes=True)
    assert removed.volumes == (f"{world.stack.compose_project}_data",)
    assert removed.kept_volumes == ()
    assert list(world.memory.volumes) == ["another"]


def test_nothing_to_remove(world: World) -> None:
    down(world.stack, engine=world.engine, volumes=True)
    assert down(world.stack, engine=world.engine, volumes=True).nothing


def test_services_of_one_level_are_stopped_at_once(world: World) -> None:
    for name in ("a", "b"):
        world.container(name, depends_on={"api": {"condition": "service_started"}})
        world.memory.of(name).life = Life(stops=8)
    world.memory.of("api").life = Life(stops=1)
    world.memory.of("db").life = Life(stops=1)
    down(world.stack, engine=world.engine)
    assert world.clock.now == pytest.approx(10, abs=0.5)


def test_what_ignores_its_signal_is_killed_when_its_time_is_over(world: World) -> None:
    db = world.memory.of("db")
    db.config["StopTimeout"], db.life = 4, Life(stops=None)
    down(world.stack, engine=world.engine)
    assert world.clock.now == pytest.approx(4.1, abs=0.1)
    assert db.exit_code == 137


@pytest.mark.parametrize("status", ["exited", "created", "dead"])
def test_what_does_not_run_is_not_stopped(world: World, status: str) -> None:
    world.memory.of("db").status = status
    down(world.stack, engine=world.engine)
    assert world.memory.called("stop") == ["api"]
    assert world.memory.containers == {}


@pytest.mark.parametrize("status", ["paused", "restarting"])
def test_what_is_paused_or_about_to_be_started_again_is_stopped(world: World, status: str) -> None:
    world.memory.of("db").status = status
    down(world.stack, engine=world.engine)
    assert world.memory.called("stop") == ["api", "db"]


@pytest.mark.parametrize("method", ["stop", "remove_container", "remove_network", "remove_volume"])
def test_what_somebody_else_has_removed_meanwhile(world: World, method: str) -> None:
    world.memory.refuse(method, 404)
    assert not down(world.stack, engine=world.engine, volumes=True).nothing
    assert holdings(world.stack, world.engine).names() == []


@pytest.mark.parametrize(
    ("method", "status"), [("remove_container", 409), ("remove_network", 403), ("remove_volume", 409)]
)
def test_what_is_in_use_is_tried_again_and_named_in_the_end(world: World, method: str, status: int) -> None:
    world.memory.refuse(method, status, times=2)
    assert not down(world.stack, engine=world.engine, volumes=True).nothing
    world.container("api")
    world.memory.networks["n1"] = {"Id": "n1", "Name": "net", "Labels": {LABEL: world.stack.compose_project}}
    world.memory.volumes["vol"] = {"Labels": {LABEL: world.stack.compose_project}}
    world.memory.refuse(method, status, times=4)
    with pytest.raises(StackFailedError, match="these could not be removed: ") as caught:
        down(world.stack, engine=world.engine, volumes=True)
    assert caught.value.where == world.stack.compose_project


@pytest.mark.parametrize("method", ["containers", "stop", "remove_container", "remove_network", "remove_volume"])
def test_what_the_engine_cannot_do_is_an_error(world: World, method: str) -> None:
    world.memory.refuse(method, 500, "broken")
    with pytest.raises(EngineError, match="the engine refused: broken"):
        down(world.stack, engine=world.engine, volumes=True)


def left_by(world: World, end: Callable[[], None] | None = None) -> list[str]:
    said: list[str] = []
    with removed_afterwards(world.stack, world.engine, say=said.append, fix="Do this."):
        if end is not None:
            end()
    return said


def interrupt() -> None:
    raise KeyboardInterrupt


def test_all_is_removed_afterwards(world: World) -> None:
    assert left_by(world) == []
    assert world.memory.containers == {}
    assert list(world.memory.volumes) == ["another"]


@pytest.mark.parametrize("reason", [KeyboardInterrupt(), ValueError("other"), EngineError("gone")])
def test_all_is_removed_however_it_ends(world: World, reason: BaseException) -> None:
    def end() -> None:
        raise reason

    with pytest.raises(type(reason)):
        left_by(world, end)
    assert world.memory.containers == {}


HOUR = 3600


def stubborn(world: World, monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Give a stack whose services ignore their stop signal, and may do so for an hour; return its clock."""
    for made in world.memory.containers.values():
        made.life = Life(stops=None)
        made.config["StopTimeout"] = HOUR
    monkeypatch.setattr("seatrial.stack.down.time", world.memory.clock)
    return world.memory.clock


@pytest.mark.parametrize(("end", "within"), [(interrupt, INTERRUPTED_STOP), (None, PRIVATE_STOP)])
def test_services_that_do_not_stop_are_killed_when_somebody_waits_or_nothing_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None] | None, within: float
) -> None:
    clock = stubborn(world, monkeypatch)
    began = clock.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        left_by(world, end)
    assert within - 1 <= clock.monotonic() - began <= within + 0.1
    assert world.memory.containers == {}


def test_down_gives_each_service_the_time_that_its_file_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = stubborn(world, monkeypatch)
    began = clock.monotonic()
    down(world.stack, engine=world.engine)
    assert clock.monotonic() - began >= 2 * HOUR


def test_what_cannot_be_removed_is_said(world: World) -> None:
    world.memory.refuse("remove_network", 500, "broken")
    assert left_by(world) == ["Not all of it could be removed: the engine refused: broken Do this."]


def test_what_cannot_be_removed_is_said_and_the_reason_reaches_the_user(world: World) -> None:
    def end() -> None:
        raise ValueError("the reason")

    world.memory.refuse("remove_network", 500, "broken")
    with pytest.raises(ValueError, match="the reason"):
        left_by(world, end)


def test_interrupted_and_not_all_could_be_removed(world: World) -> None:
    world.memory.refuse("remove_network", 500, "broken")
    with pytest.raises(
        StackLeftError, match="interrupted, and not all is removed: the engine refused: broken"
    ) as caught:
        left_by(world, interrupt)
    assert caught.value.fix == "Do this."


@pytest.mark.parametrize("end", [None, interrupt])
def test_interrupted_while_it_is_removed(world: World, end: Callable[[], None] | None) -> None:
    world.memory.fail("remove_network", KeyboardInterrupt())
    with pytest.raises(StackLeftError) as caught:
        left_by(world, end)
    project = world.stack.compose_project
    assert caught.value.what == f"interrupted again; what remains: {project}_default, {project}_data."


def test_what_an_inner_part_has_said_names_how_to_remove_this_stack(world: World) -> None:
    def end() -> None:
        raise StackLeftError("left.", fix="Another fix.")

    with pytest.raises(StackLeftError) as caught:
        left_by(world, end)
    assert (caught.value.what, caught.value.fix) == ("left.", "Do this.")
    # Whoever has pressed Ctrl-C twice does not wait for a removal.
    assert world.memory.calls == []


def test_nothing_remains(world: World) -> None:
    def end() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise KeyboardInterrupt

    world.memory.containers.clear()
    world.memory.networks.clear()
    world.memory.volumes.clear()
    with pytest.raises(StackLeftError, match="what remains: nothing"):
        left_by(world, end)


# What runs, and what it prints.


def test_ps_tells_where_each_stands(world: World) -> None:
    db = world.memory.of("db")
    world.clock.sleep(30)
    db.output.append((1.0, "ready"))
    assert [(p.service, p.phase.value, p.last_line) for p in ps(world.stack, engine=world.engine)] == [
        ("db", "up", "ready"),
        ("api", "up", ""),
    ]
    world.memory.end(db, 2)
    assert ps(world.stack, engine=world.engine)[0].phase.value == "failed"
    assert ps(Stack(app="no", compose_project="no"), engine=world.engine) == ()


@pytest.mark.parametrize("follow", [False, True])
def test_logs(world: World, follow: bool) -> None:
    world.memory.of("db").output += [(1, "first"), (3, "third")]
    world.memory.of("api").output += [(2, "second")]
    lines = [(line.service, line.text) for line in logs(world.stack, engine=world.engine, follow=follow)]
    assert sorted(lines) == [("api", "second"), ("db", "first"), ("db", "third")]
    if not follow:
        assert [text for _, text in lines] == ["first", "second", "third"]


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(("tail", "texts"), [(1, ["third"]), (None, ["first", "third"])])
def test_the_last_lines_of_one_service(world: World, tail: int | None, texts: list[str], follow: bool) -> None:
    world.memory.of("db").output += [(1, "first"), (3, "third")]
    world.memory.of("api").output += [(2, "second")]
    found = logs(world.stack, engine=world.engine, service="db", tail=tail, follow=follow)
    assert [line.text for line in found] == texts


def test_logs_of_what_the_engine_keeps_none_for(world: World) -> None:
    world.memory.refuse("logs", 501, "configured logging driver does not support reading")
    with pytest.raises(EngineError, match="does not support reading"):
        list(logs(world.stack, engine=world.engine))
    world.memory.refuse("logs", 501, times=2)
    assert {p.last_line for p in ps(world.stack, engine=world.engine)} == {""}


def test_the_protocol_of_a_port_is_kept(world: World) -> None:
    ports = [{"target": 53, "published": "53", "protocol": "udp"}, {"target": 53, "published": "54"}]
    world.container("dns", ports=ports)
    (dns,) = [state.container for state in ps(world.stack, engine=world.engine) if state.service == "dns"]
    assert dns is not None
    assert [(port.published, port.protocol) for port in dns.ports] == [(53, "udp"), (54, "tcp")]


def test_unnamed_volumes_stay_where_the_others_do_and_go_with_what_a_run_made(world: World) -> None:
    def again() -> None:
        world.memory.volumes[UNNAMED] = {"anonymous": True, "Labels": {}}
        world.container("cache").host_config["Binds"] = [f"{UNNAMED}:/cache"]

    again()
    # What was in it is not deleted, and no later container finds it.
    assert down(world.stack, engine=world.engine).out_of_reach == ("cache: /cache",)
    assert UNNAMED in world.memory.volumes
    again()
    roll_back(world.stack, world.engine, Holdings())
    assert UNNAMED not in world.memory.volumes
    again()
    down(world.stack, engine=world.engine, volumes=True)
    assert UNNAMED not in world.memory.volumes
