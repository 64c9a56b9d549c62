"""What the programs that are started know of the host's environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import seatrial
from seatrial.host import passed_on

STARTS = {"run", "stream", "attached", "spawn"}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LC_ALL", "TZ", "https_proxy", "NO_PROXY", "DOCKER_CONFIG", "DOCKER_AUTH_CONFIG",
     "BUILDX_BUILDER", "COMPOSE_PROFILES", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "XDG_RUNTIME_DIR"],
)  # fmt: skip
def test_what_a_program_needs_is_passed_on(name: str) -> None:
    assert passed_on({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OPENAI_API_KEY", "DATABASE_URL", "PGPASSWORD", "LD_PRELOAD",
     "PYTHONPATH", "DOCKER_PASSWORD", "DOCKER_TOKEN", "COMPOSE_SECRET", "BUILDX_KEY", "path", "home", "PIP_INDEX_URL"],
)  # fmt: skip
def test_nothing_else_of_the_host_is_passed_on(name: str) -> None:
    assert passed_on({name: "value"}) == {}


def test_a_programs_own_settings_are_passed_on_where_it_is_named() -> None:
    assert passed_on({"PIP_INDEX_URL": "a", "UV_TOKEN": "b"}, "PIP_") == {"PIP_INDEX_URL": "a"}


def test_no_program_is_started_with_the_whole_environment() -> None:
    calls = 0
    for file in Path(seatrial.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "process"
                and node.func.attr in STARTS
            ):
                calls += 1
                assert any(word.arg == "environment" for word in node.keywords), f"{file}:{node.lineno}"
    assert calls > 10
