"""What images make of a compose file's services, and what the checks say of it: on indexes and folders, no engine."""

# ruff: noqa: S104 - addresses that command lines name

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from tests.unit.factories import configuration
from tests.unit.source_factories import DATABASE, compose
from tests.unit.trees import FOLDER, index

from seatrial.checks import registry
from seatrial.checks.known import listener
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import judge
from seatrial.compose.mounts import with_host
from seatrial.compose.services import read_services
from seatrial.compose.text import ComposeText, read_text
from seatrial.compose.values import eaten_in, local_addresses, names_not_set
from seatrial.facts import ComposeModel, ComposeSource, ComposeValue, LocalAddress, Port, Service, Unavailable
from seatrial.observe.project.services import service_image
from seatrial.settings.model import Contract
from seatrial.stack.preflight import judge_compose

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:10001:10001::/app:/bin/sh\n"
PYTHON = "-> /usr/local/bin/python3.13"
TREE: dict[str, str | None] = {
    "/etc/passwd": PASSWD,
    "/bin/sh": "x",
    "/usr/local/bin/python3.13": "x",
    "/usr/local/bin/python": "-> python3.13",
    "/usr/local/bin/pg_isready": "x",
    "/app/.venv/pyvenv.cfg": "home = /usr/local/bin\n",
    "/app/.venv/bin/python": PYTHON,
    "/app/.venv/bin/uvicorn": "#!/app/.venv/bin/python\n",
    "/app/start.sh": "#!/bin/sh\n",
    "/app/static/site.css": "x",
    "/own": FOLDER,
    "/roots": FOLDER,
}
PROGRAMS = (
    "/bin/sh",
    "/usr/local/bin/python3.13",
    "/usr/local/bin/pg_isready",
    "/app/.venv/bin/uvicorn",
    "/app/start.sh",
)
MODES = {**dict.fromkeys(PROGRAMS, (0o755, 0, 0)), "/own": (0o755, 10001, 10001), "/roots": (0o755, 0, 0)}
IMAGE = configuration(
    environment={"PATH": "/app/.venv/bin:/usr/local/bin:/bin"}, user="app", command=("uvicorn", "shop:app")
)


def file_of(table: Mapping[str, Any], image: Any = IMAGE, **top: Any) -> ComposeSource:
    """Return a compose file with one service, whose image was looked at."""
    document = {"services": {"web": {"image": "shop", **table}}, **top}
    (service,) = read_services(document)
    service = structs.replace(service, volumes=tuple(map(with_host, service.volumes)), own=True)
    seen = service_image(service, image, index(TREE, MODES))
    local = tuple(local_addresses("web", document["services"]["web"], {}))
    return compose(model=ComposeModel(services=(service,)), images={"web": seen}, local=local)


def judged(check: str, source: ComposeSource) -> Result:
    wanted = next(entry for entry in registry.CHECKS if entry.id == check)
    return judge(wanted, {"compose": source}, Contract())


def bind(source: Path, target: str = "/app") -> dict[str, str]:
    return {"type": "bind", "source": str(source), "target": target}


# --- mounts ---------------------------------------------------------------------------------------------------


def test_a_bind_over_the_program_is_named_and_a_volume_below_it_keeps_it(tmp_path: Path) -> None:
    told = judged("compose/mounts", file_of({"volumes": [bind(tmp_path)]}))
    assert (told.status, told.severity) == (Status.FAIL, Severity.ERROR)
    assert f"the bind {tmp_path} at /app lies over its program /app/.venv/bin/uvicorn" in told.actual
    kept = file_of({"volumes": [bind(tmp_path), {"type": "volume", "target": "/app/.venv"}]})
    assert judged("compose/mounts", kept).status is Status.PASS


@pytest.mark.parametrize(
    ("mount", "status"),
    [
        ({"type": "tmpfs", "target": "/app"}, Status.FAIL),
        ({"type": "volume", "source": "v", "target": "/app"}, Status.PASS),
        ({"type": "volume", "source": "v", "target": "/app", "volume": {"nocopy": True}}, Status.FAIL),
        ({"type": "volume", "source": "v", "target": "/app/cache"}, Status.PASS),
        ({"type": "bind", "source": "/nonexistent/there", "target": "/app"}, Status.FAIL),
        ({"type": "bind", "source": "/nonexistent/there", "target": "/data"}, Status.PASS),
    ],
)
def test_what_hides_the_program(mount: dict[str, Any], status: Status) -> None:
    assert judged("compose/mounts", file_of({"volumes": [mount]})).status is status


def test_what_the_host_has_in_the_programs_place_counts(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text("#!/bin/sh\nexec sleep 1\n", encoding="utf-8")
    script.chmod(0o755)
    table = {"command": ["/app/start.sh"], "volumes": [bind(script, "/app/start.sh")]}
    assert judged("compose/mounts", file_of(table)).status is Status.PASS
    script.chmod(0o644)
    told = judged("compose/mounts", file_of(table))
    assert "may not be executed there (mode 0644)" in told.actual
    assert "chmod +x" in told.fix


def test_an_environment_of_the_host_leads_nowhere_in_the_container(tmp_path: Path) -> None:
    folder = tmp_path / ".venv/bin"
    folder.mkdir(parents=True)
    (folder / "uvicorn").write_text("#!/home/me/shop/.venv/bin/python\n", encoding="utf-8")
    (folder / "uvicorn").chmod(0o755)
    told = judged("compose/mounts", file_of({"volumes": [bind(tmp_path)]}))
    assert "#!/home/me/shop/.venv/bin/python: that is not in the container" in told.actual


def test_an_interpreter_that_falls_back_to_the_systems_is_a_loss(tmp_path: Path) -> None:
    told = judged("compose/mounts", file_of({"command": ["python", "-m", "shop"], "volumes": [bind(tmp_path)]}))
    assert "/app/.venv/bin/python" in told.actual
    assert told.status is Status.FAIL


def test_what_makes_its_environment_anew_is_a_warning(tmp_path: Path) -> None:
    tree = {**TREE, "/bin/uv": "x"}
    document = {"services": {"web": {"image": "shop", "command": ["uv", "run", "shop"], "volumes": [bind(tmp_path)]}}}
    (service,) = read_services(document)
    service = structs.replace(service, volumes=tuple(map(with_host, service.volumes)))
    seen = service_image(service, IMAGE, index(tree, {**MODES, "/bin/uv": (0o755, 0, 0)}))
    told = judged("compose/mounts", compose(model=ComposeModel(services=(service,)), images={"web": seen}))
    assert (told.status, told.severity) == (Status.FAIL, Severity.WARNING)


def test_an_image_that_is_not_here_is_no_pass() -> None:
    source = file_of({"volumes": [{"type": "tmpfs", "target": "/app"}]})
    told = judged("compose/mounts", structs.replace(source, images={"web": Unavailable(reason="shop is not here")}))
    assert (told.status, told.actual) == (Status.SKIP, "web was not looked at: shop is not here")


# --- volumes and what may be read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "volumes", "status"),
    [
        ({}, {}, Status.FAIL),
        ({"user": "0"}, {}, Status.PASS),
        ({}, {"v": {"external": True}}, Status.PASS),
        ({}, {"v": {"driver_opts": {"type": "nfs"}}}, Status.PASS),
    ],
)
def test_a_volume_where_the_image_has_no_folder(table: Any, volumes: Any, status: Status) -> None:
    mount = {"type": "volume", "source": "v", "target": "/state"}
    assert judged("compose/volumes", file_of({"volumes": [mount], **table}, volumes=volumes)).status is status


@pytest.mark.parametrize(
    ("target", "status"), [("/own", Status.PASS), ("/roots", Status.FAIL), ("/app/static", Status.PASS)]
)
def test_a_volume_takes_over_whose_the_images_folder_is(target: str, status: Status) -> None:
    # What the image fills, the service may only want to read.
    assert judged("compose/volumes", file_of({"volumes": [{"type": "volume", "target": target}]})).status is status


def test_a_volume_that_a_service_of_root_shares_may_be_prepared() -> None:
    mount = {"type": "volume", "source": "v", "target": "/state"}
    source = file_of({"volumes": [mount]})
    assert isinstance(source.model, ComposeModel)
    (web,) = source.model.services
    init = structs.replace(web, name="init", user="0")
    seen = service_image(init, IMAGE, index(TREE, MODES))
    both = structs.replace(source, model=ComposeModel(services=(web, init)), images={**source.images, "init": seen})
    assert judged("compose/volumes", both).status is Status.PASS


@pytest.mark.parametrize(
    ("mode", "table", "status"),
    [
        (0o644, {}, Status.PASS),
        (0o600, {}, Status.FAIL),
        (0o600, {"user": "0"}, Status.PASS),
        (0o600, {"user": "0", "cap_drop": ["ALL"]}, Status.FAIL),
        (0o600, {"user": "0", "cap_drop": ["ALL"], "cap_add": ["DAC_OVERRIDE"]}, Status.PASS),
    ],
)
def test_a_secrets_mode_holds_in_the_container(tmp_path: Path, mode: int, table: Any, status: Status) -> None:
    token = tmp_path / "token.txt"
    token.write_text("x", encoding="utf-8")
    token.chmod(mode)
    source = file_of({"secrets": [{"source": "token"}], **table}, secrets={"token": {"file": str(token)}})
    assert isinstance(source.model, ComposeModel)
    (web,) = source.model.services
    # Whose a file is depends on who runs the test.
    (mount,) = web.volumes
    assert mount.host is not None
    other = structs.replace(mount, host=structs.replace(mount.host, uid=1234, gid=1234))
    told = judged(
        "compose/readable",
        structs.replace(source, model=ComposeModel(services=(structs.replace(web, volumes=(other,)),))),
    )
    assert told.status is status


def test_a_file_that_is_not_there_becomes_a_folder(tmp_path: Path) -> None:
    told = judged("compose/readable", file_of({"volumes": [bind(tmp_path / "app.yaml", "/etc/app.yaml")]}))
    assert (told.status, told.severity) == (Status.FAIL, Severity.WARNING)
    assert "the engine makes a folder of it" in told.actual
    folder = judged("compose/readable", file_of({"volumes": [bind(tmp_path / "data", "/data")]}))
    assert folder.status is Status.PASS


def results(source: ComposeSource) -> dict[str, Result]:
    return {result.id: result for result in judge_compose(source, Contract()) if result.status is Status.FAIL}


def test_a_file_that_is_not_there_in_the_place_of_the_program_is_one_finding(tmp_path: Path) -> None:
    table = {"command": ["/app/start.sh"], "volumes": [bind(tmp_path / "start.sh", "/app/start.sh")]}
    found = results(file_of(table))
    assert found["compose/mounts"].follows_from == "compose/readable"
    assert found["compose/readable"].severity is Severity.ERROR


def test_a_mount_over_a_health_checks_program_is_one_finding(tmp_path: Path) -> None:
    test = ["CMD", "/app/.venv/bin/python", "-c", "1"]
    found = results(file_of({"healthcheck": {"test": test}, "volumes": [bind(tmp_path)]}))
    assert found["compose/health-program"].follows_from == "compose/mounts"
    assert not found["compose/mounts"].follows_from


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"command": ["alembic", "upgrade", "head"]}, "no program 'alembic' in any folder of PATH"),
        ({"command": ["/app/static/site.css"]}, "is not executable by uid 10001"),
        ({"command": ["/app/gone"]}, "/app/gone"),
        ({"command": ["uvicorn", "shop:app"]}, ""),
        ({"command": ["sh", "-c", "exit 0"]}, ""),
        ({"command": ["sh", "-c", "if test -x /app/tool; then tool; fi"]}, ""),
        ({"entrypoint": ["python"], "command": ["-m", "shop"]}, ""),
    ],
)
def test_a_command_must_be_a_program_of_the_image(table: Any, said: str) -> None:
    told = judged("compose/command", file_of(table))
    assert told.status is (Status.FAIL if said else Status.PASS)
    assert said in told.actual


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("alembic upgrade head && uvicorn shop:app", "&&"),
        ("python -m shop; sleep 1", ";"),
        ("python -m shop > /tmp/log", ">"),
        ("python -c 'a and b; c'", ""),
        ('sh -c "a && b"', ""),
        ("celery -A shop worker --concurrency=2", ""),
        ("echo it's", ""),
        ("python -m shop --name ''", ""),
        (r"find /tmp -exec rm {} \;", ""),
        ("curl http://api/?a=1&b=2", "&"),
        ("python -m shop # not a comment", ""),
    ],
)
def test_what_compose_drops_of_a_command_is_told(text: str, operator: str) -> None:
    value = ComposeValue(key="command", where="services.web.command", text=text, line=4)
    told = judged("compose/command", structs.replace(file_of({"command": ["uvicorn", "shop:app"]}), values=(value,)))
    assert told.status is (Status.FAIL if operator else Status.PASS)
    if operator:
        assert told.actual.endswith(f"drops all from `{operator}` on")
        assert told.where.endswith(":4")


def test_a_command_that_a_mount_brings_is_there(tmp_path: Path) -> None:
    script = tmp_path / "gone"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    table = {"command": ["/app/gone"], "volumes": [bind(script, "/app/gone")]}
    assert judged("compose/command", file_of(table)).status is Status.PASS
    assert judged("compose/command", file_of({})).status is Status.SKIP
    # What a volume holds, or a folder of another machine, cannot be seen.
    volume = {"type": "volume", "source": "tools", "target": "/tools"}
    assert judged("compose/command", file_of({"command": ["/tools/gone"], "volumes": [volume]})).status is Status.PASS
    there = file_of({"command": ["/app/gone"], "volumes": [bind(tmp_path / "nothing", "/app")]})
    (service,) = there.model.services  # type: ignore[union-attr]
    far = structs.replace(service, volumes=tuple(structs.replace(each, missing=False) for each in service.volumes))
    assert judged("compose/command", there).status is Status.FAIL
    there = structs.replace(there, model=ComposeModel(services=(far,)))
    assert judged("compose/command", there).status is Status.PASS


# --- health checks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "missing"),
    [
        (["CMD", "pg_isready", "-q"], ""),
        (["CMD", "curl", "-f", "http://127.0.0.1:8000/health"], "curl"),
        (["CMD-SHELL", "curl -f http://127.0.0.1:8000/health || exit 1"], "curl"),
        (["CMD-SHELL", "wget -q -O- http://x || curl -f http://x || exit 1"], "wget and no curl"),
        (["CMD-SHELL", "curl -f http://x || pg_isready"], ""),
        (["CMD-SHELL", "if true; then curl http://x; fi"], ""),
        (["CMD-SHELL", "[ -f /tmp/ready ]"], ""),
        (["CMD-SHELL", "test -f /tmp/ready || exit 1"], ""),
        (["CMD-SHELL", "$CHECK || exit 1"], ""),
        (["CMD", "pg_isready -q"], "pg_isready -q"),
        (["NONE"], ""),
    ],
)
def test_a_health_checks_program_is_looked_for(test: list[str], missing: str) -> None:
    told = judged("compose/health-program", file_of({"healthcheck": {"test": test}}))
    assert told.status is (Status.FAIL if missing else Status.SKIP if test == ["NONE"] else Status.PASS)
    assert f"the image has no {missing}, which" in told.actual if missing else True


def test_a_health_check_of_a_mount_that_cannot_be_seen_is_not_told_as_missing() -> None:
    document = {"web": {"healthcheck": {"test": ["CMD", "/checks/up"]}, "volumes": [bind(Path("/nowhere"), "/checks")]}}
    (service,) = read_services({"services": document})
    assert service_image(service, IMAGE, index(TREE, MODES)).files.no_health_program == ()  # type: ignore[union-attr]
    service = structs.replace(service, volumes=tuple(map(with_host, service.volumes)))
    seen = service_image(service, IMAGE, index(TREE, MODES)).files
    assert seen.no_health_program == ("/checks/up",)  # type: ignore[union-attr]


def test_a_line_after_cmd_is_told_as_that() -> None:
    told = judged("compose/health-program", file_of({"healthcheck": {"test": ["CMD", "pg_isready -q"]}}))
    assert told.fix == 'Write `test: ["CMD-SHELL", "pg_isready -q"]`: after CMD each word stands by itself.'


@pytest.mark.parametrize(
    ("changed", "image", "status"),
    [
        ({"checked": False}, None, Status.FAIL),
        ({"checked": True}, None, Status.PASS),
        ({"checked": False, "image": "somebody/db"}, None, Status.PASS),
        ({"checked": False, "unchecked": True, "image": "somebody/db"}, None, Status.FAIL),
        ({"checked": False}, True, Status.PASS),
        ({"checked": False}, False, Status.FAIL),
    ],
)
def test_who_waits_for_health_needs_a_check(changed: Any, image: bool | None, status: Status) -> None:
    source = compose()
    assert isinstance(source.model, ComposeModel)
    api = next(service for service in source.model.services if service.name == "api")
    images = dict(source.images)
    if image is not None:
        known = images["api"]
        assert not isinstance(known, Unavailable)
        images["db"] = structs.replace(known, checked=image)
    database = structs.replace(DATABASE, **changed)
    told = judged("compose/dependencies", compose(api, database, images=images))
    assert told.status is status


# --- databases ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "target", "settings", "status"),
    [
        ("postgres:17", "/var/lib/postgresql/data", {}, Status.PASS),
        ("postgres:17", "/var/lib/postgresql", {}, Status.FAIL),
        ("postgres:17-alpine", "/var/lib/postgres/data", {}, Status.FAIL),
        ("postgres:17", "/backups", {}, Status.PASS),
        ("postgres:17", "/pg", {"PGDATA": "/pg/data"}, Status.PASS),
        ("postgres:18", "/var/lib/postgresql/data", {}, Status.FAIL),
        ("postgres:18.1-alpine", "/var/lib/postgresql", {}, Status.PASS),
        ("postgres:18", "/var/lib/postgresql/data", {"PGDATA": "/var/lib/postgresql/data"}, Status.PASS),
        ("postgres", "/var/lib/postgresql/data", {}, Status.FAIL),
        ("docker.io/library/postgres:16", "/var/lib/postgresql/data", {}, Status.PASS),
        ("pgvector/pgvector:pg18", "/var/lib/postgresql/data", {}, Status.FAIL),
        ("pgvector/pgvector:0.8.0-pg17", "/var/lib/postgresql/data", {}, Status.PASS),
        ("postgis/postgis", "/var/lib/postgresql/data", {}, Status.PASS),
        ("somebody/postgres:18", "/var/lib/postgresql/data", {}, Status.PASS),
        ("mysql:9", "/var/lib/mysql", {}, Status.PASS),
        ("mariadb:11", "/var/lib/mariadb", {}, Status.FAIL),
        ("redis:8", "/data", {}, Status.PASS),
        ("redis:8", "/var/lib/redis", {}, Status.FAIL),
        ("valkey/valkey:8", "/var/lib/valkey", {}, Status.FAIL),
        ("mongo:8", "/data/db", {}, Status.PASS),
        ("mongo:8", "/data", {}, Status.FAIL),
    ],
)
def test_where_a_database_keeps_its_data(image: str, target: str, settings: dict[str, str], status: Status) -> None:
    mount = structs.replace(DATABASE.volumes[0], target=target)
    database = structs.replace(DATABASE, image=image, volumes=(mount,), settings=settings)
    told = judged("compose/database-volume", compose(database))
    assert told.status is status, told.actual


def test_a_database_that_is_told_its_folder_is_left_alone() -> None:
    mount = structs.replace(DATABASE.volumes[0], target="/var/lib/redis")
    own = ("redis-server", "--dir", "/var/lib/redis")
    database = structs.replace(DATABASE, image="redis:8", volumes=(mount,), command=own)
    assert judged("compose/database-volume", compose(database)).status is Status.PASS


# --- addresses ------------------------------------------------------------------------------------------------


def addressed(environment: dict[str, str], others: dict[str, Any] | None = None, **table: Any) -> Result:
    document = {
        "services": {
            "web": {"image": "shop", "environment": environment, **table},
            "db": {"image": "postgres:17"},
            **(others or {}),
        }
    }
    services = tuple(structs.replace(each, own=each.name in {"web", "api"}) for each in read_services(document))
    local = tuple(
        address for name, entry in document["services"].items() for address in local_addresses(name, entry, {})
    )
    return judged("compose/addresses", compose(model=ComposeModel(services=services), images={}, local=local))


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgresql+psycopg://app:${x}@localhost:5432/app"},
        {"DATABASE_URL": "postgres://127.0.0.1/app"},
        {"DATABASE_URL": "postgres://[::1]:5432/app"},
        {"POSTGRES_HOST": "localhost"},
        {"PGHOST": "127.0.0.1"},
        {"DB_HOST": "localhost:5432"},
    ],
)
def test_the_own_address_in_the_place_of_a_database(environment: dict[str, str]) -> None:
    told = addressed(environment)
    assert (told.status, told.severity) == (Status.FAIL, Severity.ERROR)
    assert "db is another service" in told.actual


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgresql://db:5432/app"},
        {"DATABASE_URL": "postgresql://localhost.example.org/app"},
        {"REDIS_URL": "redis://localhost:6379/0"},
        {"PUBLIC_URL": "http://localhost:8000"},
        {"HOST": "localhost"},
        {"ALLOWED_HOSTS": "localhost,127.0.0.1"},
        {"CORS_ORIGINS": "http://localhost:3000"},
    ],
)
def test_addresses_that_are_meant(environment: dict[str, str]) -> None:
    assert addressed(environment).status is Status.PASS


def test_services_that_share_a_network_reach_each_other_by_localhost() -> None:
    url = {"DATABASE_URL": "postgresql://localhost/app"}
    assert addressed(url, network_mode="host").status is Status.PASS
    assert addressed(url, network_mode="service:db").status is Status.PASS
    assert addressed({}, {"db": {"image": "postgres:17", "environment": {"PGHOST": "localhost"}}}).status is Status.PASS


def test_another_service_of_the_web_is_a_warning_where_no_browser_asks() -> None:
    others = {"api": {"image": "shop", "ports": [{"target": 8000, "published": "9000"}]}}
    told = addressed({"API_URL": "http://localhost:8000/v1"}, others)
    assert (told.status, told.severity) == (Status.FAIL, Severity.WARNING)
    assert told.fix == "Write `api:8000` in the place of `localhost:8000`."
    ports = [{"target": 80, "published": "80"}]
    assert addressed({"API_URL": "http://localhost:8000/v1"}, others, ports=ports).status is Status.PASS


def test_no_password_is_in_what_is_kept_of_an_address() -> None:
    kept = tuple(local_addresses("web", {"environment": {"U": "redis://:s3cret@localhost:6379"}}, {}))
    assert kept == (LocalAddress(service="web", key="U", scheme="redis", port=6379),)


# --- values ---------------------------------------------------------------------------------------------------


def text_of(content: str) -> ComposeText:
    found = read_text(content.encode())
    assert isinstance(found, ComposeText)
    return found


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ('KEY="value"', Severity.WARNING),
        ("KEY='value'", Severity.WARNING),
        ('URL="redis://cache"', Severity.ERROR),
        ('PORT="8000"', Severity.ERROR),
        ('LIST=["a", "b"]', None),
        ("KEY=it's", None),
        ('KEY="a" and "b"', None),
        ("KEY", None),
    ],
)
def test_quotes_of_a_lists_item(item: str, kind: Severity | None) -> None:
    text = text_of(f"services:\n  web:\n    environment:\n      - A=1\n      - {item}\n")
    told = judged("compose/quotes", compose(quoted=text.quoted))
    assert told.status is (Status.FAIL if kind else Status.PASS)
    assert kind is None or (told.severity, told.where) == (kind, "compose.yaml:5")


def test_quotes_of_a_mapping_are_yamls_own() -> None:
    assert text_of('services:\n  web:\n    environment:\n      KEY: "value"\n      J: \'"json"\'\n').quoted == ()


def test_what_an_env_file_loses_is_named_by_its_line() -> None:
    text = "# $word\nA=pa$word\nB='pa$word'\nexport C=\"x${word}\"\nD=${other}\nE=a$$b\n"
    names = names_not_set(['The "word" variable is not set. Defaulting to a blank string.', "something else"])
    assert [(lost.key, lost.line) for lost in eaten_in(text, ".env", names)] == [("A", 2), ("C", 4)]


@pytest.mark.parametrize(
    ("line", "literal"),
    [
        ("environment: {P: 'pa$word'}", True),
        ("environment: {P: '$word'}", False),
        ("environment: {P: 'http://$word/'}", False),
        ("environment: {P: 'pa${word}'}", False),
        ('command: ["sh", "-c", "echo $word"]', True),
        ('healthcheck: {test: ["CMD-SHELL", "pg_isready -U $word"]}', True),
    ],
)
def test_a_dollar_sign_that_may_be_the_texts_own(line: str, literal: bool) -> None:
    (variable,) = text_of(f"services:\n  web:\n    {line}\n").variables
    assert (variable.name, variable.literal) == ("word", literal)
    told = judged("compose/interpolation", compose(variables=(variable,)))
    assert told.status is (Status.FAIL if literal else Status.PASS)


# --- ports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "host", "port"),
    [
        ("uvicorn shop:app --host 0.0.0.0 --port 8080", "0.0.0.0", 8080),
        ("uvicorn shop:app", "127.0.0.1", 8000),
        ("tini -- uvicorn shop:app --host=0.0.0.0", "0.0.0.0", 8000),
        ("python -m uvicorn shop:app --port=9", "127.0.0.1", 9),
        ("uv run --no-sync uvicorn shop:app --port 9", "127.0.0.1", 9),
        ("gunicorn shop:app -b 0.0.0.0:8080", "0.0.0.0", 8080),
        ("gunicorn shop:app -b:8080", "0.0.0.0", 8080),
        ("gunicorn shop:app --bind=[::]:80", "[::]", 80),
        ("hypercorn shop:app", "127.0.0.1", 8000),
        ("flask --app shop run --host 0.0.0.0", "0.0.0.0", 5000),
        ("fastapi run shop.py --port 80", "0.0.0.0", 80),
        ("fastapi dev shop.py", "127.0.0.1", 8000),
        ("python manage.py runserver", "127.0.0.1", 8000),
        ("python manage.py runserver 0.0.0.0:8001", "0.0.0.0", 8001),
    ],
)
def test_where_a_command_listens(line: str, host: str, port: int) -> None:
    found = listener(line.split(), {})
    assert found is not None
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "line",
    [
        "uvicorn shop:app --port $PORT",
        "uvicorn shop:app --uds /tmp/x.sock",
        "gunicorn shop:app",
        "gunicorn -c gunicorn.conf.py -b 0.0.0.0:80 shop:app",
        "gunicorn -b unix:/tmp/x.sock shop:app",
        "flask --app shop run",
        "flask db upgrade",
        "celery -A shop worker",
        "python -m shop",
        "./start.sh uvicorn shop:app",
        "",
    ],
)
def test_where_a_command_does_not_say_it(line: str) -> None:
    assert listener(line.split(), {}) is None


def published(command: str, *targets: int) -> Result:
    ports = tuple(Port(host_ip="127.0.0.1", published=each, written=str(each), target=each, line=6) for each in targets)
    web = Service(name="web", image="shop", command=tuple(command.split()), ports=ports, line=3)
    return judged("compose/published-ports", compose(web, images={}))


def test_a_port_that_nothing_listens_on() -> None:
    everywhere = "uvicorn shop:app --host 0.0.0.0 --port 8000"
    assert published(everywhere, 8000).status is Status.PASS
    assert "port 8080 is published, and uvicorn listens on 8000" in published(everywhere, 8080).actual
    # Others may be the application's own.
    assert published(everywhere, 8000, 9090).status is Status.PASS
    assert "127.0.0.1 alone" in published("uvicorn shop:app", 8000).actual
    assert published("celery -A shop worker", 5555).status is Status.PASS


def test_a_databases_own_port() -> None:
    port = Port(host_ip="127.0.0.1", published=5433, written="5433", target=5433, line=6)
    told = judged("compose/published-ports", compose(structs.replace(DATABASE, ports=(port,)), images={}))
    assert told.fix == "Publish the port that it listens on: `127.0.0.1:5433:5432`."
    own = structs.replace(DATABASE, ports=(port,), settings={"PGPORT": "5433"})
    assert judged("compose/published-ports", compose(own, images={})).status is Status.PASS


def test_what_an_included_file_says_has_no_line_of_this_one() -> None:
    told = judged("compose/hardening", file_of({"privileged": True}))
    assert (told.status, told.where) == (Status.FAIL, "compose.yaml")
    assert not any(":0" in line for line in told.evidence)
