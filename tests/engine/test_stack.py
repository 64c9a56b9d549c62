"""Bring-up against a real engine, with small compose files of the tests' own."""

from __future__ import annotations

import gc
import json
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
import uuid
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from seatrial import offline
from seatrial.compose.runner import identify
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError, ExitCode, ImageError, StackError, StackFailedError
from seatrial.host import this_host
from seatrial.settings.read import Project, read_project
from seatrial.stack import down as remove
from seatrial.stack import inspect
from seatrial.stack import inspect as logs
from seatrial.stack import up as bringup
from seatrial.stack.plan import plan_up
from seatrial.stack.state import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.state import Removed, ServiceState, StackState

pytestmark = pytest.mark.engine

BASE = "debian:trixie-slim"

LISTENER = (
    "use IO::Socket::INET; $$| = 1; $$SIG{TERM} = sub { exit 0 };"
    " my $$s = IO::Socket::INET->new(LocalPort => 8000, Listen => 5, ReuseAddr => 1) or die;"
    " print qq(listening\\n);"
    " while (my $$c = $$s->accept) { <$$c>; print $$c qq(HTTP/1.0 200 OK\\r\\n\\r\\nahoy); close $$c }"
)
SLEEP = ["bash", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]
"""Goes on until it is asked to stop, and then does so at once."""


@dataclass
class Witness:
    """Keeps what an observer is told."""

    said: list[str] = field(default_factory=list)
    seen: list[dict[str, Phase]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        assert seconds >= 0
        self.seen.append({service.service: service.phase for service in services})


@dataclass
class Yard:
    """A project with one compose file, on a real engine."""

    folder: Path
    engine: Engine
    host: Host
    image: str
    witness: Witness = field(default_factory=Witness)

    def write(self, services: dict[str, object], **more: object) -> None:
        document = {"services": services, **more}
        self.folder.joinpath("compose.yaml").write_text(json.dumps(document), encoding="utf-8")

    @property
    def project(self) -> Project:
        return read_project(self.folder)

    def plan(self, *, create_env: bool = False) -> StackPlan:
        return plan_up(
            self.project,
            "ship",
            engine=self.engine,
            host=self.host,
            say=self.witness.say,
            create_env=create_env,
        )

    def up(self, *, timeout: float = 60, substitute: Callable[[str], str | None] | None = None) -> StackState:
        return bringup.up(
            self.plan(),
            engine=self.engine,
            host=self.host,
            observer=self.witness,
            timeout=timeout,
            substitute=substitute,
        )

    def down(self, *, volumes: bool = False) -> Removed:
        return remove.down(identify(self.project, "ship"), engine=self.engine, volumes=volumes)

    def left(self) -> list[str]:
        """Return the names of all that the engine holds of the stack, asked by label."""
        held = remove.holdings(identify(self.project, "ship"), self.engine)
        return [*(container.name for container in held.containers), *held.networks.values(), *held.volumes]

    def service(self, *command: str, **more: object) -> dict[str, object]:
        return {"image": self.image, "command": list(command), **more}


@pytest.fixture(scope="module")
def host() -> Host:
    return this_host()


@pytest.fixture(scope="module")
def engine(host: Host) -> Iterator[Engine]:
    found = find_engine(host)
    yield found
    found.client.close()


@pytest.fixture(scope="module")
def image(engine: Engine, host: Host) -> Iterator[str]:
    """Give Debian a name of these tests' own, which no other test beside them takes away."""
    import docker.errors

    found = BASE
    try:
        engine.client.images.get(BASE)
    except docker.errors.ImageNotFound:
        plan = offline.find_substitute(BASE, offline.recipes(None))
        assert plan is not None
        found = offline.ensure_substitute(plan, engine=engine, host=host, say=print)
    name = f"seatrial-test/debian-{uuid.uuid4().hex[:12]}"
    assert engine.client.images.get(found).tag(name, "trixie")
    yield f"{name}:trixie"
    engine.client.images.remove(f"{name}:trixie")


@pytest.fixture
def yard(tmp_path: Path, engine: Engine, host: Host, image: str) -> Iterator[Yard]:
    tmp_path.joinpath("pyproject.toml").write_text(
        '[tool.seatrial.apps]\nship = {compose = "compose.yaml"}\ncrew = {image = "own/crew"}\n',
        encoding="utf-8",
    )
    made = Yard(folder=tmp_path, engine=engine, host=host, image=image)
    try:
        yield made
    finally:
        made.down(volumes=True)
    assert made.left() == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def three_services(yard: Yard, port: int) -> None:
    yard.write(
        {
            "db": yard.service(
                "bash",
                "-c",
                "trap 'exit 0' TERM; sleep 0.5; touch /tmp/ready; sleep 1000 & wait",
                healthcheck={"test": ["CMD", "test", "-e", "/tmp/ready"], "interval": "300ms", "retries": 20},
                volumes=["data:/data"],
            ),
            "migrate": yard.service(
                "bash",
                "-c",
                "echo migrated >> /data/log; echo migrated",
                volumes=["data:/data"],
                depends_on={"db": {"condition": "service_healthy"}},
            ),
            "api": yard.service(
                "perl",
                "-e",
                LISTENER,
                ports=[f"127.0.0.1:{port}:8000"],
                depends_on={"migrate": {"condition": "service_completed_successfully"}},
            ),
        },
        volumes={"data": {}},
    )


def test_a_stack_comes_up_answers_and_goes_down(yard: Yard) -> None:
    three_services(yard, free_port())
    state = yard.up()
    assert state.changed
    assert {service.service: service.phase for service in state.services} == {
        "db": Phase.UP,
        "migrate": Phase.DONE,
        "api": Phase.UP,
    }
    (address,) = state.addresses
    with urllib.request.urlopen(f"http://{address.text}/", timeout=5) as answer:
        assert answer.read() == b"ahoy"
    # The waiting was seen: the API stood by while the database started.
    assert any(
        item["db"] is Phase.STARTING and item["api"] in {Phase.WAITING, Phase.ABSENT} for item in yard.witness.seen
    )

    stack = identify(yard.project, "ship")
    shown = {p.service: p for p in bringup.ps(stack, engine=yard.engine)}
    assert shown["migrate"].phase is Phase.DONE
    assert shown["migrate"].last_line == "migrated"
    lines = [(log.service, log.text) for log in logs.logs(stack, engine=yard.engine)]
    assert lines == [("migrate", "migrated"), ("api", "listening")]

    removed = yard.down()
    assert len(removed.containers) == 3
    assert len(removed.networks) == 1
    assert removed.volumes == ()
    assert yard.left() == [f"{stack.compose_project}_data"]
    assert yard.down(volumes=True).volumes == (f"{stack.compose_project}_data",)
    assert yard.down().nothing


def test_up_twice_is_quick_and_changes_nothing(yard: Yard) -> None:
    three_services(yard, free_port())
    yard.up()
    stack = identify(yard.project, "ship")
    before = {container.id for container in inspect.containers(stack, yard.engine)}
    start = time.monotonic()
    state = yard.up()
    assert not state.changed
    assert state.addresses
    assert time.monotonic() - start < 3
    assert {container.id for container in inspect.containers(stack, yard.engine)} == before
    migrate = next(container for container in inspect.containers(stack, yard.engine) if container.service == "migrate")
    assert inspect.last_lines(migrate.id, yard.engine, count=9) == ("migrated",)


def test_up_after_a_change_makes_the_changed_service_anew(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP), "b": yard.service(*SLEEP)})
    yard.up()
    stack = identify(yard.project, "ship")
    before = {container.service: container.id for container in inspect.containers(stack, yard.engine)}
    yard.write({"a": yard.service(*SLEEP), "b": yard.service(*SLEEP, environment={"NEW": "1"})})
    assert yard.up().changed
    after = {container.service: container.id for container in inspect.containers(stack, yard.engine)}
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_up_restarts_what_was_stopped_and_does_not_blame_how_it_ended(yard: Yard) -> None:
    yard.write({"a": yard.service("sleep", "1000", stop_grace_period="1s"), "b": yard.service(*SLEEP)})
    yard.up()
    stack = identify(yard.project, "ship")
    killed = next(container for container in inspect.containers(stack, yard.engine) if container.service == "a")
    yard.engine.client.api.kill(killed.id)
    state = yard.up()
    assert state.changed
    assert [service.phase for service in state.services] == [Phase.UP, Phase.UP]


def test_a_service_that_crashes_is_named_with_its_output_and_who_waited(yard: Yard) -> None:
    yard.write(
        {
            "db": yard.service("bash", "-c", "echo 'no such table: \x1b[31mships'; exit 3"),
            "migrate": yard.service("true", depends_on={"db": {"condition": "service_completed_successfully"}}),
            "api": yard.service(*SLEEP, depends_on={"migrate": {"condition": "service_completed_successfully"}}),
        }
    )
    with pytest.raises(StackFailedError) as caught:
        yard.up()
    assert caught.value.exit_code is ExitCode.FAILED
    assert caught.value.what == "ship did not come up: db ended with exit code 3."
    assert "migrate and api waited for it" in caught.value.detail
    assert "    no such table: ships" in caught.value.detail.splitlines()
    assert yard.left() == []


def test_an_unhealthy_service_shows_its_health_checks(yard: Yard) -> None:
    check = {"test": ["CMD-SHELL", "echo not yet; exit 1"], "interval": "300ms", "retries": 2}
    yard.write(
        {
            "db": yard.service(*SLEEP, healthcheck=check),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        }
    )
    with pytest.raises(StackFailedError) as caught:
        yard.up()
    assert caught.value.what == "ship did not come up: db is unhealthy."
    assert "    exit code 1: not yet" in caught.value.detail.splitlines()
    assert "api waited for it" in caught.value.detail
    assert yard.left() == []


def test_a_service_nobody_waits_for_fails_the_stack_too(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP), "b": yard.service("bash", "-c", "sleep 0.3; exit 7")})
    with pytest.raises(StackFailedError, match="b ended with exit code 7"):
        yard.up()
    assert yard.left() == []


def test_a_failure_ends_the_wait_for_others(yard: Yard) -> None:
    never = {"test": ["CMD", "false"], "interval": "30s", "start_period": "60s"}
    yard.write(
        {
            "slow": yard.service(*SLEEP, healthcheck=never),
            "late": yard.service(*SLEEP, depends_on={"slow": {"condition": "service_healthy"}}),
            "crash": yard.service("bash", "-c", "exit 4"),
        }
    )
    start = time.monotonic()
    with pytest.raises(StackFailedError, match="crash ended with exit code 4"):
        yard.up(timeout=60)
    assert time.monotonic() - start < 15
    assert yard.left() == []


def test_a_service_that_publishes_a_port_and_ends_with_zero_is_down(yard: Yard) -> None:
    yard.write({"api": yard.service("true", ports=[f"127.0.0.1:{free_port()}:8000"])})
    with pytest.raises(StackFailedError, match="api ended with exit code 0 but should have kept running"):
        yard.up()


def test_a_crash_loop_is_given_until_the_timeout(yard: Yard) -> None:
    yard.write({"api": yard.service("bash", "-c", "echo again; exit 5", restart="always")})
    start = time.monotonic()
    with pytest.raises(StackFailedError) as caught:
        yard.up(timeout=4)
    assert 4 <= time.monotonic() - start < 15
    assert "ship was not up after 4 s: api " in caught.value.what
    assert "    again" in caught.value.detail.splitlines()
    assert yard.left() == []


def test_a_dependency_that_never_gets_healthy_is_given_until_the_timeout(yard: Yard) -> None:
    never = {"test": ["CMD", "false"], "interval": "30s", "start_period": "60s"}
    yard.write(
        {
            "db": yard.service(*SLEEP, healthcheck=never),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        }
    )
    with pytest.raises(StackFailedError) as caught:
        yard.up(timeout=3)
    assert caught.value.what == "ship was not up after 3 s: db runs and is not healthy yet."
    assert "api waited for it" in caught.value.detail
    assert yard.left() == []


def test_a_command_that_does_not_exist(yard: Yard) -> None:
    yard.write({"api": yard.service("nosuch")})
    with pytest.raises(StackFailedError) as caught:
        yard.up()
    assert "api could not be started" in caught.value.what
    assert '"nosuch": executable file not found' in caught.value.what
    assert yard.left() == []


def test_a_failing_change_leaves_what_was_up_before(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP)})
    yard.up()
    yard.write({"a": yard.service(*SLEEP), "b": yard.service("false")})
    with pytest.raises(StackFailedError, match="b ended with exit code 1"):
        yard.up()
    (left,) = inspect.containers(identify(yard.project, "ship"), yard.engine)
    assert left.service == "a"
    assert left.status == "running"


def test_a_port_that_a_process_holds(yard: Yard) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        yard.write({"api": yard.service(*SLEEP, ports=[f"127.0.0.1:{port}:8000"])})
        with pytest.raises(StackError, match=rf"'api' publishes port {port}, which is taken by .*process") as caught:
            yard.up()
    assert caught.value.exit_code is ExitCode.UNDECIDED
    assert yard.left() == []


def test_a_port_that_a_container_holds(yard: Yard) -> None:
    port = free_port()
    api = yard.engine.client.api
    held = api.create_container(
        yard.image,
        ["sleep", "1000"],
        ports=[8000],
        host_config=api.create_host_config(port_bindings={8000: ("127.0.0.1", port)}),
        name=f"seatrial-test-holder-{port}",
    )["Id"]
    try:
        api.start(held)
        yard.write({"api": yard.service(*SLEEP, ports=[f"127.0.0.1:{port}:8000"])})
        with pytest.raises(StackError, match=f"taken by the container seatrial-test-holder-{port}"):
            bringup.check(yard.plan(), engine=yard.engine)
    finally:
        api.remove_container(held, force=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a:\n    image: x\n  foo\n", "yaml: line 4"),
        ("services: {a: {image: x, colour: red}}", "colour"),
        ("services: {a: {command: x}}", "neither an image nor a build context"),
        ("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}", "dependency cycle"),
        ("services: {a: {image: x, env_file: gone.env}}", "gone.env"),
        (
            'services: {a: {image: x, environment: {A: "${HARBOUR:?name a harbour}"}}}',
            "the variable HARBOUR has no value: name a harbour",
        ),
        ("services: {}", "declares no service"),
        ("", "empty compose file"),
        ("\x00", "refuses it"),
    ],
)
def test_a_compose_file_that_compose_refuses(yard: Yard, text: str, message: str) -> None:
    yard.folder.joinpath("compose.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StackError) as caught:
        yard.plan()
    assert message in f"{caught.value.what} {caught.value.detail}"
    assert caught.value.where.partition(":")[0] == str(yard.folder / "compose.yaml")
    assert caught.value.exit_code is ExitCode.UNDECIDED


def test_an_unset_variable_is_noted(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP, environment={"A": "${HARBOUR}"})})
    assert yard.plan().notes == ('The "HARBOUR" variable is not set. Defaulting to a blank string.',)


def test_an_env_file_is_asked_for_and_copied_when_wanted(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP, environment={"A": "${HARBOUR:?}"})})
    yard.folder.joinpath(".env.example").write_text("HARBOUR=odesa\n", encoding="utf-8")
    with pytest.raises(StackError, match="the env file is missing") as caught:
        yard.plan()
    assert f"cp {yard.folder}/.env.example {yard.folder}/.env" in caught.value.fix
    yard.plan(create_env=True)
    assert yard.folder.joinpath(".env").is_file()
    assert any("Copied .env.example" in text for text in yard.witness.said)
    yard.folder.joinpath(".env").unlink()
    assert yard.down().nothing  # `down` needs neither the env file …
    yard.folder.joinpath("compose.yaml").unlink()
    assert yard.down().nothing  # … nor the compose file.


def test_several_compose_files_and_env_files_are_one_stack(yard: Yard) -> None:
    files = '["compose.yaml", "more/compose.prod.yaml"]'
    text = f'[tool.seatrial.apps]\nship = {{compose = {files}, env-files = ["a.env", "b.env"]}}\n'
    yard.folder.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
    asks = {"A": "${A}", "B": "${B:?}", "C": "${C:-none}"}
    yard.write({"a": yard.service(*SLEEP, environment=asks), "b": yard.service(*SLEEP)})
    yard.folder.joinpath("more").mkdir()
    later = {"services": {"a": {"environment": {"D": "here"}, "labels": {"which": "later"}}}}
    yard.folder.joinpath("more/compose.prod.yaml").write_text(json.dumps(later), encoding="utf-8")
    yard.folder.joinpath("a.env").write_text("A=1\nB=1\n", encoding="utf-8")
    yard.folder.joinpath("b.env.example").write_text("B=2\n", encoding="utf-8")
    yard.folder.joinpath(".env").write_text("C=never\n", encoding="utf-8")
    with pytest.raises(StackError, match="the env file is missing") as caught:
        yard.plan()
    assert caught.value.where == str(yard.folder / "b.env")
    yard.plan(create_env=True)
    state = yard.up()
    assert {each.service for each in state.services} == {"a", "b"}
    container = inspect.containers(identify(yard.project, "ship"), yard.engine)[0]
    seen = yard.engine.client.containers.get(container.name).attrs["Config"]
    assert {"A=1", "B=2", "C=none", "D=here"} <= set(seen["Env"])
    assert seen["Labels"]["which"] == "later"


def test_an_own_image_that_was_not_built(yard: Yard) -> None:
    yard.write({"api": {"image": "own/crew:nosuch"}})
    with pytest.raises(StackError) as caught:
        yard.up()
    assert caught.value.fix == "Build it: `invoke build --app crew`."


def test_an_image_that_nobody_has(yard: Yard) -> None:
    yard.write({"db": {"image": "localhost:1/nosuch:1"}})
    with pytest.raises(ImageError, match="cannot be pulled; it has no local substitute"):
        yard.up(substitute=lambda _: None)
    assert yard.left() == []


def test_a_substitute_takes_the_place_of_an_image_that_cannot_be_pulled(yard: Yard) -> None:
    yard.write({"db": {"image": "localhost:1/nosuch:1", "command": SLEEP}})
    asked: list[str] = []

    def substitute(reference: str) -> str:
        asked.append(reference)
        return yard.image

    text = yard.folder.joinpath("compose.yaml").read_text(encoding="utf-8")
    state = yard.up(substitute=substitute)
    assert asked == ["localhost:1/nosuch:1"]
    assert state.services[0].container is not None
    assert state.services[0].container.image == yard.image
    assert f"localhost:1/nosuch:1 cannot be pulled: db runs on the local substitute {yard.image}." in yard.witness.said
    assert yard.folder.joinpath("compose.yaml").read_text(encoding="utf-8") == text
    assert not yard.up(substitute=substitute).changed
    assert len(asked) == 1
    assert [p.service for p in bringup.ps(state.stack, engine=yard.engine)] == ["db"]


def test_logs_follow_until_the_reader_stops(yard: Yard) -> None:
    talk = "trap 'exit 0' TERM; for i in 1 2 3 4 5 6 7 8 9; do echo line $$i; sleep 0.2; done; sleep 1000 & wait"
    yard.write({"a": yard.service("bash", "-c", talk), "b": yard.service(*SLEEP)})
    yard.up()
    stack = identify(yard.project, "ship")
    lines = logs.logs(stack, engine=yard.engine, follow=True)
    read = [next(lines).text for _ in range(9)]
    assert read == [f"line {number}" for number in range(1, 10)]
    assert isinstance(lines, type(_ for _ in ()))
    lines.close()
    with pytest.raises(StackError, match="no service 'bb'") as caught:
        logs.logs(stack, engine=yard.engine, service="bb")
    assert caught.value.fix


def test_logs_of_a_stack_that_is_down(yard: Yard) -> None:
    yard.write({"a": yard.service(*SLEEP)})
    with pytest.raises(StackError, match="nothing of ship is up"):
        logs.logs(identify(yard.project, "ship"), engine=yard.engine)


class Relay:
    """A socket that hands all on to an engine, until it is cut: an engine that dies in the middle."""

    def __init__(self, at: Path, engine: str) -> None:
        self._engine = engine.removeprefix("unix://")
        self._ends: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(at))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for end in (self._server, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._hand_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _hand_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_an_engine_that_dies_in_the_middle(yard: Yard) -> None:
    if not yard.engine.candidate.url.startswith("unix://"):
        pytest.skip("the relay stands before a local socket only")
    never = {"test": ["CMD", "false"], "interval": "30s", "start_period": "60s"}
    yard.write(
        {
            "db": yard.service(*SLEEP, healthcheck=never),
            "api": yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}}),
        }
    )
    at = yard.folder / "relay.sock"
    relay = Relay(at, yard.engine.candidate.url)
    try:
        host = replace(yard.host, environment={**yard.host.environment, "DOCKER_HOST": f"unix://{at}"})
        dying = replace(yard, engine=find_engine(host), host=host)
        threading.Timer(3, relay.cut).start()
        with warnings.catch_warnings():
            # docker-py leaves a socket that could not connect to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            with pytest.raises(EngineError, match="the engine stopped answering"):
                dying.up(timeout=30)
            dying.engine.client.close()
            gc.collect()
    finally:
        relay.cut()
    assert any("`invoke down --app ship` removes what remains" in text for text in yard.witness.said)
    assert len(yard.down().containers) == 2


UP = """
import sys
from pathlib import Path
from rich.console import Console
from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.reports.stack_console import progress
from seatrial.settings.read import read_project
from seatrial.stack.up import up
from seatrial.stack.plan import plan_up

host = this_host()
engine = find_engine(host)
plan = plan_up(read_project(Path(sys.argv[1])), "ship", engine=engine, host=host, say=print)
try:
    with progress(Console()) as observer:
        up(plan, engine=engine, host=host, observer=observer)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("compose_works", [True, False])
def test_ctrl_c_in_the_middle_leaves_nothing_and_the_next_run_works(yard: Yard, *, compose_works: bool) -> None:
    never = {"test": ["CMD", "test", "-e", "/data/ready"], "interval": "1s", "start_period": "60s"}
    services: dict[str, object] = {"db": yard.service(*SLEEP, healthcheck=never)}
    if compose_works:  # Compose itself waits for the database before it starts the API.
        services["api"] = yard.service(*SLEEP, depends_on={"db": {"condition": "service_healthy"}})
    yard.write(services)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(UP), str(yard.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "db: starting" in line:
                break
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
        assert run.wait(timeout=30) == 130, rest
    assert "Stopping and removing what this run started." in rest
    assert "Traceback" not in rest
    assert yard.left() == []
    yard.write({"db": yard.service(*SLEEP)})
    assert yard.up().changed
