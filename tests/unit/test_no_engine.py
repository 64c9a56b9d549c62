from __future__ import annotations

import gc
import os
import socket
from typing import TYPE_CHECKING

import pytest

from seatrial.engine.find import Candidate, connect, find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host

if TYPE_CHECKING:
    from pathlib import Path


def test_this_host_has_no_engine_here() -> None:
    with pytest.raises(EngineError, match="DOCKER_HOST names does not answer: no such socket"):
        find_engine(this_host())
    assert "DOCKER_CONTEXT" not in os.environ


@pytest.mark.parametrize("address", ["/var/run/docker.sock", b"/run/user/1000/podman/podman.sock"])
def test_an_engines_socket_is_refused_loudly(address: str | bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(pytest.fail.Exception, match="without the mark"):
        client.connect(address)


def test_an_engines_port_is_refused_loudly() -> None:
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="2375"):
        client.connect_ex(("127.0.0.1", 2375))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_refusal_passes_through_docker_py() -> None:
    with pytest.raises(pytest.fail.Exception, match="without the mark"):
        connect(Candidate(source="a test", url="tcp://127.0.0.1:2375"), this_host())
    # docker-py leaves its socket open: collected here, where that warning is expected.
    gc.collect()


def test_a_socket_of_the_tests_own_may_be_used(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        assert client.getpeername() == path
