"""Broken images, their clean twins, and a real engine to smoke them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.defects.yard import Yard, open_yard

from seatrial.engine.find import Engine, find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        found = find_engine(this_host())
    except EngineError as error:
        pytest.skip(f"NO ENGINE, SO NO IMAGE WAS SMOKED: {error} {error.detail}")
    yield found
    found.client.close()


@pytest.fixture(scope="session")
def yard(engine: Engine) -> Iterator[Yard]:
    with open_yard(engine, this_host()) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "yard" in request.fixturenames:
        assert request.getfixturevalue("yard").left_behind() == []
