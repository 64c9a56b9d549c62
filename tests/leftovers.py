"""Fails a run of tests that leaves something behind, on the engine or among the temporary files.

Containers, networks, volumes (nameless ones too), images without a name and images of the tests' own count, where the
engine did not have them before. Temporary files go to a folder of this run's, which must be empty at its end.

The process that pytest was started as looks, so that tests that run beside each other are not taken for leftovers.
A run of unit tests alone asks no engine. What another program does with the same engine meanwhile shows here too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.engine.find import find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.engine.find import Engine

TEST_IMAGES = "seatrial-test"
"""What the names of the images begin with that tests make."""

UNIT = Path(__file__).parent / "unit"
WITHIN = 10.0
"""Seconds until what a test started in the background, such as a sweep, must have ended."""


@dataclass(frozen=True)
class Before:
    """What there was when the run began."""

    temporary: Path
    former: str
    """The temporary folder of everybody else."""
    engine: Engine | None
    held: Mapping[str, str] = field(default_factory=dict)


STARTED = pytest.StashKey[Before]()
LEFT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a temporary folder of its own; the processes that it starts inherit it."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    former = tempfile.gettempdir()
    # pytest keeps the folders of its last three runs, by itself.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", former)
    # A short name: it holds sockets, whose paths are limited.
    temporary = Path(tempfile.mkdtemp(prefix="st-"))
    # As in /tmp itself, accounts that a test becomes may go in.
    temporary.chmod(0o1777)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    engine = _engine(config)
    held = holdings(engine) if engine is not None else {}
    config.stash[STARTED] = Before(temporary=temporary, former=former, engine=engine, held=held)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look again, and fail the run for what was not there before."""
    before = session.config.stash.get(STARTED, None)
    if before is None:
        return
    deadline = time.monotonic() + WITHIN
    while (left := left_since(before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    session.config.stash[LEFT] = left
    if left and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what is left."""
    left = config.stash.get(LEFT, [])
    if left:
        terminalreporter.section("left behind by this run", red=True)
        for line in left:
            terminalreporter.line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the temporary folder."""
    before = config.stash.get(STARTED, None)
    if before is None:
        return
    tempfile.tempdir = None
    os.environ["TMPDIR"] = before.former
    shutil.rmtree(before.temporary, ignore_errors=True)
    if before.engine is not None:
        before.engine.client.close()


def left_since(before: Before) -> list[str]:
    """Return what there is now and was not there before, a line each."""
    # uv locks environments by files there, and leaves them.
    files = [file for file in sorted(before.temporary.iterdir()) if not file.match("uv-*.lock")]
    held = holdings(before.engine) if before.engine is not None else {}
    return [
        *(f"temporary file {file}" for file in files),
        *(said for key, said in sorted(held.items(), key=lambda item: item[1]) if key not in before.held),
    ]


def holdings(engine: Engine) -> dict[str, str]:
    """Return what an engine holds that tests may leave behind: its id, and what to call it."""
    client = engine.client.api
    found = {}
    for container in client.containers(all=True):
        found[container["Id"]] = f"container {container['Names'][0].lstrip('/')} of image {container['Image']}"
    for network in client.networks():
        found[network["Id"]] = f"network {network['Name']}"
    for volume in client.volumes()["Volumes"] or ():
        found[f"volume {volume['Name']}"] = f"volume {volume['Name']}"
    for image in client.images():
        names = [name for name in image["RepoTags"] or () if name != "<none>:<none>"]
        for name in names or ("without a name",):
            if not names or name.startswith(TEST_IMAGES):
                found[f"{image['Id']} {name}"] = f"image {name}, {image['Id']}"
    return found


def _engine(config: pytest.Config) -> Engine | None:
    """Return the engine in use; None where there is none, or only unit tests run."""
    files = [config.invocation_params.dir / word.partition("::")[0] for word in config.args]
    if all(file.is_relative_to(UNIT) for file in files):
        return None
    try:
        return find_engine(this_host())
    except EngineError:
        return None
