"""All of it together: a project on this machine, its compose file, an engine in memory and a scripted compose."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING

from tests.fakes.clock import VirtualClock
from tests.fakes.compose import Programs, ScriptedCompose, create
from tests.fakes.engine import ELSEWHERE, MemoryEngine

from seatrial.compose.runner import identify
from seatrial.host import Host
from seatrial.settings.read import read_project
from seatrial.stack.plan import plan_up

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.fakes.engine import MemoryContainer

    from seatrial.compose.runner import Stack
    from seatrial.engine.find import Engine
    from seatrial.settings.read import Project
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.state import ServiceState
    from seatrial.swarm.state import SwarmServiceState

APP = "ship"


@dataclass
class Recorder:
    """An observer that keeps what it is told."""

    said: list[str] = field(default_factory=list)
    shown: list[tuple[float, dict[str, str]]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Take a message."""
        self.said.append(text)

    def show(self, services: tuple[ServiceState | SwarmServiceState, ...], seconds: float) -> None:
        """Take the state of every service."""
        names = [state.service if isinstance(state.service, str) else state.service.name for state in services]
        phases = [state.phase.value for state in services]
        self.shown.append((round(seconds, 6), dict(zip(names, phases, strict=True))))


class World:
    """One app, `ship`, whose image `ship:1` is built, in a project of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, url: str = ELSEWHERE) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.memory = MemoryEngine(self.clock, url=url)
        self.compose = ScriptedCompose(self.memory)
        self.programs = Programs()
        self.programs.known["docker-compose"] = self.compose
        self.programs.install(monkeypatch)
        self.observer = Recorder()
        plugins = folder / ".docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        self._program(plugins / "docker-compose")
        (folder / "bin").mkdir()
        self.host = Host(
            environment={"PATH": str(folder / "bin"), "DOCKER_CONFIG": str(plugins.parent)},
            home=folder,
            data=folder / "data",
            cache=folder / "cache",
        )
        self.settings("")
        self.memory.add_image("ship:1")

    @property
    def engine(self) -> Engine:
        """What the code under test is given."""
        return self.memory.engine

    @property
    def project(self) -> Project:
        """The project, as its settings say by now."""
        return read_project(self.folder)

    @property
    def stack(self) -> Stack:
        """The app's stack."""
        return identify(self.project, APP)

    @property
    def file(self) -> Path:
        """The compose file."""
        return self.folder / "compose.yaml"

    def settings(self, contract: str) -> None:
        """Write the project's settings; `contract` follows the app's table."""
        (self.folder / "pyproject.toml").write_text(
            f'[tool.seatrial.apps.{APP}]\nimage = "ship"\ncompose = "compose.yaml"\n{dedent(contract)}',
            encoding="utf-8",
        )

    def write(self, text: str) -> None:
        """Write the compose file."""
        self.file.write_text(dedent(text), encoding="utf-8")

    def plan(self) -> StackPlan:
        """Return what `up` is going to bring up."""
        return plan_up(self.project, APP, engine=self.engine, host=self.host, say=self.observer.say)

    def container(self, service: str, *, started: bool = True, **table: object) -> MemoryContainer:
        """Make a container of the stack, as an earlier `up` has left it."""
        made = create(self.memory, self.stack.compose_project, service, {"image": "ship:1", **table})
        if started:
            self.memory.start(made)
        return made

    def program(self, name: str) -> None:
        """Let a program be found on PATH."""
        self._program(self.folder / "bin" / name)

    @staticmethod
    def _program(file: Path) -> None:
        file.write_text("#!/bin/false\n", encoding="utf-8")
        file.chmod(0o755)
