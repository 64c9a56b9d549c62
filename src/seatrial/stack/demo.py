"""Brings a demo up for one question, and takes it down again."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.compose import runner
from seatrial.compose.findings import require_none
from seatrial.errors import ProgramError, StackFailedError
from seatrial.stack import containers, down, images
from seatrial.stack.down import gone_at_the_end
from seatrial.stack.preflight import look_at_start
from seatrial.stack.wait import Watch
from seatrial.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.compose.runner import Compose
    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.demo_plan import DemoPlan
    from seatrial.stack.images import MakeSubstitute
    from seatrial.stack.state import Observer
    from seatrial.stack.wait import Clock

LOG_LINES = 10
"""Last lines of each service's output that are shown when there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the app said."""

    text: str
    seconds: float
    """From the first start to the answer."""


def demo(
    plan: DemoPlan,
    question: str,
    *,
    engine: Engine,
    host: Host,
    observer: Observer,
    timeout: float = 120.0,
    substitute: MakeSubstitute | None = None,
    clock: Clock = time,
) -> Answer:
    """Bring a demo up, ask it, and take it down again, however that ends.

    Args:
        plan: what to bring up.
        question: what to ask.
        engine: the engine.
        host: this machine.
        observer: told how it goes.
        timeout: seconds from the start of the first service until the answer.
        substitute: makes or finds a local image for one that cannot be pulled; None when there is none.
        clock: the passing of time.

    Raises:
        StackError: an own image has not been built, or a published port is taken.
        ImageError: an image can neither be pulled nor replaced.
        StackFailedError: it did not come up, or gave no answer in time; the message tells why.
        StackLeftError: interrupted twice; the message names what remains.
        EngineError: the engine stopped answering.

    """
    up = plan.up
    program = runner.find(up.stack, up.file, engine=engine, host=host)
    there = images.present(up, engine)
    if not down.down(up.stack, engine=engine, volumes=True).nothing:
        observer.say("Removed what an earlier demo had left.")
    require_none(tuple(look_at_start(up, engine)))
    replaced = images.provide(up, there, compose=program, observer=observer, substitute=substitute)
    rest = f"The next `invoke demo --app {up.stack.app}` removes what remains."
    with gone_at_the_end(up.stack, engine, say=observer.say, fix=rest):
        started = clock.monotonic()

        def left() -> float:
            return max(started + timeout - clock.monotonic(), 0)

        watch = Watch(up, engine, observer, before=(), timeout=timeout, clock=clock)
        try:
            watch.until_up(program.up(replaced, tick=watch.tick))
            text = _ask(plan, question, program, engine=engine, observer=observer, tick=watch.tick, left=left)
        except StackFailedError as error:
            # Who reads it gave another command than `up`.
            raise StackFailedError(error.what, where=error.where, fix=_again(up.stack), detail=error.detail) from error
        return Answer(text=text, seconds=clock.monotonic() - started)


def _ask(
    plan: DemoPlan,
    question: str,
    program: Compose,
    *,
    engine: Engine,
    observer: Observer,
    tick: Callable[[], None],
    left: Callable[[], float],
) -> str:
    app = plan.up.stack.app
    observer.say(f"Asking {app}: {question}")
    try:
        done = program.inside(plan.service, [*plan.words, question], timeout=left(), tick=tick)
    except ProgramError as error:
        what = f"{app} was not asked: {error.what}" if left() else f"{app} gave no answer in time."
        raise _unanswered(plan, engine, what) from error
    if done.code != 0 or not done.output.strip():
        wrong = f"ended with exit code {done.code}" if done.code else "printed nothing"
        raise _unanswered(
            plan, engine, f"{app} was not asked: `{shlex.join(plan.words)}` {wrong}.", runner.messages(done.errors)
        )
    for line in runner.messages(done.errors):
        observer.say(f"{plan.service}: {line}")
    return plain(done.output).strip()


def _unanswered(plan: DemoPlan, engine: Engine, what: str, said: Sequence[str] = ()) -> StackFailedError:
    """Return the error for a question without an answer, with what everyone logged last."""
    lines = list(said)
    for one in containers.containers(plan.up.stack, engine):
        lines.append(f"the last output of {one.service} ({one.health or one.status}):")
        lines += [f"  {line}" for line in containers.last_lines(one.id, engine, count=LOG_LINES)] or ["  (none)"]
    return StackFailedError(what, where=str(plan.up.file), detail="\n".join(lines))


def _again(stack: Stack) -> str:
    return f"Mend it, or allow more time with --timeout, then run `invoke demo --app {stack.app}` again."
