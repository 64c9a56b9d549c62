"""How a stack is restarted, on an engine in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.engine import Life, healthy
from tests.fakes.world import World

from seatrial.engine.find import API_TIMEOUT
from seatrial.errors import EngineError, StackError, StackFailedError
from seatrial.stack.restart import restart, to_restart

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.stack.state import StackState

HEALTHY: dict[str, Any] = {"depends_on": {"db": {"condition": "service_healthy"}}}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a stack that is up: proxy needs api, and api needs db, which is healthy after two seconds."""
    world = World(tmp_path, monkeypatch)
    world.memory.script("db", healthy(2, stops=3))
    world.container("db")
    world.container("api", ports=[{"target": 8000, "published": "8000"}], **HEALTHY)
    world.container("proxy", depends_on={"api": {"condition": "service_started"}})
    world.clock.sleep(60)
    world.memory.calls.clear()
    return world


def restarted(world: World, service: str | None = None, *, timeout: float = 60) -> StackState:
    try:
        return restart(
            to_restart(world.stack, world.engine, service),
            stack=world.stack,
            file=world.file,
            own_images={"ship": "ship"},
            engine=world.engine,
            observer=world.observer,
            timeout=timeout,
            clock=world.clock,
        )
    finally:
        assert world.engine.client.api.timeout == API_TIMEOUT


def test_each_is_stopped_before_and_started_behind_what_it_needs(world: World) -> None:
    state = restarted(world)
    assert world.memory.calls == [
        ("stop", "proxy"),
        ("stop", "api"),
        ("stop", "db"),
        ("start", "db"),
        ("start", "api"),
        ("start", "proxy"),
    ]
    db, api = world.memory.of("db"), world.memory.of("api")
    assert (api.started or 0) - (db.started or 0) == pytest.approx(2, abs=0.21)
    assert [(service.service, service.phase.value) for service in state.services] == [
        ("db", "up"),
        ("api", "up"),
        ("proxy", "up"),
    ]
    assert [address.text for address in state.addresses] == ["http://engine.test:8000"]
    assert state.changed
    assert state.seconds == pytest.approx(world.clock.now - 60)


def test_one_service_alone(world: World) -> None:
    state = restarted(world, "api")
    assert world.memory.calls == [("stop", "api"), ("start", "api")]
    assert [service.service for service in state.services] == ["api"]


def test_how_those_stand_that_are_not_started_yet_is_no_failure(world: World) -> None:
    world.memory.script("api", Life(stop_code=1))
    world.memory.start(world.memory.of("api"))
    assert restarted(world).changed


def test_what_does_not_stop_is_killed_by_the_engine(world: World) -> None:
    db = world.memory.of("db")
    db.config["StopTimeout"] = 7
    db.life = Life(stops=None)
    before = world.clock.now
    restarted(world, "db")
    assert world.clock.now - before == pytest.approx(7 + 2, abs=0.3)


def test_the_time_counts_from_the_first_start(world: World) -> None:
    world.memory.of("db").life = Life(stops=9)
    state = restarted(world, "db", timeout=3)
    assert [service.phase.value for service in state.services] == ["up"]
    assert state.seconds == pytest.approx(9 + 2, abs=0.3)


def test_what_does_not_become_healthy_again_is_told_and_stays(world: World) -> None:
    world.memory.script("db", Life(health=((2, "unhealthy"),), prints=["recovering"]))
    with pytest.raises(StackFailedError, match=r"ship did not come up: db is unhealthy\.") as caught:
        restarted(world)
    assert "proxy and api waited" in caught.value.detail or "api and proxy waited" in caught.value.detail
    assert "    recovering" in caught.value.detail
    assert world.memory.statuses() == {"db": "running", "api": "exited", "proxy": "exited"}


def test_what_is_not_up_in_time(world: World) -> None:
    world.memory.script("db", healthy(500))
    with pytest.raises(StackFailedError, match=r"was not up after 5 s: db runs and is not healthy yet"):
        restarted(world, timeout=5)


def test_what_crashes_at_its_start(world: World) -> None:
    world.memory.script("proxy", Life(ends=0.3, code=9))
    with pytest.raises(StackFailedError, match="proxy ended with exit code 9"):
        restarted(world)


def test_what_cannot_be_started(world: World) -> None:
    world.memory.script("api", Life(refused="runc: unable to start container process: exec: no such file."))
    with pytest.raises(StackFailedError, match=r"api could not be started: exec: no such file\. Fix it") as caught:
        restarted(world)
    assert "invoke up --app ship" in caught.value.fix


def test_an_engine_that_is_gone(world: World) -> None:
    world.memory.before("start", lambda _: world.memory.die())
    with pytest.raises(EngineError, match="stopped answering"):
        restarted(world)


def test_ctrl_c_removes_nothing(world: World) -> None:
    world.clock.interrupt_at(world.clock.now + 4)
    with pytest.raises(KeyboardInterrupt):
        restarted(world)
    assert len(world.memory.containers) == 3


def test_a_one_shot_that_has_completed_is_not_run_again_unless_it_is_named(world: World) -> None:
    job = world.container("job")
    world.memory.end(job, 0)
    restarted(world)
    assert "job" not in world.memory.called("start")
    world.memory.script("job", Life(ends=0.5))
    state = restarted(world, "job")
    assert world.memory.called("start")[-1] == "job"
    assert [service.phase.value for service in state.services] == ["completed"]


def test_what_waited_for_a_one_shot_tells_that_it_is_one(world: World) -> None:
    """It has a health check of its image, and may end all the same."""
    world.memory.script("job", healthy(0.5, ends=2))
    job = world.container("job", ports=[{"target": 1, "published": "1"}])
    world.clock.sleep(5)
    world.container("worker", depends_on={"job": {"condition": "service_completed_successfully"}})
    state = restarted(world, "job")
    assert {service.service: service.phase.value for service in state.services} == {"job": "completed", "worker": "up"}
    assert job.status == "exited"


def test_what_is_stopped_counts_only_where_nothing_runs(world: World) -> None:
    chosen = to_restart(world.stack, world.engine, None)
    assert {item.service for item in chosen} == {"db", "api", "proxy"}
    world.memory.end(world.memory.of("api"), 1)
    assert {container.service for container in to_restart(world.stack, world.engine, None)} == {"db", "proxy"}
    assert {container.service for container in to_restart(world.stack, world.engine, "api")} == {"api"}
    for name in ("db", "proxy"):
        world.memory.end(world.memory.of(name), 1)
    assert {container.service for container in to_restart(world.stack, world.engine, None)} == {"db", "api", "proxy"}


def test_a_stack_that_is_down_and_a_service_that_is_not_there(world: World) -> None:
    with pytest.raises(StackError, match="ship has no service 'dbb'") as caught:
        to_restart(world.stack, world.engine, "dbb")
    assert "db" in caught.value.fix
    world.memory.containers.clear()
    with pytest.raises(StackError, match="nothing of ship is up"):
        to_restart(world.stack, world.engine, None)
