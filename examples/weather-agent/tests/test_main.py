"""How the process starts, stays alive and ends."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from conftest import until
from fakes import TOKEN, FakeTelegram

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import BotProcess

# Nothing listens on the discard port: each attempt is refused at once.
NOBODY = "http://127.0.0.1:9"
STOP_SECONDS = 3.0


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Stop the bot, assert that it ends well and in time, and return its log."""
    start = time.monotonic()
    process.send_signal(number)
    _, log = process.communicate(timeout=20)
    assert time.monotonic() - start < STOP_SECONDS
    assert process.returncode == 0, log
    assert "Traceback" not in log
    return log


@pytest.mark.parametrize("name", ["TELEGRAM_BOT_TOKEN", "OPENAI_API_KEY"])
def test_an_empty_secret_is_named_at_once(bot: BotProcess, name: str) -> None:
    start = time.monotonic()
    code, errors = bot.ended(**{name: ""})
    assert code == 2
    assert time.monotonic() - start < 5.0
    assert errors == (
        f"weather-agent: {name} is missing or empty; set it in the environment or in .env\n"
    )


def test_missing_secrets_are_named_together(bot: BotProcess) -> None:
    del bot.environment["TELEGRAM_BOT_TOKEN"]
    del bot.environment["OPENAI_API_KEY"]
    code, errors = bot.ended()
    assert code == 2
    assert errors.count("\n") == 1
    assert "TELEGRAM_BOT_TOKEN and OPENAI_API_KEY are missing" in errors


def test_the_environment_file_is_read(bot: BotProcess) -> None:
    del bot.environment["TELEGRAM_BOT_TOKEN"]
    (bot.folder / ".env").write_text(
        "TELEGRAM_BOT_TOKEN=1:x\nOPENAI_API_KEY=other\nWEATHER_AGENT_LANGUAGE=tlh\n"
    )
    code, errors = bot.ended()
    assert code == 2
    assert "WEATHER_AGENT_LANGUAGE" in errors


def test_an_unknown_token_stops_the_bot(bot: BotProcess, telegram: FakeTelegram) -> None:
    code, errors = bot.ended(TELEGRAM_BASE_URL=telegram.url, TELEGRAM_BOT_TOKEN="1:wrong")
    assert code == 2
    last = errors.splitlines()[-1]
    assert last.startswith("weather-agent: Telegram does not know this TELEGRAM_BOT_TOKEN")
    assert "1:wrong" not in errors
    assert "Traceback" not in errors


def test_a_token_that_is_revoked_later_stops_the_bot(bot: BotProcess) -> None:
    with FakeTelegram() as telegram:
        process = bot.start(TELEGRAM_BASE_URL=telegram.url)
        until(lambda: telegram.calls("getUpdates"), "polling")
        telegram.api.token = "2:other"
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "Telegram does not know this TELEGRAM_BOT_TOKEN" in errors.splitlines()[-1]
    assert TOKEN not in errors


def test_a_heartbeat_that_cannot_be_written_is_named(bot: BotProcess, tmp_path: Path) -> None:
    code, errors = bot.ended(WEATHER_AGENT_HEARTBEAT_FILE=str(tmp_path / "no" / "folder"))
    assert code == 2
    assert errors.count("\n") == 1
    assert errors.startswith("weather-agent: WEATHER_AGENT_HEARTBEAT_FILE: cannot write ")


def test_a_bot_whose_agent_cannot_load_does_not_stay_up(bot: BotProcess) -> None:
    (bot.folder / "langchain_openai.py").write_text("raise ImportError('broken')\n")
    path = f"{bot.folder}:{bot.environment['PYTHONPATH']}"
    code, errors = bot.ended(TELEGRAM_BASE_URL=NOBODY, PYTHONPATH=path)
    assert code == 1
    assert errors.splitlines()[-1] == "ImportError: broken"


def test_an_unreachable_telegram_is_retried_and_healthy(bot: BotProcess) -> None:
    process = bot.start(TELEGRAM_BASE_URL=NOBODY)
    until(bot.heartbeat.exists, "a heartbeat")
    first = bot.heartbeat.stat().st_mtime
    until(lambda: bot.heartbeat.stat().st_mtime > first, "a second heartbeat")
    assert bot.check()[0] == 0
    assert process.poll() is None
    assert "next attempt in 1 s" in stopped(process)


def test_telegram_may_come_later(bot: BotProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    bot.start(TELEGRAM_BASE_URL=f"http://127.0.0.1:{port}")
    until(bot.heartbeat.exists, "a failed attempt")
    with FakeTelegram(port=port) as telegram:
        until(lambda: telegram.calls("getUpdates"), "polling")
        assert [r.path.rpartition("/")[2] for r in telegram.requests[:3]] == [
            "getMe",
            "deleteWebhook",
            "getUpdates",
        ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_polling_bot(
    bot: BotProcess, telegram: FakeTelegram, number: int
) -> None:
    process = bot.start(TELEGRAM_BASE_URL=telegram.url, WEATHER_AGENT_POLL_SECONDS="10")
    until(lambda: telegram.calls("getUpdates"), "polling")
    assert "stopping" in stopped(process, number)


def test_a_signal_stops_the_bot_that_waits_for_a_silent_server(
    bot: BotProcess, silent: str
) -> None:
    process = bot.start(TELEGRAM_BASE_URL=silent)
    time.sleep(2)
    assert "stopping" in stopped(process)


def test_a_signal_does_not_wait_for_a_slow_answer(
    bot: BotProcess, telegram: FakeTelegram, silent: str
) -> None:
    process = bot.start(TELEGRAM_BASE_URL=telegram.url, OPENAI_BASE_URL=silent)
    telegram.write("Київ")
    until(lambda: telegram.calls("sendChatAction"), "the message to be worked on")
    time.sleep(2)
    stopped(process)
    assert telegram.sent() == []


@pytest.mark.parametrize("after", [0.1, 0.3, 0.6, 1.0])
def test_a_signal_stops_the_bot_while_it_starts(bot: BotProcess, after: float) -> None:
    process = bot.start(TELEGRAM_BASE_URL=NOBODY)
    time.sleep(after)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=STOP_SECONDS)
    # Before main() runs there is no handler yet, and the signal's own action applies.
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log


def test_a_frozen_bot_turns_unhealthy_and_recovers(bot: BotProcess, telegram: FakeTelegram) -> None:
    process = bot.start(TELEGRAM_BASE_URL=telegram.url)
    until(lambda: len(telegram.calls("getUpdates")) > 1, "a finished poll")
    assert bot.check(stale_seconds=3)[0] == 0
    process.send_signal(signal.SIGSTOP)
    until(lambda: bot.check(stale_seconds=3)[0] == 1, "the check to fail")
    assert "more than 3 s" in bot.check(stale_seconds=3)[1]
    process.send_signal(signal.SIGCONT)
    until(lambda: bot.check(stale_seconds=3)[0] == 0, "the check to pass again")
    stopped(process)


def test_the_beat_of_an_earlier_run_does_not_count(bot: BotProcess, silent: str) -> None:
    bot.heartbeat.touch()
    process = bot.start(TELEGRAM_BASE_URL=silent)
    until(lambda: not bot.heartbeat.exists(), "the old heartbeat to go")
    assert bot.check()[0] == 1
    stopped(process)


def test_only_the_end_of_a_poll_is_a_beat(bot: BotProcess, telegram: FakeTelegram) -> None:
    """A timer would go on beating while a poll is under way; the loop itself does not."""
    process = bot.start(TELEGRAM_BASE_URL=telegram.url, WEATHER_AGENT_POLL_SECONDS="10")
    until(lambda: telegram.calls("getUpdates"), "polling")
    during = bot.heartbeat.stat().st_mtime
    time.sleep(1.5)
    assert bot.heartbeat.stat().st_mtime == during
    telegram.write("/start")
    until(lambda: len(telegram.calls("getUpdates")) == 2, "the next poll")
    assert bot.heartbeat.stat().st_mtime > during
    stopped(process)
