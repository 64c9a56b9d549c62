"""The image's own command, run as the image runs it."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import NO_DATABASE
from sqlalchemy import URL
from support import HOME, ChatServer, Uvicorn, free_port, program_environment


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=program_environment(environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def healthcheck(port: int) -> subprocess.CompletedProcess[str]:
    return run(["-I", str(HOME / "scripts/healthcheck.py"), str(port)], {})


def test_two_workers_start_without_a_database_and_stop_in_order() -> None:
    with Uvicorn({"DATABASE_URL": NO_DATABASE}) as server:
        server.wait_for_health()
        assert server.get("/health") == (200, {"status": "alive"})
        status, body = server.get("/health/ready")
        assert (status, body["error"]) == (503, "database_unavailable")
        assert healthcheck(server.port).returncode == 0
        server.process.terminate()
        assert server.process.wait(timeout=10) == 0
        lines = [json.loads(line) for line in server.output().splitlines()]
    assert sum(line["event"] == "started" for line in lines) == 2
    assert sum(line["event"] == "stopped" for line in lines) == 2
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"]) for line in requests] == [("/health/ready", 503)]
    assert "secret-word" not in json.dumps(lines)


def test_a_request_in_progress_does_not_hold_up_the_stop(database: URL, chat_server: ChatServer) -> None:
    chat_server.delay_seconds = 60
    values = {
        "DATABASE_URL": database.render_as_string(hide_password=False),
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": chat_server.url,
    }
    with Uvicorn(values) as server:
        server.wait_for_health()
        base = f"http://127.0.0.1:{server.port}/courses"
        create = urllib.request.Request(
            base, data=b'{"title": "Slow"}', headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(create, timeout=10) as response:
            course = json.load(response)["id"]
        draft = urllib.request.Request(f"{base}/{course}/outline", method="POST")

        def ask() -> None:
            with pytest.raises(OSError):  # noqa: PT011 - a 5xx, or the end of the connection
                urllib.request.urlopen(draft, timeout=30)

        asking = threading.Thread(target=ask)
        asking.start()
        deadline = time.monotonic() + 10
        while not chat_server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        assert chat_server.requests
        server.process.terminate()
        assert server.process.wait(timeout=8) == 0
        asking.join()


@pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": ""}])
def test_a_missing_database_url_ends_the_start_with_one_line(environment: dict[str, str]) -> None:
    command = ["-m", "course_supporter.entrypoint", "uvicorn", "course_supporter.api:app", "--workers", "2"]
    done = run([*command, "--port", str(free_port())], environment)
    assert done.returncode == 78
    assert done.stderr == "course-supporter: DATABASE_URL is not set or empty\n"
    assert done.stdout == ""


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_uvicorn_alone_does_not_restart_its_workers_forever(workers: list[str]) -> None:
    done = run(["-m", "uvicorn", "course_supporter.api:app", *workers, "--port", str(free_port())], {})
    assert "course-supporter: DATABASE_URL is not set or empty\n" in done.stderr
    assert "Traceback" not in done.stderr
    if not workers:
        assert done.returncode == 3


def test_another_program_starts_in_place_of_the_entrypoint() -> None:
    done = run(["-m", "course_supporter.entrypoint", "sh", "-c", "echo $$; exit 5"], {})
    assert (done.returncode, done.stdout.strip().isdigit(), done.stderr) == (5, True, "")


def test_a_program_that_is_not_there_is_named() -> None:
    done = run(["-m", "course_supporter.entrypoint", "no-such-program"], {})
    assert done.returncode == 127
    assert done.stderr == "course-supporter: there is no program 'no-such-program' on PATH\n"


def test_importing_the_application_needs_no_environment() -> None:
    done = run(["-c", "from course_supporter.api import app; print(app.title)"], {})
    assert (done.returncode, done.stdout) == (0, "Course Supporter\n")


def test_the_health_check_fails_where_nothing_listens() -> None:
    done = healthcheck(free_port())
    assert done.returncode == 1
    assert done.stderr.startswith("no answer on port")


def test_the_health_check_fails_on_another_status() -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        done = healthcheck(server.server_port)
        answering.join()
    assert (done.returncode, done.stderr) == (1, "/health answered with status 500\n")
