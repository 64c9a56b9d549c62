"""What a compose file is given of the host, by how far its project is trusted: on a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.engine import test_stack as base
from tests.engine.test_stack import SLEEP, Yard

from seatrial.compose.runner import identify
from seatrial.compose.services import PROJECT_LABEL

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

# The fixtures of its neighbour.
engine, host, image, yard = base.engine, base.host, base.image, base.yard


def seatrial(yard: Yard, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seatrial", *words],
        cwd=yard.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def everything(yard: Yard) -> list[str]:
    """Return all containers that the stack or a smoke of it has."""
    project = identify(yard.project, "ship").compose_project
    listed = yard.engine.client.api.containers(all=True)
    return [found["Id"] for found in listed if found["Labels"].get(PROJECT_LABEL, "").startswith(project)]


def hostile(yard: Yard) -> None:
    """Write a compose file that asks for the host in every way that starts here."""
    yard.folder.parent.joinpath("outside.env").write_text("A=1\n", encoding="utf-8")
    yard.write(
        {
            "ship": yard.service(
                "touch", "/host/seatrial-was-here",
                privileged=True, pid="host", ipc="host", env_file=["../outside.env"], cap_add=["SYS_ADMIN"],
                environment=["AWS_SECRET_ACCESS_KEY"],
                volumes=["/:/host:ro", "/var/run/docker.sock:/engine.sock:ro"],
            )
        }
    )  # fmt: skip


ASKED = ("privileged", "pid: host", "SYS_ADMIN", "/ of the host", "engine's socket")


@pytest.mark.parametrize("words", [("smoke", "--stack"), ("up",), ("up", "--dry-run"), ("restart",)])
def test_an_untrusted_project_gets_nothing_of_the_host_and_nothing_is_started(
    yard: Yard, words: tuple[str, ...]
) -> None:
    hostile(yard)
    yard.folder.joinpath("Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    done = seatrial(yard, *words, "--app", "ship", "--untrusted", AWS_SECRET_ACCESS_KEY="a-secret-value")
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    for each in (*ASKED, "ipc: host", "outside.env", "AWS_SECRET_ACCESS_KEY"):
        assert each in said, each
    assert "a-secret-value" not in said
    assert "compose.yaml:1" in said
    assert everything(yard) == []


def test_a_smoke_does_not_hand_the_host_to_what_it_tests(yard: Yard) -> None:
    hostile(yard)
    yard.folder.joinpath("Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    done = seatrial(yard, "smoke", "--stack", "--app", "ship", "--trust", "project")
    assert done.returncode == 2
    for each in ASKED:
        assert each in done.stderr, each
    assert "--trust host" in done.stderr
    assert everything(yard) == []


def test_up_of_a_trusted_project_announces_what_is_dangerous_before_it_starts(yard: Yard) -> None:
    yard.write({"ship": yard.service(*SLEEP, ipc="host", volumes=["/etc:/host:ro", "./:/own:ro"])})
    done = seatrial(yard, "up", "--app", "ship", "--trust", "project")
    assert done.returncode == 0, done.stderr
    announced, _, started = done.stderr.partition("ship")[2].partition("\n")
    lines = done.stderr.splitlines()
    assert any("compose.yaml:1: the service 'ship' shares the host's shared memory" in line for line in lines)
    assert any("compose.yaml:1: the service 'ship' mounts /etc of the host" in line for line in lines)
    assert "/own" not in announced + started


def environment_of(yard: Yard) -> dict[str, str]:
    (found,) = everything(yard)
    listed = yard.engine.client.api.inspect_container(found)["Config"]["Env"]
    return dict(variable.partition("=")[::2] for variable in listed)


def test_a_service_gets_the_variables_that_its_file_names(yard: Yard) -> None:
    folder: Path = yard.folder
    folder.joinpath("more.env").write_text("FROM_FILE=${SECOND}\n", encoding="utf-8")
    environment = ["FIRST", "OTHER=${UNSET:-fallback}", "NESTED=${NOBODY:-${THIRD}}"]
    yard.write({"ship": yard.service(*SLEEP, environment=environment, env_file=["more.env"])})
    given = {"FIRST": "1", "SECOND": "2", "THIRD": "3", "FOURTH": "4"}
    done = seatrial(yard, "up", "--app", "ship", "--trust", "project", **given)
    assert done.returncode == 0, done.stderr
    assert "Compose gets these variables of your environment: FIRST, SECOND, THIRD." in done.stderr
    found = environment_of(yard)
    assert {key: found.get(key) for key in ("FIRST", "OTHER", "NESTED", "FROM_FILE")} == {
        "FIRST": "1", "OTHER": "fallback", "NESTED": "3", "FROM_FILE": "2",
    }  # fmt: skip
    again = seatrial(yard, "up", "--app", "ship", "--trust", "project", **given)
    assert "already" in again.stdout + again.stderr or again.returncode == 0


def test_an_untrusted_project_that_stays_within_itself_comes_up(yard: Yard) -> None:
    yard.folder.joinpath("own.env").write_text("OWN=1\n", encoding="utf-8")
    yard.write(
        {"ship": yard.service(*SLEEP, env_file=["own.env"], volumes=["./:/own:ro", "data:/data"])}, volumes={"data": {}}
    )
    done = seatrial(yard, "up", "--app", "ship", "--untrusted", AWS_SECRET_ACCESS_KEY="a-secret-value")
    assert done.returncode == 0, done.stderr
    assert environment_of(yard)["OWN"] == "1"


def test_aliases_that_stand_for_millions_are_refused_before_compose_sees_them(yard: Yard) -> None:
    lines = ["x-0: &a0 [lol, lol]", *(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]
    text = "\n".join([*lines, json.dumps({"services": {"ship": {"image": "x"}}})[1:-1]])
    yard.folder.joinpath("compose.yaml").write_text(text, encoding="utf-8")
    yard.folder.joinpath("Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    for words in (("up",), ("up", "--dry-run"), ("smoke", "--stack")):
        done = seatrial(yard, *words, "--app", "ship", "--trust", "host")
        assert done.returncode == 2
        assert "aliases counted" in done.stdout + done.stderr
    assert everything(yard) == []
