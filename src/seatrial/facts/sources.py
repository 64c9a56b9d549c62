"""The project's own sources of an image: its declarations, lock file, Dockerfile, build context and compose file."""

from __future__ import annotations

import json

from seatrial.facts.base import DoesNotApply, Fact, Unavailable
from seatrial.facts.compose import ComposeSource

INSTRUCTIONS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
"""Source: Dockerfile reference."""


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
    def mounts(self) -> tuple[dict[str, str], ...]:
        """What its `--mount=` flags say, by their keys."""
        return tuple(read_mount(value) for name, value in self.flags if name == "mount")

    @property
    def copied(self) -> tuple[str, ...]:
        """The words of a COPY or ADD, its target last; of its JSON form too, none where that is malformed."""
        text = " ".join(self.words)
        if not text.startswith("["):
            return self.words
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, RecursionError):
            return ()

    @property
    def from_context(self) -> tuple[tuple[str, str], ...]:
        """What it takes from the build context and where it puts it: COPY and ADD, and the bind mounts of a RUN."""
        if self.keyword in {"COPY", "ADD"} and "from" not in dict(self.flags):
            *sources, target = self.copied or ("",)
            return tuple((source, target) for source in sources if not source.startswith("<<"))
        bound = [mount for mount in self.mounts if mount.get("type", "bind") == "bind" and "from" not in mount]
        return tuple((mount.get("source") or mount.get("src") or ".", mount.get("target", "")) for mount in bound)

    @property
    def whole(self) -> str:
        """The instruction on one line."""
        return f"{self.keyword} {self.text}".strip()

    @property
    def words(self) -> tuple[str, ...]:
        """The words after the flags."""
        return tuple(self.text.split()[len(self.flags) :])


def read_mount(value: str) -> dict[str, str]:
    """Read what a `--mount=` says, by its keys; the other names of `target` are made one."""
    words = [part.partition("=") for part in value.split(",")]
    keys = {key.strip().lower().strip("\"'"): content.strip("\"'") for key, _, content in words}
    target = keys.get("target") or keys.get("dst") or keys.get("destination")
    return {**keys, **({"target": target} if target else {})}


class Stage(Fact, frozen=True, kw_only=True):
    """A FROM and what follows it."""

    index: int
    name: str | None
    base: str
    """The image or the earlier stage, as written."""
    instructions: tuple[Instruction, ...]
    """The FROM itself first."""

    @property
    def line(self) -> int:
        """The line of its FROM."""
        return self.instructions[0].line

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
    """All of them, in the order of their lines."""
    target: int | None = None
    """Which stage is built, by its index; None: the last one."""
    left_out: tuple[int, ...] = ()
    """The stages that the target does not need, by index; none where no target is named."""

    @property
    def final(self) -> Stage | None:
        """The stage that becomes the image; None where there is no FROM."""
        if not self.stages:
            return None
        return self.stages[-1 if self.target is None else self.target]

    def chain(self, stage: Stage) -> list[Stage]:
        """Return the stages that a stage is built on, the lowest first, and itself."""
        chain = [stage]
        while below := self._base(chain[0]):
            chain.insert(0, below)
        return chain

    def _base(self, stage: Stage) -> Stage | None:
        above = reversed(self.stages[: stage.index])
        return next((other for other in above if other.name and other.name == stage.base.lower()), None)

    def instructions(self, stage: Stage) -> list[Instruction]:
        """Return a stage's instructions, behind those of the stages that it is built on."""
        return [instruction for below in self.chain(stage) for instruction in below.instructions]

    @property
    def final_instructions(self) -> list[Instruction]:
        """The instructions that the image is made by; none where there is no FROM."""
        return [] if self.final is None else self.instructions(self.final)

    @property
    def built(self) -> tuple[Stage, ...]:
        """The stages to look at: all, or those that a named target needs."""
        return tuple(stage for stage in self.stages if stage.index not in self.left_out)


class LockRequirement(Fact, frozen=True, kw_only=True):
    """One package that is asked for, and when."""

    name: str
    version: str = ""
    """Which of several locked versions; empty where the lock holds only one."""
    marker: str = ""
    extras: tuple[str, ...] = ()
    """The extras of that package that are asked for with it."""
    only: tuple[str, ...] = ()
    """The project's extras and groups that ask for it; empty where it is always wanted."""


class LockedPackage(Fact, frozen=True, kw_only=True):
    """One package of a lock, its name normalised."""

    name: str
    version: str = ""
    """Empty where the lock names none: a project's own folder, or an address."""
    local: bool = False
    """The project itself, or another folder of it: an image need not hold it as a distribution."""
    marker: str = ""
    """Where the lock holds several versions: when this one is meant."""
    wants: tuple[LockRequirement, ...] = ()
    extras: dict[str, tuple[LockRequirement, ...]] = {}


class LockFile(Fact, frozen=True, kw_only=True):
    """A lock file."""

    file: str
    project: str = ""
    """The project's own name, normalised."""
    whole: bool = True
    """It names everything that is to be installed; pinned requirements may name the direct ones only."""
    roots: tuple[LockRequirement, ...] = ()
    packages: tuple[LockedPackage, ...] = ()
    names: tuple[str, ...] = ()
    """The extras and groups that it knows."""
    defaults: tuple[str, ...] = ()
    """The groups that it installs unless told otherwise, without those of development."""
    chosen: tuple[str, ...] = ()
    """The extras and groups that the Dockerfile's own commands install."""
    beside: tuple[str, ...] = ()
    """The requirements that the Dockerfile's own commands install beside it."""


class ProjectFacts(Fact, frozen=True, kw_only=True):
    """What the app's own project files declare."""

    name: str = ""
    build_backend: str = ""
    """What builds its wheel, as pyproject.toml names it; setuptools where it names none."""
    dependencies: tuple[str, ...] | None = None
    """Direct dependencies as requirement strings; None where no file declares any."""
    dependencies_file: str = ""
    dev_group: tuple[str, ...] = ()
    """The names in its `dev` dependency group or extra."""
    extras: tuple[str, ...] = ()
    """The requirements of the extras and groups that the Dockerfile's own commands install."""
    optional: tuple[str, ...] = ()
    """The names in its extras and groups: what it can do without."""
    lock: LockFile | Unavailable | None = None
    """Its lock file; None where it has none, `Unavailable` where the file does not say what is to be installed."""


class DockerfileSource(Fact, frozen=True, kw_only=True):
    """The Dockerfile, parsed; each instruction knows its line."""

    path: str
    """From the project's folder."""
    parsed: Dockerfile
    bases: tuple[Base, ...] = ()
    """The images that it takes from outside, every argument resolved."""


class LintFinding(Fact, frozen=True, kw_only=True):
    """Something that the linter says of a line."""

    rule: str
    level: str
    """error, warning, info or style."""
    line: int
    message: str


class Lint(Fact, frozen=True, kw_only=True):
    """What hadolint says of the Dockerfile."""

    findings: tuple[LintFinding, ...] = ()
    configuration: str = ""
    """The project's own configuration that held; empty where there is none."""


class NotInstalled(DoesNotApply, frozen=True, kw_only=True):
    """A fact that an optional program would give, which is not there."""


class ContextFile(Fact, frozen=True, kw_only=True):
    """A file that a build may see."""

    path: str
    """From the context's folder."""
    size: int
    """In bytes."""


class BuildContext(Fact, frozen=True, kw_only=True):
    """What the ignore file lets through."""

    path: str
    ignore_file: str = ""
    """From the project's folder; empty where there is none."""
    suggested: str = ""
    """Where an ignore file belongs, from the project's folder."""
    files: tuple[ContextFile, ...] = ()
    truncated: bool = False
    """There are more than were read."""
    admitted: tuple[str, ...] = ()
    """Of the paths that the gatherer tried on the ignore file, those that it lets through, whether they are there
    or not: a `.env` that is not there today is there tomorrow."""
    kept_out: tuple[str, ...] = ()
    """The others of them."""
    texts: dict[str, str] = {}
    """The requirement files among them."""


class Sources(Fact, frozen=True, kw_only=True):
    """Everything of the project that says how the image is made and brought up."""

    dockerfile: DockerfileSource
    lint: Lint | Unavailable
    context: BuildContext | Unavailable
    compose: ComposeSource | Unavailable | None
    """None where the app has no compose file."""
