"""Commands that are killed at any moment: what they leave, the next command removes."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import Running, run

from seatrial import owner
from seatrial.compose.services import PROJECT_LABEL
from seatrial.engine.runs import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

COMMANDS = (
    ("smoke", "--stack"),
    ("build", "--no-cache"),
    ("smoke", "--stack", "--level", "deep"),
    ("smoke",),
)
KILLED, MOST_KILLED = 28, 4 * 28
KINDS = {"container", "network", "volume", "folder", "program"}
LATEST = 10.0
"""Seconds after which the last of them is killed."""
IMAGE = f"seatrial-test/killed-{os.getpid()}"
TOKEN = {"PIP_INDEX_URL": "https://index:a9-Token-of-mine@index.test/simple"}
"""A build that is handed a credential has a tag of its own until its image is searched."""

SETTINGS = f"""
[project]
name = "shop"
version = "1"

[tool.seatrial.apps.shop]
image = "{IMAGE}"
compose = "compose.yaml"
build-secrets = ["pip-config"]
contract.stack.service = "api"
"""
COMPOSE = """
services:
  api:
    image: {image}
    depends_on: [db]
    networks: [default, inner]
  db:
    image: {image}
    volumes: ["data:/data", "/more"]
    networks: [inner]
volumes:
  data:
networks:
  inner:
"""


@pytest.fixture
def project(yard: Yard, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "Dockerfile").write_text(f"FROM {yard.bases['clean']}\nRUN sleep 1\nLABEL {IMAGE}=1\n", encoding="utf-8")
    (folder / "compose.yaml").write_text(COMPOSE.format(image=IMAGE), encoding="utf-8")
    built = run("seatrial", "build", folder=folder, environment=TOKEN)
    assert built.code == 0, built.errors
    yield folder
    for image in yard.engine.client.images.list(filters={"label": IMAGE}):
        yard.engine.client.images.remove(str(image.id), force=True)


def left(yard: Yard, pids: set[int]) -> list[str]:
    """Return what there is of commands with these process numbers, and of this project."""
    client = yard.engine.client.api
    rows = [
        *(("container", row["Id"], row["Labels"]) for row in client.containers(all=True)),
        *(("network", row["Name"], row["Labels"]) for row in client.networks()),
        *(("volume", row["Name"], row["Labels"]) for row in client.volumes()["Volumes"] or ()),
    ]
    found = [
        f"{kind} {name}"
        for kind, name, labels in rows
        if str((labels or {}).get(OWNER)).split(":")[2:3] in [[str(pid)] for pid in pids]
        or str((labels or {}).get(PROJECT_LABEL)).startswith("shop-")
    ]
    tags = [tag for image in client.images(filters={"reference": f"{IMAGE}:*"}) for tag in image["RepoTags"] or ()]
    found += [f"tag {tag}" for tag in tags if ":unsearched-" in tag]
    found += [f"folder {path}" for path in Path(tempfile.gettempdir()).glob("seatrial-*")]
    return found + [f"program {pid}" for pid in programs(pids)]


def programs(pids: set[int]) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        owners = [pair.split(b":")[2] for pair in variables if pair.startswith(f"{owner.VARIABLE}=".encode())]
        if any(int(number) in pids for number in owners):
            yield int(folder.name)


@pytest.mark.timeout(600)
def test_what_killed_commands_left_is_gone_after_the_next_one(yard: Yard, project: Path) -> None:
    chosen = random.Random(28)  # noqa: S311 - a fixed seed
    pids: set[int] = set()
    seen: set[str] = set()
    for number in range(MOST_KILLED):
        # Chance decides what a command leaves: it goes on until each kind was left once.
        if number >= KILLED and seen >= KINDS:
            break
        words = COMMANDS[number % len(COMMANDS)]
        running = Running("seatrial", *words, folder=project, environment=TOKEN)
        time.sleep(chosen.uniform(0.3, LATEST))
        running.signal(signal.SIGKILL)
        running.end(within=10)
        pids.add(running.pid)
        seen |= {line.split(" ")[0] for line in left(yard, pids)}
    done = run("seatrial", "ps", "--format", "json", folder=project)
    assert not json.loads(done.out)["up"], done.errors
    assert left(yard, pids) == []
    assert seen >= KINDS
