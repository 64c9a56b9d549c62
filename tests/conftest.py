"""A test that is not marked `engine` reaches none: neither this process nor a program that it starts."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.leftovers import pytest_configure, pytest_sessionfinish, pytest_terminal_summary, pytest_unconfigure

if TYPE_CHECKING:
    from collections.abc import Callable

# Programs that are started in the background of a script ignore Ctrl-C, and so does all that they start: the tests
# that send it want it to arrive.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["pytest_configure", "pytest_sessionfinish", "pytest_terminal_summary", "pytest_unconfigure"]
"""pytest finds these here."""

NO_ENGINE = "unix:///nonexistent/no-engine-in-unit-tests.sock"
"""What DOCKER_HOST says in such a test: a program that asks it gets no answer."""

ENGINE_PORTS = {2375, 2376, 2377}


def is_engine(address: object, allowed: Path) -> bool:
    """Tell whether an address may be an engine's: its TCP ports, or a docker socket outside the test's folder."""
    if isinstance(address, tuple):
        return len(address) > 1 and address[1] in ENGINE_PORTS
    path = Path(address.decode() if isinstance(address, bytes) else str(address))
    named = re.search(r"docker|podman|containerd|buildkit|colima", str(path)) is not None
    return named and not path.is_relative_to(allowed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a slow test that does not say why it is slow."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.args:
                raise pytest.UsageError(f"{item.nodeid} is slow: say why, `pytest.mark.slow(reason)`")


@pytest.fixture(autouse=True)
def no_engine_without_the_mark(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if request.node.get_closest_marker("engine") is not None:
        return
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    for name in ("DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "BUILDX_BUILDER"):
        monkeypatch.delenv(name, raising=False)
    for method in ("connect", "connect_ex"):
        guarded = _guarded(getattr(socket.socket, method), tmp_path_factory.getbasetemp())
        monkeypatch.setattr(socket.socket, method, guarded)


def _guarded(connect: Callable[[socket.socket, Any], Any], allowed: Path) -> Callable[[socket.socket, Any], Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if is_engine(address, allowed):
            # Not an OSError: the code that is tested must not take it for an engine that does not answer.
            pytest.fail(f"a test without the mark `engine` connects to {address!r}")
        return connect(self, address)

    return guarded
