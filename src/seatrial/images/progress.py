"""BuildKit's progress stream (`--progress=rawjson`) as plain data, and the Dockerfile line of each step."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from seatrial.facts.sources import Dockerfile, Instruction, Stage
from seatrial.images.secrets.redaction import Redaction
from seatrial.text import plain, plain_line

KEPT_LOG_LINES = 400
"""Lines of a step's output that are kept for an error message."""
LONGEST_LINE = 2000
"""Characters of one line of output; the rest of it is left out."""
LONGEST_REPORT = 16 * 1024 * 1024
"""Characters of one report of the stream; what is longer is treated as text."""

# BuildKit's names: "[builder 3/7] RUN …", "[2/4] COPY …", "[linux/amd64 stage-1 2/3] …".
NUMBERED = re.compile(r"\[(?:(?P<stage>[^\]]*?) )?(?P<number>\d+)/(?P<total>\d+)\] (?P<text>.*)", re.DOTALL)
UNNAMED_STAGE = re.compile(r"stage-(\d+)")
LOOKUP = re.compile(
    r"\[internal\] load metadata for (?P<base>\S+)|\[context (?P<context>\S+)\] "
    r"|resolve image config for (?:docker-image://)?(?P<syntax>\S+)"
)


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    STOPPED = "stopped"
    """Another step failed while it ran."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that BuildKit does: an instruction of the Dockerfile, or its own work around them."""

    key: str
    """BuildKit's digest of it: the same in every report of one build."""
    name: str
    """BuildKit's name for it, on one line."""
    state: StepState
    seconds: float = 0.0
    """Time that it worked, without the time that it waited for others."""
    instruction: Instruction | None = None
    """The instruction that it runs, where that is known."""
    error: str = ""

    @property
    def numbered(self) -> bool:
        """Tell whether it is an instruction of the Dockerfile, not BuildKit's own work."""
        return NUMBERED.fullmatch(self.name) is not None

    @property
    def position(self) -> str:
        """Its place, such as `builder 3/7`; empty for BuildKit's own work."""
        return self.name[1 : self.name.index("]")] if self.numbered else ""

    @property
    def text(self) -> str:
        """What it does, without its place."""
        match = NUMBERED.fullmatch(self.name)
        return match["text"] if match else self.name

    @property
    def keyword(self) -> str:
        """Its instruction's keyword, such as RUN; empty for BuildKit's own work."""
        return self.text.split(maxsplit=1)[0].upper() if self.numbered and self.text else ""

    @property
    def line(self) -> int | None:
        """The Dockerfile line that it starts on."""
        return self.instruction.line if self.instruction else None

    @property
    def looked_up(self) -> str | None:
        """The image that it asks a registry about, if that is its work."""
        match = LOOKUP.match(self.name)
        return next((image for image in match.groups() if image), None) if match else None

    @property
    def countable(self) -> bool:
        """Tell whether it counts in "7 of 9 steps came from the cache": a FROM does no work of its own."""
        return self.numbered and self.keyword != "FROM"


def locate(names: Iterable[str], dockerfile: Dockerfile) -> dict[str, Instruction]:
    """Return the instruction that each step name means.

    BuildKit's numbers cannot be used as they are: it counts no ENV, not every WORKDIR, and counts what a
    base's ONBUILD adds. But the order holds: within a stage, its last RUN is the Dockerfile's last RUN.
    """
    groups: dict[tuple[int, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        match = NUMBERED.fullmatch(name)
        stage = _stage(match["stage"] or "", dockerfile) if match else None
        if match and stage:
            keyword = match["text"].split(maxsplit=1)[0].upper()
            groups[stage.index, keyword][int(match["number"])].append(name)
    located: dict[str, Instruction] = {}
    for (index, keyword), numbers in groups.items():
        instructions = [found for found in dockerfile.stages[index].instructions if found.keyword == keyword]
        for number, instruction in zip(sorted(numbers, reverse=True), reversed(instructions), strict=False):
            located.update(dict.fromkeys(numbers[number], instruction))
    return located


def _stage(label: str, dockerfile: Dockerfile) -> Stage | None:
    # A build for another platform puts that platform's name before the stage's.
    name = label.rsplit(maxsplit=1)[-1] if label.split() else ""
    for stage in dockerfile.stages:
        if stage.name is not None and stage.name == name.lower():
            return stage
    unnamed = UNNAMED_STAGE.fullmatch(name)
    index = int(unnamed.group(1)) if unnamed else len(dockerfile.stages) - 1
    known = (unnamed is not None or "/" in name or not name) and 0 <= index < len(dockerfile.stages)
    return dockerfile.stages[index] if known else None


class _Vertex(msgspec.Struct):
    digest: str
    name: str = ""
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str = ""


class _Log(msgspec.Struct):
    vertex: str
    stream: int = 1
    data: bytes = b""


class _Report(msgspec.Struct):
    vertexes: list[_Vertex] | None = None
    logs: list[_Log] | None = None


@dataclass(frozen=True, kw_only=True)
class StepChanged:
    """A step appeared, started, or ended."""

    step: Step


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """A step wrote whole lines."""

    step: Step
    lines: tuple[str, ...]


Event = StepChanged | StepOutput


class Reports:
    """Cuts the stream into its reports; buildx 0.13 indents them over many lines, later ones use one line."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0

    def feed(self, line: str) -> Iterator[_Report | str]:
        """Yield a report once its last line is there, and any other line as text."""
        if not self._lines and not line.startswith("{"):
            yield line.rstrip("\n")
            return
        self._lines.append(line)
        self._size += len(line)
        text = line.rstrip()
        ends = text == "}" or (len(self._lines) == 1 and text.endswith("}"))
        if not ends and self._size < LONGEST_REPORT:
            return
        whole = "".join(self._lines)
        self._lines, self._size = [], 0
        try:
            yield msgspec.json.decode(whole, type=_Report)
        except msgspec.DecodeError:
            yield from whole.splitlines()


class Progress:
    """The state of one build, fed line by line from buildx's standard error."""

    def __init__(self, dockerfile: Dockerfile, redaction: Redaction | None = None) -> None:
        self._dockerfile = dockerfile
        self._strike = (redaction or Redaction()).strike
        self._reports = Reports()
        self._seen: dict[str, _VertexHistory] = {}
        self._steps: dict[str, Step] = {}
        self._logs: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT_LOG_LINES))
        self._partial: dict[tuple[str, int], str] = {}
        self.text: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        """The lines outside of the reports: buildx's own messages."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in the order in which they started; those that never did come last."""
        return tuple(sorted(self._steps.values(), key=lambda step: self._seen[step.key].first))

    def log(self, step: Step) -> tuple[str, ...]:
        """Return the last lines that a step wrote."""
        rest = [text for (key, _), text in self._partial.items() if key == step.key and text.strip()]
        return (*self._logs.get(step.key, ()), *(self._shown(text) for text in rest))

    def feed(self, line: str) -> list[Event]:
        """Read one line and return what it changed."""
        events: list[Event] = []
        for report in self._reports.feed(line):
            if isinstance(report, str):
                self.text.append(self._strike(plain(report)))
                continue
            events += self._vertices(report.vertexes or [])
            for log in report.logs or []:
                events += self._output(log)
        return events

    def _vertices(self, vertices: list[_Vertex]) -> list[Event]:
        for vertex in vertices:
            vertex.name, vertex.error = (self._strike(plain_line(text)) for text in (vertex.name, vertex.error))
            self._seen.setdefault(vertex.digest, _VertexHistory()).take(vertex)
        instructions = locate((seen.name for seen in self._seen.values()), self._dockerfile)
        events: list[Event] = []
        for key, seen in self._seen.items():
            step = Step(
                key=key,
                name=seen.name,
                state=seen.state,
                seconds=seen.seconds,
                instruction=instructions.get(seen.name),
                error=seen.error,
            )
            if self._steps.get(key) != step:
                self._steps[key] = step
                events.append(StepChanged(step=step))
        # One report can hold a whole stage, its last step first.
        return sorted(events, key=lambda event: event.step.line or 0)

    def _output(self, log: _Log) -> list[Event]:
        step = self._steps.get(log.vertex)
        if step is None:
            return []
        key = (log.vertex, log.stream)
        *whole, rest = (self._partial.get(key, "") + log.data.decode("utf-8", errors="replace")).split("\n")
        # Before it is cut: of a credential that the cut divides, a part would stay.
        self._partial[key] = self._strike(rest)[-LONGEST_LINE:]
        lines = tuple(self._shown(line) for line in whole)
        self._logs[log.vertex].extend(lines)
        return [StepOutput(step=step, lines=lines)] if lines else []

    def _shown(self, line: str) -> str:
        return self._strike(plain(line))[:LONGEST_LINE].rstrip()


class _VertexHistory:
    """Everything reported of one vertex; BuildKit reports it again for each change."""

    def __init__(self) -> None:
        self.name = ""
        self.error = ""
        self.cached = False
        self.spans: dict[datetime, datetime | None] = {}

    def take(self, vertex: _Vertex) -> None:
        self.name = vertex.name or self.name
        self.error = vertex.error or self.error
        self.cached = self.cached or vertex.cached
        if vertex.started is not None:
            self.spans[vertex.started] = vertex.completed

    @property
    def state(self) -> StepState:
        if self.error:
            # What ran beside a failing step ends with Go's error of a cancelled context.
            return StepState.STOPPED if "context canceled" in self.error else StepState.FAILED
        if not self.spans:
            return StepState.WAITING
        if None in self.spans.values():
            return StepState.RUNNING
        return StepState.CACHED if self.cached else StepState.DONE

    @property
    def first(self) -> float:
        return min(self.spans).timestamp() if self.spans else float("inf")

    @property
    def seconds(self) -> float:
        return sum(
            (end - start).total_seconds() for start, end in self.spans.items() if end is not None and end > start
        )
