"""Undoes an `up` that did not come up, or was interrupted; and takes away what was to be up for a while only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import EngineError, StackFailedError, StackLeftError
from seatrial.stack import remove
from seatrial.stack.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.stack.model import Observer, Stack
    from seatrial.stack.restore import Memory

ANSWER = 3
"""Seconds that the engine has to say what remains, when nobody wants to wait."""
PATIENCE = 20
"""Seconds that one request may take while a run is undone; a container's own time to stop comes on top."""


def undo(
    stack: Stack,
    before: remove.Holdings,
    reason: BaseException,
    *,
    memory: Memory,
    engine: Engine,
    observer: Observer,
    volumes: bool,
) -> None:
    """Remove what a run started, let run again what it replaced, and say so.

    Args:
        stack: the stack.
        before: what there was of it before the run.
        reason: why the run is undone.
        memory: what ran of it before the run: it is to run again.
        engine: the engine.
        observer: told of it.
        volumes: remove the volumes that the run made, too.

    Raises:
        StackLeftError: a second Ctrl-C: it leaves at once, and the message names what remains.

    """
    engine.client.api.timeout = PATIENCE
    if _second(reason):
        raise _left(stack, before, engine, fix=_down(stack)) from None
    rest = f"`invoke down --app {stack.app}` removes what remains."
    observer.say("Stopping and removing what this run started.")
    try:
        remove.roll_back(stack, engine, before, volumes=volumes)
        for line in restore(stack, memory, engine):
            observer.say(line)
    except (EngineError, StackFailedError) as error:
        # The reason why it did not come up matters more, and is on its way to the user.
        observer.say(f"Not all of it could be removed: {error.what} {rest}")
        if not isinstance(reason, Exception):
            raise StackLeftError(f"interrupted, and not all is removed: {error.what}", fix=rest) from None
    except BaseException as again:
        if isinstance(again, Exception):
            raise
        raise _left(stack, before, engine, fix=_down(stack)) from None


@contextmanager
def gone_at_the_end(stack: Stack, engine: Engine, *, say: Callable[[str], None], fix: str) -> Iterator[None]:
    """Remove all of a stack when the block is over, its volumes too, however it ends.

    Args:
        stack: the stack; nothing of it is to last.
        engine: the engine.
        say: told when not all could be removed.
        fix: what removes the rest, as a sentence.

    Raises:
        StackLeftError: a second Ctrl-C: it leaves at once, and the message names what remains; or one, and not all
            could be removed.

    """
    try:
        yield
    except StackLeftError as left:
        # What it names is of this stack, which `down` does not know.
        raise StackLeftError(left.what, fix=fix) from None
    except BaseException as reason:
        if _second(reason):
            raise _left(stack, remove.Holdings(), engine, fix=fix) from None
        problem = _take_away(stack, engine, fix=fix)
        if problem and not isinstance(reason, Exception):
            raise StackLeftError(f"interrupted, and not all is removed: {problem}", fix=fix) from None
        if problem:
            say(f"Not all of it could be removed: {problem} {fix}")
        raise
    if problem := _take_away(stack, engine, fix=fix):
        say(f"Not all of it could be removed: {problem} {fix}")


def _take_away(stack: Stack, engine: Engine, *, fix: str) -> str:
    """Remove all of a stack; return why not all could be: what came out of it matters more, and is on its way."""
    try:
        remove.down(stack, engine=engine, volumes=True)
    except (EngineError, StackFailedError) as error:
        return error.what
    except BaseException as again:
        if isinstance(again, Exception):
            raise
        raise _left(stack, remove.Holdings(), engine, fix=fix) from None
    return ""


def _second(reason: BaseException) -> bool:
    """Tell whether somebody has pressed Ctrl-C again, while compose was being ended."""
    first = reason.__context__
    return not isinstance(reason, Exception) and first is not None and not isinstance(first, Exception)


def _down(stack: Stack) -> str:
    return f"`invoke down --app {stack.app}` removes it."


def _left(stack: Stack, before: remove.Holdings, engine: Engine, *, fix: str) -> StackLeftError:
    engine.client.api.timeout = ANSWER
    try:
        now = remove.holdings(stack, engine)
    except EngineError:
        return StackLeftError("interrupted again, and the engine does not say what remains.", fix=fix)
    kept = {one.id for one in before.containers}
    names = [one.name for one in now.containers if one.id not in kept]
    names += [name for key, name in now.networks.items() if key not in before.networks]
    names += sorted(now.volumes - before.volumes)
    return StackLeftError(f"interrupted again; what remains: {', '.join(names) or 'nothing'}.", fix=fix)
