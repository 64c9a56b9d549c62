from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from conftest import HEALTH_CHECK
from weather_agent import liveness

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import BotProcess


def test_a_fresh_beat_is_alive(tmp_path: Path) -> None:
    path = str(tmp_path / "beat")
    liveness.beat(path)
    alive, line = liveness.check(path, 45, time.time())
    assert alive
    assert line == "heartbeat 0.0 s old"


def test_a_second_beat_renews_the_first(tmp_path: Path) -> None:
    path = str(tmp_path / "beat")
    liveness.beat(path)
    os.utime(path, (1000, 1000))
    assert not liveness.check(path, 45, time.time())[0]
    liveness.beat(path)
    assert liveness.check(path, 45, time.time())[0]


@pytest.mark.parametrize(
    ("age", "alive", "line"),
    [
        (44.0, True, "heartbeat 44.0 s old"),
        (46.0, False, "heartbeat 46.0 s old, more than 45 s"),
        (-0.5, True, "heartbeat 0.0 s old"),
        (-60.0, False, "heartbeat 60.0 s in the future: its age is not known"),
    ],
)
def test_the_age_decides(tmp_path: Path, age: float, alive: bool, line: str) -> None:  # noqa: FBT001
    path = str(tmp_path / "beat")
    liveness.beat(path)
    os.utime(path, (1000.0, 1000.0))
    assert liveness.check(path, 45, 1000.0 + age) == (alive, line)


def test_no_beat_is_not_alive(bot: BotProcess) -> None:
    code, line = bot.check()
    assert code == 1
    assert line == f"no heartbeat: {bot.heartbeat}: No such file or directory\n"


def test_a_limit_that_is_no_number_is_not_alive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "beat")
    liveness.beat(path)
    code = liveness.main({liveness.FILE_VARIABLE: path, liveness.STALE_VARIABLE: "soon"})
    assert code == 1
    assert capsys.readouterr().out == "WEATHER_AGENT_STALE_SECONDS is not a number: 'soon'\n"


def test_the_check_can_be_run_by_name(bot: BotProcess) -> None:
    liveness.beat(str(bot.heartbeat))
    done = subprocess.run(
        [sys.executable, "-m", "weather_agent.liveness"],
        env=bot.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("heartbeat ")


def test_the_check_loads_little(bot: BotProcess) -> None:
    done = subprocess.run(
        [HEALTH_CHECK[0], "-X", "importtime", *HEALTH_CHECK[1:]],
        env=bot.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "os" in loaded
    # site-packages are out of reach under -S; these are the standard library's slow ones.
    assert loaded.isdisjoint({"typing", "re", "pathlib", "logging", "asyncio"})
