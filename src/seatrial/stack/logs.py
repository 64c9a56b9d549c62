"""What a stack's containers print."""

from __future__ import annotations

import heapq
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.compose.runner import LONGEST_LINE, lines_of
from seatrial.engine.containers import engine_errors
from seatrial.stack import containers as observe
from seatrial.stack.containers import of_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.stack.state import ContainerState

WAITING_LINES = 1000
"""Lines that may wait for the reader before a container's own reader waits."""
LONGEST_PENDING = 16 * LONGEST_LINE
"""Characters without a line end that are collected before they count as a line."""


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line that a service printed: plain text."""

    service: str
    text: str


def logs(
    stack: Stack,
    *,
    engine: Engine,
    service: str | None = None,
    follow: bool = False,
    tail: int | None = 100,
) -> Iterator[LogLine]:
    """Return the lines of a stack's containers, oldest first; with `follow`, those to come too.

    Only those of `service`, where one is named; at first the last `tail` lines of each container, or all.

    Raises:
        StackError: the stack has no container, or none of that service.
        EngineError: the engine does not answer.

    """
    chosen = of_service(stack, observe.containers(stack, engine), service)
    return _followed(chosen, engine, tail) if follow else _merged(chosen, engine, tail)


def split(chunks: Iterable[bytes]) -> Iterator[str]:
    """Return the lines of a stream that comes in pieces, each made plain."""
    pending = b""
    for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield from lines_of(line)
        if len(pending) > LONGEST_PENDING:
            yield from lines_of(pending)
            pending = b""
    yield from lines_of(pending)


def _merged(containers: Sequence[ContainerState], engine: Engine, tail: int | None) -> Iterator[LogLine]:
    def stamped(container: ContainerState) -> Iterator[tuple[str, str, str]]:
        for line in split(_stream(container, engine, tail, follow=False)):
            stamp, _, text = line.partition(" ")
            yield stamp, container.service, text

    with engine_errors("reading the stack's logs"):
        for _, service, text in heapq.merge(*map(stamped, containers)):
            yield LogLine(service=service, text=text)


def _followed(containers: Sequence[ContainerState], engine: Engine, tail: int | None) -> Iterator[LogLine]:
    lines: queue.Queue[LogLine | None] = queue.Queue(WAITING_LINES)
    streams: list[Any] = []

    def read(container: ContainerState, stream: Any) -> None:
        try:
            for text in split(stream):
                lines.put(LogLine(service=container.service, text=text))
        finally:
            lines.put(None)

    with engine_errors("reading the stack's logs"):
        streams = [_stream(container, engine, tail, follow=True) for container in containers]
    for container, stream in zip(containers, streams, strict=True):
        threading.Thread(target=read, args=(container, stream), daemon=True).start()
    open_streams = len(streams)
    try:
        while open_streams:
            line = lines.get()
            if line is None:
                open_streams -= 1
            else:
                yield line
    finally:
        for stream in streams:
            stream.close()


def _stream(container: ContainerState, engine: Engine, tail: int | None, *, follow: bool) -> Any:
    return engine.client.api.logs(
        container.id,
        stream=True,
        follow=follow,
        timestamps=not follow,
        tail="all" if tail is None else tail,
    )
