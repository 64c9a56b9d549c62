"""Reading a project's own files: the ignore file, the compose file's lines, the linter's answer."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.factories import host

from seatrial.compose import services as compose_facts
from seatrial.compose.services import read_compose, read_services
from seatrial.compose.text import ComposeText, read_text, references, settled
from seatrial.engine.find import Candidate, Engine
from seatrial.facts import BuildContext, ComposeSource, Condition, Lint, NotInstalled, Sources, Unavailable
from seatrial.observe.project import sources as context_facts
from seatrial.observe.project.sources import SourceFiles, read_context, read_sources, run_lint
from seatrial.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = """\
x-base: &base
  image: shop
  read_only: true
services:
  db:
    environment:
      - POSTGRES_PASSWORD=${DB_PASSWORD:?set it}
      - PASSED
  api:
    <<: *base
    depends_on:
      db:
        condition: service_healthy
    env_file:
      - .env
      - path: extra.env
        required: false
    environment:
      TOKEN:
      LEVEL: ${LEVEL:-INFO}
      PRICE: $$5
    ports:
      - 127.0.0.1:8000:8000
      - target: 9000
  job:
    depends_on: [db]
    env_file: job.env
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


# --- the build context --------------------------------------------------------------------------------------


def seen(folder: Path, dockerfile: str = "Dockerfile") -> BuildContext:
    found = read_context(folder, folder / dockerfile, ".", folder)
    assert isinstance(found, BuildContext)
    return found


def test_without_an_ignore_file_a_build_sees_everything(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "x", ".env": "A=1", "src/a.py": "ab"})
    found = seen(tmp_path)
    assert [(file.path, file.size) for file in found.files] == [(".env", 3), ("main.py", 1), ("src/a.py", 2)]
    assert (found.ignore_file, found.suggested) == ("", ".dockerignore")
    assert set(found.admitted) == set(context_facts.TRIED)


def test_an_ignore_file_is_read_as_the_engine_reads_it(tmp_path: Path) -> None:
    ignore = "# a comment\n  *  \n\n!src\n**/__pycache__\n"
    write(tmp_path, {".dockerignore": ignore, "main.py": "", "src/a.py": "", "src/__pycache__/a.pyc": ""})
    found = seen(tmp_path)
    assert [file.path for file in found.files] == ["src/a.py"]
    assert found.admitted == ()


def test_an_ignore_file_may_go_by_the_dockerfiles_name(tmp_path: Path) -> None:
    write(tmp_path, {".dockerignore": "", "ship.Dockerfile.dockerignore": "*.md\n", "a.md": "", "a.py": ""})
    found = seen(tmp_path, "ship.Dockerfile")
    assert found.ignore_file == "ship.Dockerfile.dockerignore"
    assert "a.md" not in {file.path for file in found.files}


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_an_ignore_file_that_leads_out_of_its_folder_is_none(tmp_path: Path, name: str) -> None:
    # Nor is it one for a build.
    folder = write(tmp_path / "project", {"a.md": ""})
    write(tmp_path, {"outside": "*.md\n"})
    (folder / name).symlink_to("../outside")
    found = seen(folder)
    assert found.ignore_file == ""
    assert "a.md" in {file.path for file in found.files}
    (tmp_path / "outside").rename(folder / "inside")
    (folder / name).unlink()
    (folder / name).symlink_to("inside")
    assert seen(folder).ignore_file == name
    assert "a.md" not in {file.path for file in seen(folder).files}


def test_a_folder_that_is_left_out_but_for_a_part_admits_that_part(tmp_path: Path) -> None:
    write(tmp_path, {".dockerignore": "tests\n!tests/data\n", "tests/data/a": "", "tests/test_a.py": ""})
    found = seen(tmp_path)
    assert [file.path for file in found.files] == ["tests/data/a"]
    assert "tests/test_it.py" not in found.admitted


def test_what_is_odd_in_a_context_does_not_stop_it(tmp_path: Path) -> None:
    write(tmp_path, {"a\nb.py": "x"})
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff.py")).write_text("", encoding="utf-8")
    assert {file.path for file in seen(tmp_path).files} >= {"a\nb.py", "round", "gone", "pipe"}


def test_the_list_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"{number}.py": "" for number in range(9)})
    monkeypatch.setattr(context_facts, "MOST_FILES", 5)
    found = seen(tmp_path)
    assert (found.truncated, len(found.files)) == (True, 5)


def test_requirement_files_are_read_and_no_others(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "a==1\n", "requirements/dev.txt": "b\n", "notes.txt": "c", "uv.lock": "d"})
    (tmp_path / "requirements-link.txt").symlink_to("/etc/hostname")
    assert seen(tmp_path).texts == {"requirements.txt": "a==1\n", "requirements/dev.txt": "b\n"}


def test_a_pattern_that_is_none_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": ""})
    found = read_context(tmp_path / "nowhere", tmp_path / "Dockerfile", "nowhere", tmp_path)
    assert isinstance(found, Unavailable)
    assert "nowhere cannot be read" in found.reason


# --- the compose file's text --------------------------------------------------------------------------------


def text() -> ComposeText:
    found = read_text(COMPOSE.encode())
    assert isinstance(found, ComposeText)
    return found


def test_each_key_has_its_line() -> None:
    lines = text().lines
    assert lines["api"] == {
        "": 9, "depends_on": 11, "depends_on.db": 12, "env_file": 14, "environment": 18, "environment.TOKEN": 19,
        "environment.LEVEL": 20, "environment.PRICE": 21, "ports": 22, "ports.0": 23,
        "ports.1": 24, "image": 2, "read_only": 3,
    }  # fmt: skip
    assert lines["job"]["depends_on.db"] == 26


def test_variables_without_a_default_are_found() -> None:
    assert [(variable.name, variable.line) for variable in text().variables] == [
        ("DB_PASSWORD", 7),
        ("PASSED", 8),
        ("TOKEN", 19),
    ]


def test_env_files_are_found_in_each_form() -> None:
    assert [(file.path, file.line, file.optional) for file in text().files] == [
        (".env", 15, False),
        ("extra.env", 16, True),
        ("job.env", 27, False),
    ]


def test_values_are_those_of_the_file_and_not_of_its_variables() -> None:
    values = {value.key: value.text for value in text().values if "environment" in value.where}
    assert values == {"POSTGRES_PASSWORD": "", "": "PASSED", "TOKEN": "", "LEVEL": "INFO", "PRICE": "$5"}


@pytest.mark.parametrize(
    ("written", "value", "names"),
    [
        ("$A-${B}", "-", ["A", "B"]),
        ("${A:-x${B}}", "x", ["B"]),
        ("${A-${B:-y}}", "y", []),
        ("${A:+word}", "", []),
        ("${A?must}", "", ["A"]),
        ("$$A", "$A", []),
        ("cost $5", "cost $5", []),
    ],
)
def test_variables_as_compose_reads_them(written: str, value: str, names: list[str]) -> None:
    assert (settled(written), [variable.name for variable in references(written, 0)]) == (value, names)


@pytest.mark.parametrize(
    "content",
    [
        b"services: [",
        b"a: &x [*x",
        b"\xff\xfe\x00",
        b"[" * 3000,
        b"services:\n\t- x",
        # Neither of these does compose take.
        b"x: &x {y: *x}\nservices: {a: {<<: *x, environment: *x}}",
        b"? [a, b]\n: c\n",
    ],
)
def test_what_is_no_yaml_is_told(content: bytes) -> None:
    found = read_text(content)
    assert isinstance(found, Unavailable)
    assert found.reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"services: 3",
        b"- a",
        b"services: {a: b, c: [d]}",
        b"services: {a: {depends_on: 3, ports: x, env_file: {}, environment: [1, [2]]}}",
        b"services: !python/object:os.system {a: {image: !x y}}",
    ],
)
def test_what_is_odd_yaml_is_read_as_far_as_it_goes(content: bytes) -> None:
    assert isinstance(read_text(content), ComposeText)


def test_what_many_anchors_multiply_is_read_once() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = read_text("\n".join(lines[:5]).encode())
    assert isinstance(found, ComposeText)
    assert len(found.values) < 100
    # Compose refuses as much.
    assert isinstance(read_text("\n".join(lines).encode()), Unavailable)


# --- compose's own model ------------------------------------------------------------------------------------

MODEL: dict[str, Any] = {
    "services": {
        "api": {
            "privileged": True,
            "pid": "host",
            "volumes": [
                {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"},
                {"type": "volume", "source": "data", "target": "/data"},
            ],
            "cap_drop": ["cap_net_raw", "ALL"],
            "deploy": {"resources": {"limits": {"memory": "512m", "pids": 99}}},
            "ports": [{"target": 8000, "published": "8000", "host_ip": "127.0.0.1"}, {"target": 9000}],
            "depends_on": {"db": {"condition": "service_healthy"}, "cache": None},
        },
        "db": {"mem_limit": "1", "pids_limit": -1, "read_only": True, "security_opt": ["no-new-privileges:true"]},
    }
}


def test_services_are_read_from_either_form() -> None:
    db, api = read_services(MODEL, text())
    assert (api.line, api.privileged, api.host_namespaces, api.mounts) == (9, True, ("pid",), ("/var/run/docker.sock",))
    assert (api.dropped, api.memory, api.processes, api.read_only) == (("NET_RAW", "ALL"), True, True, False)
    assert [(port.host_ip, port.written, port.published, port.target, port.line) for port in api.ports] == [
        ("127.0.0.1", "8000", 8000, 8000, 23),
        ("", "", None, 9000, 24),
    ]
    assert [(dependency.service, dependency.condition, dependency.line) for dependency in api.depends_on] == [
        ("cache", Condition.STARTED, 11),
        ("db", Condition.HEALTHY, 12),
    ]
    assert (db.memory, db.processes, db.read_only, db.security) == (True, False, True, ("no-new-privileges:true",))


def test_no_service_is_none() -> None:
    assert read_services({}, ComposeText()) == ()


ENGINE = Engine(
    candidate=Candidate(source="a test", url="unix:///nonexistent", explicit=True),
    version="28.0",
    api_version="1.45",
    platform="linux/amd64",
    programs_environment={"PATH": "/usr/bin:/bin"},
)


def fake_compose(folder: Path, body: str) -> None:
    """Put a program in the place of compose that answers what it was asked."""
    program = folder / "home" / ".docker" / "cli-plugins" / "docker-compose"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}", encoding="utf-8")
    program.chmod(0o755)


VERSION = "if sys.argv[1:] == ['version']: print('v2.40.0'); sys.exit()\n"


def composed(folder: Path, files: dict[str, str]) -> ComposeSource:
    write(folder, files)
    found = read_compose(folder / "compose.yaml", "compose.yaml", folder, ENGINE, host(folder, PATH="/nowhere"))
    assert isinstance(found, ComposeSource)
    return found


def test_compose_is_asked_with_something_for_what_a_checkout_lacks(tmp_path: Path) -> None:
    answer = (
        "names = sorted(os.listdir('.'))\n"
        "print(json.dumps({'services': {'api': {'security_opt': names,"
        " 'cap_drop': [os.environ.get('DB_PASSWORD', 'none'), os.environ.get('LEVEL', 'none')]}}}))\n"
    )
    fake_compose(tmp_path / "tools", VERSION + answer)
    folder = tmp_path / "project"
    write(folder, {"compose.yaml": COMPOSE, ".env.example": "DB_PASSWORD=\n#LEVEL=INFO\n"})
    found = read_compose(
        folder / "compose.yaml", "compose.yaml", folder, ENGINE, host(tmp_path / "tools", PATH="/nowhere")
    )
    assert isinstance(found, ComposeSource)
    assert not isinstance(found.model, Unavailable), found.model
    (api,) = found.model.services
    assert api.security == (".env", ".env.example", "compose.yaml", "extra.env", "job.env")
    assert api.dropped == ("1", "NONE")
    assert found.explained == frozenset({"DB_PASSWORD", "LEVEL"})
    assert found.explained_by == (".env.example",)
    assert [(file.path, file.there, file.example) for file in found.files] == [
        (".env", False, ".env.example"),
        ("extra.env", False, ""),
        ("job.env", False, ""),
    ]
    assert sorted(path.name for path in folder.iterdir()) == [".env.example", "compose.yaml"], (
        "nothing is written there"
    )


def test_what_an_env_file_sets_is_left_to_it(tmp_path: Path) -> None:
    answer = (
        "if sys.argv[-5:-3] == ['--file', '-']:\n"
        "    print(json.dumps({'services': {'variables': {'environment': {'X': 'mine'}}}}))\n"
        "else:\n"
        "    print(json.dumps({'services': {'a': {'cap_drop': [str(os.environ.get('X'))]}}}))"
    )
    fake_compose(tmp_path, VERSION + answer)
    found = composed(tmp_path, {"compose.yaml": "services: {a: {image: '${X}'}}", ".env": "X=mine\n"})
    assert not isinstance(found.model, Unavailable)
    assert found.model.services[0].dropped == ("NONE",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (VERSION + "sys.exit('services.api.ports must be a list')", "refuses it: services.api.ports must be a list"),
        (VERSION + "sys.exit(3)", "it gives no reason"),
        (VERSION + "print('no json')", "docker compose could not read it"),
        ("print('v1.29.0')", "docker compose 2.0 or later is needed"),
    ],
)
def test_what_compose_does_not_take_is_told(tmp_path: Path, body: str, reason: str) -> None:
    fake_compose(tmp_path, body)
    found = composed(tmp_path, {"compose.yaml": "services: {a: {image: b}}"})
    assert isinstance(found.model, Unavailable)
    assert reason in found.model.reason


def test_a_compose_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = read_compose(tmp_path / "compose.yaml", "compose.yaml", tmp_path, ENGINE, host(tmp_path, PATH="/nowhere"))
    assert missing == Unavailable(reason="compose.yaml cannot be read: No such file or directory")
    write(tmp_path, {"compose.yaml": "a: ["})
    broken = read_compose(tmp_path / "compose.yaml", "compose.yaml", tmp_path, ENGINE, host(tmp_path, PATH="/nowhere"))
    assert isinstance(broken, Unavailable)
    assert "invalid YAML" in broken.reason
    monkeypatch.setattr(compose_facts, "MOST_BYTES", 3)
    assert isinstance(
        read_compose(tmp_path / "compose.yaml", "compose.yaml", tmp_path, ENGINE, host(tmp_path, PATH="/nowhere")),
        Unavailable,
    )


# --- hadolint -----------------------------------------------------------------------------------------------


def linted(folder: Path, body: str, trust: Trust = Trust.PROJECT) -> Lint | Unavailable:
    program = folder / "bin" / "hadolint"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}", encoding="utf-8")
    program.chmod(0o755)
    trusting = replace(host(folder, PATH=str(program.parent)), trust=trust)
    return run_lint(folder / "Dockerfile", folder, trusting)


@pytest.fixture(autouse=True)
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "scripts"))


def test_what_hadolint_says_is_read(tmp_path: Path) -> None:
    row = {"code": "DL3007", "level": "warning", "line": 2, "message": "latest", "column": 1}
    found = linted(tmp_path, f"print({json.dumps(json.dumps([row]))})")
    assert isinstance(found, Lint)
    (one,) = found.findings
    assert (one.rule, one.level, one.line, one.message) == ("DL3007", "warning", 2, "latest")


def test_the_projects_own_configuration_holds(tmp_path: Path) -> None:
    write(tmp_path, {".hadolint.yaml": "ignored: []\n"})
    body = "print(json.dumps([{'message': ' '.join(sys.argv[1:]), 'code': os.environ['HOME']}]))"
    found = linted(tmp_path, body)
    assert isinstance(found, Lint)
    assert f"--config {tmp_path}/.hadolint.yaml" in found.findings[0].message
    assert found.findings[0].rule == "/nonexistent", "no person's own settings"
    assert found.configuration == ".hadolint.yaml"


def test_an_untrusted_projects_configuration_and_pragmas_do_not_hold(tmp_path: Path) -> None:
    write(tmp_path, {".hadolint.yaml": "ignored: []\n"})
    body = "print(json.dumps([{'message': ' '.join(sys.argv[1:]), 'code': os.getcwd()}]))"
    found = linted(tmp_path, body, Trust.NONE)
    assert isinstance(found, Lint)
    assert "--config" not in found.findings[0].message
    assert "--disable-ignore-pragma" in found.findings[0].message
    assert found.findings[0].rule == "/", "hadolint reads the configuration in its working directory"
    assert found.configuration == ""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("print('[')", "hadolint gave no answer"),
        ("print('{}')", "hadolint gave no list of findings"),
        ("print('null')", "hadolint gave no list of findings"),
        ("", "hadolint gave no list of findings"),
        ("sys.exit(4)", "hadolint ended with exit code 4"),
        ("print('[]'); sys.exit(1)", "hadolint ended with exit code 1"),
    ],
)
def test_an_answer_that_is_none_is_no_pass(tmp_path: Path, body: str, reason: str) -> None:
    found = linted(tmp_path, body)
    assert isinstance(found, Unavailable)
    assert found.reason.startswith(reason)


def test_without_hadolint_it_is_not_installed(tmp_path: Path) -> None:
    found = run_lint(tmp_path / "Dockerfile", tmp_path, host(tmp_path, PATH=str(tmp_path)))
    assert isinstance(found, NotInstalled)
    assert "seatrial[hadolint]" in found.reason


# --- all of them --------------------------------------------------------------------------------------------


def files(folder: Path, compose: str | None = None) -> SourceFiles:
    return SourceFiles(
        project=folder,
        dockerfile=folder / "docker" / "Dockerfile",
        context=folder / "app",
        compose=folder / compose if compose else None,
        build_arguments={"TAG": "3.13"},
        host=host(folder, PATH=str(folder)),
    )


def test_sources_are_shown_from_the_projects_folder(tmp_path: Path) -> None:
    write(tmp_path, {"docker/Dockerfile": "ARG TAG\nFROM python:$TAG\n", "app/main.py": ""})
    found = read_sources(files(tmp_path), ENGINE)
    assert isinstance(found, Sources)
    assert (found.dockerfile.path, found.dockerfile.bases[0].reference) == ("docker/Dockerfile", "python:3.13")
    assert isinstance(found.context, BuildContext)
    assert (found.context.path, found.context.suggested) == ("app", "app/.dockerignore")
    assert found.compose is None


def test_a_dockerfile_that_is_gone_is_told(tmp_path: Path) -> None:
    found = read_sources(files(tmp_path), ENGINE)
    assert found == Unavailable(reason="docker/Dockerfile cannot be read: No such file or directory")
