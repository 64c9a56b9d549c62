"""Several compose files and env files, as the settings name them: what compose is given, whose line it is, who may."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.checks.compose.findings import on
from seatrial.compose.guard import surroundings
from seatrial.compose.reading import read_ahead
from seatrial.compose.runner import Beside, Compose, Stack, beside, refused
from seatrial.compose.services import read_compose
from seatrial.compose.text import text_of
from seatrial.compose.variables import check_variables, to_copy, variable_sources, with_examples, without_missing
from seatrial.engine.find import no_engine
from seatrial.errors import SettingsError, StackError
from seatrial.facts import ComposeSource, Unavailable
from seatrial.host import Host
from seatrial.settings.read import Project, read_project
from seatrial.smoke.sources import check_sources
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.plan import compose_file
from seatrial.stack.preflight import check_override
from seatrial.trust import Trust
from seatrial.yaml_tree import LARGEST, Line, at

OPEN = os.open

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


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("services:\n  a:\n    ports: 3: 4\n", "yaml: line 3: mapping values are not allowed in this context", ":3"),
        ("services:\n\n\ta: {}\n", "yaml: line 3: found character that cannot start any token", ":3"),
        ("a: 1\nb: 2\nb: 3\n", 'yaml: unmarshal errors:\n  line 3: mapping key "b" already defined at line 2', ":3"),
    ],
)
def test_a_file_that_is_no_yaml_is_found_among_several(tmp_path: Path, text: str, message: str, line: str) -> None:
    known = beside(project(tmp_path), "shop")
    (tmp_path / "deploy/prod.yaml").write_text(text, encoding="utf-8")
    assert refused(message, tmp_path / "compose.yaml", known).where == f"{tmp_path}/deploy/prod.yaml{line}"
    assert refused(message, tmp_path / "compose.yaml").where == f"{tmp_path}/compose.yaml{line}"


def test_an_env_file_that_is_missing_is_copied_from_its_own_example_or_named(tmp_path: Path) -> None:
    read = project(tmp_path)
    made, file = compose(read), tmp_path / "compose.yaml"
    missing = tmp_path / "deploy/prod.env"
    assert to_copy(file, made.stack.beside) == {}
    assert without_missing(made).env_files == (tmp_path / "base.env",)
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


@pytest.mark.parametrize("named", ["", 'env-files = ["prod.env"]\n'])
@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ("missing", "missing", "link"),
        ("missing", "dangling", "link"),
        ("dangling", "missing", "chain"),
        ("dangling", "dangling", "dangling"),
        ("loop", "loop", "link"),
        ("there", "missing", "link"),
        ("there", "there", "dangling"),
    ],
)
def test_no_example_leads_out_of_a_project_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, first: str, second: str, how: str
) -> None:
    (inside := tmp_path / "project").mkdir()
    settings = project(inside, f'[apps.shop]\ncompose = "compose.yaml"\n{named}')
    (secret := tmp_path / "secret").write_text("NAME=s3cret\n", encoding="utf-8")
    env = inside / (".env" if not named else "prod.env")
    example, other = (env.with_name(f"{env.name}{ending}") for ending in (".example", ".sample"))
    for path, kind in ((env, first), (example, second)):
        if kind == "there":
            path.write_text("NAME=own\n", encoding="utf-8")
        elif kind != "missing":
            path.symlink_to(path if kind == "loop" else "nowhere")
    if how == "chain":
        (inside / "step").symlink_to(secret)
    other.symlink_to({"link": str(secret), "chain": "step", "dangling": str(tmp_path / "later")}[how])
    opened: list[object] = []

    def opening(path: Path, flags: int) -> int:
        opened.append(path)
        return OPEN(path, flags)

    monkeypatch.setattr(os, "open", opening)
    host, file = some_host(tmp_path), inside / "compose.yaml"
    beside_it = beside(settings, "shop")
    around = surroundings(inside, no_engine(host), host)
    found = read_ahead(file, around, host, beside=beside_it).found
    assert (str(other), True) in [(where, "outside of the project" in reach.what) for where, reach in found]
    read = read_compose(file, "compose.yaml", inside, no_engine(host), host, beside=beside_it)
    assert read == Unavailable(reason=f"{other} lies outside of the project, which is not trusted")
    assert other not in opened


def test_an_example_beside_the_env_files_of_the_settings_leads_out_of_no_project_either(tmp_path: Path) -> None:
    (inside := tmp_path / "project").mkdir()
    settings = project(inside)
    (inside / "env.example").symlink_to(tmp_path / "secret")
    host, file = some_host(tmp_path), inside / "compose.yaml"
    read = read_compose(file, "compose.yaml", inside, no_engine(host), host, beside=beside(settings, "shop"))
    assert isinstance(read, Unavailable)
    assert read.reason.startswith(f"{inside}/env.example lies outside")


def test_keys_in_a_project_that_is_the_home_folder_are_not_read_for_one_that_is_not_trusted(tmp_path: Path) -> None:
    settings = project(tmp_path)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "base.env").unlink()
    (tmp_path / "base.env").symlink_to(".ssh/key")
    host = replace(some_host(tmp_path), home=tmp_path)
    read = read_compose(
        tmp_path / "compose.yaml", "compose.yaml", tmp_path, no_engine(host), host, beside=beside(settings, "shop")
    )
    assert isinstance(read, Unavailable)


@pytest.mark.parametrize("name", ["base.env", "deploy/prod.env", "deploy/prod.env.example"])
def test_a_service_that_may_replace_an_env_file_of_the_settings_is_refused(tmp_path: Path, name: str) -> None:
    read, host = project(tmp_path), some_host(tmp_path)
    (tmp_path / name).write_text("A=1\n", encoding="utf-8")
    reading = read_ahead(
        tmp_path / "compose.yaml", surroundings(tmp_path, no_engine(host), host), host, beside=beside(read, "shop")
    )
    assert tmp_path / name in reading.files


def test_only_the_env_file_that_is_read_is_judged_by_what_it_holds(tmp_path: Path) -> None:
    read, host = project(tmp_path), some_host(tmp_path)
    around, file = surroundings(tmp_path, no_engine(host), host), tmp_path / "compose.yaml"
    (tmp_path / ".env").write_text("COMPOSE_FILE=x\nA=${ASKED}\n", encoding="utf-8")
    (tmp_path / "base.env.example").write_text("COMPOSE_FILE=x\nA=${ASKED}\n", encoding="utf-8")
    reading = read_ahead(file, around, host, beside=beside(read, "shop"))
    assert (reading.found, "ASKED" in reading.asked) == ((), False)
    assert [where for where, _ in read_ahead(file, around, host).found] == [f"{tmp_path}/.env:1"]
    file.write_text("include: [deploy/../other.yaml]\n", encoding="utf-8")
    (tmp_path / "other.yaml").write_text("services: {}\n", encoding="utf-8")
    included = read_ahead(file, around, host, beside=beside(read, "shop")).found
    assert [where for where, _ in included] == [f"{tmp_path}/deploy/../.env:1"]


@pytest.mark.parametrize("text", ["\ufeffCOMPOSE_FILE=x\n", f"A={'1' * LARGEST}\nCOMPOSE_FILE=x\n"])
def test_an_env_file_that_cannot_be_judged_is_not_taken_for_harmless(tmp_path: Path, text: str) -> None:
    read, host = project(tmp_path), some_host(tmp_path)
    (tmp_path / "base.env").write_text(text, encoding="utf-8")
    around = surroundings(tmp_path, no_engine(host), host)
    assert read_ahead(tmp_path / "compose.yaml", around, host, beside=beside(read, "shop")).found


@pytest.mark.parametrize("how", ["missing", "dangling"])
def test_the_env_file_is_not_read_in_the_place_of_those_of_the_settings(tmp_path: Path, how: str) -> None:
    made = compose(project(tmp_path, f'{SETTINGS.partition("env-files")[0]}env-files = ["prod.env"]\n'))
    (tmp_path / ".env").write_text("NAME=no\n", encoding="utf-8")
    if how == "dangling":
        (tmp_path / "prod.env").symlink_to("nowhere")
    for ready in (without_missing(made), with_examples(made), without_missing(with_examples(made))):
        assert ready.env_files == (Path(os.devnull),)
    alone = replace(made, stack=replace(made.stack, beside=Beside()))
    assert without_missing(alone).env_files == with_examples(alone).env_files == ()


@pytest.mark.parametrize("name", ["a" * 300, "loop", "closed/x.env"])
def test_an_env_file_that_cannot_be_looked_up_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read = project(tmp_path, f'{SETTINGS.partition("env-files")[0]}env-files = ["{name}"]\n')
    (tmp_path / "loop").symlink_to("loop")
    if name.startswith("closed"):  # Root may enter every folder: what others get is raised here.
        monkeypatch.setattr(Path, "stat", _closed)
    made, file, host = compose(read), tmp_path / "compose.yaml", some_host(tmp_path)
    assert variable_sources(made, ["NAME"]) == {}
    found = next(check_variables(file, text_of(file), {}, made.stack.beside))
    assert (found.where, found.what) == (f"{tmp_path}/{name}", "the env file is missing.")
    assert with_examples(made).env_files == (Path(os.devnull),)
    monkeypatch.setattr("seatrial.compose.guard.guarded", lambda *_, **__: (made, None))
    with pytest.raises(StackError, match="env file is missing"):
        plan_isolated(read, "shop", engine=no_engine(host), host=host, labels={}, say=lambda _: None)
    monkeypatch.undo()
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    smoked = check_sources(read, tmp_path, host, files=[tmp_path / "compose.yaml"])
    assert [smoke.app for smoke in smoked.smokes] == ["shop"]


def _closed(path: Path, **_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_settings_that_are_links_in_a_circle_are_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial.apps.shop]\nimage = "shop"\n', encoding="utf-8")
    (tmp_path / "seatrial.toml").symlink_to("seatrial.toml")
    assert list(read_project(tmp_path, trust=Trust.NONE).settings.apps) == ["shop"]


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
