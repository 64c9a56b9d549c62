"""The Telegram side: what happens with a message."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from telegram import Message, Update
from telegram.constants import ChatAction, MessageLimit
from telegram.error import TelegramError
from telegram.ext import Application, CommandHandler, ContextTypes, MessageHandler, filters

from weather_agent.texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weather_agent.agent import Agent
    from weather_agent.settings import Settings
    from weather_agent.texts import Texts

log = logging.getLogger(__name__)

AnyApplication: TypeAlias = Application[Any, Any, Any, Any, Any, Any]

ANSWER_SECONDS = 90.0
# Answers that are prepared at the same time. More would only pile up bills.
ANSWERS_AT_ONCE = 8


def build_application(settings: Settings, agent: asyncio.Future[Agent]) -> AnyApplication:
    """Put the Telegram application together. It has no updater: see polling.py."""
    application = (
        Application.builder()
        .token(settings.telegram_bot_token)
        .base_url(f"{settings.telegram_base_url}/bot")
        .base_file_url(f"{settings.telegram_base_url}/file/bot")
        .concurrent_updates(ANSWERS_AT_ONCE)
        .job_queue(None)
        .updater(None)
        .build()
    )
    conversation = Conversation(TEXTS[settings.language], agent)
    application.add_handler(CommandHandler(["start", "help"], conversation.welcome))
    application.add_handler(MessageHandler(filters.TEXT & ~filters.COMMAND, conversation.answer))
    application.add_handler(MessageHandler(filters.ChatType.PRIVATE, conversation.welcome))
    application.add_error_handler(conversation.apologize)
    return application


class Conversation:
    """The handlers. Polling begins when the agent is there, so the first message finds it."""

    def __init__(self, texts: Texts, agent: asyncio.Future[Agent]) -> None:
        """Speak with `texts`, and ask `agent` once it is there."""
        self._texts = texts
        self._agent = agent

    async def welcome(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Say what the bot is for."""
        if message := update.effective_message:
            await message.reply_text(self._texts.welcome)

    async def answer(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Answer a message."""
        message = update.effective_message
        if message is None or message.text is None:
            return
        with suppress(TelegramError):  # a courtesy; the answer matters
            await message.reply_chat_action(ChatAction.TYPING)
        # Shielded: one cancelled handler must not cancel the loading for all.
        agent = await asyncio.shield(self._agent)
        reply = await asyncio.wait_for(agent.answer(message.text), ANSWER_SECONDS)
        await _send(message, reply)

    async def apologize(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Log what went wrong, and tell the user that something did."""
        log.error("a message was not answered", exc_info=context.error)
        if isinstance(context.error, TelegramError) or not isinstance(update, Update):
            return  # if Telegram took no answer, it will not take this one
        if message := update.effective_message:
            with suppress(TelegramError):
                await message.reply_text(self._texts.trouble)


async def _send(message: Message, text: str) -> None:
    for part in _parts(text, MessageLimit.MAX_TEXT_LENGTH):
        await message.reply_text(part)


def _parts(text: str, limit: int) -> Iterator[str]:
    for start in range(0, len(text), limit):
        yield text[start : start + limit]
