"""Versioned prompts: `prompts/NAME/vN.md`.

A version that was used is never edited: outlines name the version that made them. A change is a new file.
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template

from course_supporter.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Prompt:
    name: str
    version: str
    template: Template

    def render(self, **values: str) -> str:
        # Template replaces once: a "$description" inside a course's title stays as it is.
        return self.template.substitute(values)


def load_outline_prompt(home: Path, version: str) -> Prompt:
    """The prompt that asks for a course's outline. Raises ConfigurationError."""
    return _load(home, "outline", version, placeholders={"title", "description"})


def _load(home: Path, name: str, version: str, *, placeholders: set[str]) -> Prompt:
    path = home / "prompts" / name / f"{version}.md"
    try:
        template = Template(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{path} cannot be read; config/{name}.toml chose {version!r}") from None
    if not template.is_valid() or set(template.get_identifiers()) != placeholders:
        expected = ", ".join(f"${name}" for name in sorted(placeholders))
        raise ConfigurationError(f"{path} must use each of {expected}, and no other placeholder")
    return Prompt(name=name, version=version, template=template)
