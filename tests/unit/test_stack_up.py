"""How a stack comes up, on an engine in memory and a clock that moves when somebody sleeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.engine import Life, healthy
from tests.fakes.world import World

from seatrial.errors import StackFailedError
from seatrial.stack.up import up

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.stack.state import StackState

TWO = """
    services:
      api:
        image: ship:1
        ports: ["8000:8000"]
        depends_on:
          db: {condition: service_healthy}
      db:
        image: postgres:17
        volumes: ["data:/data"]
    volumes:
      data: {}
    """


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, monkeypatch)
    world.memory.add_image("postgres:17")
    world.write(TWO)
    world.memory.script("db", healthy(3))
    return world


def bring_up(world: World, **options: Any) -> StackState:
    return up(world.plan(), engine=world.engine, host=world.host, observer=world.observer, clock=world.clock, **options)


def test_each_is_started_behind_what_it_waits_for(world: World) -> None:
    state = bring_up(world)
    assert state.changed
    assert world.memory.statuses() == {"db": "running", "api": "running"}
    assert state.seconds == pytest.approx(4.2, abs=0.3)


def test_a_crash_is_told_and_undone(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3, prints=["no disk"]))
    with pytest.raises(StackFailedError, match="db ended with exit code 3"):
        bring_up(world)
    assert world.memory.containers == {}
