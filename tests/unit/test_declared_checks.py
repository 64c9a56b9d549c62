"""What the image's configuration and history say: users, commands, health checks, volumes, labels, secrets."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.factories import LABELS, Tree, configuration, facts, file, health_command, start, trail

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.process import shell_line
from seatrial.checks.secrets import assignments
from seatrial.checks.verdict import judge
from seatrial.facts import Account, BlockingFolder, FileEntry, FileKind, HealthCheck, HealthCommand, Unavailable
from seatrial.observe.command.resolve import health_command as follow_health
from seatrial.observe.command.resolve import script_of
from seatrial.settings.model import Contract

CHECKS = {check.id: check for check in registry.CHECKS}
OCI = "org.opencontainers.image."


def seen(check: str, contract: Contract | None = None, **changed: Any) -> Any:
    return judge(CHECKS[check], facts(configuration=configuration(**changed)), contract or Contract())


# --- identity/numeric-user ----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["10001", "10001:10001", "10001:app", "0:0"])
def test_a_number_speaks_for_itself(user: str) -> None:
    assert seen("identity/numeric-user", user=user).status is Status.PASS


def test_a_name_is_told_with_its_number() -> None:
    result = seen("identity/numeric-user", user="app")
    assert (result.status, result.fix) == (
        Status.FAIL,
        "Write `USER 10001:10001` as the Dockerfile's last USER.",
    )


def test_root_is_another_checks_to_name() -> None:
    root = facts(configuration=configuration(user="root"), command=start(account=Account(name="root", uid=0)))
    assert judge(CHECKS["identity/numeric-user"], root, Contract()).status is Status.SKIP


# --- process/exec-form --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("/bin/sh", "-c", "shop --serve"), "shop --serve"),
        (("/bin/bash", "-o", "pipefail", "-c", "shop"), "shop"),
        (("bash", "-lc", "shop"), "shop"),
        (("/bin/sh", "/start.sh", "shop"), None),
        (("python", "-c", "print()"), None),
        ((), None),
    ],
)
def test_a_line_for_a_shell_is_known(words: tuple[str, ...], line: str | None) -> None:
    assert shell_line(words) == line


def test_the_shell_form_is_told_as_a_list() -> None:
    result = seen("process/exec-form", command=("/bin/sh", "-c", "uvicorn shop.api:app --port 80"))
    assert result.status is Status.FAIL
    assert (
        result.actual
        == "CMD is in shell form, `uvicorn shop.api:app --port 80`; the shell stays between the engine and the program"
    )
    assert result.fix == 'Write `CMD ["uvicorn", "shop.api:app", "--port", "80"]`.'


def test_a_line_that_needs_a_shell_is_told_to_end_with_exec() -> None:
    line = "alembic upgrade head && uvicorn shop.api:app --port $PORT"
    assert "let its line end with `exec PROGRAM`" in seen("process/exec-form", command=("sh", "-c", line)).fix


@pytest.mark.parametrize("line", ["exec shop", "alembic upgrade head && exec shop --port $PORT", "cd /app; exec shop"])
def test_a_shell_that_hands_its_place_on_is_none(line: str) -> None:
    assert seen("process/exec-form", command=("/bin/sh", "-c", line)).status is Status.PASS


@pytest.mark.parametrize("line", ["exec shop; true", "exec a | b", "echo exec shop", "exec shop & wait"])
def test_a_shell_that_stays_behind_is_one(line: str) -> None:
    assert seen("process/exec-form", command=("/bin/sh", "-c", line)).status is Status.FAIL


def test_a_shell_as_entrypoint_hides_the_command() -> None:
    result = seen("process/exec-form", entrypoint=("/bin/sh", "-c", "serve"), command=("ignored",))
    assert result.actual.startswith("ENTRYPOINT is in shell form, `serve`")


def test_without_a_command_there_is_no_form() -> None:
    assert seen("process/exec-form", entrypoint=(), command=()).status is Status.SKIP


# --- health/command-exists ----------------------------------------------------------------------------------

FILES: dict[str, str | bytes | int | None] = {
    "/app/.venv/bin/python": "/usr/local/bin/python3.13",
    "/usr/local/bin/python3.13": b"\x7fELF",
    "/usr/bin/curl": b"\x7fELF",
    "/bin/sh": b"\x7fELF",
    "/app/health.py": b"import shop",
}
APP = Account(name="app", uid=10001, gids=(10001,))


def followed(*test: str, files: dict[str, str | bytes | int | None] | None = None) -> Any:
    check = HealthCheck(test=test, interval=30, timeout=5, start_period=0, retries=3)
    image = configuration(health_check=check, environment={"PATH": "/app/.venv/bin:/usr/bin:/bin"})
    health = follow_health(image, Tree(FILES if files is None else files), APP)
    return judge(CHECKS["health/command-exists"], facts(configuration=image, health_command=health), Contract())


@pytest.mark.parametrize(
    "test",
    [
        ("CMD", "python", "-I", "-S", "/app/health.py"),
        ("CMD", "python", "health.py"),
        ("CMD", "python", "-c", "import sys"),
        ("CMD", "python", "-m", "shop.health"),
        ("CMD-SHELL", "curl -fsS http://localhost:8000/health || exit 1"),
        ("CMD-SHELL", "test -f /tmp/alive || exit 1"),
        ("CMD-SHELL", "[ -f /tmp/alive ]"),
    ],
)
def test_a_health_check_that_leads_somewhere_passes(test: tuple[str, ...]) -> None:
    result = followed(*test)
    assert result.status is Status.PASS, result
    assert result.actual


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (("CMD", "wget", "-q", "http://localhost"), "no program 'wget' in any folder of PATH"),
        (("CMD-SHELL", "wget -q http://localhost || exit 1"), "no program 'wget' in any folder of PATH"),
        (("CMD", "python", "/app/healthcheck.py"), "/app/healthcheck.py is not there"),
        (("CMD", "sh", "check.sh"), "/app/check.sh is not there"),
    ],
)
def test_one_that_leads_nowhere_is_told(test: tuple[str, ...], words: str) -> None:
    result = followed(*test)
    assert (result.status, words in result.actual) == (Status.FAIL, True), result


def test_a_line_for_a_shell_that_is_not_there_is_told() -> None:
    result = followed("CMD-SHELL", "curl localhost", files={"/usr/bin/curl": b"\x7fELF"})
    assert result.status is Status.FAIL
    assert "no program '/bin/sh'" in result.actual
    assert "The image holds no shell" in result.fix


def test_a_script_that_the_user_may_not_read_is_told() -> None:
    health = health_command(script=trail("/app/health.py", entry=file(0o600)))
    result = judge(CHECKS["health/command-exists"], facts(health_command=health), Contract())
    assert "uid 10001 cannot read /app/health.py (mode 0600, owner 0:0)" in result.actual


def test_a_folder_in_its_way_is_told() -> None:
    folder = FileEntry(kind=FileKind.FOLDER, mode=0o700, uid=0, gid=0)
    barrier = BlockingFolder(path="/root", entry=folder, on_the_way_to="/root/health.py")
    health = health_command(script=trail("/root/health.py"), script_blocked_by=barrier)
    result = judge(CHECKS["health/command-exists"], facts(health_command=health), Contract())
    assert "cannot read /root (mode 0700" in result.actual


def test_without_a_health_check_or_its_facts_nothing_passes() -> None:
    assert seen("health/command-exists", health_check=None).status is Status.SKIP
    for unknown in (None, Unavailable(reason="no answer")):
        result = judge(CHECKS["health/command-exists"], facts(health_command=unknown), Contract())
        assert result.status is Status.ERROR


def test_an_image_without_a_health_check_has_none_to_follow() -> None:
    assert follow_health(configuration(health_check=None), Tree({}), APP) is None


@pytest.mark.parametrize(
    ("words", "script"),
    [
        (("python3", "-W", "ignore", "a.py", "b.py"), "a.py"),
        (("python", "-"), ""),
        (("python",), ""),
        (("sh", "-e", "/a.sh"), "/a.sh"),
        (("sh", "$SCRIPT"), ""),
        (("curl", "file.py"), ""),
        ((), ""),
    ],
)
def test_the_file_that_an_interpreter_runs(words: tuple[str, ...], script: str) -> None:
    assert script_of(words) == script


def test_a_followed_check_is_plain_data() -> None:
    assert isinstance(health_command(), HealthCommand)


# --- config/volumes, config/labels --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/etc", "/usr/lib/python3", "/var", "/proc/", "//bin"])
def test_a_volume_of_the_system_fails(path: str) -> None:
    result = seen("config/volumes", volumes=(path, "/data"))
    assert (result.status, result.actual) == (Status.FAIL, f"{path} is a volume")


@pytest.mark.parametrize("path", ["/data", "/var/lib/postgresql/data", "/app/state", "/usr/src/app", "/etcetera"])
def test_a_volume_of_the_application_passes(path: str) -> None:
    assert seen("config/volumes", volumes=(path,)).status is Status.PASS


def labelled(contract: Contract | None = None, **changed: str | None) -> Any:
    merged = {**LABELS, **changed}
    return seen(
        "config/labels", contract, labels={f"{OCI}{name}": value for name, value in merged.items() if value is not None}
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("created", "yesterday", "not an RFC 3339 date-time"),
        ("created", "2026-13-02T03:04:05Z", "not an RFC 3339 date-time"),
        ("created", "2026-01-02 03:04", "not an RFC 3339 date-time"),
        ("source", "shop", "not a URL"),
        ("source", "https://", "not a URL"),
        ("source", "http://[::1", "not a URL"),
        ("revision", "${REVISION}", "no revision"),
        ("version", "", "is empty (build argument not passed)"),
        ("title", None, "is not there"),
        ("url", "example", "not a URL"),
    ],
)
def test_a_label_that_says_nothing_is_told(name: str, value: str | None, problem: str) -> None:
    result = labelled(None, **{name: value})
    assert result.status is Status.FAIL
    assert f"{OCI}{name}" in result.actual
    assert problem in result.actual


@pytest.mark.parametrize("moment", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+01:00", "2026-01-02t03:04:05z"])
def test_a_moment_passes(moment: str) -> None:
    assert labelled(created=moment).status is Status.PASS


def test_the_contract_says_which_labels_are_wanted() -> None:
    some = Contract(labels=("title",))
    assert labelled(some, created=None, revision="").status is Status.PASS
    assert labelled(some, created="soon").status is Status.FAIL
    assert seen("config/labels", Contract(labels=()), labels={}).status is Status.SKIP


# --- secrets/history ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ARG INDEX_TOKEN=tide-and-time", "INDEX_TOKEN"),
        ("RUN |1 INDEX_PASSWORD=hunter2 /bin/sh -c pip install shop # buildkit", "INDEX_PASSWORD"),
        ("ENV API_KEY=gone-by-now", "API_KEY"),
        ("/bin/sh -c #(nop)  ENV DB_PASSWORD=hunter2", "DB_PASSWORD"),
        ("RUN /bin/sh -c pip install -i https://ci:hunter2@packages.example.org/ shop", "a value"),
        ("RUN /bin/sh -c export GITHUB_TOKEN=abc123; make", "GITHUB_TOKEN"),
        ("RUN /bin/sh -c SECRET_KEY=hunter2-tR8sVq0wLzE4 ./manage.py collectstatic", "SECRET_KEY"),
        ("ARG SECRET_KEY=dummy", "SECRET_KEY"),
        ("RUN |1 INDEX_PASSWORD=hunter2 /bin/bash -o pipefail -c make # buildkit", "INDEX_PASSWORD"),
        ("RUN /bin/sh -c DATABASE_URL=postgres://shop:hunter2@db/test ./manage.py migrate", "DATABASE_URL"),
        ("RUN /bin/sh -c DB_PASSWORD=hunter2 ./manage.py migrate", "DB_PASSWORD"),
    ],
)
def test_a_secret_in_the_history_is_named_and_never_shown(line: str, name: str) -> None:
    result = seen("secrets/history", history=("FROM debian", line))
    assert result.status is Status.FAIL
    assert f"{name} (" in result.actual
    assert "history line 2" in result.actual
    assert not any(word in result.actual for word in ("hunter2", "tide-and-time", "gone-by-now", "abc123"))


@pytest.mark.parametrize(
    "line",
    [
        "ENV GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305",
        "RUN /bin/sh -c export TOKEN=$(cat /run/secrets/token); true",
        "RUN --mount=type=secret,id=netrc /bin/sh -c pip install -r requirements.txt # buildkit",
        "RUN /bin/sh -c EXTRA_CFLAGS=-DTHREAD_STACK_SIZE=0x100000-MPQvwxyz make",
        "COPY /app /app # buildkit",
        "RUN /bin/sh -c SECRET_KEY=only-for-collectstatic python -m django collectstatic --noinput # buildkit",
        "RUN /bin/sh -c DEBUG=False SECRET_KEY=build-key ./manage.py collectstatic # buildkit",
        "RUN |1 FLASK_DEBUG=false /bin/sh -c SECRET_KEY=dummy flask digest compile # buildkit",
        "RUN /bin/bash -eo pipefail -c DJANGO_SECRET_KEY=x python manage.py compilemessages # buildkit",
        "RUN /bin/sh -c DATABASE_URL=postgres://dummy:dummy@localhost/db ./manage.py collectstatic # buildkit",
        "RUN /bin/sh -c API_TOKEN='not-a-secret' make # buildkit",
    ],
)
def test_what_is_none_is_not_taken_for_one(line: str) -> None:
    assert seen("secrets/history", history=(line,)).status is Status.PASS


def test_what_the_environment_still_holds_is_told_once() -> None:
    line = "ENV DB_PASSWORD=hunter2"
    assert seen("secrets/history", history=(line,), environment={"DB_PASSWORD": "hunter2"}).status is Status.PASS


def test_a_declared_one_is_none() -> None:
    contract = Contract(declared_secrets=("PUBLIC_TOKEN",))
    assert seen("secrets/history", contract, history=("ARG PUBLIC_TOKEN=open",)).status is Status.PASS


def test_no_history_is_no_pass() -> None:
    assert seen("secrets/history", history=()).status is Status.SKIP


def test_assignments_are_read_with_their_quotes() -> None:
    assert dict(assignments("""RUN |2 A=1 B="two words" /bin/sh -c C='x' D=$E""")) == {
        "A": "1",
        "B": "two words",
        "C": "x",
    }
