"""The real counterparts of the tests: PostgreSQL, a chat completions server, programs."""

import getpass
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import URL

HOME = Path(__file__).resolve().parent.parent


class PrivatePostgres:
    """A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # Not pytest's own folder: PostgreSQL's user may not enter it, and a socket's path has 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="cs-pg-"))
        self._process: subprocess.Popen[str] | None = None
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = _first_account("postgres", "nobody")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.url = URL.create(
            "postgresql+psycopg", username="tester", database="postgres", query={"host": str(self._folder)}
        )

    @staticmethod
    def find_programs() -> Path | None:
        # Debian keeps the server's programs off PATH.
        found = shutil.which("initdb")
        if found:
            return Path(found).resolve().parent
        versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
        newest = sorted(versions, key=lambda path: float(path.parts[4]))[-1:]
        return newest[0].parent if newest else None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        data = self._folder / "data"
        initdb = [str(self._programs / "initdb"), "--auth=trust", "--username=tester", "--encoding=UTF8"]
        initdb += ["--locale=C", "--no-sync", f"--pgdata={data}"]
        # /: the folder that the tests run in may be closed to PostgreSQL's user.
        done = subprocess.run(initdb, cwd="/", capture_output=True, text=True, check=False, **self._user)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")
        log = (self._folder / "log").open("w")
        server = [str(self._programs / "postgres"), "-D", str(data), "-k", str(self._folder)]
        server += ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"]
        with log:
            self._process = subprocess.Popen(server, cwd="/", stdout=log, stderr=log, **self._user)
        for _ in range(200):
            try:
                psycopg.connect(host=str(self._folder), user="tester", dbname="postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            self._process.wait(timeout=20)
        shutil.rmtree(self._folder)


def _first_account(*names: str) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"{getpass.getuser()} may not run PostgreSQL, and there is none of {names}")


class ChatServer:
    """An HTTP server that speaks as much of the chat completions API as the application uses."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str] = []
        self.status = 200
        self.body: Any = None
        self.answer("1. First steps: a student can start.")
        self.delay_seconds = 0.0
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                chat.paths.append(self.path)
                chat.keys.append(self.headers["Authorization"])
                chat.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                chat.closing.wait(chat.delay_seconds)
                body = chat.body if isinstance(chat.body, bytes) else json.dumps(chat.body).encode()
                self.send_response(chat.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the client did not wait

            def log_message(self, *_arguments: object) -> None:
                pass

        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, content: str | None) -> None:
        message = {"role": "assistant", "content": content}
        self.body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "any",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Uvicorn:
    """The image's own command, on a free port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "course_supporter.entrypoint", "uvicorn", "course_supporter.api:app"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "2", "--log-level", "info"]
        command += ["--log-config", str(HOME / "config/logging.json"), "--timeout-graceful-shutdown", "2"]
        # Not a pipe: nobody reads it while the server runs.
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            command, env=program_environment(environment), stdout=self._output, stderr=self._output
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)
        self._output.close()

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def get(self, path: str) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def wait_for_health(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output()
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"not healthy after 30 s: {self.output()}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def program_environment(values: dict[str, str]) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    inherited = {name: os.environ[name] for name in ("TMPDIR", "PYTHONPYCACHEPREFIX") if name in os.environ}
    # The checkout stays clean: Alembic would write bytecode beside the migrations.
    own = {"PATH": path, "COURSE_SUPPORTER_HOME": str(HOME), "PYTHONDONTWRITEBYTECODE": "1"}
    return inherited | own | values


def alembic(database: URL | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    values = {"DATABASE_URL": database.render_as_string(hide_password=False)} if database else {}
    return subprocess.run(
        ["alembic", "-c", str(HOME / "alembic.ini"), *arguments],
        env=program_environment(values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
