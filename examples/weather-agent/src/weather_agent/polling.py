"""The polling loop: reach Telegram, fetch updates, hand them over, and leave a heartbeat.

python-telegram-bot has a loop of its own, its Updater. It is not used here because nobody can see
from outside that one of its attempts has ended; because after failures it waits up to 30 s, also
when it is told to stop; and because it ends in silence when the token is revoked. Feeding the
application's queue by oneself is the documented other way.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NoReturn, TypeVar

from telegram.error import InvalidToken, TelegramError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from telegram import Bot, Update

    from weather_agent.bot import AnyApplication
    from weather_agent.settings import Settings

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

FIRST_PAUSE = 1.0
ACKNOWLEDGE_SECONDS = 1.0


class Poller:
    """Fetches updates until it is cancelled."""

    def __init__(
        self, application: AnyApplication, settings: Settings, beat: Callable[[], None]
    ) -> None:
        """Call `beat` at the end of every attempt to reach Telegram, and nowhere else."""
        self._application = application
        self._settings = settings
        self._beat = beat
        self._offset = 0

    async def run(self) -> NoReturn:
        """Start the application and feed it; raises InvalidToken, and nothing else of Telegram."""
        bot = self._application.bot
        await self._persist(self._application.initialize)
        # Telegram refuses getUpdates for as long as an earlier deployment's webhook is set.
        await self._persist(bot.delete_webhook)
        await self._application.start()
        log.info("polling as @%s", bot.username)
        while True:
            for update in await self._persist(self._fetch):
                await self._application.update_queue.put(update)
                self._offset = update.update_id + 1

    async def acknowledge(self) -> None:
        """Tell Telegram what was received, or it would all be sent again after a restart."""
        if not self._offset:
            return
        confirm = self._application.bot.get_updates(offset=self._offset, limit=1, timeout=0)
        try:
            await asyncio.wait_for(confirm, ACKNOWLEDGE_SECONDS)
        except (TelegramError, asyncio.TimeoutError) as error:
            log.warning("the last messages may be delivered again: %r", error)

    async def _fetch(self) -> tuple[Update, ...]:
        bot: Bot = self._application.bot
        return await bot.get_updates(
            offset=self._offset, timeout=self._settings.poll_seconds, allowed_updates=["message"]
        )

    async def _persist(self, action: Callable[[], Awaitable[_Result]]) -> _Result:
        """Repeat an action until it succeeds, with growing pauses. Each end of a try is a beat."""
        pause = FIRST_PAUSE
        while True:
            try:
                # httpx limits each wait for data; this limits the whole attempt.
                result = await asyncio.wait_for(action(), self._settings.attempt_seconds)
            except InvalidToken:
                raise  # no retry can help
            except (TelegramError, asyncio.TimeoutError) as error:
                self._beat()
                log.warning("Telegram: %r; next attempt in %g s", error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._settings.longest_pause)
            else:
                self._beat()
                return result
