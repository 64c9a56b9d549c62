"""Several compose files and env files, as the settings name them: what compose is given, whose line it is, who may."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.checks.compose.findings import on
from seatrial.compose.guard import surroundings
from seatrial.compose.reading import read_ahead
from seatrial.compose.runner import Beside, Compose, Stack, beside, refused
from seatrial.compose.services import read_compose
from seatrial.compose.text import text_of
from seatrial.compose.variables import check_variables, to_copy, with_examples, without_missing
from seatrial.engine.find import no_engine
from seatrial.errors import SettingsError, StackError
from seatrial.facts import ComposeSource, Unavailable
from seatrial.host import Host
from seatrial.settings.read import Project, read_project
from seatrial.stack.plan import compose_file
from seatrial.stack.preflight import check_override
from seatrial.trust import Trust
from seatrial.yaml_tree import Line, at

BASE = """\
services:
  api:
    image: shop
    ports: ["8000:8000"]
    env_file: [a.env]
    environment: {LEVEL: "${LEVEL}", NAME: "${NAME}"}
"""
PROD = """\
# production
services:
  api:
    image: shop:prod
    ports: ["8001:8001"]
    env_file: [b.env]
    environment:
      NAME: ${NAME:?who}
      TOKEN: ${TOKEN:?}
  db: {image: postgres}
volumes: {data: {}}
"""
SETTINGS = """\
[apps.shop]
compose = ["compose.yaml", "deploy/prod.yaml"]
env-files = ["base.env", "deploy/prod.env"]
"""


def project(folder: Path, settings: str = SETTINGS) -> Project:
    (folder / "deploy").mkdir(exist_ok=True)
    files = {"seatrial.toml": settings, "compose.yaml": BASE, "deploy/prod.yaml": PROD, "base.env": "LEVEL=1\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_project(folder)


def compose(read: Project) -> Compose:
    stack = Stack(app="shop", compose_project="shop", beside=beside(read, "shop"))
    return Compose(program="compose", environment={}, stack=stack, file=read.folder / "compose.yaml")


def some_host(folder: Path) -> Host:
    kept = {key: folder / key for key in ("home", "data", "cache")}
    return Host(environment={}, trust=Trust.NONE, **kept)


def test_a_line_knows_its_file_and_is_a_number() -> None:
    line = Line(7, "b.yaml")
    assert (at("a.yaml", line), at("a.yaml", 7), at("a.yaml", 0)) == ("b.yaml:7", "a.yaml:7", "a.yaml")
    assert (on(line), on(7), on(0), line + 1) == ("b.yaml:7: ", "line 7: ", "", 8)


def test_each_line_is_of_the_file_that_says_it(tmp_path: Path) -> None:
    read = project(tmp_path)
    text = text_of(tmp_path / "compose.yaml", read.compose_files(read.app("shop"))[1:], lambda file: file.name)
    lines = {key: at("compose.yaml", line) for key, line in text.lines["api"].items()}
    assert lines[""] == "compose.yaml:2"
    assert (lines["image"], lines["ports.0"], lines["ports.1"]) == ("prod.yaml:4", "compose.yaml:4", "prod.yaml:5")
    assert (lines["environment.LEVEL"], lines["environment.NAME"]) == ("compose.yaml:6", "prod.yaml:8")
    assert at("compose.yaml", text.lines["db"][""]) == "prod.yaml:10"
    assert at("compose.yaml", text.top["volumes.data"]) == "prod.yaml:11"
    assert [file.path for file in text.env_files["api"]] == ["a.env", "b.env"]
    variables = {variable.name: (variable.required, at("", variable.line)) for variable in text.variables}
    assert variables == {"LEVEL": (False, ":6"), "NAME": (True, "prod.yaml:8"), "TOKEN": (True, "prod.yaml:9")}


def test_compose_is_given_all_files_in_their_order(tmp_path: Path) -> None:
    # A program that says what it was given, in place of compose.
    (program := tmp_path / "compose").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    made = replace(compose(project(tmp_path)), program=str(program), environment={"PATH": "/usr/bin:/bin"})
    said = made.inside("api", ["true"], timeout=10, tick=lambda: None).output.replace(f"{tmp_path}/", "").split()
    assert said[4:-4] == [
        *("--env-file", "base.env", "--env-file", "deploy/prod.env", "--file", "compose.yaml"),
        *("--file", "deploy/prod.yaml"),
    ]


def test_a_single_name_goes_on_being_one(tmp_path: Path) -> None:
    read = project(tmp_path, '[apps.shop]\ncompose = "compose.yaml"\n')
    assert beside(read, "shop") == Beside()
    assert compose_file(read, "shop") == tmp_path / "compose.yaml"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("compose = 5", "expected text, or a list of texts, got a whole number"),
        ('compose = ["a", ""]', "expected the path of a file"),
        ("env-files = [1]", "expected text"),
    ],
)
def test_what_is_no_list_of_files_is_told(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        project(tmp_path, f"[apps.shop]\n{written}\n")


def test_each_file_must_be_there(tmp_path: Path) -> None:
    read = project(tmp_path)
    (tmp_path / "deploy/prod.yaml").unlink()
    with pytest.raises(StackError, match="there is no such compose file") as caught:
        compose_file(read, "shop")
    assert caught.value.where == str(tmp_path / "deploy/prod.yaml")


def test_a_refusal_is_placed_in_the_file_that_it_is_about(tmp_path: Path) -> None:
    read = project(tmp_path)
    known = beside(read, "shop")
    (tmp_path / "deploy/prod.yaml").write_text("services:\n  api:\n    image: x\n    nosuch: 1\n", encoding="utf-8")
    about = refused(f"validating {tmp_path}/deploy/prod.yaml: services.api.nosuch", tmp_path / "compose.yaml", known)
    assert about.where == f"{tmp_path}/deploy/prod.yaml:4"
    asked = refused("required variable NAME is missing a value", tmp_path / "compose.yaml", known)
    assert asked.where == f"{tmp_path}/compose.yaml:6"
    assert asked.fix == f"Set it in {tmp_path}/deploy/prod.env or in your environment."


def test_an_env_file_that_is_missing_is_copied_from_its_own_example_or_named(tmp_path: Path) -> None:
    read = project(tmp_path)
    made, file = compose(read), tmp_path / "compose.yaml"
    missing = tmp_path / "deploy/prod.env"
    assert to_copy(file, made.stack.beside) == {}
    assert without_missing(made).stack.beside.env_files == (tmp_path / "base.env",)
    first = next(check_variables(file, text_of(file), {}, made.stack.beside))
    assert (first.where, first.fix) == (
        str(missing),
        "Make it, or correct `env-files` in the settings.",
    )
    example = tmp_path / "deploy/prod.env.example"
    example.write_text("# Who.\nNAME=me\n", encoding="utf-8")
    (tmp_path / ".env").write_text("NAME=no\n", encoding="utf-8")
    assert to_copy(file, made.stack.beside) == {missing: example}
    assert with_examples(made).env_files == (tmp_path / "base.env", example)
    said = {finding.what for finding in check_variables(file, text_of(file), {}, made.stack.beside)}
    assert any("prod.env.example says: Who." in what for what in said)


def test_the_checks_read_all_files(tmp_path: Path) -> None:
    read = project(tmp_path)
    host = some_host(tmp_path)
    file = tmp_path / "compose.yaml"
    source = read_compose(file, "compose.yaml", tmp_path, no_engine(host), host, beside=beside(read, "shop"))
    assert isinstance(source, ComposeSource)
    assert [(file.path, file.there) for file in source.files][:2] == [("base.env", True), ("deploy/prod.env", False)]
    assert source.explained == {"LEVEL"}
    assert {at("compose.yaml", variable.line) for variable in source.variables} == {
        "compose.yaml:6",
        *("deploy/prod.yaml:8", "deploy/prod.yaml:9"),
    }


@pytest.mark.parametrize("kind", ["files", "env_files"])
def test_no_file_leads_out_of_a_project_that_is_not_trusted(tmp_path: Path, kind: str) -> None:
    (inside := tmp_path / "project").mkdir()
    settings = project(inside)
    outside = tmp_path / "outside"
    outside.write_text("services: {api: {image: x}}\n", encoding="utf-8")
    host = some_host(tmp_path)
    around = surroundings(inside, no_engine(host), host)
    file = inside / "compose.yaml"
    assert not read_ahead(file, around, host, beside=beside(settings, "shop")).found
    named = replace(beside(settings, "shop"), **{kind: (outside,)})
    found = read_ahead(file, around, host, beside=named).found
    assert [where for where, _ in found] == [str(outside)]
    read = read_compose(file, "compose.yaml", inside, no_engine(host), host, beside=named)
    assert isinstance(read, Unavailable)
    assert read.reason == f"{outside} lies outside of the project, which is not trusted"


def test_an_env_file_of_an_untrusted_project_does_not_steer_compose(tmp_path: Path) -> None:
    read = project(tmp_path)
    (tmp_path / "deploy/prod.env").write_text("A=1\nCOMPOSE_FILE=/etc/passwd\n", encoding="utf-8")
    host = some_host(tmp_path)
    around = surroundings(tmp_path, no_engine(host), host)
    found = read_ahead(tmp_path / "compose.yaml", around, host, beside=beside(read, "shop")).found
    assert [(where, "COMPOSE_FILE" in reach.what) for where, reach in found] == [
        (f"{tmp_path}/deploy/prod.env:2", True)
    ]


def test_an_override_is_told_of_where_the_settings_name_one_file_alone(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "compose.override.yaml").write_text(BASE, encoding="utf-8")
    file = tmp_path / "compose.yaml"
    (told,) = check_override(file)
    assert told.fix.endswith('compose = ["compose.yaml", "compose.override.yaml"].')
    assert not list(check_override(file, (tmp_path / "compose.override.yaml",)))
