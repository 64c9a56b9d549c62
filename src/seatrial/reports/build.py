"""Shows builds while they run: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from seatrial.images.progress import Event, Step, StepChanged, StepOutput, StepState
from seatrial.text import plain, show_size

if TYPE_CHECKING:
    from seatrial.images.build import BuildResult
    from seatrial.images.plan import BuildPlan

LOG_LINES = 5
"""Lines of a running step's output that are shown below it."""
SHORT_ID = 12
ENDED = frozenset({StepState.DONE, StepState.CACHED, StepState.FAILED, StepState.STOPPED})
STYLES = {StepState.CACHED: "cyan", StepState.DONE: "green", StepState.FAILED: "bold red"}


class BuildReport:
    """Observes builds. On a terminal, steps that ended scroll by, and those that run stay below them."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._live: Live | None = None
        self._title, self._began = "", 0.0
        self._starts: dict[str, float] = {}
        self._running: dict[str, Step] = {}
        self._shown: set[str] = set()
        self._logs: dict[str, deque[str]] = {}

    def __enter__(self) -> Self:
        """Start the live part, on a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._frame, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the live part; what ended stays on the screen."""
        if self._live is not None:
            self._running.clear()
            self._live.stop()
            self._live = None

    def began(self, plan: BuildPlan) -> None:
        """Say what is being built."""
        self._began = self._clock()
        self._shown.clear()
        self._running.clear()
        self._title = _name(plan)
        self._print(f"Building {self._title}: {', '.join(plan.tags)}", style="bold")

    def say(self, message: str) -> None:
        """Show a line."""
        self._print(plain(message), style="yellow")

    def event(self, event: Event) -> None:
        """Show what a step did."""
        if isinstance(event, StepOutput):
            self._logs.setdefault(event.step.key, deque(maxlen=LOG_LINES)).extend(
                line for line in event.lines if line.strip()
            )
        elif isinstance(event, StepChanged):
            self._changed(event.step)

    def ended(self, result: BuildResult) -> None:
        """Say what was made."""
        self._running.clear()
        self._title = ""
        for line in result_lines(result):
            self._print(line, style="bold green")

    def _changed(self, step: Step) -> None:
        if step.state is StepState.RUNNING:
            self._running[step.key] = step
            self._starts.setdefault(step.key, self._clock())
        elif step.state in ENDED:
            self._running.pop(step.key, None)
            # BuildKit's own steps, and a FROM, are shown only where they took time or failed.
            worth = step.countable or step.state is StepState.FAILED or step.seconds >= 1
            if worth and step.key not in self._shown:
                self._shown.add(step.key)
                self._print(step_line(step), style=STYLES.get(step.state, ""), whole=self._live is None)

    def _print(self, text: str, *, style: str, whole: bool = True) -> None:
        # A line is cut on a screen only: a log keeps all of it.
        if self._live is not None:
            self._live.refresh()
        self._console.print(
            Text(text, style=style),
            no_wrap=None if whole else True,
            overflow=None if whole else "ellipsis",
            soft_wrap=whole and self._live is None,
            highlight=False,
        )

    def _frame(self) -> RenderableType:
        """Return what runs now, the last lines that it wrote, and the time since the build began."""
        if not self._title:
            return Group()
        now = self._clock()
        rows: list[RenderableType] = []
        for step in list(self._running.values()):
            rows.append(self._running_row(step, now))
            rows += [
                Text(f"    {line}", style="dim", no_wrap=True, overflow="ellipsis")
                for line in list(self._logs.get(step.key, ()))
            ]
        rows.append(Text(f"{self._title}: {show_seconds(now - self._began)}", style="bold", no_wrap=True))
        # What does not fit is cut at the top.
        return Group(*rows[-max(self._console.height - 2, 1) :])

    def _running_row(self, step: Step, now: float) -> Text:
        spinner = Spinner("line" if self._console.options.ascii_only else "dots")
        mark = spinner.render(now)
        since = f" {show_seconds(now - self._starts.get(step.key, now)):>7}  {_label(step)}"
        mark = mark if isinstance(mark, Text) else Text("-")
        return Text.assemble(mark, since, no_wrap=True, overflow="ellipsis")


def step_line(step: Step) -> str:
    """Return the line for a step that ended."""
    outcome = {StepState.CACHED: "CACHED", StepState.FAILED: "FAILED", StepState.STOPPED: "stopped"}
    return f"{outcome.get(step.state) or show_seconds(step.seconds):>9}  {_label(step)}"


def result_lines(result: BuildResult) -> tuple[str, ...]:
    """Return what was made, how large, how long it took, and what came from the cache."""
    short = result.image_id.removeprefix("sha256:")[:SHORT_ID]
    cached = f"{len(result.cached)} of {len(result.counted)} steps from the cache"
    lines = [
        f"Built {', '.join(result.tags)} ({short})",
        f"  {show_size(result.size_bytes)} unpacked, in {show_seconds(result.seconds)}, {cached}",
    ]
    if result.substitutes:
        lines.append(f"  on local substitutes for {', '.join(result.substitutes)}")
    return tuple(lines)


def plan_lines(plans: Iterable[BuildPlan], *, by: str) -> tuple[str, ...]:
    """Return what `--dry-run` shows; `by` names what would build."""
    lines: list[str] = []
    for plan in plans:
        lines += [
            f"Would build {_name(plan)}: {', '.join(plan.tags)}",
            f"  from {plan.dockerfile_shown}, build context {plan.context}",
            *([f"  stage {plan.target}"] if plan.target else []),
            f"  with {by}",
            *(f"  argument {key}={value}" for key, value in plan.build_arguments.items()),
            *(f"  label {key}={value}" for key, value in plan.labels.items()),
            *(["  without the cache"] if plan.no_cache else []),
        ]
    return tuple(plain(line) for line in lines)


def _name(plan: BuildPlan) -> str:
    return f"{plan.app} for Python {plan.python}" if plan.python else plan.app


def show_seconds(seconds: float) -> str:
    """Return a time as people read it: `0.4 s`, `12 s`, `2 min 05 s`."""
    minute = 60
    if seconds < 10:  # noqa: PLR2004 - tenths matter below
        return f"{seconds:.1f} s"
    if round(seconds) < minute:
        return f"{seconds:.0f} s"
    return f"{round(seconds) // minute} min {round(seconds) % minute:02} s"


def _label(step: Step) -> str:
    return f"[{step.position}] {step.text}" if step.position else step.text
