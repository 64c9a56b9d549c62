"""A parsed Dockerfile: its stages and instructions, each with its line."""

from __future__ import annotations

from seatrial.facts.base import Fact


class Instruction(Fact, frozen=True, kw_only=True):
    """One instruction, its continuation lines joined."""

    keyword: str
    text: str
    """What follows the keyword."""
    body: str
    """The lines of its heredocs."""
    line: int
    """The line that it starts on, from 1."""

    @property
    def flags(self) -> tuple[tuple[str, str], ...]:
        """The leading `--name=value` words."""
        pairs: list[tuple[str, str]] = []
        for word in self.text.split():
            if not word.startswith("--"):
                break
            name, _, value = word[2:].partition("=")
            pairs.append((name, value.strip("\"'")))
        return tuple(pairs)

    @property
    def whole(self) -> str:
        """The instruction on one line."""
        return f"{self.keyword} {self.text}".strip()

    @property
    def words(self) -> tuple[str, ...]:
        """The words after the flags."""
        return tuple(self.text.split()[len(self.flags) :])


class Stage(Fact, frozen=True, kw_only=True):
    """A FROM and what follows it."""

    index: int
    name: str | None
    base: str
    """The image or the earlier stage, as written."""
    instructions: tuple[Instruction, ...]
    """The FROM itself first."""

    def answers_to(self, reference: str) -> bool:
        """Tell whether `COPY --from=reference` means this stage."""
        by_name = self.name is not None and self.name == reference.lower()
        return by_name or reference == str(self.index)


class Base(Fact, frozen=True, kw_only=True):
    """An image that a build takes from outside."""

    reference: str
    line: int
    stages: tuple[str, ...] = ()
    """The names of the Dockerfile's own stages: a misspelt one reads like an image."""


class Dockerfile(Fact, frozen=True, kw_only=True):
    """A parsed Dockerfile. BuildKit reports what is malformed in it."""

    syntax: str | None
    """The image that its `# syntax=` line names."""
    arguments: tuple[Instruction, ...]
    """Every ARG before the first FROM."""
    stages: tuple[Stage, ...]
