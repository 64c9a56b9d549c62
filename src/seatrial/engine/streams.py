"""What a process in a container reads and writes, over connections that the engine hands over."""

from __future__ import annotations

import math
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests

from seatrial.engine.containers import kill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seatrial.engine.containers import Container

HEADER = 8
"""Bytes before each piece of output: its stream, and its length (the engine's API, "Stream format")."""
STDOUT = 1
SLACK = 10.0
"""Seconds that the engine may take longer than what it runs."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a container wrote until it ended or was killed."""

    out: bytes
    errors: bytes
    code: int | None
    truncated: bool
    """It wrote more than the limit, and was killed."""
    timed_out: bool
    """It took longer than the limit, and was killed."""
    asked_at: int | None = None
    """How many bytes of `out` were there when the question was handed in; None where none was."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a process is given through its standard input, once it has said that it reads it."""

    ready: bytes
    """The line that it writes, alone, when it reads."""
    text: bytes


class Channel:
    """The standard streams of a process in a container, over a connection that the engine has handed over."""

    def __init__(self, socket: Any, *, seconds: float) -> None:
        self._socket = socket
        # A plain socket below the file that docker-py makes of it; TLS and SSH hand out theirs as it is.
        self._channel = getattr(socket, "_sock", socket)
        self._channel.settimeout(seconds)
        self._pending = b""

    def send(self, text: bytes) -> None:
        """Write to its standard input; an OSError where it has ended."""
        self._channel.sendall(text)

    def piece(self) -> tuple[int, bytes]:
        """Return the next piece of its output, and which stream it is of; an EOFError after the last, or an OSError."""
        header = self._bytes(HEADER)
        return header[0], self._bytes(int.from_bytes(header[4:], "big"))

    def pieces(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Yield what it writes, standard output and standard error, until it ends."""
        # It is reset where the process ended and left unread what it was given. Where the engine has ended, the next
        # request tells.
        with suppress(EOFError, ConnectionResetError):
            while True:
                try:
                    stream, piece = self.piece()
                except TimeoutError as error:
                    raise ConnectionError("nothing came, not even the container's end") from error
                yield (piece, None) if stream == STDOUT else (None, piece)

    def close(self) -> None:
        """Close the connection; the process's standard input ends."""
        # docker-py leaves the response to the garbage collector; it uses the socket, and so is closed first.
        if response := getattr(self._socket, "_response", None):
            response.close()
        self._socket.close()

    def _bytes(self, count: int) -> bytes:
        while len(self._pending) < count:
            more = self._channel.recv(65536)
            if not more:
                raise EOFError
            self._pending += more
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken


def run_to_end(container: Container, *, seconds: float, most: int, question: Question | None = None) -> Output:
    """Start a container and read what it writes until it ends; past `seconds`, or `most` bytes, it is killed.

    A question needs a container whose standard input is open (`OpenStdin`, `StdinOnce`).
    """
    client = container.client
    if question is None:
        stream = client.attach(container.id, stdout=True, stderr=True, stream=True, demux=True, logs=False)
        attached = _Attached(pieces=stream, close=partial(close_stream, stream))
    else:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        channel = Channel(client.attach_socket(container.id, params=streams), seconds=seconds + SLACK)
        attached = _Attached(pieces=channel.pieces(), close=channel.close, send=channel.send, question=question)
    try:
        client.start(container.id)
        return _read_to_end(container, attached, seconds=seconds, most=most)
    finally:
        attached.close()


@dataclass(frozen=True, kw_only=True)
class _Attached:
    """What a container writes, as it comes."""

    pieces: Iterable[tuple[bytes | None, bytes | None]]
    close: Callable[[], None]
    send: Callable[[bytes], object] = len
    question: Question | None = None


class _Written:
    """What a process has written so far; it is handed its question at the line by which it says that it reads."""

    def __init__(self, question: Question | None, send: Callable[[bytes], object]) -> None:
        self.out, self.errors = bytearray(), bytearray()
        self.asked_at: int | None = None
        self._question, self._send = question, send
        self._ready = re.compile(rb"^%b\n" % re.escape(question.ready), re.MULTILINE) if question else None

    def __len__(self) -> int:
        return len(self.out) + len(self.errors)

    def add(self, out: bytes | None, errors: bytes | None) -> None:
        before = len(self.out)
        self.out += out or b""
        self.errors += errors or b""
        if self._question is None or self._ready is None or self.asked_at is not None:
            return
        # From where the line may have begun: what was searched before is not searched again.
        if self._ready.search(self.out, max(0, before - len(self._question.ready))):
            self.asked_at = len(self.out)
            # It may have ended meanwhile: then its output tells.
            with suppress(OSError):
                self._send(self._question.text)


def ask(channel: Channel, question: Question, *, most: int) -> Output:
    """Hand a question to a process in a running container, and read what it writes until it ends.

    Past `most` bytes nothing more is read.

    Raises:
        ConnectionError: it wrote nothing for as long as the channel waits.

    """
    written = _Written(question, channel.send)
    for out, errors in channel.pieces():
        written.add(out, errors)
        if len(written) > most:
            break
    return Output(
        out=bytes(written.out[:most]),
        errors=bytes(written.errors[:most]),
        code=None,
        truncated=len(written) > most,
        timed_out=False,
        asked_at=written.asked_at,
    )


def _read_to_end(container: Container, attached: _Attached, *, seconds: float, most: int) -> Output:
    timed_out = threading.Event()

    def end() -> None:
        timed_out.set()
        # Where the engine is gone, the thread that reads meets that too, and reports it.
        with suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
            kill(container)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    written, truncated, code = _Written(attached.question, attached.send), False, None
    try:
        for out, errors in attached.pieces:
            written.add(out, errors)
            if len(written) > most:
                truncated = True
                # Closed first: while output waits to be read, the engine answers nothing about the container.
                attached.close()
                kill(container)
                break
        if not truncated and not timed_out.is_set():
            code = int(container.client.wait(container.id, timeout=math.ceil(seconds))["StatusCode"])
    finally:
        timer.cancel()
    return Output(
        out=bytes(written.out[:most]),
        errors=bytes(written.errors[:most]),
        code=code,
        truncated=truncated,
        timed_out=timed_out.is_set(),
        asked_at=written.asked_at,
    )


def close_stream(stream: Any) -> None:
    """Close a stream of docker-py's, wherever it has been read to, and the connection below it."""
    # OSError: the engine closed it first. DockerException: over paramiko's SSH it ends with its connection.
    with suppress(OSError, docker.errors.DockerException):
        stream.close()
    # docker-py leaves the upgraded connection itself to the garbage collector.
    stream._response.close()  # noqa: SLF001
