"""A container that is asked through its standard input: over a pair of sockets, as the engine hands it over."""

from __future__ import annotations

import socket
import threading
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from seatrial.engine.containers import Container
from seatrial.engine.streams import Channel, Question, ask, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.streams import Output

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
    def behaves(its: socket.socket) -> None:
        its.sendall(piece(b"ready\n"))
        its.shutdown(socket.SHUT_WR)
        its.recv(100)

    output, _ = ran(behaves)
    assert (output.asked_at, output.code) == (6, 0)


@pytest.mark.parametrize("said", ["ready", "not ready\n", "ready or not\n", "already\nready?\n", " ready\n"])
def test_a_process_is_asked_at_a_line_of_its_own_alone(said: str) -> None:
    output, _ = ran(lambda its: its.sendall(piece(said.encode())))
    assert (output.asked_at, output.out) == (None, said.encode())


@pytest.mark.parametrize("size", [1, 2, 5, 6, 100])
def test_the_line_is_found_however_it_comes(size: int) -> None:
    said = b"one already\nready\n"

    def behaves(its: socket.socket) -> None:
        for at in range(0, len(said), size):
            its.sendall(piece(said[at : at + size]))
        assert its.recv(100) == ASKED.text
        its.sendall(piece(b"answer"))

    output, _ = ran(behaves)
    assert (output.asked_at, output.out) == (len(said), said + b"answer")


def test_a_process_in_a_running_container_is_asked_in_the_same_way() -> None:
    ours, its = socket.socketpair()

    def behaves() -> None:
        its.sendall(piece(b"ready\n") + piece(b"oh", 2))
        its.sendall(piece(its.recv(100)))
        its.close()

    threading.Thread(target=behaves, daemon=True).start()
    output = ask(Channel(ours, seconds=5.0), ASKED, most=1000)
    ours.close()
    assert (output.out, output.errors, output.asked_at) == (b"ready\n" + ASKED.text, b"oh", 6)
    assert (output.truncated, output.timed_out, output.code) == (False, False, None)


def test_no_more_is_read_of_it_than_is_allowed() -> None:
    ours, its = socket.socketpair()
    its.sendall(piece(b"x" * 600) * 3)
    output = ask(Channel(ours, seconds=5.0), ASKED, most=1000)
    ours.close()
    its.close()
    assert (len(output.out), output.truncated) == (1000, True)


def test_one_that_ends_with_the_question_unread_is_no_error() -> None:
    def behaves(its: socket.socket) -> None:
        its.sendall(piece(b"ready\n"))
        its.recv(1, socket.MSG_PEEK)

    output, _ = ran(behaves)
    assert (output.asked_at, output.code) == (6, 0)


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
