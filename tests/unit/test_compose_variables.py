"""What compose is asked of variables, and where it takes them from."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from seatrial.compose.runner import Beside, Compose, Stack
from seatrial.compose.variables import variable_sources
from seatrial.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

STACK = Stack(app="ship", compose_project="ship-1")
ANSWER = """\
#!{python}
import json, os, sys
document = json.loads(sys.stdin.read())
asked = document["services"]["variables"]["environment"]
json.dump({{"asked": asked, "words": sys.argv[1:]}}, open("asked.json", "w"))
values = {{"TOKEN": "a$$$$b", "EMPTY": "", "UNSET": None, "HERE": "x"}}
print(json.dumps({{"services": {{"variables": {{"environment": {{name: values.get(name) for name in asked}}}}}}}}))
"""


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    program = tmp_path / "docker-compose"
    program.write_text(ANSWER.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    return Compose(
        program=str(program),
        environment={"PATH": "/usr/bin:/bin", "HERE": "x", "NOTHING": ""},
        stack=STACK,
        file=tmp_path / "compose.yaml",
    )


def asked(compose: Compose) -> list[str] | None:
    file = compose.file.with_name("asked.json")
    if not file.exists():
        return None
    found: list[str] = json.loads(file.read_text(encoding="utf-8"))["asked"]
    return found


def test_values_are_those_that_are_set_with_their_dollar_signs_once(compose: Compose) -> None:
    assert compose.values(["TOKEN", "UNSET", "EMPTY", "TOKEN"]) == {"TOKEN": "a$$b", "EMPTY": ""}
    assert asked(compose) == ["EMPTY", "TOKEN", "UNSET"]


@pytest.mark.parametrize("names", [[], ["A=B", "", "1A", "A B", "$A"]])
def test_what_is_no_name_is_not_asked_for(compose: Compose, names: list[str]) -> None:
    assert compose.values(names) == {}
    assert asked(compose) is None


def test_without_an_env_file_the_environment_alone_tells(compose: Compose) -> None:
    assert variable_sources(compose, ["HERE", "NOTHING", "TOKEN"]) == {"HERE": "the environment"}
    assert asked(compose) is None


def test_with_an_env_file_compose_tells(compose: Compose) -> None:
    compose.file.with_name(".env").touch()
    found = variable_sources(compose, ["HERE", "TOKEN", "EMPTY", "UNSET"])
    assert found == {"HERE": "the environment", "TOKEN": ".env"}


def test_the_env_file_is_named_that_is_read(compose: Compose) -> None:
    other = compose.file.with_name("other.env")
    other.touch()
    assert variable_sources(replace(compose, env_files=(other,)), ["TOKEN"]) == {"TOKEN": "other.env"}


def test_an_env_file_that_compose_alone_knows_of_is_read(compose: Compose) -> None:
    elsewhere = replace(compose, environment={**compose.environment, "COMPOSE_ENV_FILES": "a.env,b.env"})
    assert variable_sources(elsewhere, ["TOKEN"]) == {"TOKEN": "an env file"}
    compose.file.with_name("asked.json").unlink()
    compose.file.with_name("a.env").touch()
    beside = Beside(env_files=tuple(map(compose.file.with_name, ("a.env", "b.env"))))
    assert variable_sources(replace(elsewhere, stack=replace(STACK, beside=beside)), ["TOKEN"]) == {
        "TOKEN": "a.env or b.env"
    }
    assert asked(compose) == ["TOKEN"]


def test_an_answer_that_is_no_json_is_told(compose: Compose, tmp_path: Path) -> None:
    tmp_path.joinpath("docker-compose").write_text("#!/bin/sh\necho no\n", encoding="utf-8")
    with pytest.raises(StackError, match="its answer is not JSON"):
        compose.values(["TOKEN"])
