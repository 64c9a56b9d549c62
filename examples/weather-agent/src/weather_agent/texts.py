"""What the bot says by itself, and what it asks of the model, per language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weather_agent.settings import Language


@dataclass(frozen=True, kw_only=True)
class Texts:
    """One language's texts. `name` is how the prompt calls the language."""

    name: str
    welcome: str
    trouble: str


TEXTS: dict[Language, Texts] = {
    "uk": Texts(
        name="Ukrainian",
        welcome="Напишіть місто або запитання, а я підкажу, що одягнути. Наприклад: Київ",
        trouble="Не вдалося підготувати відповідь. Спробуйте, будь ласка, ще раз за хвилину.",
    ),
    "en": Texts(
        name="English",
        welcome="Send me a city or a question, and I will say what to wear. For example: Kyiv",
        trouble="I could not prepare an answer. Please try again in a minute.",
    ),
}


def system_prompt(language: Language) -> str:
    """Return the model's instructions. They are in English, which models follow best."""
    return (
        "You help people to dress for the weather. The user writes the name of a city or a"
        " question about what to wear.\n"
        "- Find the city in the message and call the weather tool with its plain name, in the"
        " nominative case. Never invent weather.\n"
        "- Then say in two to four short sentences what the weather is and what to wear. Mention"
        " an umbrella, a hat or sunglasses only when the weather calls for them.\n"
        "- If there is no city in the message, ask for one. If the tool reports a problem, tell"
        " the user about it in plain words.\n"
        "- If the message is about something else, say kindly what you are for.\n"
        f"- Answer in {TEXTS[language].name}, in plain text without markup."
    )
