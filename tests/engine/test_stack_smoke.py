"""smoke --stack against a real engine: a small app with a database of its own, sound and broken in every way."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from seatrial import offline
from seatrial.checks.model import Level, Status
from seatrial.checks.verdict import Verdict
from seatrial.compose.runner import Stack, identify
from seatrial.compose.services import PROJECT_LABEL
from seatrial.engine import runs
from seatrial.engine.find import find_engine
from seatrial.errors import StackError
from seatrial.facts import ProjectFacts
from seatrial.host import this_host
from seatrial.observe.gather import Wanted
from seatrial.settings.read import read_project
from seatrial.smoke import Target
from seatrial.smoke.stacks import judge_stack
from seatrial.stack import down, inspect, up
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.plan import plan_up
from seatrial.stack.trial import NO_STARTS, Trial, try_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.state import ServiceState

pytestmark = pytest.mark.engine

BASE = "python:3.13-slim"

DB = """
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_PUT(self):
        with open("/data/" + os.path.basename(self.path), "wb") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
    def do_GET(self):
        path = "/data/" + os.path.basename(self.path)
        self.send_response(200 if os.path.exists(path) else 404)
        self.end_headers()
        if os.path.exists(path):
            self.wfile.write(open(path, "rb").read())

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(float(os.environ.get("SECONDS_TO_START", "0")))
HTTPServer(("", 9000), Handler).serve_forever()
"""

API = """
import json, os, signal, sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

DEFECTS = os.environ.get("DEFECTS", "").split()
stale = False

def ask(method, path, data=None):
    request = urllib.request.Request("http://db:9000" + path, data=data, method=method)
    return urllib.request.urlopen(request, timeout=2).read().decode()

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def answer(self, status, value):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())
    def do_GET(self):
        if self.path == "/ready":
            return self.answer(503 if "unready" in DEFECTS else 200, {"because": "of a defect"})
        try:
            text = ask("GET", self.path)
        except urllib.error.HTTPError as error:
            return self.answer(error.code, {})
        except OSError:
            return self.answer(503, {})
        self.answer(200, {"title": "another" if "forgets" in DEFECTS else text})
    def do_POST(self):
        global stale
        title = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"]
        key = os.urandom(6).hex()
        try:
            if stale:
                raise OSError
            ask("PUT", "/notes/" + key, title.encode())
        except OSError:
            stale = "stale" in DEFECTS
            if "lies" not in DEFECTS:
                return self.answer(503, {"error": "no database"})
        self.answer(201, {"id": key})

if "needs" in DEFECTS:
    try:
        ask("GET", "/notes/lock")
        sys.exit("another one is at work")
    except urllib.error.HTTPError:
        pass
    except OSError:
        sys.exit("no database")
if "locks" in DEFECTS:
    ask("PUT", "/notes/lock", b"mine")
if "careless" not in DEFECTS and "SHOP" not in os.environ:
    sys.exit("SHOP is not set")
if "scribbles" in DEFECTS:
    try:
        open("/srv/scribble", "w").close()
    except OSError:
        pass
open("/state/mine", "w").close() if "STATE" in os.environ else None
print("at sea", flush=True)
server = HTTPServer(("127.0.0.1" if "loopback" in DEFECTS else "", 8000), Handler)
children = set()

def spawn():
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        server.serve_forever()
    children.add(pid)

def stop(*_):
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    sys.exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in DEFECTS else stop)
for _ in range(1 if "alone" in DEFECTS else 2):
    spawn()
while True:
    pid, _ = os.wait()
    children.discard(pid)
    if "dies" in DEFECTS:
        stop()
    if "barren" not in DEFECTS:
        spawn()
"""
LISTENS = "import socket; socket.create_connection(('127.0.0.1', 9000))"
# Up when it answers; away for long enough that a write falls into that time.
SLOW: dict[str, Any] = {
    "environment": {"SECONDS_TO_START": "1.5"},
    "healthcheck": {"test": ["CMD", "python", "-c", LISTENS], "interval": "300ms", "retries": 50},
}
SETTINGS = """
[tool.seatrial.apps.ship]
compose = "compose.yaml"

[tool.seatrial.apps.ship.contract]
stops-within = 5

[tool.seatrial.apps.ship.contract.stack]
service = "api"
database = "db"
port = 8000
ready = "/ready"
write = { path = "/notes", body = { title = "note {unique}" } }
read = "/notes/{id}"
up-within = 40
recovers-within = 8
"""


class Silent:
    def say(self, text: str) -> None:
        assert text

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        assert services
        assert seconds >= 0


@dataclass
class Yard:
    folder: Path
    engine: Engine
    host: Host
    image: str

    def write(self, *defects: str, api: dict[str, Any] | None = None, db: dict[str, Any] | None = None) -> None:
        services = {
            "db": {
                "image": self.image,
                "command": ["python", "-c", DB],
                "volumes": ["data:/data"],
                "restart": "unless-stopped",
                **(db or {}),
            },
            "api": {
                "image": self.image,
                "command": ["python", "-c", API],
                "environment": {"DEFECTS": " ".join(defects), "SHOP": "open", "PYTHONDONTWRITEBYTECODE": "1"},
                "depends_on": ["db"],
                "restart": "unless-stopped",
                "stop_grace_period": "3s",
                **(api or {}),
            },
        }
        document = {"services": services, "volumes": {"data": {"name": f"{self.folder.name}-data"}}}
        self.folder.joinpath("compose.yaml").write_text(json.dumps(document), encoding="utf-8")

    def trial(self, wanted: Wanted = NO_STARTS) -> Trial:
        project = read_project(self.folder)
        stack = plan_isolated(
            project, "ship", engine=self.engine, host=self.host, labels={"seatrial.test": "1"}, say=print
        )
        return Trial(
            stack=stack,
            contract=project.app("ship").contract,
            engine=self.engine,
            host=self.host,
            observer=Silent(),
            substitute=None,
            say=lambda _: None,
            wanted=wanted,
        )

    def smoke(self, level: Level | None = None) -> Smoke:
        trial = self.trial(NO_STARTS if level is None else Wanted(deep=level is Level.DEEP))
        run = try_stack(trial)
        assert self.left(trial.stack.plan.stack) == []
        target = Target(reference=trial.stack.image, contract=trial.contract, project=ProjectFacts(), app="ship")
        return judge_stack(target, run, self.engine, started=time.perf_counter(), level=level)

    def left(self, stack: Stack) -> list[str]:
        held = down.holdings(stack, self.engine)
        return [*(container.name for container in held.containers), *held.networks.values(), *held.volumes]


@pytest.fixture(scope="module")
def host() -> Host:
    return this_host()


@pytest.fixture(scope="module")
def engine(host: Host) -> Iterator[Engine]:
    found = find_engine(host)
    yield found
    found.client.close()


@pytest.fixture(scope="module")
def image(engine: Engine, host: Host) -> str:
    import docker.errors

    try:
        engine.client.images.get(BASE)
    except docker.errors.ImageNotFound:
        plan = offline.find_substitute(BASE, offline.recipes(None))
        assert plan is not None
        return offline.ensure_substitute(plan, engine=engine, host=host, say=print)
    return BASE


@pytest.fixture
def yard(tmp_path: Path, engine: Engine, host: Host, image: str) -> Iterator[Yard]:
    tmp_path.joinpath("pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    made = Yard(folder=tmp_path, engine=engine, host=host, image=image)
    public = identify(read_project(tmp_path), "ship")
    private = Stack(app="ship", compose_project=f"{public.compose_project}-smoke")
    try:
        yield made
    finally:
        for stack in (public, private):
            down.down(stack, engine=engine, volumes=True)
    assert made.left(public) == made.left(private) == []


def told(smoke: Smoke) -> dict[str, tuple[Status, str]]:
    return {check.id.partition("/")[2]: (check.status, check.actual) for check in smoke.checks}


def failing(smoke: Smoke) -> set[str]:
    return {name for name, (status, _) in told(smoke).items() if status is Status.FAIL}


def test_a_sound_stack_passes_every_check_also_after_one_that_was_killed(yard: Yard) -> None:
    yard.write(api={"ports": ["8000"]}, db={"ports": ["9000"]})
    killed = yard.trial()
    up.up(killed.stack.plan, engine=yard.engine, host=yard.host, observer=Silent(), program=killed.stack.compose)
    assert len(yard.left(killed.stack.plan.stack)) == 4
    smoke = yard.smoke()
    assert {check.id: (check.status, check.actual) for check in smoke.checks if check.status is not Status.PASS} == {}
    assert smoke.verdict is Verdict.PASS
    seen = told(smoke)
    assert "requests answered; another worker in its place" in seen["survives-worker-loss"][1]
    assert "acknowledged writes are there after a restart" in seen["survives-database-restart"][1]


def test_a_forgetful_database_workers_nobody_replaces_and_a_stop_signal_nobody_hears(yard: Yard) -> None:
    yard.write("barren", "stubborn", db={"volumes": [], "tmpfs": ["/data"]})
    smoke = yard.smoke()
    assert failing(smoke) == {"survives-database-restart", "survives-worker-loss", "graceful-stop"}
    seen = told(smoke)
    assert "acknowledged writes cannot be read after the restart of db" in seen["survives-database-restart"][1]
    lost = next(check for check in smoke.checks if check.id == "stack/survives-database-restart")
    assert any(line.endswith("status 404") for line in lost.evidence)
    assert "no other worker within 8 s" in seen["survives-worker-loss"][1]
    assert "api, the app, was killed after its grace time of 3 s, exit code 137" in seen["graceful-stop"][1]


def test_an_app_that_says_yes_to_what_it_did_not_store(yard: Yard) -> None:
    yard.write("lies", "alone", db=SLOW)
    smoke = yard.smoke()
    assert failing(smoke) == {"survives-database-restart"}
    lost = next(check for check in smoke.checks if check.id == "stack/survives-database-restart")
    assert all(line.endswith("status 404") for line in lost.evidence)
    assert told(smoke)["survives-worker-loss"][0] is Status.SKIP


def test_an_app_that_is_never_ready_shows_something_else_and_keeps_a_dead_connection(yard: Yard) -> None:
    yard.write("unready", "forgets", "stale", "alone", db=SLOW)
    smoke = yard.smoke()
    assert failing(smoke) == {"ready", "writes-and-reads", "survives-database-restart"}
    seen = told(smoke)
    assert seen["ready"][1] == "/ready: status 503"
    assert "does not show what was written" in seen["writes-and-reads"][1]
    assert "no write was stored within 8 s after db was back: status 503" in seen["survives-database-restart"][1]
    ready = next(check for check in smoke.checks if check.id == "stack/ready")
    assert ready.evidence == ('{"because": "of a defect"}',)


def test_an_app_that_ends_with_its_worker(yard: Yard) -> None:
    yard.write("dies")
    smoke = yard.smoke()
    assert "survives-worker-loss" in failing(smoke)
    loss = next(check for check in smoke.checks if check.id == "stack/survives-worker-loss")
    assert "requests failed after one of 2 workers was killed" in loss.actual
    assert any("the app's container" in line for line in loss.evidence)


def test_an_app_that_listens_on_the_loopback_alone(yard: Yard) -> None:
    yard.write("loopback", api={"ports": ["8000"]}, db={"ports": ["9001"]})
    smoke = yard.smoke()
    assert {"published-ports", "ready", "writes-and-reads"} <= failing(smoke)
    assert told(smoke)["published-ports"][1] == (
        "api publishes 8000, and listens there on the loopback of its container alone; "
        "db publishes 9001, and listens on 9000"
    )
    assert "nothing listens on port 8000 but on 127.0.0.1" in told(smoke)["ready"][1]


def test_a_stack_that_does_not_come_up(yard: Yard) -> None:
    yard.write(api={"command": ["python", "-c", "raise SystemExit('no harbour')"], "restart": "no"})
    smoke = yard.smoke()
    assert failing(smoke) == {"healthy"}
    first = smoke.checks[0]
    assert first.actual == "ship did not come up: api ended with exit code 1"
    assert any("no harbour" in line for line in first.evidence)
    rest = {status for name, (status, _) in told(smoke).items() if name != "healthy"}
    assert rest == {Status.ERROR}


# --- started again among its services -----------------------------------------------------------------------------


ANSWERS = "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=1).read()"
CHECKED = {"test": ["CMD", "python", "-c", ANSWERS], "interval": "1s", "timeout": "2s", "retries": 20}
AMONG = """
required-environment = ["SHOP"]
arbitrary-uid = true
unhealthy-within = 5
"""


def rules(yard: Yard) -> None:
    settings = yard.folder / "pyproject.toml"
    text = settings.read_text(encoding="utf-8").replace("stops-within = 5\n", f"stops-within = 5\n{AMONG}")
    settings.write_text(text, encoding="utf-8")


def not_well(smoke: Smoke) -> dict[str, str]:
    return {check.id: check.actual for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}}


def test_an_app_that_starts_only_among_its_services_passes_every_start_there(yard: Yard) -> None:
    rules(yard)
    api = {
        "healthcheck": CHECKED,
        "expose": ["8000"],
        "environment": {"DEFECTS": "needs", "SHOP": "open", "STATE": "here", "PYTHONDONTWRITEBYTECODE": "1"},
        "tmpfs": ["/state:mode=1777"],
        "networks": ["front", "default"],
    }
    yard.write(api=api)
    document = json.loads(yard.folder.joinpath("compose.yaml").read_text(encoding="utf-8"))
    document["networks"] = {"front": {}, "default": {"internal": True}}
    yard.folder.joinpath("compose.yaml").write_text(json.dumps(document), encoding="utf-8")
    smoke = yard.smoke(Level.DEEP)
    assert not_well(smoke) == {}
    passed = {check.id for check in smoke.checks if check.status is Status.PASS}
    assert {
        "boot/healthy",
        "boot/read-only",
        "boot/missing-environment",
        "boot/arbitrary-uid",
        "boot/recreate",
        "boot/writes-declared",
        "health/detects-freeze",
        "network/exposed-ports",
        "process/pid1-is-app",
    } <= passed
    ports = next(check.actual for check in smoke.checks if check.id == "network/exposed-ports")
    assert ports == "listens on 0.0.0.0:8000/tcp"


def test_what_only_further_starts_among_the_services_show(yard: Yard) -> None:
    rules(yard)
    yard.write("careless", "scribbles", api={"healthcheck": {"test": ["CMD", "true"], "interval": "1s"}})
    seen = not_well(yard.smoke(Level.DEEP))
    assert set(seen) == {
        "boot/missing-environment",
        "boot/writes-declared",
        "health/detects-freeze",
        "network/exposed-ports",
    }
    assert seen["boot/missing-environment"] == "without SHOP, it starts anyway"
    assert "/srv/scribble" in seen["boot/writes-declared"]


def test_an_app_whose_first_start_leaves_what_its_second_one_trips_over(yard: Yard) -> None:
    yard.write("needs", "locks", api={"healthcheck": CHECKED, "expose": ["8000"]})
    smoke = yard.smoke(Level.STANDARD)
    seen = not_well(smoke)
    assert "stack/healthy" not in seen
    assert "the container exited at start: exit code 1" in seen["boot/healthy"]
    healthy = next(check for check in smoke.checks if check.id == "boot/healthy")
    assert any("another one is at work" in line for line in healthy.evidence)


def test_a_stack_that_does_not_come_up_leaves_its_starts_undecided(yard: Yard) -> None:
    yard.write(api={"command": ["python", "-c", "raise SystemExit('no harbour')"], "restart": "no"})
    smoke = yard.smoke(Level.STANDARD)
    assert smoke.verdict is Verdict.FAIL
    boot = next(check for check in smoke.checks if check.id == "boot/limits")
    assert (boot.status, boot.actual) == (
        Status.ERROR,
        "could not be decided: the stack did not come up: see stack/healthy",
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_running_stack_and_its_data_are_never_touched(yard: Yard) -> None:
    port = free_port()
    named = {"container_name": f"{yard.folder.name}-api", "ports": [f"127.0.0.1:{port}:8000"]}
    yard.write(api=named)
    project = read_project(yard.folder)
    plan = plan_up(project, "ship", engine=yard.engine, host=yard.host, say=print)
    up.up(plan, engine=yard.engine, host=yard.host, observer=Silent())
    before = {
        container.service: (container.id, container.restarts)
        for container in inspect.containers(plan.stack, yard.engine)
    }
    address = f"http://127.0.0.1:{port}/notes"
    request = urllib.request.Request(address, data=b'{"title": "mine"}', method="POST")
    for _ in range(50):
        try:
            made = json.load(urllib.request.urlopen(request, timeout=5))  # noqa: S310
            break
        except OSError:
            time.sleep(0.1)
    assert yard.smoke().verdict is Verdict.PASS
    assert {
        container.service: (container.id, container.restarts)
        for container in inspect.containers(plan.stack, yard.engine)
    } == before
    with urllib.request.urlopen(f"{address}/{made['id']}", timeout=5) as answer:  # noqa: S310
        assert json.load(answer) == {"title": "mine"}
    # Another one's network and path of this machine cannot be had twice: that is said, and nothing is begun.
    yard.write(db={"volumes": [f"{yard.folder}:/data"]})
    with pytest.raises(StackError, match="may write to"):
        yard.trial()


SMOKE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from seatrial.cli.collection import program
program.run(["seatrial", "smoke", "--stack", *sys.argv[1:]])
"""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_the_middle_leaves_nothing_and_a_second_one_says_what_it_leaves(yard: Yard, times: int) -> None:
    yard.write(*(["stubborn"] if times > 1 else []), api={"stop_grace_period": "60s"})
    yard.folder.joinpath("Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    private = yard.trial().stack.plan.stack
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SMOKE)],
        cwd=yard.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        for _ in range(300):
            if len(inspect.containers(private, yard.engine)) == 2:
                break
            time.sleep(0.1)
        time.sleep(2)
        start = time.monotonic()
        for _ in range(times):
            run.send_signal(signal.SIGINT)
            time.sleep(1)
        assert run.stdout is not None
        rest = run.stdout.read()
        assert run.wait(timeout=60) == 130, rest
    assert "Traceback" not in rest
    if times == 1:
        assert yard.left(private) == []
        return
    assert time.monotonic() - start < 10
    assert f"interrupted again; what remains: {private.compose_project}-api-1" in rest
    assert "The next `invoke smoke --stack --app ship` removes what remains." in rest
    for container in inspect.containers(private, yard.engine):
        if container.status == "running":
            yard.engine.client.api.kill(container.id)


def test_ctrl_c_in_a_start_among_the_services_ends_all_of_them(yard: Yard) -> None:
    rules(yard)
    yard.write("needs", api={"healthcheck": CHECKED})
    yard.folder.joinpath("Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    private = yard.trial().stack.plan.stack
    api = yard.engine.client.api
    labelled = {"label": [runs.LABEL]}

    def starts() -> list[str]:
        found = api.containers(all=True, filters=labelled)
        alone = [match for match in found if PROJECT_LABEL not in match["Labels"]]
        return [entry["Id"] for entry in alone if private.compose_project in entry["HostConfig"]["NetworkMode"]]

    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SMOKE), "--level", "deep"],
        cwd=yard.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        end = time.monotonic() + 90
        while not starts():
            assert time.monotonic() < end
            time.sleep(0.05)
        # The first start is over when another container is there: the deep ones are on.
        first = set(starts())
        while not set(starts()) - first:
            assert time.monotonic() < end
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert run.stdout is not None
        rest = run.stdout.read()
        assert run.wait(timeout=60) == 130, rest
    assert time.monotonic() - began < 12
    assert "Traceback" not in rest
    assert starts() == []
    assert yard.left(private) == []
