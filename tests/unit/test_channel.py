"""A container that is asked through its standard input: over a pair of sockets, as the engine hands it over."""

from __future__ import annotations

import socket
import threading
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from seatrial.engine.containers import Channel, Container, Question, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.containers import Output

ASKED = Question(ready=b"ready", text=b"the question\n")


def piece(text: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def ran(
    behaves: Callable[[socket.socket], None], *, seconds: float = 5.0, most: int = 1000
) -> tuple[Output, list[str]]:
    """Run a container that behaves so behind its end of the connection."""
    ours, its = socket.socketpair()
    done: list[str] = []

    def start(_: str) -> None:
        threading.Thread(target=live, daemon=True).start()

    def live() -> None:
        behaves(its)
        its.close()

    def kill(_: str) -> None:
        done.append("killed")
        # It may have noticed the end of the connection, and ended by itself.
        with suppress(OSError):
            its.shutdown(socket.SHUT_RDWR)

    client = types.SimpleNamespace(
        attach_socket=lambda *_, **__: ours, start=start, kill=kill, wait=lambda *_, **__: {"StatusCode": 0}
    )
    made = Container(id="c0", client=cast("Any", client))
    return run_to_end(made, seconds=seconds, most=most, question=ASKED), done


def test_the_question_is_handed_in_once_the_container_reads() -> None:
    heard: list[bytes] = []

    def behaves(its: socket.socket) -> None:
        its.sendall(piece(b"noise\nrea"))
        its.sendall(piece(b"dy\n") + piece(b"oh", 2))
        heard.append(its.recv(100))
        its.sendall(piece(b"answer"))

    output, _ = ran(behaves)
    assert heard == [ASKED.text]
    assert (output.out, output.errors, output.code) == (b"noise\nready\nanswer", b"oh", 0)
    assert output.asked_at is not None
    assert output.out[output.asked_at :] == b"answer"


def test_one_that_never_reads_is_never_asked() -> None:
    output, _ = ran(lambda its: its.sendall(piece(b"an answer of its own")))
    assert (output.asked_at, output.out) == (None, b"an answer of its own")


def test_one_that_ends_before_it_has_read_is_no_error() -> None:
    output, _ = ran(lambda its: its.sendall(piece(b"ready")))
    assert (output.asked_at, output.code) == (5, 0)


def test_one_that_ends_with_the_question_unread_is_no_error() -> None:
    def behaves(its: socket.socket) -> None:
        its.sendall(piece(b"ready"))
        its.recv(1, socket.MSG_PEEK)

    output, _ = ran(behaves)
    assert (output.asked_at, output.code) == (5, 0)


def test_one_that_writes_too_much_is_killed() -> None:
    def behaves(its: socket.socket) -> None:
        try:
            while True:
                its.sendall(piece(b"x" * 500))
        except OSError:
            return

    output, done = ran(behaves)
    assert (output.truncated, output.code, done) == (True, None, ["killed"])


def test_one_that_takes_too_long_is_killed() -> None:
    held = threading.Event()

    def behaves(_: socket.socket) -> None:
        held.wait(10)

    output, done = ran(behaves, seconds=0.2)
    held.set()
    assert (output.timed_out, output.code, done) == (True, None, ["killed"])


def test_an_engine_that_says_nothing_more_is_an_error() -> None:
    ours, its = socket.socketpair()
    with pytest.raises(ConnectionError, match="not even the container's end"):
        list(Channel(ours, seconds=0.05).pieces())
    ours.close()
    its.close()
