"""Variables and secrets: what seatrial says that they hold, compared with what a container really gets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.engine import test_stack as base
from tests.engine.test_stack import SLEEP, Yard

from seatrial.compose import runner
from seatrial.compose.runner import identify
from seatrial.compose.services import model_with_placeholders
from seatrial.compose.text import text_of
from seatrial.compose.variables import variable_sources
from seatrial.errors import StackError
from seatrial.stack import preflight
from seatrial.swarm import materials

if TYPE_CHECKING:
    from seatrial.compose.runner import Compose

pytestmark = pytest.mark.engine

# The fixtures of its neighbour.
engine, host, image, yard = base.engine, base.host, base.image, base.yard

DIALECT = (
    "\ufeffPREFIX=\n"
    "TOKEN=${PREFIX:-live}-key\n"
    "EMPTY_DEFAULT=${PREFIX-unset}\n"
    "ALTERNATIVE=${TOKEN:+set}\n"
    "BARE\n"
    "FROM_SHELL\n"
    "export EXPORTED=1 # a comment\n"
    "BOTH=the file's\n"
    'QUOTED="a # b" # a comment\n'
    "SINGLE='$TOKEN \\n y'\n"
    'ESCAPES="a\\nb\\tc\\"d\\\\e"\n'
    'LINES="first\nsecond\n\nlast"\n'
    "KEY='-----BEGIN KEY-----\nMIIB+/==\n-----END KEY-----\n'\n"
    "WINDOWS=x y\r\n"
    "DOLLAR=a$$b\n"
    "END=5$\n"
    "ESCAPED_DOLLAR=\\$TOKEN\n"
    "HASH=a#b\n"
    "SPACED =  x y  \n"
    "yaml: style\n"
    "BACKSLASH=C:\\new\n"
    "EQUALS=a=b==\n"
    "EMPTY=\n"
    "UNICODE=Київ\n"
    "  INDENTED=1\n"
    "# COMMENTED=1\n"
    "TWICE=1\n"
    "TWICE=2\n"
)
# fmt: off
NAMES = [
    "PREFIX", "TOKEN", "EMPTY_DEFAULT", "ALTERNATIVE", "BARE", "FROM_SHELL", "EXPORTED", "BOTH", "QUOTED", "SINGLE",
    "ESCAPES", "LINES", "KEY", "WINDOWS", "DOLLAR", "END", "ESCAPED_DOLLAR", "HASH", "SPACED", "yaml", "BACKSLASH",
    "EQUALS", "EMPTY", "UNICODE", "INDENTED", "COMMENTED", "TWICE",
]
# fmt: on
SHELL = {"FROM_SHELL": "the shell's", "BOTH": "the shell's"}


def compose_of(yard: Yard) -> Compose:
    stack = identify(yard.project, "ship")
    found = runner.find(stack, yard.folder / "compose.yaml", engine=yard.engine, host=yard.host)
    return replace(found, environment={**found.environment, **SHELL})


def test_each_variable_and_secret_is_what_a_container_gets(yard: Yard) -> None:
    yard.folder.joinpath(".env").write_bytes(DIALECT.encode())
    set_names = [name for name in NAMES if name not in {"BARE", "COMMENTED"}]
    yard.write(
        {
            "api": yard.service(
                *SLEEP,
                environment=NAMES,
                secrets=[f"s_{name}" for name in set_names],
                configs=[{"source": "written", "target": "/written"}],
            )
        },
        secrets={f"s_{name}": {"environment": name} for name in set_names},
        configs={"written": {"content": "token ${TOKEN}, price 5$$, ${LINES}\n"}},
    )
    compose = compose_of(yard)
    document, _ = compose.model()
    values = compose.values(NAMES)
    contents = materials.read(document, compose.values, where=compose.file)
    assert compose.up({}, tick=lambda: None) == ()

    def inside(*words: str) -> str:
        done = compose.inside("api", words, timeout=30, tick=lambda: None)
        assert done.code == 0, done.errors
        return done.output

    real = dict(line.split("=", 1) for line in inside("env", "-0").split("\0") if line)
    assert values == {name: real[name] for name in NAMES if name in real}
    assert (values["TOKEN"], values["FROM_SHELL"], values["BOTH"]) == ("live-key", "the shell's", "the shell's")
    assert {"BARE", "COMMENTED"}.isdisjoint(values)
    for name in set_names:
        held = inside("perl", "-0777", "-ne", "print", f"/run/secrets/s_{name}")
        assert contents["secrets", f"s_{name}"].decode() == held, name
    assert contents["configs", "written"].decode() == inside("perl", "-0777", "-ne", "print", "/written")
    told = variable_sources(compose, NAMES)
    assert told["FROM_SHELL"] == told["BOTH"] == "the environment"
    assert told["TOKEN"] == told["KEY"] == ".env"
    assert set(told) == {name for name, value in values.items() if value}


def test_a_placeholder_stands_for_what_is_not_set_and_for_nothing_else(yard: Yard) -> None:
    yard.folder.joinpath(".env").write_text("export PORT=8123\nEMPTY=\n", encoding="utf-8")
    yard.write(
        {
            "api": {
                "image": "x",
                "ports": ["${PORT}:80", "${OTHER:?say one}:81"],
                "environment": {"E": "${EMPTY:?}", "T": "${FROM_SHELL:?}"},
                "env_file": ["gone.env", "../gone.env"],
                "build": {"context": "..", "dockerfile": "docker/Dockerfile"},
            }
        }
    )
    compose = compose_of(yard)
    with pytest.raises(StackError):
        compose.model()
    document, _ = model_with_placeholders(compose, text_of(compose.file))
    (service,) = document["services"].values()
    assert service["build"]["context"] == str(yard.folder.parent)
    assert [port["published"] for port in service["ports"]] == ["8123", "1"]
    assert service["environment"] == {"E": "1", "T": "the shell's"}


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ('A=1\nKEY="s3cret\nsecond\n', "unterminated quoted value", None),
        ("A=1\nmy+s3cret/line==\n", "unexpected character", ":2"),
        ("A s3cret=1\n", "key cannot contain a space", ":1"),
        ("A=${NO:?say it}\n", "required variable NO is missing a value: say it", ""),
    ],
)
def test_an_invalid_env_file_is_named_with_its_line_and_without_its_values(
    yard: Yard, text: str, what: str, line: str | None
) -> None:
    file = yard.folder / ".env"
    file.write_text(text, encoding="utf-8")
    yard.write({"api": {"image": "x:${A:?}"}})
    with pytest.raises(StackError) as caught:
        compose_of(yard).model()
    assert caught.value.what.startswith(f"invalid env file: {what}")
    assert "s3cret" not in str(caught.value) + caught.value.detail
    if line is not None:
        assert caught.value.where == f"{file}{line}"
    with pytest.raises(StackError, match="invalid env file"):
        yard.plan()
    found = preflight.check_all(yard.project, "ship", engine=yard.engine, host=yard.host)
    assert [(finding.check, finding.readiness.value) for finding in found.findings] == [("env file", "blocked")]
    assert "s3cret" not in repr(found)


def test_an_invalid_env_file_of_a_service_is_named_without_its_values(yard: Yard) -> None:
    yard.folder.joinpath("api.env").write_text('A=1\nKEY="s3cret\nsecond\n', encoding="utf-8")
    yard.write({"api": {"image": "x", "env_file": ["api.env"]}})
    with pytest.raises(StackError, match=r"invalid env file: .*unterminated quoted value") as caught:
        yard.plan()
    assert "s3cret" not in str(caught.value) + caught.value.detail
