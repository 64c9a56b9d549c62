"""However a smoke ends, nothing of it is left behind, and a person gets one line."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import Running, run
from tests.defects.endings import KINDS, codes
from tests.defects.hostile_projects import IMAGE
from tests.defects.proxy import Door

from seatrial.engine.runs import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.defects.endings import Kind
    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

MOMENTS = (0.0, 0.05, 0.15, 0.3, 0.6, 1.5)
"""Seconds after its first container: while it looks, probes, starts, waits."""

SLEEPS = 'FROM {clean}\nCMD ["sleep", "600"]'
"""An application that never becomes healthy, and so keeps a smoke waiting."""

END_SECONDS = 15


@pytest.fixture(scope="module")
def sleeping(yard: Yard) -> str:
    return yard.image(SLEEPS)


@pytest.fixture
def door(yard: Yard, tmp_path: Path) -> Iterator[Door]:
    url = yard.engine.candidate.url
    if not url.startswith("unix://"):
        pytest.skip(f"the engine is at {url}: the door is for Unix sockets")
    made = Door(tmp_path / "door.sock", url)
    yield made
    made.shut()


def begun(yard: Yard, running: Running, *, within: float = 20) -> None:
    """Wait until the engine shows a container of this very command."""
    deadline = time.monotonic() + within
    while not containers_of(yard, running):
        assert time.monotonic() < deadline, "it started nothing"
        time.sleep(0.01)


def containers_of(yard: Yard, running: Running) -> list[str]:
    rows = yard.engine.client.api.containers(all=True, filters={"label": OWNER})
    return [row["Id"] for row in rows if row["Labels"][OWNER].split(":")[2] == str(running.pid)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_leaves_nothing(
    yard: Yard, sleeping: str, tmp_path: Path, number: int, code: int, moment: float
) -> None:
    running = Running("seatrial", "smoke", "--image", sleeping, folder=tmp_path)
    begun(yard, running)
    time.sleep(moment)
    running.signal(number)
    ended = running.end(within=END_SECONDS)
    assert ended.code == code, ended.errors
    assert "Traceback" not in ended.errors
    assert len(ended.errors.splitlines()) <= 1
    assert containers_of(yard, running) == []


RANDOM = random.Random(11)  # noqa: S311 - moments, not secrets
MET = [
    pytest.param(kind, number, RANDOM.uniform(0.5, kind.lasts), id=f"{kind.name.replace(' ', '-')}-{number.name}")
    for kind in KINDS
    for number in (signal.SIGINT, signal.SIGTERM)
]


@pytest.fixture(scope="module")
def image(yard: Yard) -> Iterator[None]:
    yard.engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
    yield
    yard.engine.client.images.remove(f"{IMAGE}:latest")


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(("kind", "number", "moment"), MET)
def test_whatever_it_is_doing_a_signal_ends_it_soon(
    yard: Yard, tmp_path: Path, kind: Kind, number: signal.Signals, moment: float
) -> None:
    folder = tmp_path / "project"
    words = kind.prepared(yard, folder)
    running = Running(*words, folder=folder)
    time.sleep(moment)
    running.signal(number)
    began = time.monotonic()
    ended = running.end(within=END_SECONDS)
    assert time.monotonic() - began < END_SECONDS
    assert ended.code in codes(number), ended.errors
    assert "Traceback" not in ended.errors
    # What the engine was told to end may still be listed for a moment.
    deadline = time.monotonic() + 5
    while (left := kind.left(yard, folder, running.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_an_impatient_second_interrupt_leaves_no_traceback(yard: Yard, sleeping: str, tmp_path: Path) -> None:
    running = Running("seatrial", "smoke", "--image", sleeping, folder=tmp_path)
    begun(yard, running)
    time.sleep(0.8)
    for _ in range(3):
        running.signal(signal.SIGINT)
        time.sleep(0.03)
    ended = running.end(within=END_SECONDS)
    # An interrupt that meets Python while it leaves ends it as the signal itself: a shell shows 130 for both.
    assert ended.code in {130, -signal.SIGINT}
    assert "Traceback" not in ended.errors
    run("seatrial", "smoke", "--image", yard.bases["clean"], "--level", "quick", folder=tmp_path)
    assert gone(yard, running)


def test_what_a_killed_smoke_left_is_swept_up_by_the_next(yard: Yard, sleeping: str, tmp_path: Path) -> None:
    running = Running("seatrial", "smoke", "--image", sleeping, folder=tmp_path)
    begun(yard, running)
    time.sleep(0.5)
    running.signal(signal.SIGKILL)
    assert running.end(within=END_SECONDS).code == -signal.SIGKILL
    assert containers_of(yard, running) != []
    run("seatrial", "smoke", "--image", yard.bases["clean"], "--level", "quick", folder=tmp_path)
    assert gone(yard, running)


@pytest.mark.parametrize("moment", [0.0, 0.2, 1.2])
def test_an_engine_that_dies_in_the_middle_gets_one_line(
    yard: Yard, sleeping: str, tmp_path: Path, door: Door, moment: float
) -> None:
    environment = {"DOCKER_HOST": door.url}
    running = Running("seatrial", "smoke", "--image", sleeping, folder=tmp_path, environment=environment)
    begun(yard, running)
    time.sleep(moment)
    door.shut()
    ended = running.end(within=END_SECONDS)
    first, *details = ended.errors.splitlines()
    assert ended.code == 2
    assert first.startswith("error: ")
    assert "the engine stopped answering" in first
    assert "Traceback" not in ended.errors
    assert all(line.startswith("  ") for line in details)
    assert ended.out == ""
    run("seatrial", "smoke", "--image", yard.bases["clean"], "--level", "quick", folder=tmp_path)
    assert gone(yard, running)


def gone(yard: Yard, running: Running, *, within: float = 10) -> bool:
    """Tell whether its containers go: the sweep runs beside the command that began it."""
    deadline = time.monotonic() + within
    while containers_of(yard, running) and time.monotonic() < deadline:
        time.sleep(0.1)
    return containers_of(yard, running) == []
