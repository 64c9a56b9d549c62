"""Deploys on a real swarm of three engines on this machine.

What cannot be shown wherever the kernel has no IPVS is swarm's own balancing: virtual addresses, and the mesh that
answers for a published port on each node. So the services find each other by name (`endpoint_mode: dnsrr`), over
swarm's overlay network, and one gate on each node publishes a port of that node.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import pytest
from tests.swarm import fleet as fleets
from tests.swarm.programs import API, GATE, HEALTHY, STREAM, perl

from seatrial import offline
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError, StackError, StackFailedError
from seatrial.host import this_host
from seatrial.settings.read import read_project
from seatrial.swarm import cluster
from seatrial.swarm.deploy import deploy, holdings, plan_deploy, undeploy
from seatrial.swarm.state import Conversion, Deployed, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.swarm.fleet import Fleet, Ship

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.swarm.state import SwarmServiceState, Task

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow("swarm gives a lost node up, and replaces its tasks, after seconds of its own"),
]

BASE = "debian:trixie-slim"
IMAGE = "own/ship:1"
NODES = 3
HEARTBEAT = 2 * 10**9
"""Nanoseconds: swarm counts a node as lost after three; five seconds are its default."""


@dataclass
class Witness:
    """Keeps what an observer is told."""

    said: list[str] = field(default_factory=list)
    seen: list[dict[str, Phase]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, services: tuple[SwarmServiceState, ...], seconds: float) -> None:
        assert seconds >= 0
        self.seen.append({service.service.name: service.phase for service in services})


@dataclass
class Harbour:
    """A project with one compose file, and a swarm to deploy it to."""

    folder: Path
    fleet: Fleet
    host: Host
    name: str
    notes: list[Conversion] = field(default_factory=list)
    witness: Witness = field(default_factory=Witness)

    @property
    def engine(self) -> Engine:
        return self.fleet.ships[0].engine

    def write(self, services: dict[str, Any], **more: Any) -> None:
        self.folder.joinpath("compose.yaml").write_text(json.dumps({"services": services, **more}), encoding="utf-8")

    def deploy(self, *, timeout: float = 90, open_ports: bool = False) -> Deployed:
        plan = plan_deploy(
            read_project(self.folder),
            "ship",
            stack=self.name,
            engine=self.engine,
            host=self.host,
            say=self.witness.say,
            open_ports=open_ports,
        )
        return deploy(
            plan,
            engine=self.engine,
            host=self.host,
            observer=self.witness,
            noting=self.notes.append,
            timeout=timeout,
        )

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command as a person does."""
        return subprocess.Popen(
            [sys.executable, "-m", "seatrial", "deploy", "--app", "ship", "--stack", self.name, *arguments],
            cwd=self.folder,
            env={**os.environ, "DOCKER_HOST": self.engine.candidate.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def running(self, service: str) -> list[Task]:
        """Return the tasks of a service that run and shall run."""
        known = cluster.services(self.name, self.engine)
        (wanted,) = (name.id for name in known if name.name == service)
        tasks = cluster.tasks(self.name, self.engine, known)
        return [task for task in tasks if task.service_id == wanted and task.state == "running" and task.active]

    @contextmanager
    def stream(self, *ships: Ship) -> Iterator[Stream]:
        """Ask the gates of some nodes without a pause while the block runs."""
        urls = [f"http://{ship.address}:8080/" for ship in ships]
        with subprocess.Popen(
            self.fleet.from_hub(sys.executable, "-c", STREAM, *urls),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            found = Stream(words=process.stdin, answers=process.stdout)
            try:
                assert process.stdout.readline() == "flowing\n"
                yield found
            except BaseException:
                process.kill()
                raise
            found.finish()


@dataclass
class Stream:
    """Requests that do not stop, and what came of them."""

    words: IO[str]
    answers: IO[str]
    bodies: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def finish(self) -> None:
        self.words.close()
        told = json.loads(self.answers.readline())
        self.bodies, self.failed = told["answers"], told["failed"]


@pytest.fixture(scope="module")
def host() -> Host:
    return this_host()


@pytest.fixture(scope="module")
def fleet(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if gone := fleets.missing(host):
        pytest.skip(f"NOT RUN: {gone}")
    folder = tmp_path_factory.mktemp("fleet")
    archive = saved(folder / "image.tar", host)
    with fleets.fleet(NODES, folder, host) as made:
        first = made.ships[0]
        api = first.engine.client.api
        api.init_swarm(
            advertise_addr=first.address,
            listen_addr=f"{first.address}:2377",
            swarm_spec=api.create_swarm_spec(dispatcher_heartbeat_period=HEARTBEAT),
        )
        token = api.inspect_swarm()["JoinTokens"]["Worker"]
        for ship in made.ships[1:]:
            ship.engine.client.api.join_swarm(
                [f"{first.address}:2377"],
                token,
                listen_addr=f"{ship.address}:2377",
                advertise_addr=ship.address,
            )
        for ship in made.ships:
            load(archive, ship)
        yield made


def saved(file: Path, host: Host) -> Path:
    """Write a small image that the engine in use has into a file: no registry is asked."""
    import docker.errors

    engine = find_engine(host)
    try:
        name = BASE
        try:
            engine.client.images.get(BASE)
        except docker.errors.ImageNotFound:
            plan = offline.find_substitute(BASE, offline.recipes(None))
            assert plan is not None
            name = offline.ensure_substitute(plan, engine=engine, host=host, say=print)
        with file.open("wb") as sink:
            for chunk in engine.client.images.get(name).save():
                sink.write(chunk)
    finally:
        engine.client.close()
    return file


def load(archive: Path, ship: Ship) -> None:
    with archive.open("rb") as source:
        (image,) = ship.engine.client.images.load(source)
    assert image.tag("own/ship", "1")


@pytest.fixture
def harbour(tmp_path: Path, fleet: Fleet, host: Host) -> Iterator[Harbour]:
    tmp_path.joinpath("pyproject.toml").write_text(
        '[tool.seatrial.apps]\nship = {compose = "compose.yaml", image = "own/ship"}\n', encoding="utf-8"
    )
    made = Harbour(folder=tmp_path, fleet=fleet, host=host, name=f"t{secrets.token_hex(3)}")
    try:
        yield made
    finally:
        undeploy(made.name, engine=made.engine, host=host)
    assert holdings(made.name, made.engine).nothing


def services(release: int, *, replicas: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "api": {
            "image": IMAGE,
            "pull_policy": "never",
            "command": perl(API),
            "environment": {"RELEASE": str(release)},
            "healthcheck": {"test": ["CMD", *perl(HEALTHY)], "interval": "1s", "timeout": "5s", "retries": 3},
            "deploy": {"endpoint_mode": "dnsrr", "replicas": replicas, "update_config": {"monitor": "5s"}},
            "read_only": True,
            "tmpfs": ["/tmp:size=16m"],
            "cap_drop": ["ALL"],
            "mem_limit": "64m",
            "restart": "unless-stopped",
            **more,
        },
        "gate": {
            "image": IMAGE,
            "command": perl(GATE),
            "ports": [{"mode": "host", "target": 8080, "published": "8080", "protocol": "tcp"}],
            "deploy": {"mode": "global", "endpoint_mode": "dnsrr"},
            "stop_grace_period": "2s",
        },
    }


def test_a_deploy_converges_answers_and_is_quick_the_second_time(harbour: Harbour) -> None:
    harbour.write(services(1))
    state = harbour.deploy()
    assert state.changed
    assert {service.service.name: (service.phase, service.running) for service in state.services} == {
        "api": (Phase.UP, 2),
        "gate": (Phase.UP, NODES),
    }
    with harbour.stream(*harbour.fleet.ships) as stream:
        time.sleep(1)
    assert not stream.failed
    assert set(stream.bodies) == {"release 1 "}
    lost = [note.place for made in harbour.notes for note in made.notes if note.outcome is Outcome.LOST]
    assert lost == []
    again = harbour.deploy()
    assert not again.changed


def test_what_the_compose_file_asks_for_holds_in_the_container(harbour: Harbour) -> None:
    harbour.write(services(1, replicas=NODES))
    harbour.deploy()
    (task,) = (
        container for container in harbour.running("api") if container.node_id == cluster.swarm_of(harbour.engine).node
    )
    made = harbour.engine.client.api.inspect_container(task.container_id)
    config = made["HostConfig"]
    assert config["ReadonlyRootfs"]
    assert config["Memory"] == 64 * 1024**2
    assert [entry.removeprefix("CAP_") for entry in config["CapDrop"]] == ["ALL"]
    (mount,) = (entry for entry in config["Mounts"] if entry["Target"] == "/tmp")
    assert mount["TmpfsOptions"]["SizeBytes"] == 16 * 1024**2
    assert made["Config"]["Labels"]["seatrial.image"] == IMAGE


def test_a_changed_limit_or_restart_policy_alone_is_waited_for(harbour: Harbour) -> None:
    one = services(1, replicas=1)["api"]
    harbour.write({"api": one})
    harbour.deploy()
    (before,) = harbour.running("api")
    for change in ({"mem_limit": "65m"}, {"mem_limit": "65m", "restart": "on-failure"}):
        harbour.write({"api": {**one, **change}})
        assert harbour.deploy().changed
        (now,) = harbour.running("api")
        assert now.id != before.id
        before = now
    assert not harbour.deploy().changed


def test_a_release_rolls_out_with_no_request_lost(harbour: Harbour) -> None:
    harbour.write(services(1))
    harbour.deploy()
    with harbour.stream(*harbour.fleet.ships) as stream:
        harbour.write(services(2))
        state = harbour.deploy()
    assert state.changed
    assert not stream.failed
    assert set(stream.bodies) == {"release 1 ", "release 2 "}


def test_a_release_that_is_not_healthy_rolls_back_by_itself_with_no_request_lost(harbour: Harbour) -> None:
    harbour.write(services(1))
    harbour.deploy()
    with harbour.stream(*harbour.fleet.ships) as stream:
        harbour.write(services(2, environment={"RELEASE": "2", "BROKEN": "1"}))
        with pytest.raises(StackFailedError) as caught:
            harbour.deploy()
    error = caught.value
    assert "api was rolled back: what ran before runs on (2 of 2)" in error.what
    assert "but should have kept running: by itself, or as it was unhealthy" in error.detail
    assert "release 2 cannot find its table" in error.detail
    assert "the others: gate is up" in error.detail
    assert sum(stream.bodies.values()) > 50
    assert set(stream.bodies) == {"release 1 "}
    assert not stream.failed
    # The next good release goes out as if nothing had been.
    harbour.write(services(3))
    with harbour.stream(*harbour.fleet.ships) as stream:
        assert harbour.deploy().changed
    assert set(stream.bodies) == {"release 1 ", "release 3 "}
    assert not stream.failed


def test_a_service_that_never_gets_healthy_shows_its_health_checks(harbour: Harbour) -> None:
    here = {"endpoint_mode": "dnsrr", "replicas": 1, "placement": {"constraints": ["node.role==manager"]}}
    check = {"test": ["CMD", *perl(HEALTHY)], "interval": "1s", "timeout": "5s", "start_period": "60s"}
    broken: dict[str, Any] = {"environment": {"BROKEN": "1"}, "deploy": here, "healthcheck": check}
    harbour.write({"api": services(1, **broken)["api"]})
    with pytest.raises(StackFailedError) as caught:
        harbour.deploy(timeout=10)
    assert "is not deployed after 10 s: api runs 0 of 1" in caught.value.what
    assert "is starting" in caught.value.detail
    assert "exit code 1: HTTP/1.0 503 Broken" in caught.value.detail
    assert "cannot find its table" in caught.value.detail


def test_a_changed_secret_rolls_out_and_the_last_one_is_kept_for_a_rollback(harbour: Harbour) -> None:
    key = harbour.folder / "key.txt"
    using = {"secrets": [{"source": "key"}]}
    held = {"secrets": {"key": {"file": "./key.txt"}}}
    answers = []
    for value in ("one", "two", "three"):
        key.write_text(f"{value}\n", encoding="utf-8")
        harbour.write(services(1, replicas=1, **using), **held)
        harbour.deploy()
        with harbour.stream(harbour.fleet.ships[0]) as stream:
            time.sleep(0.2)
        answers.append(set(stream.bodies))
    assert answers == [{"release 1 one"}, {"release 1 two"}, {"release 1 three"}]
    assert len(holdings(harbour.name, harbour.engine).secrets) == 2


def test_a_job_runs_to_its_end_and_a_service_with_data_stays_on_its_node(harbour: Harbour) -> None:
    job = {"image": IMAGE, "command": ["sh", "-c", "echo migrated >> /data/log"], "volumes": ["data:/data"]}
    waiting = {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}, "volumes": ["data:/data"]}
    harbour.write({**services(1, replicas=1, **waiting), "migrate": job}, volumes={"data": {}})
    try:
        state = harbour.deploy()
        phases = {service.service.name: service.phase for service in state.services}
        assert phases == {"api": Phase.UP, "gate": Phase.UP, "migrate": Phase.DONE}
        (task,) = harbour.running("api")
        assert task.node_id == cluster.swarm_of(harbour.engine).node
    finally:
        undeploy(harbour.name, engine=harbour.engine, host=harbour.host)
    kept = holdings(harbour.name, harbour.engine).kept_volumes
    assert kept == (f"{harbour.name}_data",)
    remove_volume(kept[0], harbour.engine)


def remove_volume(name: str, engine: Engine) -> None:
    """Remove a volume: the container of a job that has ended goes a moment after its stack."""
    import docker.errors

    deadline = time.monotonic() + 20
    while True:
        try:
            engine.client.volumes.get(name).remove()
        except docker.errors.APIError as error:
            assert error.status_code == 409, error  # noqa: PT017 - in use: the reason to wait
            assert time.monotonic() < deadline, error  # noqa: PT017
            time.sleep(0.5)
        else:
            return


def test_a_job_that_fails_for_good_is_explained(harbour: Harbour) -> None:
    job = {
        "image": IMAGE,
        "command": ["sh", "-c", "echo no such table: courses; exit 3"],
        "deploy": {
            "mode": "replicated-job",
            "replicas": 1,
            "restart_policy": {"condition": "on-failure", "delay": "0s", "max_attempts": 1},
        },
    }
    harbour.write({"migrate": job})
    with pytest.raises(StackFailedError) as caught:
        harbour.deploy()
    assert "migrate failed, and is not started again" in caught.value.what
    assert "exit code 3" in caught.value.detail
    assert "no such table: courses" in caught.value.detail


def test_an_image_that_a_node_does_not_hold_is_explained(harbour: Harbour) -> None:
    api = harbour.engine.client.api
    container = api.create_container(IMAGE, ["true"])
    try:
        api.commit(container["Id"], "own/ship", "only-here", changes=["LABEL here=only"])
    finally:
        api.remove_container(container["Id"])
    elsewhere = {"placement": {"constraints": ["node.role==worker"]}, "replicas": 1}
    harbour.write({"api": {"image": "own/ship:only-here", "command": perl(API), "deploy": elsewhere}})
    with pytest.raises(StackFailedError) as caught:
        harbour.deploy(timeout=8)
    assert "is not deployed after 8 s: api runs 0 of 1" in caught.value.what
    assert "No such image" in caught.value.detail
    assert "docker save" in caught.value.fix


def test_what_no_node_can_hold_is_explained(harbour: Harbour) -> None:
    much = {"resources": {"reservations": {"memory": "4t"}}}
    harbour.write({"api": {"image": IMAGE, "command": perl(API), "deploy": much}})
    with pytest.raises(StackFailedError) as caught:
        harbour.deploy(timeout=3)
    assert "is pending: no suitable node (insufficient resources on 3 nodes)" in caught.value.detail


def test_a_port_of_this_machine_only_is_opened_by_a_persons_word_alone(harbour: Harbour) -> None:
    port = {"ports": ["127.0.0.1:8000:8000"]}
    harbour.write({"api": {"image": IMAGE, "command": perl(API), "restart": "always", **port}})
    with pytest.raises(StackError, match="api ports") as caught:
        harbour.deploy()
    assert "every interface of every node" in caught.value.detail
    assert "--open-ports" in caught.value.detail
    assert holdings(harbour.name, harbour.engine).nothing


def test_an_image_that_was_not_built_stops_it_before_anything_is_made(harbour: Harbour) -> None:
    harbour.write({"api": {"image": "own/ship:never-built"}})
    with pytest.raises(StackError, match="has not been built"):
        harbour.deploy()
    assert holdings(harbour.name, harbour.engine).nothing


def test_the_command_tells_all_and_removes_what_it_deployed(harbour: Harbour) -> None:
    one = services(1, replicas=1, security_opt=["no-new-privileges:true"], ports=["127.0.0.1::8000"])["api"]
    harbour.write({"api": {**one, "deploy": {"replicas": 1, "update_config": {"monitor": "5s"}}}})
    with harbour.command("--dry-run") as dry:
        out, err = dry.communicate(timeout=60)
    assert dry.returncode == 2
    assert "api security_opt: no-new-privileges:true" in out
    assert "--open-ports" in err
    assert holdings(harbour.name, harbour.engine).nothing
    with harbour.command("--open-ports") as made:
        out, err = made.communicate(timeout=120)
    assert made.returncode == 0, err
    assert f"{harbour.name} is deployed after" in out
    assert "  api is up (1 of 1)" in out
    assert "Behaves differently on Swarm:" in err
    with harbour.command("--remove") as gone:
        out, err = gone.communicate(timeout=120)
    assert (gone.returncode, err) == (0, "")
    assert f"Removed: 1 service ({harbour.name}_api)" in out
    with harbour.command("--remove") as again:
        out, err = again.communicate(timeout=60)
    assert (again.returncode, out) == (0, f"Nothing of the stack {harbour.name} is on this swarm.\n")


def test_a_program_gets_one_document_however_it_ends(harbour: Harbour) -> None:
    one = services(1, replicas=1, domainname="sea")["api"]
    harbour.write({"api": one})
    dry = answer(harbour, 0, "--dry-run")
    assert (dry["deployable"], dry["app"], dry["stack"]) == (True, "ship", harbour.name)
    assert "api domainname" in {entry["place"] for entry in dry["notes"] if entry["fate"] == "lost"}
    made = answer(harbour, 0)
    assert (made["deployed"], made["changed"], made["problem"]) == (True, True, None)
    assert made["notes"] == dry["notes"]
    (service,) = made["services"]
    assert (service["service"], service["state"], service["wanted"], service["running"]) == ("api", "up", 1, 1)
    assert answer(harbour, 0)["changed"] is False
    harbour.write({"api": {**one, "environment": {"RELEASE": "2", "BROKEN": "1"}}})
    failed = answer(harbour, 1)
    assert (failed["deployed"], failed["changed"]) == (False, True)
    assert "api was rolled back" in failed["problem"]["what"]
    assert any("release 2 cannot find its table" in line for line in failed["problem"]["detail"])
    (service,) = failed["services"]
    assert (service["state"], service["update"]) == ("rolled back", "rollback_completed")
    assert service["tasks"][0]["state"] in {"complete", "failed"}
    assert service["tasks"][0]["node"] in {ship.name for ship in harbour.fleet.ships}
    harbour.write({"api": {**one, "privileged": True}})
    refused = answer(harbour, 2)
    assert (refused["deployed"], refused["changed"], refused["services"]) == (False, False, [])
    assert "api privileged" in {entry["place"] for entry in refused["notes"] if entry["fate"] == "refused"}
    planned = answer(harbour, 0, "--remove", "--dry-run")
    assert (planned["gone"], planned["left"]["services"]) == (False, [f"{harbour.name}_api"])
    gone = answer(harbour, 0, "--remove")
    assert (gone["gone"], gone["removed"]["services"]) == (True, [f"{harbour.name}_api"])
    assert gone["removed"]["networks"] == planned["left"]["networks"] == [f"{harbour.name}_default"]


def answer(harbour: Harbour, code: int, *arguments: str) -> dict[str, Any]:
    """Return what the command prints for programs."""
    with harbour.command("--format", "json", *arguments) as run:
        out, err = run.communicate(timeout=120)
    assert run.returncode == code, err
    found: dict[str, Any] = json.loads(out)
    sys.stdout.write(out)
    return found


def test_an_interrupt_says_that_the_swarm_goes_on(harbour: Harbour) -> None:
    harbour.write({"api": {**services(1)["api"], "environment": {"BROKEN": "1"}}})
    with harbour.command() as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "api: runs 0 of 2" in line:
                break
        run.send_signal(signal.SIGINT)
        rest = run.stderr.read()
        assert run.wait(timeout=30) == 130, rest
    assert f"the swarm continues with {harbour.name}" in rest
    assert "Traceback" not in rest


def test_a_worker_deploys_nothing(fleet: Fleet) -> None:
    with pytest.raises(EngineError, match="is a worker of its swarm"):
        cluster.swarm_of(fleet.ships[1].engine)


def test_a_lost_engine_is_made_up_for_and_the_service_keeps_answering(harbour: Harbour) -> None:
    """The last one: it ends one of the engines."""
    harbour.write(services(1, replicas=NODES))
    harbour.deploy()
    names = cluster.swarm_of(harbour.engine).names
    assert len({container.node_id for container in harbour.running("api")}) == NODES
    *kept, lost = harbour.fleet.ships
    with harbour.stream(*kept) as stream:
        lost.sink()
        deadline = time.monotonic() + 60
        while True:
            where = [names[container.node_id] for container in harbour.running("api")]
            if lost.name not in where and len(where) == NODES:
                break
            assert time.monotonic() < deadline, where
            time.sleep(0.5)
        time.sleep(2)
    assert sorted(set(where)) == sorted(entry.name for entry in kept)
    assert set(stream.bodies) == {"release 1 "}
    assert not stream.failed
    assert harbour.deploy().services
