"""The weather agent without an account: its demo by the command that a person gives, and its health beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from demo_task import ASK, SERVICE, plan_demo

from seatrial.compose import runner
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host
from seatrial.settings.read import read_project
from seatrial.stack import down, inspect
from seatrial.stack import up as bringup
from seatrial.stack.state import ContainerStatus, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.state import ContainerState, ServiceState

pytestmark = pytest.mark.engine

CHECKOUT = Path(__file__).parents[2]
APP = "weather-agent"
QUESTION = "Що одягнути в Києві?"
CALLS = "the bot called: sendChatAction, completions, search, forecast, completions, sendMessage"
TASK = "../../examples/weather-agent/demo_task.py"
ASKING = 'ASK = ("python", "-m", "demo", "ask")'
NEVER = 'ASK = ("python", "-c", "import time; time.sleep(1000)")'
STALE_SECONDS = 9


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    try:
        found = find_engine(this_host())
    except EngineError as error:
        pytest.skip(f"NOT RUN: {error}")
    yield found
    found.client.close()


@dataclass
class Trial:
    """A copy of the project, whose demo has a name of its own."""

    folder: Path
    engine: Engine

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / "docker/weather-agent" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1
        file.write_text(text.replace(old, new), encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *words]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def plan(self) -> StackPlan:
        return plan_demo(read_project(self.folder), engine=self.engine, host=this_host())

    def left(self) -> list[str]:
        """Return the names of all that the engine holds of the demo, asked by label."""
        held = down.holdings(self.plan().stack, self.engine)
        return [*(container.name for container in held.containers), *held.networks.values(), *held.volumes]


@pytest.fixture
def trial(tmp_path: Path, engine: Engine) -> Iterator[Trial]:
    for name in ("pyproject.toml", "tasks.py"):
        shutil.copy(CHECKOUT / name, tmp_path)
    skipped = shutil.ignore_patterns(".env", ".venv", "__pycache__", ".*_cache")
    for folder in ("docker", "examples"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=skipped)
    made = Trial(folder=tmp_path, engine=engine)
    if not engine.client.images.list(name=f"{APP}:latest"):
        built = made.run("build", "--app", APP)
        assert built.returncode == 0, built.stderr
    try:
        yield made
    finally:
        down.down(made.plan().stack, engine=engine, volumes=True)


def test_a_question_gets_the_bots_own_answer_and_nothing_stays(trial: Trial) -> None:
    done = trial.run("demo", QUESTION)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Київ: ")
    assert "Одягніть" in done.stdout
    assert done.stdout.count("\n") == 1
    assert CALLS in done.stderr
    assert trial.left() == []
    assert not (trial.folder / "docker/weather-agent/.env").exists()


def test_what_an_earlier_demo_left_goes(trial: Trial) -> None:
    plan = trial.plan()
    bringup.up(plan, engine=trial.engine, host=this_host(), observer=Silent())
    assert len(trial.left()) == 3
    done = trial.run("demo", "Нідеград")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Такого міста не знайшлося. Перевірте, будь ласка, назву.\n"
    assert "Removed what an earlier demo had left." in done.stderr
    assert trial.left() == []


def test_a_dry_run_starts_nothing(trial: Trial) -> None:
    done = trial.run("demo", "--dry-run", QUESTION)
    assert done.returncode == 0, done.stderr
    assert "demo.env" in done.stdout
    assert trial.left() == []


def test_an_image_that_was_not_built(trial: Trial) -> None:
    done = trial.run("demo", QUESTION, SEATRIAL_TAG="nosuch")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "has not been built. Build it: `invoke build --app weather-agent`." in line
    assert trial.left() == []


def test_a_proxy_that_the_engines_client_hands_on_is_passed_by(
    trial: Trial, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("docker")
    proxies = {"default": {"httpProxy": "http://127.0.0.1:9", "httpsProxy": "http://127.0.0.1:9"}}
    folder.joinpath("config.json").write_text(json.dumps({"proxies": proxies}), encoding="utf-8")
    done = trial.run("demo", QUESTION, DOCKER_CONFIG=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Київ: ")


def test_without_an_engine_nothing_can_be_tried(trial: Trial) -> None:
    done = trial.run("demo", QUESTION, DOCKER_HOST=f"unix://{trial.folder}/no.sock")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_no_answer_in_time_shows_what_the_bot_logged(trial: Trial) -> None:
    trial.edit(TASK, ASKING, NEVER)
    start = time.monotonic()
    done = trial.run("demo", "--timeout", "20", QUESTION)
    assert time.monotonic() - start < 40
    assert done.returncode == 1
    assert "weather-agent gave no answer in time." in done.stderr
    assert "the last output of bot (healthy):" in done.stderr
    assert "polling as @weather_bot" in done.stderr
    assert "run `invoke demo` again" in done.stderr
    assert done.stdout == ""
    assert trial.left() == []


def test_a_service_that_cannot_be_asked(trial: Trial) -> None:
    trial.edit(TASK, ASKING, 'ASK = ("python", "-m", "nosuch")')
    done = trial.run("demo", QUESTION)
    assert done.returncode == 1
    assert "weather-agent was not asked: `python -m nosuch` ended with exit code 1." in done.stderr
    assert "No module named nosuch" in done.stderr
    assert trial.left() == []


def test_a_bot_that_does_not_come_up_is_named_with_its_output(trial: Trial) -> None:
    trial.edit("demo.env", "OPENAI_API_KEY=demo", "OPENAI_API_KEY=demo\nWEATHER_AGENT_LANGUAGE=tlh")
    done = trial.run("demo", "--timeout", "10", QUESTION)
    assert done.returncode == 1
    assert "weather-agent was not up after 10 s: bot " in done.stderr
    assert "WEATHER_AGENT_LANGUAGE must be one of uk, en" in done.stderr
    assert trial.left() == []


@pytest.mark.parametrize("moment", ["demo: starting", "Asking weather-agent"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_in_the_middle_leaves_nothing(trial: Trial, moment: str, number: int, code: int) -> None:
    trial.edit(TASK, ASKING, NEVER)
    with subprocess.Popen(
        trial.command("demo", QUESTION),
        cwd=trial.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        seen = next((line for line in run.stdout if moment in line), "")
        assert seen
        time.sleep(0.3)
        run.send_signal(number)
        rest = run.stdout.read()
        assert run.wait(timeout=60) == code, rest
    assert "Traceback" not in rest
    assert trial.left() == []


def test_a_second_ctrl_c_leaves_at_once_and_says_what_remains(trial: Trial) -> None:
    trial.edit(TASK, ASKING, NEVER)
    # Python pays no heed to this signal.
    trial.edit(
        "compose.yaml", "    stop_grace_period: 10s\n", "    stop_grace_period: 60s\n    stop_signal: SIGWINCH\n"
    )
    with subprocess.Popen(
        trial.command("demo", QUESTION),
        cwd=trial.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert next((line for line in run.stdout if "Asking weather-agent" in line), "")
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        start = time.monotonic()
        rest = run.stdout.read()
        assert run.wait(timeout=60) == 130, rest
    assert time.monotonic() - start < 8
    stack = trial.plan().stack
    assert "interrupted again; what remains: " in rest
    assert f"{stack.compose_project}-bot-1" in rest
    assert "The next `invoke demo` removes what remains." in rest
    assert "Traceback" not in rest
    assert f"{stack.compose_project}-bot-1" in trial.left()
    for container in inspect.containers(stack, trial.engine):
        if container.status == "running":
            trial.engine.client.api.kill(container.id)


class Silent:
    """Is told how a stack comes up, and says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Say nothing."""


@dataclass
class Up:
    """The bot and its demo service, up, with short times."""

    trial: Trial
    plan: StackPlan

    def state(self, service: str) -> ContainerState:
        found = inspect.containers(self.plan.stack, self.trial.engine)
        return next(match for match in found if match.service == service)

    def until(self, seconds: float, holds: Callable[[ContainerState], bool]) -> ContainerState:
        end = time.monotonic() + seconds
        while not holds(state := self.state("bot")):
            assert time.monotonic() < end, state
            time.sleep(0.3)
        return state

    def ask(self, question: str) -> str:
        stack, file = self.plan.stack, self.plan.file
        program = runner.find(stack, file, engine=self.trial.engine, host=this_host())
        done = program.inside(SERVICE, [*ASK, question], timeout=40, tick=lambda: None)
        assert done.code == 0, done.errors
        return done.output


@pytest.fixture
def up(trial: Trial) -> Up:
    trial.edit(
        "compose.yaml",
        "    restart: unless-stopped\n",
        "    restart: unless-stopped\n    healthcheck: {interval: 1s, timeout: 3s, retries: 2, start_period: 20s}\n",
    )
    times = f"WEATHER_AGENT_POLL_SECONDS=1\nWEATHER_AGENT_STALE_SECONDS={STALE_SECONDS}\n"
    trial.edit("demo.env", "OPENAI_API_KEY=demo\n", f"OPENAI_API_KEY=demo\n{times}")
    plan = trial.plan()
    bringup.up(plan, engine=trial.engine, host=this_host(), observer=Silent())
    return Up(trial=trial, plan=plan)


def healthy(state: ContainerState) -> bool:
    return state.status is ContainerStatus.RUNNING and state.health is Health.HEALTHY


def test_a_bot_whose_loop_hangs_turns_unhealthy_and_recovers(up: Up) -> None:
    api = up.trial.engine.client.api
    bot = up.state("bot").id
    api.kill(bot, signal="SIGSTOP")
    hung = up.until(STALE_SECONDS + 20, lambda state: state.health is Health.UNHEALTHY)
    assert any(f"more than {STALE_SECONDS} s" in output for output in hung.health_outputs)
    api.kill(bot, signal="SIGCONT")
    recovered = up.until(20, healthy)
    assert (recovered.id, recovered.restarts) == (bot, 0)
    assert up.ask(QUESTION).startswith("Київ: ")


def test_a_bot_that_ends_is_restarted(up: Up) -> None:
    api = up.trial.engine.client.api
    ending = api.exec_create(up.state("bot").id, ["python", "-c", "import os; os.kill(1, 15)"])
    api.exec_start(ending["Id"])
    up.until(30, lambda state: state.restarts == 1)
    up.until(30, healthy)
    assert up.ask("Львів").startswith("Львів: ")


def test_services_that_hang_are_no_fault_of_the_bot(up: Up) -> None:
    api = up.trial.engine.client.api
    demo = up.state("demo").id
    api.pause(demo)
    try:
        end = time.monotonic() + STALE_SECONDS + 8
        while time.monotonic() < end:
            assert healthy(up.state("bot"))
            time.sleep(0.5)
        assert any(
            "next attempt in" in line for line in inspect.last_lines(up.state("bot").id, up.trial.engine, count=5)
        )
    finally:
        api.unpause(demo)
    assert up.ask("Одеса").startswith("Одеса: ")


def test_both_services_are_confined_and_publish_nothing(up: Up) -> None:
    for service in ("bot", "demo"):
        found = up.trial.engine.client.api.inspect_container(up.state(service).id)
        config = found["HostConfig"]
        assert config["ReadonlyRootfs"]
        assert config["CapDrop"] == ["ALL"]
        assert config["SecurityOpt"] == ["no-new-privileges:true"]
        assert config["Memory"]
        assert config["PidsLimit"]
        assert not config["PortBindings"]
        assert found["Config"]["User"] == "1000:1000"
        assert all(not match["RW"] for match in found["Mounts"] if match["Type"] == "bind")
