"""What takes the place of an image that cannot be pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.world import World

from seatrial import offline
from seatrial.errors import ImageError
from seatrial.stack.images import provide, substitute_maker

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


def test_images_that_cannot_be_had_are_told_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch)
    world.write("services:\n  a: {image: 'redis:7-alpine'}\n  b: {image: 'me/x:1'}\n  c: {image: 'me/x:1'}\n")
    made = substitute_maker(world.project, world.engine, world.host, world.observer.say)
    plan = world.plan()
    assert plan.compose is not None
    with pytest.raises(ImageError) as caught:
        provide(plan, {}, compose=plan.compose, say=world.observer.say, substitute=made)
    assert caught.value.what == "2 images cannot be had; a line each tells what to do."
    assert "redis:7-alpine of the service 'a' cannot be pulled; there is no local substitute" in caught.value.detail
    assert "Name redis:7, pull" in caught.value.detail
    assert (
        "compose.yaml:3: the image me/x:1 of the service 'b' cannot be pulled; it has no local substitute."
        in caught.value.detail
    )
    assert "service 'c'" not in caught.value.detail
