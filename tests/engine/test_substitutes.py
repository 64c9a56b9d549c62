"""Local substitutes on a real engine: what each holds, how large it is, and that making them leaves nothing behind."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from seatrial.engine.find import find_engine
from seatrial.errors import BuildError, EngineError, ImageError
from seatrial.host import Host, this_host
from seatrial.offline import Substitute, ensure_substitute, find_substitute, interpreter, recipes
from seatrial.offline.recipe import Input, Kind
from seatrial.offline.substitutes import LABEL, NOTE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker.models.containers import Container

    from seatrial.engine.find import Engine

pytestmark = [pytest.mark.engine]

PUBLISHED = {
    "debian:bookworm-slim": 74.83,
    "debian:trixie-slim": 78.64,
    "python:3.11-slim": 124.84,
    "python:3.12-slim-bookworm": 124.3,
    "python:3.13-slim": 126.25,
    "python:3.14-slim": 119.46,
    "postgres:17": 453.54,
}
"""Unpacked sizes of the official images in MB; docs/local-substitutes.md says where they come from."""
PYTHONS = [name for name in PUBLISHED if name.startswith("python:")]

LOOK = """\
import bz2, ctypes, curses, dbm, decimal, lzma, readline, sqlite3, ssl, subprocess, sys, uuid, venv, zlib
import sysconfig
assert ssl.create_default_context().get_ca_certs()
sqlite3.connect(":memory:").execute("select 1")
ctypes.CDLL(None)
run = subprocess.check_output
assert run(["python", "-c", "print(6*7)"]) == b"42\\n"
version = run(["pip", "--version"], text=True)
assert f"(python {sys.version_info[0]}.{sys.version_info[1]})" in version, version
subprocess.check_call([sys.executable, "-m", "venv", "/tmp/with"])
subprocess.check_call(["/tmp/with/bin/pip", "--version"])
subprocess.check_call(["python", "-m", "venv", "--without-pip", "/tmp/without"])
subprocess.check_call(["/tmp/without/bin/python", "-c", "import ssl"])
print(sys.executable, "%d.%d" % sys.version_info[:2], sysconfig.get_path("scripts"))
"""


def nothing_said(_message: str) -> None:
    pass


@pytest.fixture(scope="module")
def host() -> Host:
    return this_host()


@pytest.fixture(scope="module")
def engine(host: Host) -> Engine:
    try:
        return find_engine(host)
    except EngineError as error:
        pytest.skip(f"no engine: {error}")


def planned(reference: str) -> Substitute:
    plan = find_substitute(reference, recipes(None))
    assert plan is not None
    return plan


def made(reference: str, engine: Engine, host: Host) -> str:
    try:
        return ensure_substitute(planned(reference), engine=engine, host=host, say=nothing_said)
    except ImageError as error:
        pytest.skip(str(error))


def size(engine: Engine, name: str) -> float:
    """Return MB."""
    return float(engine.client.images.get(name).attrs["Size"]) / 1e6


def ran(engine: Engine, image: str, *command: str, **options: Any) -> tuple[int, str, str]:
    """Run a container to its end; return its exit code, its output and its errors."""
    container = engine.client.containers.run(image, list(command), network_mode="none", detach=True, **options)
    try:
        code = int(container.wait(timeout=120)["StatusCode"])
        printed, errors = (container.logs(stdout=out, stderr=not out).decode() for out in (True, False))
        return code, printed, errors
    finally:
        # And its nameless volumes, which `run(remove=True)` leaves.
        container.remove(force=True, v=True)


def output(engine: Engine, image: str, *command: str, entrypoint: str | None = None, user: str = "0") -> str:
    code, printed, errors = ran(engine, image, *command, entrypoint=entrypoint, user=user)
    assert code == 0, errors
    return printed


@pytest.mark.parametrize("reference", list(PUBLISHED))
def test_it_is_about_as_large_as_the_official_image_and_says_what_it_is(
    reference: str, engine: Engine, host: Host
) -> None:
    name = made(reference, engine, host)
    assert size(engine, name) == pytest.approx(PUBLISHED[reference], rel=0.15)
    assert engine.client.images.get(name).labels[LABEL] == reference


@pytest.mark.parametrize("reference", PYTHONS)
def test_a_python_is_complete_and_lies_where_the_official_one_does(reference: str, engine: Engine, host: Host) -> None:
    name = made(reference, engine, host)
    version = reference.removeprefix("python:").partition("-")[0]
    image = engine.client.images.get(name)
    assert image.attrs["Config"]["Cmd"] == ["python3"]
    environment = dict(attr.split("=", 1) for attr in image.attrs["Config"]["Env"])
    assert environment["PATH"].startswith("/usr/local/bin:")
    assert environment["PYTHON_VERSION"].startswith(version)
    assert environment.get("LANG") == ("C.UTF-8" if version in {"3.11", "3.12"} else None)
    last = output(engine, name, "python3", "-c", LOOK).splitlines()[-1]
    assert last.startswith(f"/usr/local/bin/python3 {version} ")


@pytest.mark.parametrize("reference", PYTHONS)
def test_no_path_of_the_host_is_in_a_python(reference: str, engine: Engine, host: Host) -> None:
    name = made(reference, engine, host)
    found = interpreter.find(reference.removeprefix("python:").partition("-")[0], host)
    if found is None:
        assert "no Python" in engine.client.images.get(name).labels[NOTE_LABEL]
        pytest.skip("made from Debian's own packages")
    look = f"grep -rlF --exclude-dir=proc --exclude-dir=sys -e '{found.prefix}' -e python-build / || true"
    assert output(engine, name, "sh", "-c", look).splitlines() in ([], ["/proc/1/cmdline"])
    assert not output(engine, name, "find", "/usr/local", "-name", "__pycache__")


def test_debian_keeps_no_package_files_and_no_documentation(engine: Engine, host: Host) -> None:
    name = made("debian:trixie-slim", engine, host)
    settings = output(engine, name, "sh", "-c", "cat /etc/apt/apt.conf.d/*; cat /etc/dpkg/dpkg.cfg.d/*")
    assert "Acquire::Languages" in settings
    assert "path-exclude=/usr/share/man/*" in settings
    assert "Proxy" not in settings
    assert output(engine, name, "sh", "-c", "ls /usr/share/man; ls /var/lib/apt/lists") in {"", "lock\npartial\n"}
    assert "/usr/share/doc/bash/copyright" in output(engine, name, "find", "/usr/share/doc/bash")


def test_uv_and_uvx_run_where_there_is_nothing_else(engine: Engine, host: Host) -> None:
    name = made("ghcr.io/astral-sh/uv:latest", engine, host)
    assert output(engine, name, "--version").startswith("uv ")
    assert output(engine, name, "--version", entrypoint="/uvx").startswith("uvx ")


@contextmanager
def server(engine: Engine, image: str, ready: list[str], *command: str, **options: Any) -> Iterator[Container]:
    """Start a server, and wait until a command in its container succeeds."""
    container = engine.client.containers.run(image, list(command), detach=True, **options)
    try:
        deadline = time.monotonic() + 60
        while container.exec_run(ready).exit_code != 0:
            container.reload()
            assert container.status == "running", container.logs().decode()
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.2)
        yield container
    finally:
        container.remove(force=True, v=True)


def said(container: Container, *command: str, **options: Any) -> str:
    done: Any = container.exec_run(list(command), **options)
    return str(done.output.decode()).strip()


def stops_at_once(container: Container) -> None:
    started = time.monotonic()
    container.stop(timeout=20)
    assert time.monotonic() - started < 10
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0


def database(engine: Engine, image: str, *, user: str = "", **environment: str) -> AbstractContextManager[Container]:
    ready = ["pg_isready", "-h", "127.0.0.1", "-U", "postgres"]
    folders = {"/tmp": "", "/var/run/postgresql": ""}
    return server(engine, image, ready, user=user, environment=environment, tmpfs=folders)


def query(container: Container, sql: str, *, password: str, user: str, name: str) -> str:
    words = ("psql", "-h", container.attrs["Config"]["Hostname"], "-U", user, "-d", name, "-At", "-c", sql)
    return said(container, *words, environment={"PGPASSWORD": password})


def test_postgres_makes_the_database_lets_in_by_password_and_stops_at_once(engine: Engine, host: Host) -> None:
    name = made("postgres:17", engine, host)
    with database(
        engine, name, POSTGRES_USER="captain", POSTGRES_PASSWORD="it's deep", POSTGRES_DB="log book"
    ) as container:
        who = {"user": "captain", "name": "log book"}
        assert query(container, "select 6*7", password="it's deep", **who) == "42"
        assert "password authentication failed" in query(container, "select 1", password="no", **who)
        assert query(container, "show password_encryption", password="it's deep", **who) == "scram-sha-256"
        stops_at_once(container)
    assert output(engine, name, "id", "-u", "postgres").strip() == "999"


@pytest.mark.parametrize("user", ["postgres", "4321:4321"])
def test_postgres_runs_as_any_account(user: str, engine: Engine, host: Host) -> None:
    with database(engine, made("postgres:17", engine, host), user=user, POSTGRES_PASSWORD="x") as container:
        assert query(container, "select 1", password="x", user="postgres", name="postgres") == "1"


@pytest.mark.parametrize("reference", ["redis:8", "redis:7", "valkey/valkey:8"])
def test_redis_lets_in_by_password_keeps_data_and_stops_at_once(reference: str, engine: Engine, host: Host) -> None:
    name = made(reference, engine, host)
    kind = "valkey" if "valkey" in reference else "redis"
    client = (f"{kind}-cli", "-h")
    assert engine.client.images.get(name).attrs["Config"]["Cmd"] == [f"{kind}-server"]
    with server(engine, name, [*client[:1], "ping"], "--requirepass", "deep sea") as container:
        outside = (*client, container.attrs["Config"]["Hostname"])
        assert "NOAUTH" in said(container, *outside, "get", "key")
        inside = {"environment": {"REDISCLI_AUTH": "deep sea", "VALKEYCLI_AUTH": "deep sea"}}
        assert said(container, *outside, "set", "key", "kept", **inside) == "OK"
        assert said(container, "stat", "--format=%U %u", "/proc/1") == f"{kind} 999"
        stops_at_once(container)
        container.start()
        while "PONG" not in said(container, *client[:1], "ping", **inside):
            time.sleep(0.2)
        assert said(container, *outside, "get", "key", **inside) == "kept"
        assert said(container, "stat", "--format=%u %a", "/data/dump.rdb") == "999 600"
    # Without a password anybody is let in, as by the official image; another command is not the server's.
    with server(engine, name, [*client[:1], "ping"], user="4321:4321", tmpfs={"/data": "mode=1777"}) as container:
        assert said(container, *client, container.attrs["Config"]["Hostname"], "ping") == "PONG"
    assert output(engine, name, "cat", "/etc/hostname")


def test_redis_reads_a_configuration_file(engine: Engine, host: Host) -> None:
    script = "printf 'port 7000\\nprotected-mode yes\\n' > /tmp/own.conf; exec docker-entrypoint.sh /tmp/own.conf"
    name = made("redis:8", engine, host)
    with server(engine, name, ["redis-cli", "-p", "7000", "ping"], "sh", "-c", script) as container:
        assert said(container, "redis-cli", "-p", "7000", "config", "get", "protected-mode").endswith("yes")


HEALTHY = ["healthcheck.sh", "--connect", "--innodb_initialized"]


@pytest.mark.parametrize("reference", ["mariadb:11", "mariadb:10.11"])
def test_mariadb_makes_the_database_keeps_it_and_stops_at_once(reference: str, engine: Engine, host: Host) -> None:
    name = made(reference, engine, host)
    secret = 'it\'s \\ "deep"'
    given = {
        "MARIADB_ROOT_PASSWORD": "r`oot",
        "MYSQL_DATABASE": "log_book",
        "MYSQL_USER": "captain",
        "MARIADB_PASSWORD": secret,
    }
    with server(engine, name, HEALTHY, environment=given) as container:
        outside = ("mariadb", "--skip-ssl", "-N", "-h", container.attrs["Config"]["Hostname"])

        def query(user: str, password: str, sql: str, database: str = "") -> str:
            words = (*outside, f"--user={user}", f"--execute={sql}", *([database] if database else []))
            return said(container, *words, environment={"MYSQL_PWD": password})

        assert query("captain", secret, "create table t (a text); insert into t values ('kept')", "log_book") == ""
        assert "Access denied" in query("captain", "no", "select 1")
        assert "denied" in query("captain", secret, "create database logxbook")
        assert "Access denied" in query("", "", "select 1")
        zone = "select @@character_set_server, convert_tz('2026-07-01', 'UTC', 'Europe/Kyiv')"
        assert query("root", "r`oot", zone) == "utf8mb4\t2026-07-01 03:00:00"
        assert said(container, "stat", "--format=%U %u", "/proc/1") == "mysql 999"
        stops_at_once(container)
        container.start()
        while container.exec_run(HEALTHY).exit_code != 0:
            time.sleep(0.2)
        assert query("captain", secret, "select * from t", "log_book") == "kept"
        assert b"there already" in container.logs()
        assert "not known here" in said(container, "healthcheck.sh", "--conect")
    has_old_names = output(engine, name, "sh", "-c", "command -v mysqladmin || echo no").strip() != "no"
    assert has_old_names is (reference == "mariadb:10.11")


def test_mariadb_runs_as_any_account_with_options_and_files(engine: Engine, host: Host) -> None:
    script = "echo hidden > /tmp/root; exec docker-entrypoint.sh --max-connections=17"
    given = {"MARIADB_ROOT_PASSWORD_FILE": "/tmp/root"}
    name = made("mariadb:11", engine, host)
    with server(engine, name, HEALTHY, "sh", "-c", script, environment=given, user="4321:4321") as container:
        asked = ("mariadb", "-N", "--user=root", "--execute=select @@max_connections")
        assert said(container, *asked, environment={"MYSQL_PWD": "hidden"}) == "17"


def test_a_new_mariadb_without_a_password_says_so(engine: Engine, host: Host) -> None:
    code, _, errors = ran(engine, made("mariadb:11", engine, host))
    assert code == 1
    assert "MARIADB_ROOT_PASSWORD is empty" in errors


@pytest.mark.parametrize("reference", ["python:3.13"])
def test_a_full_python_compiles(reference: str, engine: Engine, host: Host) -> None:
    name = made(reference, engine, host)
    code = (
        '#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "deep", 0, -1, 0};\n'
        "PyMODINIT_FUNC PyInit_deep(void) { return PyModule_Create(&m); }\n"
    )
    script = (
        "cc -shared -fPIC $(python3-config --includes) deep.c -o deep.so && python3 -c 'import deep' && git --version"
    )
    done = output(engine, name, "sh", "-c", f"cd /tmp; printf '%s' \"$0\" > deep.c; {script}", code)
    assert done.startswith("git version")
    assert "ImageMagick" in engine.client.images.get(name).labels[NOTE_LABEL]


@pytest.mark.parametrize(
    ("reference", "seen"), [("python3.13-trixie-slim", "Python 3.13"), ("trixie-slim", "no Python")]
)
def test_uv_comes_with_a_python_or_with_debian_alone(reference: str, seen: str, engine: Engine, host: Host) -> None:
    name = made(f"ghcr.io/astral-sh/uv:{reference}", engine, host)
    printed = output(engine, name, "sh", "-c", "uv --version && { python --version || echo no Python; } 2>&1")
    assert printed.startswith("uv ")
    assert seen in printed


@pytest.mark.parametrize(
    ("reference", "script", "seen"),
    [
        (
            "node:22-slim",
            "node -p 'process.version'; npm --version; yarn --version; id -u node",
            ["v22.", "10.", "1.22", "1000"],
        ),
        ("oven/bun:1", "bun --version; id -u bun", ["1.", "1000"]),
        ("nginx:1", "nginx -t 2>&1 | tail -1; id -u nginx", ["nginx: configuration file", "101"]),
    ],
)
def test_what_is_no_python_runs_with_its_own_account(
    reference: str, script: str, seen: list[str], engine: Engine, host: Host
) -> None:
    printed = output(engine, made(reference, engine, host), "sh", "-c", script).splitlines()
    assert all(line.startswith(begin) for line, begin in zip(printed, seen, strict=True)), printed


def test_debians_own_python_compiles_where_the_slim_image_does(engine: Engine, host: Host) -> None:
    name = made("python:3.14-slim", engine, host)
    look = "print(os.path.exists(sysconfig.get_path('include') + '/Python.h'), os.listdir('/usr/include'))"
    code = f"import os, sysconfig; {look}"
    assert output(engine, name, "python", "-c", code) == "True []\n"
    assert output(engine, name, "sh", "-c", "readlink /usr/local/lib/libpython3.14.so").endswith(".so.1.0\n")


def test_a_new_postgres_without_a_password_says_so(engine: Engine, host: Host) -> None:
    code, _, errors = ran(engine, made("postgres:17", engine, host))
    assert code != 0
    assert "POSTGRES_PASSWORD is empty" in errors


@pytest.fixture
def own(engine: Engine, host: Host, tmp_path: Path) -> Iterator[Substitute]:
    """Yield a project's own small local substitute, made on top of another one."""
    base = planned("debian:trixie-slim")
    recipe = tmp_path / "own.Dockerfile"
    recipe.write_text("FROM base\nRUN echo one > /made\n", encoding="utf-8")
    plan = replace(
        base,
        reference="own:1",
        name="seatrial-standin/test-own:1",
        dockerfile=recipe,
        inputs={"base": Input(kind=Kind.IMAGE, argument=base.reference)},
        images={base.reference: base},
    )
    made(base.reference, engine, host)
    yield plan
    try:
        engine.client.images.remove(plan.name)
    except docker.errors.ImageNotFound:
        return


def test_it_is_made_once_and_again_when_its_recipe_changes(own: Substitute, engine: Engine, host: Host) -> None:
    said: list[str] = []
    for _ in range(2):
        ensure_substitute(own, engine=engine, host=host, say=said.append)
    assert said == ["Building the local substitute for own:1."]
    own.dockerfile.write_text("FROM base\nRUN echo two > /made\n", encoding="utf-8")
    ensure_substitute(own, engine=engine, host=host, say=said.append)
    assert len(said) == 2
    assert output(engine, own.name, "cat", "/made") == "two\n"


def test_two_at_once_make_it_once(own: Substitute, engine: Engine, host: Host) -> None:
    own.dockerfile.write_text("FROM base\nRUN sleep 1; echo one > /made\n", encoding="utf-8")
    said: list[str] = []
    runs = [
        threading.Thread(
            target=ensure_substitute, args=(own,), kwargs={"engine": engine, "host": host, "say": said.append}
        )
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert said.count("Building the local substitute for own:1.") == 1
    assert any(message.startswith("Waiting: ") for message in said)


def test_a_failing_recipe_shows_its_last_lines_and_leaves_nothing(own: Substitute, engine: Engine, host: Host) -> None:
    own.dockerfile.write_text("FROM base\nRUN echo the mast broke; exit 3\n", encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        ensure_substitute(own, engine=engine, host=host, say=nothing_said)
    assert "the mast broke" in caught.value.detail
    assert caught.value.where == str(own.dockerfile)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.client.images.get(own.name)
    work = host.cache / "standins" / "work" / "seatrial-standin-test-own-1"
    assert not list(work.iterdir())
    left = [tag for image in engine.client.images.list("seatrial-standin/input") for tag in image.tags]
    assert not [tag for tag in left if "test-own" in tag]


def test_a_package_that_debian_lacks_is_named(own: Substitute, engine: Engine, host: Host) -> None:
    plan = replace(own, inputs={"base": Input(kind=Kind.ROOTFS, argument="trixie+no-such-package-1")}, images={})
    with pytest.raises(BuildError) as caught:
        ensure_substitute(plan, engine=engine, host=host, say=nothing_said)
    assert "no-such-package-1" in caught.value.detail
    assert not (host.cache / "standins" / "rootfs" / "work").exists()
