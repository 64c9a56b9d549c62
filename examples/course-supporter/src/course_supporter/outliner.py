"""Drafts outlines with any endpoint that speaks OpenAI's chat completions API."""

from dataclasses import dataclass
from http import HTTPStatus

import structlog
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice

from course_supporter.config import OutlineConfig
from course_supporter.errors import Problem
from course_supporter.prompts import Prompt
from course_supporter.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Draft:
    text: str
    model: str
    prompt_version: str


class Outliner:
    def __init__(self, settings: Settings, config: OutlineConfig, prompt: Prompt) -> None:
        self._config = config
        self._prompt = prompt
        self._client: AsyncOpenAI | None = None
        if settings.openai_api_key is not None:
            self._client = AsyncOpenAI(
                api_key=settings.openai_api_key.get_secret_value(),
                base_url=str(settings.openai_base_url),
                timeout=config.timeout_seconds,
                max_retries=config.max_retries,
            )

    async def draft(self, *, title: str, description: str) -> Draft:
        """Ask the model once. Raises Problem; the endpoint's own words go to the log, not to the client."""
        if self._client is None:
            message = "Outlines are switched off: OPENAI_API_KEY is not set."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "outlines_off", message)
        prompt = self._prompt.render(title=title, description=description)
        try:
            completion = await self._client.chat.completions.create(
                model=self._config.model, messages=[{"role": "user", "content": prompt}]
            )
        except (OpenAIError, ValueError) as error:  # ValueError: an answer that is not JSON
            log.warning("outline failed", reason=type(error).__name__, error=str(error))
            raise _problem(error) from error
        text = _text(completion)
        return Draft(text=text, model=self._config.model, prompt_version=self._prompt.version)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _text(completion: object) -> str:
    # The library does not validate answers, and not every endpoint is OpenAI's own.
    match completion:
        case ChatCompletion(
            choices=[Choice(message=ChatCompletionMessage(content=str() | None as content)), *_]
        ):
            text = (content or "").replace("\0", "").strip()  # PostgreSQL's text cannot hold NUL
        case _:
            raise _problem(None)
    if not text:
        raise Problem(HTTPStatus.BAD_GATEWAY, "outline_empty", "The language model gave an empty answer.")
    return text


def _problem(error: Exception | None) -> Problem:
    match error:
        case APITimeoutError():
            message = "The language model did not answer in time."
            return Problem(HTTPStatus.GATEWAY_TIMEOUT, "outline_timeout", message)
        case APIConnectionError():
            message = "The language model cannot be reached."
            return Problem(HTTPStatus.BAD_GATEWAY, "outline_unreachable", message)
        case APIStatusError(status_code=status):
            message = f"The language model's endpoint answered with HTTP status {status}."
            return Problem(HTTPStatus.BAD_GATEWAY, "outline_refused", message)
        case _:
            message = "The language model's endpoint gave an answer that cannot be used."
            return Problem(HTTPStatus.BAD_GATEWAY, "outline_unusable", message)
