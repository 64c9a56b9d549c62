"""A door before an engine's socket that can be shut, as if the engine had died."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Door:
    """Passes on what comes in at one socket to another, until it is shut."""

    def __init__(self, path: Path, engine: str) -> None:
        self.url = f"unix://{path}"
        self._path, self._engine = path, engine.removeprefix("unix://")
        self._open: list[socket.socket] = []
        self._shut = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def shut(self) -> None:
        """Cut every connection, and take no more."""
        if self._shut.is_set():
            return
        self._shut.set()
        self._path.unlink()
        for entry in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                entry.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        for entry in (self._listener, *self._open):
            entry.close()

    def _accept(self) -> None:
        while not self._shut.is_set():
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return
            outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            outside.connect(self._engine)
            self._open += [inside, outside]
            for source, sink in ((inside, outside), (outside, inside)):
                thread = threading.Thread(target=_pass_on, args=(source, sink), daemon=True)
                self._threads.append(thread)
                thread.start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
