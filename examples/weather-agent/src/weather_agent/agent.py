"""The agent: a chat model that may look up the weather before it answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import httpx
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr

from weather_agent.texts import system_prompt
from weather_agent.weather import WeatherError, WeatherService

if TYPE_CHECKING:
    from langchain_core.messages import ToolCall

    from weather_agent.settings import Settings

log = logging.getLogger(__name__)

MODEL_SECONDS = 30.0
WEATHER_SECONDS = 10.0
# The tool is needed once or twice. A model that asks for it on and on is stopped.
LONGEST_CONVERSATION = 5


class AgentError(Exception):
    """The model gave no usable answer."""


class Agent:
    """Answers one question at a time and remembers none: each message stands for itself."""

    def __init__(self, model: ChatOpenAI, tool: BaseTool, prompt: str) -> None:
        """Let `model` call `tool`; `prompt` tells it what for."""
        self._model = model.bind_tools([tool])
        self._tool = tool
        self._prompt = prompt

    async def answer(self, question: str) -> str:
        """Return the model's answer; raises AgentError, or the client's own error when it fails."""
        messages: list[BaseMessage] = [SystemMessage(self._prompt), HumanMessage(question)]
        for _ in range(LONGEST_CONVERSATION):
            reply = await self._model.ainvoke(messages)
            if not reply.tool_calls:
                return _text(str(reply.text))
            messages.append(reply)
            messages += [await self._call(call) for call in reply.tool_calls]
        message = f"the model gave no answer in {LONGEST_CONVERSATION} steps"
        raise AgentError(message)

    async def _call(self, call: ToolCall) -> BaseMessage:
        if call["name"] != self._tool.name:
            # Models sometimes invent a tool; told so, they go on.
            return ToolMessage(f"There is no tool {call['name']!r}.", tool_call_id=call["id"])
        message = await self._tool.ainvoke({**call, "type": "tool_call"})
        if not isinstance(message, ToolMessage):
            raise TypeError(message)
        return message


def build_agent(settings: Settings) -> Agent:
    """Put the agent together from the settings. Nothing is sent yet."""
    model = ChatOpenAI(
        model=settings.openai_model,
        api_key=SecretStr(settings.openai_api_key),
        base_url=settings.openai_base_url,
        timeout=MODEL_SECONDS,
        max_retries=2,
    )
    weather = WeatherService(
        httpx.AsyncClient(timeout=WEATHER_SECONDS),
        geocoding_url=settings.geocoding_url,
        forecast_url=settings.forecast_url,
        language=settings.language,
    )
    return Agent(model, weather_tool(weather), system_prompt(settings.language))


def weather_tool(weather: WeatherService) -> BaseTool:
    """Wrap the service for the model: every problem becomes a message, none an exception."""

    async def get_weather(
        city: Annotated[str, Field(min_length=1, description="City, for example Kyiv or Київ")],
    ) -> str:
        """Get the present weather and the forecast for three days in a city."""
        try:
            return await weather.report(city)
        except WeatherError as error:
            log.warning("weather of %r: %s (%r)", city, error, error.__cause__)
            return str(error)

    # Arguments that do not fit the signature are the model's mistake: it reads what was wrong.
    return StructuredTool.from_function(coroutine=get_weather, handle_validation_error=True)


def _text(text: str) -> str:
    if not text.strip():
        message = "the model's answer is empty"
        raise AgentError(message)
    return text.strip()
