"""`up` before it starts and while it waits: what it says of each kind of bad input, and that nothing is left."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine import test_stack as base
from tests.engine.test_stack import SLEEP, Relay, Witness, Yard, free_port

from seatrial.compose.readiness import Readiness
from seatrial.compose.runner import identify
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError, StackError, StackFailedError
from seatrial.settings.read import read_project
from seatrial.stack import down as remove
from seatrial.stack import inspect, preflight
from seatrial.stack import up as bringup
from seatrial.stack.state import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

# The fixtures of its neighbour.
engine, host, image, yard = base.engine, base.host, base.image, base.yard

NEVER = {"test": ["CMD", "false"], "interval": "30s", "start_period": "60s"}
DEAF = ["bash", "-c", "trap '' TERM; while :; do sleep 1; done"]
"""Does not listen when it is asked to stop."""


def seatrial(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seatrial", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Timed(Witness):
    """Notes when it is told what."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[float, str]] = []

    def say(self, text: str) -> None:
        self.at.append((time.monotonic(), text))
        super().say(text)

    def when(self, text: str) -> float:
        return next(at for at, said in self.at if text in said)


def looked(yard: Yard) -> dict[str, list[str]]:
    """Return what a look before the start finds, by standing."""
    found = preflight.check_all(yard.project, "ship", engine=yard.engine, host=yard.host)
    told: dict[str, list[str]] = {readiness.value: [] for readiness in Readiness}
    for finding in found.findings:
        told[finding.readiness.value].append(f"{finding.check}: {finding.what}")
    return told


def test_a_look_names_all_that_stands_in_the_way_and_starts_nothing(yard: Yard) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        yard.write(
            {
                "api": {
                    "image": "own/crew:1",
                    "env_file": ["gone.env"],
                    "environment": {"A": "${HARBOUR:?name a harbour}"},
                    "ports": [f"127.0.0.1:{port}:8000"],
                    "depends_on": ["db"],
                },
                "db": yard.service(*SLEEP),
                "far": {"image": "localhost:1/nosuch:1"},
            }
        )
        yard.folder.joinpath(".env.example").write_text("# The harbour to sail to\nHARBOUR=odesa\n", encoding="utf-8")
        yard.folder.joinpath(".env").write_text("HARBOUR=\n", encoding="utf-8")
        run = seatrial(yard.folder, "up", "--app", "ship", "--dry-run", "--format", "json")
        shown = seatrial(yard.folder, "up", "--app", "ship", "--dry-run")
    assert run.returncode == 2, run.stdout + run.stderr
    document = json.loads(run.stdout)
    assert document["ready"] is False
    found = {(entry["check"], entry["standing"]): entry for entry in document["checks"]}
    file = yard.folder / "compose.yaml"
    variable = found["variable", "blocked"]
    assert variable["what"] == (
        "the variable HARBOUR has no value: name a harbour;"
        " .env.example says: The harbour to sail to (its example: odesa)."
    )
    assert variable["where"] == f"{file}:1"
    assert found["env file", "blocked"]["what"] == "the env file gone.env is missing."
    assert re.search(rf"publishes port {port}, which is taken by .*process", found["port", "blocked"]["what"])
    assert found["image", "blocked"]["fix"] == "Build it: `invoke build --app crew`."
    assert "localhost:1/nosuch:1 of far is not here" in found["image", "note"]["what"]
    assert "api" in found["compose/hardening", "note"]["what"]
    assert found["compose file", "ready"]["what"] == "compose takes it: api, db, far"
    assert shown.returncode == 2
    assert shown.stdout.splitlines()[-1] == "ship cannot be started: 4 to fix first."
    assert yard.left() == []


def test_a_look_at_a_stack_that_can_be_started(yard: Yard) -> None:
    port = free_port()
    yard.write({"db": yard.service("perl", "-e", base.LISTENER, ports=[f"127.0.0.1:{port}:8000"])})
    found = looked(yard)
    assert found["blocked"] == []
    assert f"port: 127.0.0.1:{port}/tcp of db is free" in found["ready"]
    assert f"image: {yard.image} of db is here" in found["ready"]
    run = seatrial(yard.folder, "up", "--app", "ship", "--dry-run")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "ship can be started" in run.stdout.splitlines()[-1]
    assert yard.left() == []
    yard.up()
    assert f"port: 127.0.0.1:{port}/tcp of db is this stack's own already" in looked(yard)["ready"]


def test_what_only_another_profile_wants_stands_in_nobodys_way(yard: Yard) -> None:
    other = yard.service(*SLEEP, profiles=["demo"], env_file="gone.env")
    yard.write({"a": yard.service(*SLEEP), "b": other})
    found = looked(yard)
    assert found["blocked"] == []
    assert "env file: the env file gone.env is missing." in found["note"]


def test_up_says_all_that_is_missing_and_what_the_catalogue_finds(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP, environment={"A": "${HARBOUR:?}", "B": "${MAST:?}"})})
    run = seatrial(yard.folder, "up", "--app", "ship")
    assert run.returncode == 2
    assert "the variable HARBOUR has no value. (1 more below)" in run.stderr
    assert "the variable MAST has no value" in run.stderr
    yard.folder.joinpath(".env").write_text("HARBOUR=1\nMAST=2\n", encoding="utf-8")
    up = seatrial(yard.folder, "up", "--app", "ship")
    assert up.returncode == 0, up.stderr
    assert "note: compose/hardening (compose.yaml:1)" in up.stderr
    dry = seatrial(yard.folder, "up", "--app", "ship", "--dry-run")
    assert "note      compose/hardening" in dry.stdout
    assert " a: it does not drop all capabilities" in dry.stdout
    assert "fail: " not in dry.stdout + up.stderr
    again = seatrial(yard.folder, "up", "--app", "ship")
    assert "compose/hardening" not in again.stderr
    assert "nothing has changed" in again.stdout


def test_the_apps_own_service_without_what_its_contract_requires(yard: Yard) -> None:
    yard.folder.joinpath("pyproject.toml").write_text(
        f'[tool.seatrial.apps.ship]\ncompose = "compose.yaml"\nimage = "{yard.image.partition(":")[0]}"\n'
        '[tool.seatrial.apps.ship.contract]\nrequired-environment = ["TOKEN"]\n',
        encoding="utf-8",
    )
    yard.write({"bot": {"image": yard.image, "env_file": ".env"}})
    yard.folder.joinpath(".env").write_text("TOKEN=\n", encoding="utf-8")
    with pytest.raises(StackError, match="'bot' gets no value for TOKEN, and does not start without one"):
        yard.up()
    assert yard.left() == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("services:\n  a:\n    image: x\n  foo\n", 4, "yaml"),
        ("services:\n  a:\n    image: x\n    colour: red\n", 4, "colour"),
        ("services:\n  b:\n    image: y\n  a:\n    command: x\n", 4, "neither an image nor a build context"),
        (
            "services:\n  a:\n    image: x\n    depends_on: [b]\n  b:\n    image: x\n    depends_on: [a]\n",
            4,
            "dependency cycle",
        ),
        ("services:\n  a:\n    image: x\n    depends_on: [b]\n", 4, "undefined service"),
        ("services:\n  a:\n    image: x\n    volumes: ['data:/data']\n", 4, "undefined volume"),
        ("services:\n  a:\n    image: x\n    ports:\n      - '80:80'\n      - 'x:y'\n", 6, "ort: y"),
    ],
)
def test_an_invalid_compose_file_names_its_line(yard: Yard, text: str, line: int, said: str) -> None:
    yard.folder.joinpath("compose.yaml").write_text(text, encoding="utf-8")
    run = seatrial(yard.folder, "up", "--app", "ship", "--format", "json")
    assert run.returncode == 2, run.stdout + run.stderr
    problem = json.loads(run.stdout)["problem"]
    assert said in problem["what"]
    assert re.fullmatch(rf"{re.escape(str(yard.folder))}/compose\.yaml:{line}", problem["where"]), problem
    assert f"compose.yaml:{line}: docker compose refuses it" in run.stderr
    dry = seatrial(yard.folder, "up", "--app", "ship", "--dry-run")
    assert dry.returncode == 2
    assert f"compose.yaml:{line}: Correct the compose file." in dry.stdout
    assert "Traceback" not in run.stderr + dry.stderr


def test_json_of_up_and_ps(yard: Yard) -> None:
    base.three_services(yard, free_port())
    up = seatrial(yard.folder, "up", "--app", "ship", "--format", "json")
    assert up.returncode == 0, up.stderr
    document = json.loads(up.stdout)
    assert (document["up"], document["changed"], document["problem"]) == (True, True, None)
    assert {entry["service"]: entry["state"] for entry in document["services"]} == {
        "db": "up",
        "migrate": "completed",
        "api": "up",
    }
    ps = seatrial(yard.folder, "ps", "--app", "ship", "--format", "json")
    assert ps.returncode == 0
    assert json.loads(ps.stdout)["up"] is True
    api = next(
        container
        for container in inspect.containers(identify(yard.project, "ship"), yard.engine)
        if container.service == "api"
    )
    yard.engine.client.api.kill(api.id)
    assert seatrial(yard.folder, "ps", "--app", "ship").returncode == 1
    yard.down(volumes=True)
    ps = seatrial(yard.folder, "ps", "--app", "ship", "--format", "json")
    assert (ps.returncode, json.loads(ps.stdout)["up"]) == (1, False)
    assert seatrial(yard.folder, "ps", "--format", "yaml").returncode == 2


def test_json_of_a_stack_that_does_not_come_up(yard: Yard) -> None:
    check = {"test": ["CMD-SHELL", "echo not yet; exit 1"], "interval": "300ms", "retries": 2}
    yard.write(
        {
            "db": yard.service("bash", "-c", "echo no database; sleep 1000", healthcheck=check, stop_grace_period="1s"),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        }
    )
    run = seatrial(yard.folder, "up", "--app", "ship", "--format", "json")
    assert run.returncode == 1, run.stderr
    document = json.loads(run.stdout)
    assert document["up"] is False
    assert document["problem"]["what"] == "ship did not come up: db is unhealthy."
    assert "    exit code 1: not yet" in document["problem"]["detail"]
    states = {entry["service"]: entry for entry in document["services"]}
    assert (states["db"]["health"], states["db"]["last_line"]) == ("unhealthy", "no database")
    assert states["api"]["waits_for"] == ["db"]
    # Why is said at once, before what takes a while, and once only.
    assert run.stderr.index("exit code 1: not yet") < run.stderr.index("Stopping and removing")
    assert run.stderr.count("its last health checks:") == 1
    assert yard.left() == []


def on_a_terminal(folder: Path, answer: str, *words: str) -> tuple[int, str]:
    """Run the command with a terminal before it, and type an answer when it asks."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "seatrial", *words],
        cwd=folder,
        stdin=follower,
        stdout=subprocess.DEVNULL,
        stderr=follower,
    ) as run:
        os.close(follower)
        said, asked = b"", False
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 0.2)[0]:
                if run.poll() is not None:
                    break
                continue
            try:
                said += os.read(leader, 4096)
            except OSError:
                break
            if not asked and b"[y/N]" in said:
                asked = True
                os.write(leader, f"{answer}\n".encode())
        code = run.wait(timeout=60)
    os.close(leader)
    return code, said.decode(errors="replace")


def test_a_missing_env_file_is_offered_to_be_copied_on_a_terminal(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP, environment={"A": "${HARBOUR:?}", "B": "${MAST:?}"})})
    env, example = yard.folder / ".env", yard.folder / ".env.example"
    example.write_text("HARBOUR=odesa\nMAST=\n", encoding="utf-8")
    code, said = on_a_terminal(yard.folder, "n", "up", "--app", "ship")
    assert code == 2
    assert not env.exists()
    assert "Copy it from .env.example? [y/N]" in said
    assert "the env file is missing; an example is next to it." in said
    code, said = on_a_terminal(yard.folder, "y", "up", "--app", "ship")
    # Copied as it is; what it leaves empty is asked for, never made up.
    assert env.read_text(encoding="utf-8") == example.read_text(encoding="utf-8")
    assert code == 2
    assert "the variable MAST has no value; .env.example names it and leaves it empty." in " ".join(said.split())
    env.unlink()
    assert "[y/N]" not in seatrial(yard.folder, "up", "--app", "ship").stderr
    assert not env.exists()
    assert yard.left() == []


def test_a_service_that_crashes_and_comes_back_is_given_time(yard: Yard) -> None:
    # The engine waits twice as long before each restart: the later ones are long enough to be seen.
    script = "echo try >> /data/tries; [ $$(wc -l < /data/tries) -ge 5 ] || exit 3; trap 'exit 0' TERM; sleep 99 & wait"
    check = {"test": ["CMD", "true"], "interval": "300ms"}
    yard.write(
        {"api": yard.service("bash", "-c", script, restart="always", volumes=["data:/data"], healthcheck=check)},
        volumes={"data": {}},
    )
    state = yard.up(timeout=60)
    assert state.services[0].container is not None
    assert state.services[0].container.restarts == 4
    assert any(item["api"] is Phase.RESTARTING for item in yard.witness.seen)


def test_a_dependency_that_crashes_and_comes_back_is_given_time_too(yard: Yard) -> None:
    script = "echo try >> /data/tries; [ $$(wc -l < /data/tries) -ge 4 ] || exit 3; trap 'exit 0' TERM; sleep 99 & wait"
    check = {"test": ["CMD", "true"], "interval": "500ms"}
    yard.write(
        {
            "db": yard.service("bash", "-c", script, restart="always", volumes=["data:/data"], healthcheck=check),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        },
        volumes={"data": {}},
    )
    assert {service.phase for service in yard.up(timeout=60).services} == {Phase.UP}


def test_a_dependency_that_never_stops_crashing_is_named_with_its_output(yard: Yard) -> None:
    check = {"test": ["CMD", "true"], "interval": "5s"}
    yard.write(
        {
            "db": yard.service("bash", "-c", "echo no such table; exit 3", restart="always", healthcheck=check),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        }
    )
    timed = Timed()
    with pytest.raises(StackFailedError) as caught:
        bringup.up(yard.plan(), engine=yard.engine, host=yard.host, observer=timed, timeout=6)
    assert caught.value.what.startswith("ship was not up after 6 s: db ")
    assert "api waited for it" in caught.value.detail
    assert "    no such table" in caught.value.detail.splitlines()
    assert yard.left() == []


def flapping(yard: Yard, *, retries: int) -> None:
    check = {
        "test": [
            "CMD-SHELL",
            "if [ -e /tmp/odd ]; then rm /tmp/odd; echo good; else touch /tmp/odd; echo bad; exit 1; fi",
        ],
        "interval": "300ms",
        "retries": retries,
    }
    yard.write({"db": yard.service(*SLEEP, healthcheck=check)})


def test_a_health_check_that_flaps_within_its_retries_is_healthy(yard: Yard) -> None:
    flapping(yard, retries=3)
    assert yard.up(timeout=20).services[0].phase is Phase.UP


def test_a_health_check_that_flaps_beyond_its_retries_shows_what_it_said(yard: Yard) -> None:
    flapping(yard, retries=1)
    with pytest.raises(StackFailedError) as caught:
        yard.up(timeout=20)
    assert caught.value.what == "ship did not come up: db is unhealthy."
    assert "    exit code 1: bad" in caught.value.detail.splitlines()
    assert yard.left() == []


@pytest.mark.parametrize("compose_works", [True, False])
def test_the_timeout_holds_exactly_and_says_so_at_once(yard: Yard, *, compose_works: bool) -> None:
    services: dict[str, object] = {"db": yard.service(*DEAF, healthcheck=NEVER, stop_grace_period="4s")}
    if compose_works:
        services["api"] = yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}})
    yard.write(services)
    plan, timed = yard.plan(), Timed()
    shown: list[float] = []
    timed.show = lambda *_: shown.append(time.monotonic())  # type: ignore[method-assign]
    start = time.monotonic()
    with pytest.raises(StackFailedError, match="ship was not up after 3 s"):
        bringup.up(plan, engine=yard.engine, host=yard.host, observer=timed, timeout=3)
    ended = time.monotonic()
    # What comes before the first service takes a moment of its own.
    said = timed.when("ship was not up after 3 s: db runs and is not healthy yet.")
    assert 3 <= said - start < 5
    assert shown[-1] - shown[0] < 3.4
    # The database is deaf: stopping it takes its whole grace time, but nobody waits for the reason so long.
    assert ended - said >= 3.5
    assert yard.left() == []


class Stalling(Relay):
    """A relay that can stand still: an engine that hangs."""

    def __init__(self, at: Path, engine: str) -> None:
        self.flows = threading.Event()
        self.flows.set()
        super().__init__(at, engine)

    def _hand_on(self, source: socket.socket, sink: socket.socket) -> None:  # type: ignore[override]
        with suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def stalling(yard: Yard) -> Iterator[tuple[Stalling, Yard]]:
    if not yard.engine.candidate.url.startswith("unix://"):
        pytest.skip("the relay stands before a local socket only")
    at = yard.folder / "relay.sock"
    relay = Stalling(at, yard.engine.candidate.url)
    host = replace(yard.host, environment={**yard.host.environment, "DOCKER_HOST": f"unix://{at}"})
    other = replace(yard, engine=find_engine(host), host=host)
    try:
        yield relay, other
    finally:
        relay.flows.set()
        other.engine.client.close()
        relay.cut()


def test_the_timeout_holds_while_the_engine_hangs(stalling: tuple[Stalling, Yard]) -> None:
    relay, yard = stalling
    yard.write({"db": yard.service(*SLEEP, healthcheck=NEVER)})
    timed = Timed()
    threading.Timer(3, relay.flows.clear).start()
    wakes = threading.Timer(12, relay.flows.set)
    wakes.start()
    start = time.monotonic()
    with pytest.raises(EngineError, match="the engine stopped answering"):
        bringup.up(yard.plan(), engine=yard.engine, host=yard.host, observer=timed, timeout=5)
    assert 3 <= timed.when("Stopping and removing") - start < 10
    wakes.join()
    assert yard.left() == []


def test_a_second_ctrl_c_leaves_at_once_and_says_what_remains(yard: Yard) -> None:
    yard.write({"db": yard.service(*DEAF, healthcheck=NEVER, stop_grace_period="60s")})
    with subprocess.Popen(
        [sys.executable, "-m", "seatrial", "up", "--app", "ship"],
        cwd=yard.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None

        def read_until(text: str) -> None:
            assert run.stderr is not None
            assert any(text in line for line in run.stderr), text

        read_until("db: starting")
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        read_until("Stopping and removing what this run started.")
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        start = time.monotonic()
        rest = run.stderr.read()
        assert run.wait(timeout=60) == 130
    assert time.monotonic() - start < 5
    name = identify(yard.project, "ship").compose_project
    assert f"interrupted again; what remains: {name}-db-1, {name}_default." in rest
    assert "`invoke down --app ship` removes what remains." in rest
    assert "Traceback" not in rest
    for container in inspect.containers(identify(yard.project, "ship"), yard.engine):
        yard.engine.client.api.kill(container.id)
    assert set(yard.down().containers) == {f"{name}-db-1"}


def test_a_disk_that_is_full_for_the_database(yard: Yard) -> None:
    script = "dd if=/dev/zero of=/data/table bs=1M count=8 || exit 1; sleep 1000"
    small = {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}
    yard.write({"db": yard.service("bash", "-c", script, volumes=["data:/data"])}, volumes={"data": small})
    with pytest.raises(StackFailedError) as caught:
        yard.up()
    assert caught.value.what == "ship did not come up: db ended with exit code 1."
    assert "No space left on device" in caught.value.detail
    assert caught.value.fix.startswith("A disk is full: make room for its volumes")
    yard.down(volumes=True)
    assert yard.left() == []


def test_a_project_whose_name_has_odd_characters(yard: Yard) -> None:
    name = 'Ёж № 1; $(touch x) "q" ../..'
    yard.folder.joinpath("pyproject.toml").write_text(
        f'[tool.seatrial.apps.{json.dumps(name, ensure_ascii=False)}]\ncompose = "compose.yaml"\n', encoding="utf-8"
    )
    yard.write({"a": yard.service(*SLEEP)})
    before = sorted(yard.folder.iterdir())
    up = seatrial(yard.folder, "up", "--app", name, "--format", "json")
    stack = identify(read_project(yard.folder), name)
    try:
        assert up.returncode == 0, up.stderr
        document: Any = json.loads(up.stdout)
        assert document["app"] == name
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", document["compose_project"])
    finally:
        down = seatrial(yard.folder, "down", "--app", name, "--volumes", "--yes")
    assert down.returncode == 0, down.stderr
    assert remove.holdings(stack, yard.engine) == remove.Holdings()
    assert sorted(yard.folder.iterdir()) == before
    # The fixture takes the stack of `ship` down.
    yard.folder.joinpath("pyproject.toml").write_text(
        '[tool.seatrial.apps.ship]\ncompose = "compose.yaml"\n', encoding="utf-8"
    )


def test_a_mend_of_an_unhealthy_service_is_not_blamed_for_how_it_fared(yard: Yard) -> None:
    check = {"interval": "300ms", "retries": 1}
    yard.write({"api": yard.service(*SLEEP, healthcheck={**check, "test": ["CMD", "test", "!", "-e", "/tmp/ill"]})})
    yard.up()
    stack = identify(yard.project, "ship")
    (api,) = inspect.containers(stack, yard.engine)
    client = yard.engine.client.api
    client.exec_start(client.exec_create(api.id, ["touch", "/tmp/ill"])["Id"])
    while inspect.containers(stack, yard.engine)[0].health != "unhealthy":
        time.sleep(0.1)
    assert seatrial(yard.folder, "ps", "--app", "ship").returncode == 1
    yard.write({"api": yard.service(*SLEEP, healthcheck={**check, "test": ["CMD", "true"]})})
    assert yard.up().services[0].phase is Phase.UP


def test_a_change_that_fails_restores_what_ran_before(yard: Yard) -> None:
    port = free_port()
    good = yard.service(
        "perl", "-e", base.LISTENER, ports=[f"127.0.0.1:{port}:8000"], environment={"V": "1"}, volumes=["data:/data"]
    )
    user = yard.service(*SLEEP, depends_on={"api": {"condition": "service_started", "restart": True}})
    once = yard.service("true", environment={"V": "1"})
    good["depends_on"] = {"once": {"condition": "service_completed_successfully"}}
    yard.write({"api": good, "user": user, "once": once}, volumes={"data": {}})
    yard.up()
    stack = identify(yard.project, "ship")
    before = {container.service: container for container in inspect.containers(stack, yard.engine)}
    bad = {**good, "command": ["bash", "-c", "exit 9"], "environment": {"V": "2"}}
    changed = {**once, "environment": {"V": "2"}}
    yard.write({"api": bad, "user": user, "once": changed}, volumes={"data": {}})
    with pytest.raises(StackFailedError, match="api ended with exit code 9"):
        yard.up()
    after = {container.service: container for container in inspect.containers(stack, yard.engine)}
    assert after["api"].id != before["api"].id
    assert (after["api"].name, after["api"].config_hash) == (before["api"].name, before["api"].config_hash)
    assert "api runs again as it did before." in yard.witness.said
    assert {name: one.status for name, one in after.items()} == {"api": "running", "user": "running"}
    assert "once had completed before; its container was removed, so the next `up` runs it again." in yard.witness.said
    inspected = yard.engine.client.api.inspect_container(after["api"].id)
    assert "V=1" in inspected["Config"]["Env"]
    time.sleep(1.2)
    assert seatrial(yard.folder, "ps", "--app", "ship").returncode == 0
    # The stack is what it was: with the same file, nothing but the one-shot is run.
    yard.write({"api": good, "user": user, "once": once}, volumes={"data": {}})
    state = yard.up()
    now = {container.service: container for container in inspect.containers(stack, yard.engine)}
    assert now["api"].id == after["api"].id
    assert now["once"].status == "exited"
    assert state.addresses[0].text == f"127.0.0.1:{port}"
    yard.down(volumes=True)
    assert yard.left() == []


def test_a_long_path_stays_whole_when_piped(yard: Yard) -> None:
    deep = yard.folder / ("a long folder name " * 4).strip() / ("another long one " * 4).strip()
    deep.mkdir(parents=True)
    yard.folder.joinpath("pyproject.toml").write_text(
        f'[tool.seatrial.apps.ship]\ncompose = "{(deep / "compose.yaml").relative_to(yard.folder)}"\n', encoding="utf-8"
    )
    yard.write({"a": yard.service("bash", "-c", "exit 3")})
    file = deep / "compose.yaml"
    yard.folder.joinpath("compose.yaml").rename(file)
    look = seatrial(yard.folder, "up", "--app", "ship", "--dry-run")
    assert any(str(file) in line for line in look.stdout.splitlines()), look.stdout
    up = seatrial(yard.folder, "up", "--app", "ship")
    assert up.returncode == 1
    assert any(str(file) in line and "a ended with exit code 3" in line for line in up.stderr.splitlines()), up.stderr
