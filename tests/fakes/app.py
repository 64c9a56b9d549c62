"""An app that keeps what it is told in its database, as the script inside of its container sees it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.engine import MemoryEngine

Json = dict[str, Any]


class App:
    """Answers the agent: `POST /things` stores, `GET /things/{id}` shows, `GET /ready` tells whether it is ready."""

    def __init__(self, memory: MemoryEngine, *, database: str = "db", workers: int = 2) -> None:
        self.memory = memory
        self.database = database
        self.stored: dict[str, Any] = {}
        self.pids = list(range(10, 10 + workers))
        self.replaced_after: float | None = 1.0
        """Seconds until a killed worker has a successor; None: never."""
        self.kill_error = ""
        self.dies_after = 0.0
        """Seconds until a killed worker is gone."""
        self.ready_from = 0.0
        """The moment from which on it is ready."""
        self.loses: set[str] = set()
        """Ids of what it says yes to and does not keep."""
        self.garbles = False
        """Shows something else than was stored."""
        self.reconnects_after: float | None = 0.0
        """Seconds after its database's start until it can use it again; None: never."""
        self._ids = itertools.count(1)
        memory.apps["api"] = self

    def __call__(self, asked: Json) -> Json | None:
        """Answer one question of the agent."""
        match asked["do"]:
            case "workers":
                return {"workers": [{"pid": pid, "command": f"worker {pid}"} for pid in self.pids]}
            case "kill":
                return self._kill(asked["pid"])
            case _:
                status, body = self._request(asked["method"], asked["path"], asked["body"])
                return {"status": status, "body": body, "seconds": 0.0} if status else {"error": body}

    def _kill(self, pid: int) -> Json:
        if self.kill_error:
            return {"error": self.kill_error}
        self.memory.clock.after(self.dies_after, lambda: self.pids.remove(pid))
        if self.replaced_after is not None:
            self.memory.clock.after(self.replaced_after, lambda: self.pids.append(pid + 100))
        return {}

    def _request(self, method: str, path: str, body: Any) -> tuple[int, str]:
        if path == "/ready":
            return (
                (200, "ready") if self.memory.clock.now >= self.ready_from and self._connected() else (503, "not yet")
            )
        if not self._connected():
            return 0, "the database is away"
        if method == "POST":
            identity = str(next(self._ids))
            if identity not in self.loses:
                self.stored[identity] = body
            return 201, json.dumps({"id": int(identity), "made": {"by": "me"}})
        found = self.stored.get(path.rpartition("/")[2])
        return (200, "something else" if self.garbles else json.dumps(found)) if found is not None else (404, "no such")

    def _connected(self) -> bool:
        database = self.memory.of(self.database)
        if database.status != "running" or database.stopping:
            return False
        if self.reconnects_after is None:
            return database.start_number == 1
        return database.start_number == 1 or self.memory.clock.now - (database.started or 0) >= self.reconnects_after
