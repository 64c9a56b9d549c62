"""What takes the place of an image that cannot be pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.world import World

from seatrial import offline
from seatrial.stack.images import substitute_maker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("known", "made"), [("postgres:17", "local:postgres"), ("other:1", None)])
def test_a_local_substitute_is_made_where_a_recipe_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, made: str | None
) -> None:
    world = World(tmp_path, monkeypatch)

    def ensure(found: str, **_: Any) -> str:
        return f"local:{found}"

    monkeypatch.setattr(offline, "recipes", lambda *_: {})
    monkeypatch.setattr(offline, "find_substitute", lambda name, _: "postgres" if name == known else None)
    monkeypatch.setattr(offline, "ensure_substitute", ensure)
    make = substitute_maker(world.project, world.engine, world.host, world.observer.say)
    assert make("postgres:17") == made
