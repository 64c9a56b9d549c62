"""What is done with a stack that is up, against a real engine: restart, exec, logs; two checkouts of one project."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine import test_stack
from tests.engine.test_stack import LISTENER, SLEEP, Yard, free_port, three_services

from seatrial.compose.runner import identify
from seatrial.errors import ExitCode, StackError, StackFailedError
from seatrial.stack import inspect
from seatrial.stack.images import substitute_maker
from seatrial.stack.restart import restart, to_restart
from seatrial.stack.state import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.stack.state import ContainerState, StackState

pytestmark = pytest.mark.engine

host, engine, image, yard = test_stack.host, test_stack.engine, test_stack.image, test_stack.yard

ONCE = "trap 'exit 0' TERM; if [ -e /begun ]; then echo 'not again'; exit 4; fi; touch /begun; sleep 1000 & wait"
"""Starts once, and never again."""


def containers(of: Yard) -> dict[str, ContainerState]:
    found = inspect.containers(identify(of.project, "ship"), of.engine)
    return {match.service: match for match in found}


def restarted(of: Yard, service: str | None = None, *, timeout: float = 60) -> StackState:
    stack = identify(of.project, "ship")
    return restart(
        to_restart(stack, of.engine, service),
        stack=stack,
        file=of.folder / "compose.yaml",
        own_images={},
        engine=of.engine,
        observer=of.witness,
        timeout=timeout,
    )


def test_a_restart_of_all_waits_until_all_is_healthy_and_runs_no_one_shot_again(yard: Yard) -> None:
    three_services(yard, free_port())
    yard.up()
    time.sleep(2)
    before = containers(yard)
    yard.witness.seen.clear()
    state = restarted(yard)
    assert {service.service: service.phase for service in state.services} == {"db": Phase.UP, "api": Phase.UP}
    assert state.addresses
    after = containers(yard)
    assert {name: one.id for name, one in after.items()} == {name: one.id for name, one in before.items()}
    for name in ("db", "api"):
        assert after[name].seconds < before[name].seconds + 2
    assert inspect.last_lines(after["migrate"].id, yard.engine, count=9) == ("migrated",)
    # The API stood by while the database came back.
    assert any(item["db"] is Phase.STARTING and item["api"] is Phase.WAITING for item in yard.witness.seen)


def test_a_restart_of_one_service_leaves_the_others_alone(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP), "b": yard.service(*SLEEP)})
    yard.up()
    time.sleep(3)
    state = restarted(yard, "b")
    assert [service.service for service in state.services] == ["b"]
    after = containers(yard)
    assert after["a"].seconds > after["b"].seconds + 2


def test_a_one_shot_that_is_named_runs_again(yard: Yard) -> None:
    three_services(yard, free_port())
    yard.up()
    state = restarted(yard, "migrate")
    assert {service.service: service.phase for service in state.services} == {"migrate": Phase.DONE, "api": Phase.UP}
    migrate = containers(yard)["migrate"]
    assert inspect.last_lines(migrate.id, yard.engine, count=9) == ("migrated", "migrated")


def test_what_does_not_start_again_is_named_with_its_output_and_who_waited(yard: Yard) -> None:
    yard.write({"db": yard.service("bash", "-c", ONCE), "api": yard.service(*SLEEP, depends_on=["db"])})
    yard.up()
    with pytest.raises(StackFailedError) as caught:
        restarted(yard)
    assert caught.value.exit_code is ExitCode.FAILED
    assert caught.value.what == "ship did not come up: db ended with exit code 4."
    assert "    not again" in caught.value.detail.splitlines()
    assert "api waited for it" in caught.value.detail
    assert set(containers(yard)) == {"db", "api"}


def test_a_restart_holds_its_time(yard: Yard) -> None:
    check = {"test": ["CMD-SHELL", "test ! -e /begun"], "interval": "300ms", "retries": 100, "start_period": "60s"}
    command = "trap 'touch /begun; exit 0' TERM; sleep 1000 & wait"
    yard.write({"db": yard.service("bash", "-c", command, healthcheck=check)})
    yard.up()
    start = time.monotonic()
    with pytest.raises(StackFailedError, match="ship was not up after 3 s: db runs and is not healthy yet"):
        restarted(yard, timeout=3)
    assert 3 <= time.monotonic() - start < 8


def test_a_restart_of_what_is_not_there(yard: Yard) -> None:
    yard.write({"api": yard.service(*SLEEP)})
    with pytest.raises(StackError, match=r"nothing of ship is up\. Bring it up: `invoke up --app ship`"):
        restarted(yard)
    yard.up()
    with pytest.raises(StackError, match=r"ship has no service 'apj'"):
        restarted(yard, "apj")


def test_up_twice_leaves_every_container_as_it_is(yard: Yard) -> None:
    three_services(yard, free_port())
    yard.up()
    before = containers(yard)
    start = time.monotonic()
    assert not yard.up().changed
    assert time.monotonic() - start < 3
    after = containers(yard)
    assert {name: one.id for name, one in after.items()} == {name: one.id for name, one in before.items()}
    assert all(after[name].seconds >= before[name].seconds for name in before)


def test_two_checkouts_of_one_project_do_not_collide(yard: Yard, tmp_path: Path) -> None:
    other = replace(yard, folder=tmp_path / "other", witness=test_stack.Witness())
    other.folder.mkdir()
    for entry in (yard, other):
        entry.folder.joinpath("pyproject.toml").write_text(
            '[tool.seatrial.apps]\nship = {compose = "compose.yaml"}\n', encoding="utf-8"
        )
        entry.write(
            {"a": entry.service("perl", "-e", test_stack.LISTENER, ports=["127.0.0.1::8000"], volumes=["data:/data"])},
            volumes={"data": {}},
        )
    try:
        first, second = yard.up(), other.up()
        assert first.stack.compose_project != second.stack.compose_project
        assert first.addresses != second.addresses
        held = containers(yard)["a"]
        assert held.id != containers(other)["a"].id
        assert len(other.down(volumes=True).volumes) == 1
        assert containers(yard)["a"].id == held.id
        assert len(yard.left()) == 3
        assert not yard.up().changed
    finally:
        other.down(volumes=True)


# --- by the command line ----------------------------------------------------------------------------------


def seatrial(of: Yard, *words: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seatrial", *words],
        cwd=of.folder,
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_exec_hands_on_words_input_output_and_the_exit_code(yard: Yard) -> None:
    ended = yard.service("bash", "-c", "exit 0")
    # Written down: a service that may end. What says nothing of it is there to run on.
    yard.write({"a": yard.service(*SLEEP), "done": {**ended, "restart": "no"}})
    yard.up()
    enter = ("exec", "--app", "ship", "--service", "a")
    done = seatrial(yard, *enter, "--", "sh", "-c", 'echo "$0|$1"; echo wrong >&2; exit 7', "two  words", "-x", said="")
    assert (done.returncode, done.stdout, done.stderr) == (7, "two  words|-x\n", "wrong\n")
    piped = seatrial(yard, *enter, "--command", "tr a-z A-Z", said="ahoy\n")
    assert (piped.returncode, piped.stdout) == (0, "AHOY\n")
    gone = seatrial(yard, *enter, "--", "nosuch", said="")
    assert gone.returncode in {126, 127}
    assert "nosuch" in gone.stdout + gone.stderr
    stopped = seatrial(yard, "exec", "--app", "ship", "--service", "done", "--", "ls")
    assert stopped.returncode == 2
    assert "error: ship-" in stopped.stderr
    assert "done is not running: it ended with exit code 0. Running: a." in stopped.stderr
    unnamed = seatrial(yard, "exec", "--app", "ship", "--", "ls")
    assert unnamed.stderr == "error: which service? Give --service; `invoke ps` shows those that run.\n"


def test_exec_gives_a_terminal_where_there_is_one(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP)})
    yard.up()
    ask = "test -t 0 && test -t 1 && echo a terminal"
    near, far = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "seatrial", "exec", "--app", "ship", "--service", "a", "--", "sh", "-c", ask],
            cwd=yard.folder,
            stdin=far,
            stdout=far,
            stderr=far,
        ) as run:
            assert run.wait(timeout=60) == 0
        assert b"a terminal" in os.read(near, 4096)
    finally:
        os.close(near)
        os.close(far)


def test_restart_and_its_dry_run(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP), "b": yard.service(*SLEEP)})
    yard.up()
    before = {name: one.seconds for name, one in containers(yard).items()}
    told = seatrial(yard, "restart", "--app", "ship", "--dry-run")
    assert (told.returncode, told.stdout) == (0, "ship: would restart a, b\n")
    assert containers(yard)["a"].seconds > before["a"]
    done = seatrial(yard, "restart", "--app", "ship", "--service", "b")
    assert done.returncode == 0, done.stderr
    assert "ship is up after" in done.stdout


def test_restart_and_down_for_programs(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP), "b": yard.service(*SLEEP)})
    yard.up()
    told = answer(yard, 0, "restart", "--dry-run")
    assert (told["would_restart"], told["problem"]) == (["a", "b"], None)
    done = answer(yard, 0, "restart", "--service", "b")
    assert (done["up"], done["changed"], done["problem"]) == (True, True, None)
    assert "b" in {entry["service"] for entry in done["services"] if entry["state"] == "up"}
    wrong = answer(yard, 2, "restart", "--service", "c")
    assert (wrong["up"], wrong["changed"]) == (False, False)
    assert "'c'" in wrong["problem"]["what"]
    kept = answer(yard, 2, "down", "--volumes")
    assert (kept["down"], kept["removed"]["containers"]) == (False, [])
    assert answer(yard, 0, "down", "--dry-run")["up"]
    down = answer(yard, 0, "down")
    assert (down["down"], len(down["removed"]["containers"]), len(down["removed"]["networks"])) == (True, 2, 1)
    assert not answer(yard, 2, "restart")["up"]


def answer(yard: Yard, code: int, name: str, *arguments: str) -> dict[str, Any]:
    """Return what a command prints for programs."""
    done = seatrial(yard, name, "--app", "ship", "--format", "json", *arguments, said="")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_logs_of_one_service_are_followed_until_ctrl_c(yard: Yard) -> None:
    talk = "trap 'exit 0' TERM; n=0; while true; do n=$$((n + 1)); echo line $$n; sleep 0.2 & wait $$!; done"
    yard.write({"a": yard.service("bash", "-c", talk), "b": yard.service("bash", "-c", talk)})
    yard.up()
    with subprocess.Popen(
        [sys.executable, "-m", "seatrial", "logs", "--app", "ship", "--follow", "--service", "a"],
        cwd=yard.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        lines = [run.stdout.readline() for _ in range(12)]
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "Traceback" not in errors
    numbers = [int(line.removeprefix("a | line ")) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 12))


ASKS = "trap 'exit 0' TERM; psql postgresql://shop@db/shop -c 'select 1' && sleep 1000 & wait $$!"


def database(yard: Yard, password: str) -> None:
    """Write a database with a client that ends where the database refuses it."""
    yard.write(
        {
            "db": {
                "image": "postgres:17",
                "environment": {"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "shop"},
                "volumes": ["data:/var/lib/postgresql/data"],
                "healthcheck": {
                    "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "shop"],
                    "interval": "300ms",
                    "retries": 200,
                },
            },
            "web": {
                "image": "postgres:17",
                "entrypoint": ["bash", "-c", ASKS],
                "environment": {"PGPASSWORD": password},
                # Its image declares a volume, which would outlast it without a name.
                "tmpfs": ["/var/lib/postgresql/data"],
                "depends_on": {"db": {"condition": "service_healthy"}},
            },
        },
        volumes={"data": {}},
    )


def test_a_volume_that_is_older_than_the_password_is_told_and_its_data_is_kept(yard: Yard) -> None:
    substitute = substitute_maker(yard.project, yard.engine, yard.host, yard.witness.say)
    database(yard, "harbour-7")
    yard.up(timeout=120, substitute=substitute)
    (volume,) = yard.down().kept_volumes
    database(yard, "lighthouse-8")
    with pytest.raises(StackFailedError) as caught:
        yard.up(timeout=120, substitute=substitute)
    assert "web ended with exit code 2" in caught.value.what
    assert f"db refused the password: the volume {volume} is older than the password" in caught.value.what
    assert "Set the password that the volume was made with" in caught.value.fix
    assert yard.left() == [volume]
    database(yard, "harbour-7")
    assert yard.up(timeout=120, substitute=substitute).changed


def test_data_in_a_volume_without_a_name_is_told_as_out_of_reach(yard: Yard) -> None:
    yard.write({"db": yard.service(*SLEEP, volumes=["/data", "named:/named"])}, volumes={"named": {}})
    yard.up()
    mounts = yard.engine.client.api.inspect_container(containers(yard)["db"].id)["Mounts"]
    removed = yard.down()
    for mount in mounts:
        # It is still there, and nothing of the stack's any more.
        yard.engine.client.api.remove_volume(mount["Name"])
    assert removed.out_of_reach == ("db: /data",)
    assert len(removed.kept_volumes) == 1


def test_a_published_port_that_nothing_listens_on_is_told_once_all_is_up(yard: Yard) -> None:
    ports = [f"127.0.0.1:{free_port()}:8000", f"127.0.0.1:{free_port()}:8001"]
    checked = {"test": ["CMD", "true"], "interval": "300ms"}
    yard.write({"api": yard.service("perl", "-e", LISTENER, ports=ports, healthcheck=checked)})
    assert yard.up().unanswered == ("api publishes 8001, and listens on 8000",)
