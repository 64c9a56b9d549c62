from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from seatrial.facts import Port
from seatrial.stack.ports import busy, process_on

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["tcp", "udp"])
def held(request: pytest.FixtureRequest) -> Iterator[Port]:
    kind = socket.SOCK_STREAM if request.param == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if request.param == "tcp":
            holder.listen()
        number = holder.getsockname()[1]
        yield Port(host_ip="127.0.0.1", published=number, target=1, protocol=request.param)


def test_a_held_port_is_busy_and_its_holder_is_named(held: Port) -> None:
    assert busy(held)
    assert f"(process {os.getpid()})" in str(process_on(held))


def test_a_port_is_free_again(held: Port) -> None:
    other = Port(host_ip="127.0.0.2", published=held.published, target=1, protocol=held.protocol)
    assert not busy(other)


def test_an_address_of_another_machine_is_for_the_engine_to_judge() -> None:
    assert not busy(Port(host_ip="192.0.2.1", published=1, target=1))


def test_a_port_that_nobody_holds_has_no_holder() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    assert process_on(Port(host_ip="", published=number, target=1)) is None
