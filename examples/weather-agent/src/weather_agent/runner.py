"""The life of the process: start, run until a signal or a failure, stop in time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from telegram.error import InvalidToken

from weather_agent import liveness
from weather_agent.bot import build_application
from weather_agent.polling import Poller
from weather_agent.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from weather_agent.agent import Agent
    from weather_agent.bot import AnyApplication
    from weather_agent.settings import Settings

log = logging.getLogger(__name__)

# Answers that are being prepared get this long after a stop signal.
STOP_SECONDS = 2.0


def run(settings: Settings) -> int:
    """Serve until a stop signal; return the exit code. Raises ConfigurationError."""
    _log_to_stderr(settings.log_level)
    _prepare_heartbeat(settings.heartbeat_file)
    # Not asyncio.run: it ends by waiting for worker threads, see the end of main.py.
    return asyncio.new_event_loop().run_until_complete(_serve(settings))


async def _serve(settings: Settings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # The chat libraries take seconds to import, more where no bytecode is kept. In a thread they
    # do not hold up a stop signal. If they fail, `work` fails, and the process with it.
    agent = asyncio.ensure_future(asyncio.to_thread(_load_agent, settings))
    application = build_application(settings, agent)
    poller = Poller(application, settings, lambda: _beat(settings.heartbeat_file))
    work: asyncio.Future[Any] = asyncio.ensure_future(_work(agent, poller))
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work  # it never ends by itself, so this raises what ended it
    except InvalidToken:
        # The exception's own message shows the token, so it is neither logged nor chained.
        message = "Telegram does not know this TELEGRAM_BOT_TOKEN (or TELEGRAM_BASE_URL is wrong)"
        raise ConfigurationError(message) from None
    finally:
        log.info("stopping")
        for task in (work, stopping):
            task.cancel()
        await asyncio.wait((work, stopping))
        await _close(application, poller)
    return 0


def _load_agent(settings: Settings) -> Agent:
    from weather_agent.agent import build_agent  # noqa: PLC0415 - takes seconds, see _serve

    agent = build_agent(settings)
    log.info("agent ready, model %s", settings.openai_model)
    return agent


async def _work(agent: asyncio.Future[Agent], poller: Poller) -> None:
    # Polling, and so the heartbeat, begins when the agent is there: healthy means that it can answer.
    await agent
    await poller.run()


async def _close(application: AnyApplication, poller: Poller) -> None:
    if application.running:
        await asyncio.gather(
            _within(STOP_SECONDS, application.stop(), "answers in preparation are given up"),
            poller.acknowledge(),
        )
    await _within(STOP_SECONDS, application.shutdown(), "connections are dropped")


async def _within(seconds: float, step: Coroutine[None, None, None], otherwise: str) -> None:
    try:
        await asyncio.wait_for(step, seconds)
    except asyncio.TimeoutError:
        log.warning("not done in %g s: %s", seconds, otherwise)


def _prepare_heartbeat(path: str) -> None:
    # Asked, not tried: a trial beat would look alive before anything is.
    folder = os.path.dirname(path) or os.curdir
    reason = None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable"
    try:
        liveness.forget(path)
    except OSError as error:
        reason = error.strerror
    if reason:
        message = f"{liveness.FILE_VARIABLE}: cannot write {path}: {reason}"
        raise ConfigurationError(message)


def _beat(path: str) -> None:
    # A beat that cannot be written must not stop the bot; the health check will speak up.
    try:
        liveness.beat(path)
    except OSError as error:
        log.warning("no heartbeat: %s", error)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # These name the addresses they call, and Telegram's addresses hold the token.
    for name in ("httpx", "httpx2", "httpcore", "httpcore2", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)
