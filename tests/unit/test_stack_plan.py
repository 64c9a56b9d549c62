from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.compose import runner
from seatrial.compose.runner import ALONE, identify, messages, override, refused
from seatrial.compose.services import in_order, read_services
from seatrial.compose.variables import copy_example, to_copy
from seatrial.errors import SettingsError, StackError
from seatrial.facts import Condition, Dependency, Port, Service
from seatrial.facts.image import repository
from seatrial.settings.read import Project, read_project
from seatrial.stack.plan import compose_file


def project(folder: Path, text: str = '[tool.seatrial.apps.ship]\ncompose = "compose.yaml"\n') -> Project:
    folder.mkdir(exist_ok=True)
    folder.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
    return read_project(folder)


def test_each_checkout_and_each_app_has_a_name_of_its_own(tmp_path: Path) -> None:
    text = '[tool.seatrial.apps]\nship = {}\n"a.b" = {}\n"a b" = {}\n"Ёж" = {}\n'
    here, there = project(tmp_path / "here", text), project(tmp_path / "there", text)
    names = [identify(entry, app).compose_project for entry in (here, there) for app in entry.settings.apps]
    assert len(set(names)) == 8
    assert names[0].startswith("ship-")
    assert names[1].startswith("a-b-")
    assert names[3].startswith("app-")
    assert identify(here, "ship") == identify(read_project(tmp_path / "here"), "ship")


def test_a_link_to_a_checkout_is_the_same_checkout(tmp_path: Path) -> None:
    here = project(tmp_path / "here")
    tmp_path.joinpath("link").symlink_to(tmp_path / "here")
    assert identify(read_project(tmp_path / "link"), "ship") == identify(here, "ship")


def test_an_unknown_app_is_not_identified(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'ship'"):
        identify(project(tmp_path), "shp")


def test_an_app_without_a_compose_file(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ship has no compose file"):
        compose_file(project(tmp_path, "[tool.seatrial.apps.ship]\n"), "ship")
    with pytest.raises(StackError, match="there is no such compose file") as caught:
        compose_file(project(tmp_path), "ship")
    assert caught.value.where == str(tmp_path / "compose.yaml")


def test_services_are_read_dependencies_first() -> None:
    model = {
        "services": {
            "api": {
                "image": "ship:1",
                "depends_on": {
                    "migrate": {"condition": "service_completed_successfully", "required": True},
                    "cache": {"condition": "service_started", "required": False},
                },
                "ports": [
                    {
                        "mode": "ingress",
                        "host_ip": "127.0.0.1",
                        "target": 80,
                        "published": "8000",
                        "protocol": "tcp",
                    },
                    {"mode": "ingress", "target": 53, "protocol": "udp"},
                    {"mode": "ingress", "target": 90, "published": "9000-9010", "protocol": "tcp"},
                ],
                "healthcheck": {"test": ["CMD", "true"]},
            },
            "db": {"image": "postgres:17", "healthcheck": {"disable": True}},
            "migrate": {
                "build": {"context": "."},
                "depends_on": {"db": {"condition": "service_healthy", "required": True}},
                "deploy": {"replicas": 2},
            },
            "off": {"image": "x", "scale": 0, "healthcheck": {"test": ["NONE"]}},
        }
    }
    db, migrate, api, off = read_services(model)
    assert db == Service(name="db", image="postgres:17", unchecked=True)
    assert migrate == Service(
        name="migrate",
        image=None,
        built=True,
        depends_on=(Dependency(service="db", condition=Condition.HEALTHY),),
        replicas=2,
    )
    assert api.checked
    assert api.ports == (
        Port(host_ip="127.0.0.1", published=8000, target=80, written="8000"),
        Port(host_ip="", published=None, target=53, protocol="udp"),
        Port(host_ip="", published=None, target=90, written="9000-9010"),
    )
    assert api.depends_on[0] == Dependency(service="cache", condition=Condition.STARTED)
    assert (off.replicas, off.checked) == (0, False)


@pytest.mark.parametrize("model", [{}, {"services": None}, {"services": {}}])
def test_a_file_without_services(model: dict[str, object]) -> None:
    assert read_services(model) == ()


def test_an_order_is_found_even_in_a_cycle() -> None:
    def service(name: str, *needs: str) -> Service:
        depends_on = tuple(Dependency(service=need, condition=Condition.STARTED) for need in needs)
        return Service(name=name, image="x", depends_on=depends_on)

    services = {"a": service("a", "b"), "b": service("b", "a"), "c": service("c", "gone")}
    assert sorted(entry.name for entry in in_order(services)) == ["a", "b", "c"]


def test_an_override_is_json_and_names_the_image_only() -> None:
    assert override({"db": 'seatrial-standin/postgres:17"'}) == (
        '{"services": {"db": {"image": "seatrial-standin/postgres:17\\"", "pull_policy": "never"}}}'
    )


def test_messages_leave_out_progress_and_log_prefixes() -> None:
    errors = (
        " Container x  Creating\n"
        'time="2026-01-01T00:00:00Z" level=warning msg="The \\"X\\" variable is not set."\n'
        "\n"
        "Error: \x1b[31mno\x1b[0m\n"
    )
    assert messages(errors) == ('The "X" variable is not set.', "Error: no")


def test_a_refusal_is_composes_own_line(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    error = refused('time="x" level=warning msg="w"\nyaml: line 4: could not find expected \':\'\n', file)
    assert str(error) == (
        f"{file}:4: docker compose refuses it: yaml: line 4: could not find expected ':'. Correct the compose file."
    )
    assert "it gives no reason" in refused("", file).what
    missing = refused("error while interpolating a: required variable TOKEN is missing a value: ask", file)
    assert missing.fix == f"Set it in {tmp_path / '.env'} or in your environment."


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ship", "ship"),
        ("ship:1.0", "ship"),
        ("localhost:5000/own/ship:1.0", "localhost:5000/own/ship"),
        ("localhost:5000/ship", "localhost:5000/ship"),
        ("ship@sha256:0123", "ship"),
        ("ship:1@sha256:0123", "ship"),
    ],
)
def test_the_name_of_an_image_without_its_tag(image: str, name: str) -> None:
    assert repository(image) == name


@pytest.mark.parametrize(
    ("said", "what", "where"),
    [
        (
            'failed to read /x/.env: line 3: unterminated quoted value "s3cret',
            "invalid env file: unterminated quoted value.",
            "/x/.env:3",
        ),
        (
            'failed to read /x/.env: line 2: unexpected character "+" in variable name "s+3cret"',
            'invalid env file: unexpected character "+" in variable name.',
            "/x/.env:2",
        ),
        (
            "failed to read /x/.env: required variable B is missing a value: set it",
            "invalid env file: required variable B is missing a value: set it.",
            "/x/.env",
        ),
        (
            "line 2: unterminated quoted value 's3cret",
            "invalid env file: line 2: unterminated quoted value.",
            "compose.yaml",
        ),
    ],
)
def test_an_invalid_env_file_is_named_without_its_values(said: str, what: str, where: str) -> None:
    error = refused(said + "\n", Path("compose.yaml"))
    assert (error.what, error.where) == (what, where)
    earlier = refused(f"{said}\nanother complaint\n", Path("compose.yaml"))
    assert "s3cret" not in earlier.detail


def test_an_env_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath(".env").write_text("A=mine\n", encoding="utf-8")
    example = tmp_path / ".env.example"
    example.write_text("A=\n", encoding="utf-8")
    assert to_copy(tmp_path / "compose.yaml", ALONE) == {}
    with pytest.raises(StackError, match="could not be copied: File exists"):
        copy_example(example, tmp_path / ".env")
    assert tmp_path.joinpath(".env").read_text(encoding="utf-8") == "A=mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".env.example"]


def test_an_env_file_is_copied_for_its_owner_only(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").write_text("A=\n", encoding="utf-8")
    file = tmp_path / ".env"
    assert to_copy(tmp_path / "compose.yaml", ALONE) == {file: tmp_path / ".env.example"}
    copy_example(tmp_path / ".env.example", file)
    assert file.read_text(encoding="utf-8") == "A=\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".env.example"]


def test_no_env_file_and_no_example(tmp_path: Path) -> None:
    assert to_copy(tmp_path / "compose.yaml", ALONE) == {}


def test_an_example_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").mkdir()
    with pytest.raises(StackError, match="could not be copied: Is a directory"):
        copy_example(tmp_path / ".env.example", tmp_path / ".env")
    assert [path.name for path in tmp_path.iterdir()] == [".env.example"]


def test_compose_is_started_in_one_place() -> None:
    package = Path(runner.__file__).parents[1]
    found = [path.name for path in package.rglob("*.py") if 'find("compose"' in path.read_text(encoding="utf-8")]
    assert found == ["runner.py"]
