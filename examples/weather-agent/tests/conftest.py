"""Fixtures: the three services as local servers, and the bot as a real process beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes import KEY, TOKEN, FakeOpenMeteo, FakeTelegram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 20.0
# The image's health check, with this interpreter in place of its own.
HEALTH_CHECK = [sys.executable, "-I", "-S", str(ROOT / "src/weather_agent/liveness.py")]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail with its name when it does not come true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {PATIENCE_SECONDS:g} s in vain: {what}")
        time.sleep(0.02)


class BotProcess:
    """Starts `main.py` as the image does: by file, with the source on PYTHONPATH, uninstalled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heartbeat = folder / "heartbeat"
        # Nothing of the developer's own environment or .env may leak in: the folder is empty.
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "OPENAI_API_KEY": KEY,
            "WEATHER_AGENT_HEARTBEAT_FILE": str(self.heartbeat),
            "WEATHER_AGENT_POLL_SECONDS": "1",
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, **environment: str) -> subprocess.Popen[str]:
        self.environment.update(environment)
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py")],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def ended(self, **environment: str) -> tuple[int, str]:
        """Run until the process ends by itself; return its exit code and standard error."""
        process = self.start(**environment)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, errors

    def check(self, stale_seconds: float = 45) -> tuple[int, str]:
        """Run the health check as Docker would; return its exit code and its line."""
        done = subprocess.run(
            HEALTH_CHECK,
            cwd=self.folder,
            env={**self.environment, "WEATHER_AGENT_STALE_SECONDS": str(stale_seconds)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[BotProcess]:
    process = BotProcess(tmp_path)
    yield process
    process.close()


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as service:
        yield service


@pytest.fixture
def open_meteo() -> Iterator[FakeOpenMeteo]:
    with FakeOpenMeteo() as service:
        yield service
