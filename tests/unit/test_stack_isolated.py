"""What a smoke makes of a compose model, and what it asks of the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.unit.test_stack_judge import container, needs

from seatrial.cli.exec import words_of
from seatrial.compose import runner
from seatrial.compose.runner import Stack
from seatrial.errors import SettingsError, StackError
from seatrial.facts import Condition, Reply, Service
from seatrial.settings.model import Contract, Settings, StackContract
from seatrial.settings.read import convert
from seatrial.stack.agent import UnreadableError, Written, filled, read_path
from seatrial.stack.inspect import of_service, running
from seatrial.stack.isolated import app_service, copied_in, isolated
from seatrial.stack.state import ContainerStatus

FILE = Path("compose.yaml")
STACK = Stack(app="ship", compose_project="ship-1")
DOCUMENT: dict[str, Any] = {
    "name": "ship-1",
    "services": {
        "db": {
            "image": "postgres:17",
            "container_name": "the-database",
            "ports": [{"target": 5432, "published": "5432"}],
            "environment": {"A": "1", "B": "2"},
            "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
            "networks": {"inner": {"ipv4_address": "10.0.0.5", "aliases": ["sql"]}, "outer": None},
            "labels": {"traefik.enable": "true"},
        }
    },
    "networks": {
        "inner": {"name": "ship-1_inner", "internal": True, "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}},
        "outer": {"name": "the-proxy", "external": True},
    },
    "volumes": {"data": {"name": "the-data", "external": True}},
    "secrets": {"key": {"name": "ship-1_key", "file": "/project/key"}},
}


def test_an_isolated_stack_holds_nothing_of_anybody_elses() -> None:
    made = isolated(DOCUMENT, FILE, labels={"seatrial": "1"}, environment={"db": {"B": "3", "C": "4"}})
    assert made == {
        "services": {
            "db": {
                "image": "postgres:17",
                "environment": {"A": "1", "B": "3", "C": "4"},
                "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
                "networks": {"inner": {"aliases": ["sql"]}, "outer": None},
                "labels": {"seatrial": "1"},
            }
        },
        "networks": {
            "inner": {"internal": True, "labels": {"seatrial": "1"}},
            "outer": {"internal": False, "labels": {"seatrial": "1"}},
        },
        "volumes": {"data": {"labels": {"seatrial": "1"}}},
        "secrets": {"key": {"file": "/project/key"}},
    }


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"network_mode": "host"}, "'db' shares this machine's network"),
        ({"volumes": [{"type": "bind", "source": "/srv/data", "target": "/d"}]}, "'db' may write to /srv/data"),
    ],
)
def test_what_cannot_be_had_twice_is_refused(service: dict[str, Any], said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        isolated({"services": {"db": service}}, FILE, labels={}, environment={})
    assert caught.value.fix


def test_a_read_only_mount_stays() -> None:
    mount = {"type": "bind", "source": "/srv/conf", "target": "/c", "read_only": True}
    made = isolated({"services": {"db": {"volumes": [mount]}}}, FILE, labels={}, environment={})
    assert made["services"]["db"]["volumes"] == [mount]


def test_a_model_with_other_images() -> None:
    made = runner.replaced({"services": {"a": {"image": "x", "user": "1"}, "b": {"image": "y"}}}, {"a": "z"})
    assert made == {
        "services": {"a": {"image": "z", "pull_policy": "never", "user": "1"}, "b": {"image": "y"}},
    }


MIGRATE = Service(name="migrate", image="ship:1")
API = Service(name="api", image="ship:1", depends_on=needs("migrate", condition=Condition.COMPLETED))
DB = Service(name="db", image="postgres:17")


def test_the_app_is_the_service_that_stays_up_on_its_image() -> None:
    own = {"ship": "ship"}
    assert app_service((DB, MIGRATE, API), own, "ship", StackContract(), FILE) == "api"
    assert app_service((DB, MIGRATE, API), own, "ship", StackContract(service="migrate"), FILE) == "migrate"
    with pytest.raises(StackError, match=r"several services run .*which one is the app") as caught:
        app_service((API, structs.replace(API, name="jobs")), own, "ship", StackContract(), FILE)
    assert 'service = "NAME", one of api, jobs' in caught.value.fix
    with pytest.raises(StackError, match="no service runs the image of ship"):
        app_service((DB,), own, "ship", StackContract(), FILE)
    with pytest.raises(StackError, match=r"`stack.database` names 'bd'.*Known: api, db"):
        app_service((DB, API), own, "ship", StackContract(database="bd"), FILE)


def test_a_body_is_filled_however_deep() -> None:
    body = {"a": "x {unique}", "b": [{"c": "{unique}"}, 7], "d": None}
    assert filled(body, "u") == {"a": "x u", "b": [{"c": "u"}, 7], "d": None}


def written(body: str) -> Written:
    return Written(unique="u", request="POST /x", reply=Reply(status=201, body=body))


def test_where_to_read_comes_from_the_writes_answer() -> None:
    assert read_path("/x/{id}", written('{"id": 7}')) == "/x/7"
    assert read_path("/x/{data.id}?q={unique}", written('{"data": {"id": "a/b"}}')) == "/x/a%2Fb?q=u"
    assert read_path("/x", written("no JSON at all")) == "/x"
    for body in ("no JSON", "[]", '{"uuid": 1}', '{"id": null}', '{"id": {}}', '{"id": true}', "[" * 100_000):
        with pytest.raises(UnreadableError, match=r"`read` names \{id\}"):
            read_path("/x/{id}", written(body))


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ({"write": {"path": "/x", "body": {"a": "{unique}"}}}, r"contract.stack.read: expected together with `write`"),
        ({"read": "/x"}, r"contract.stack.read: expected together with `write`"),
        ({"write": {"path": "/x", "body": {"a": "b"}}, "read": "/x"}, r"stack.write.body: expected \{unique\} in one"),
    ],
)
def test_a_stack_that_could_show_nothing_is_refused(stack: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        convert({"apps": {"ship": {"contract": {"stack": stack}}}}, Settings, file=FILE, table="tool.seatrial")
    assert Contract().stack == StackContract()


# --- restart and exec -------------------------------------------------------------------------------------


def test_what_runs_is_named_where_a_service_does_not() -> None:
    there = (
        container("api"),
        container("db", ContainerStatus.EXITED, exit_code=3),
        container("job", ContainerStatus.CREATED),
    )
    assert running(STACK, there, "api") is there[0]
    with pytest.raises(StackError, match=r"db is not running: it ended with exit code 3\. Running: api\."):
        running(STACK, there, "db")
    with pytest.raises(StackError, match=r"job is not running: it is created\."):
        running(STACK, there, "job")
    with pytest.raises(StackError, match=r"db is not running.*Nothing runs: `invoke up --app ship`"):
        running(STACK, there[1:], "db")
    with pytest.raises(StackError, match=r"ship has no service 'apo'\. Did you mean 'api'\?"):
        running(STACK, there, "apo")
    with pytest.raises(StackError, match=r"nothing of ship is up\. Bring it up: `invoke up --app ship`"):
        of_service(STACK, (container("api", one_off=True),), None)
    assert of_service(STACK, there, None) == there


def test_the_words_behind_the_dashes_are_the_command_as_they_were_given() -> None:
    assert words_of(None, ["invoke", "exec", "--", "sh", "-c", "echo 'a  b' -- c"]) == ["sh", "-c", "echo 'a  b' -- c"]
    assert words_of(None, ["invoke", "exec", "--", "ls", "--", "x"]) == ["ls", "--", "x"]
    assert words_of("psql -c 'select 1'", ["invoke", "exec"]) == ["psql", "-c", "select 1"]
    for command in (None, "", "  "):
        with pytest.raises(SettingsError, match="which command"):
            words_of(command, ["invoke", "exec", "--"])


def test_what_compose_copies_into_a_container_is_told_from_what_it_mounts() -> None:
    document = {
        "services": {
            "api": {"secrets": [{"source": "key"}, {"source": "file"}], "configs": [{"source": "text"}]},
            "db": {"secrets": [{"source": "file"}]},
        },
        "secrets": {"key": {"environment": "KEY"}, "file": {"file": "/srv/key"}},
        "configs": {"text": {"content": "a: 1"}},
    }
    assert copied_in(document, "api") == ("key", "text")
    assert copied_in(document, "db") == copied_in(document, "web") == ()
