"""The checks of what the application's own code asks for: what fails, how gravely, and what does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.code_cases import MISSING, NAMED, OFF_PATH, SOURCES
from tests.unit.factories import distribution, facts, own_code, probe
from tests.unit.source_factories import context, sources

from seatrial.checks import registry
from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import judge
from seatrial.facts import NO_SOURCES, Import, ProjectFacts
from seatrial.facts.code import OwnPackage
from seatrial.facts.probe import PathAccess
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.facts import Facts

CHECKS = {check.id: check for check in registry.CHECKS}
replace = msgspec.structs.replace


def judged(check: str, seen: Facts, **contract: Any) -> Result:
    return judge(CHECKS[check], seen, Contract(**contract))


def imports(*rows: Any, **changed: Any) -> Result:
    return judged("app/imports-resolve", facts(own_code=own_code(missing=rows), **changed))


def test_a_lazy_import_is_told_with_its_line_in_the_project() -> None:
    result = imports(MISSING)
    assert (result.status, result.severity) == (Status.FAIL, Severity.ERROR)
    assert result.actual == "/app/src/shop/api.py:13 imports openpyxl.styles: there is no openpyxl"
    assert result.where == "src/shop/api.py:13"
    assert "Add what brings openpyxl" in result.fix
    assert "to pyproject.toml" in result.fix
    installed = replace(MISSING, file="/opt/venv/lib/python3.13/site-packages/shop/api.py")
    assert imports(installed).where == "src/shop/api.py:13"


@pytest.mark.parametrize(
    ("changed", "severity"),
    [
        ({"certain": False}, Severity.WARNING),
        ({"certain": False, "reached": False}, Severity.NOTE),
    ],
)
def test_what_may_never_be_imported_is_less_grave(changed: dict[str, Any], severity: Severity) -> None:
    assert imports(replace(MISSING, **changed)).severity is severity
    assert imports(MISSING, replace(MISSING, **changed)).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("missing", "lies_in", "fix"),
    [
        ("yaml", "", "Add what brings yaml (PyYAML)"),
        ("openpyxl", "/deps", "It lies in /deps, which is not on the interpreter's path"),
        ("flask.ext", "", "flask is there, in a version without flask.ext"),
        ("shop.export", "", "see that the image gets shop.export"),
    ],
)
def test_each_cause_has_its_fix(missing: str, lies_in: str, fix: str) -> None:
    assert fix in imports(replace(MISSING, missing=missing, lies_in=lies_in)).fix


def test_what_is_optional_by_declaration_does_not_count() -> None:
    own = distribution("shop", requires=("openpyxl>=3; extra == 'excel'",))
    assert imports(MISSING, probe=probe(distributions=(own,))).status is Status.PASS
    project = replace(facts().project, optional=("openpyxl",))
    assert imports(MISSING, project=project).status is Status.PASS
    other = replace(MISSING, asked="psycopg2", missing="psycopg2")
    assert imports(other, project=replace(project, optional=("psycopg2-binary",))).status is Status.PASS
    asked = replace(project, dependencies=("openpyxl",))
    assert imports(MISSING, project=asked).status is Status.FAIL, "it is a dependency, too"
    assert imports(replace(MISSING, missing="ipdb")).status is Status.PASS, "a developer's tool"


def test_what_app_imports_tells_is_not_told_again() -> None:
    error = "ModuleNotFoundError: No module named 'openpyxl'"
    broken = probe(imports=(Import(name="shop.api", ok=False, seconds=0, error=error),))
    assert imports(MISSING, probe=broken).status is Status.PASS
    others = [
        replace(MISSING, missing=name, nested=nested) for name, nested in (("a", False), ("b", True), ("a", True))
    ]
    assert imports(*others, probe=broken).actual.endswith("there is no b")


def test_without_modules_of_its_own_there_is_nothing_to_judge() -> None:
    nothing = facts(own_code=own_code(modules=0, packaged=(), home=""))
    for check in ("app/imports-resolve", "app/names-resolve", "app/package-data", "app/home"):
        assert judged(check, nothing).status is Status.SKIP


# --- data files -----------------------------------------------------------------------------------------------------


def data(
    *paths: str, texts: tuple[str, ...] = ("templates",), project: ProjectFacts | None = None, **own: Any
) -> Result:
    package = OwnPackage(**{"name": "shop", "folder": "/site/shop", "installed": True, **own})
    seen = facts(
        own_code=own_code(packaged=(package,), texts=texts),
        sources=sources(context=context(*(paths or SOURCES))),
        project=project or ProjectFacts(),
    )
    return judged("app/package-data", seen)


def test_a_folder_that_the_wheel_lacks_is_named_with_how_to_include_it() -> None:
    result = data()
    assert (result.status, result.severity, result.where) == (Status.FAIL, Severity.ERROR, "pyproject.toml:1")
    assert result.actual == "/site/shop lacks src/shop/templates (1 file)"
    assert result.fix == ('Below `[tool.setuptools.package-data]` of pyproject.toml, add `shop = ["templates/**/*"]`.')
    assert result.evidence == ("/site/shop/templates/home.html is not there",)
    assert data(files=("templates/home.html",)).status is Status.PASS


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("hatchling.build", "[tool.hatch.build.targets.wheel]"),
        ("poetry.core.masonry.api", '`[tool.poetry]` of pyproject.toml, add `include = ["src/shop/templates/**/*"]'),
        ("uv_build", "Let uv_build put src/shop/templates into the wheel"),
    ],
)
def test_each_build_backend_has_its_own_line(backend: str, words: str) -> None:
    assert words in data(project=ProjectFacts(build_backend=backend)).fix


def test_code_that_was_copied_without_its_files() -> None:
    result = data(installed=False, folder="/app/src/shop")
    assert result.fix == "Copy it too: `COPY src/shop/templates /app/src/shop/templates`."


@pytest.mark.parametrize(
    ("path", "texts", "severity"),
    [
        ("src/shop/schema.sql", ("schema.sql",), Severity.ERROR),
        ("src/shop/templates/shop/home.html", ("shop/home.html",), Severity.ERROR),
        ("src/shop/old/notes.txt", (), Severity.NOTE),
    ],
)
def test_what_the_code_does_not_name_is_a_note(path: str, texts: tuple[str, ...], severity: Severity) -> None:
    assert data("src/shop/__init__.py", path, texts=texts).severity is severity


NO_DATA = ("src/shop/README.md", "src/shop/tests/data.json", "src/other/x.html", "src/shop/a.py")


@pytest.mark.parametrize("path", NO_DATA)
def test_what_is_no_data_does_not_count(path: str) -> None:
    assert data("src/shop/__init__.py", path).status is Status.PASS


def test_without_the_sources_nothing_can_be_compared() -> None:
    assert judged("app/package-data", facts(sources=NO_SOURCES)).status is Status.SKIP
    cut = facts(sources=sources(context=context(*SOURCES, truncated=True)))
    assert judged("app/package-data", cut).status is Status.SKIP


# --- names of outside things, and the home folder --------------------------------------------------------------------


def names(*rows: Any, **contract: Any) -> Result:
    return judged("app/names-resolve", facts(own_code=own_code(named=rows)), **contract)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("program", "convert", "Install convert in the final stage"),
        ("zone", "US/Eastern", "tzdata-legacy"),
        ("locale", "de_DE.UTF-8", "localedef -i de_DE -f UTF-8 de_DE.UTF-8"),
        ("codec", "big5", "encodings"),
    ],
)
def test_each_kind_has_its_fix(kind: str, name: str, words: str) -> None:
    result = names(replace(NAMED, kind=kind, name=name))
    assert (result.status, result.severity) == (Status.FAIL, Severity.ERROR)
    assert name in result.actual
    assert words in result.fix


def test_what_the_contract_names_is_told_by_its_own_check() -> None:
    assert names(NAMED, executables=("convert",)).status is Status.PASS


def test_a_developers_program_is_a_note() -> None:
    assert names(replace(NAMED, name="git")).severity is Severity.NOTE
    assert names(replace(NAMED, name="git"), NAMED).severity is Severity.ERROR
    assert names(replace(NAMED, certain=False)).severity is Severity.WARNING


def test_a_home_that_is_there_and_closed_is_a_note() -> None:
    closed = PathAccess(path="/app", exists=True, writable=False, nearest="/app", owner="0:0", mode="0755")
    seen = facts(own_code=own_code(home_folder=closed))
    result = judged("app/home", seen)
    assert (result.status, result.severity) == (Status.FAIL, Severity.NOTE)
    assert result.actual == "HOME is /app, which has mode 0755 and owner 0:0; /app/src/shop/api.py:3 asks for it"
    assert judged("app/home", seen, tmpfs=("/app",)).status is Status.PASS
    gone = facts(own_code=own_code(home_folder=replace(closed, exists=False)))
    assert judged("app/home", gone).severity is Severity.WARNING


# --- packages off the path ------------------------------------------------------------------------------------------


def off_path(**changed: Any) -> Result:
    interpreter = replace(probe().interpreter, off_path=(OFF_PATH,))
    return judged("python/packages-on-path", facts(probe=probe(interpreter=interpreter, **changed)))


def test_what_is_missing_is_told_with_where_it_lies_and_why() -> None:
    result = off_path(distributions=(distribution("fastapi"),))
    assert result.status is Status.FAIL
    assert result.actual == (
        "uvicorn lies in /home/app/.local/lib/python3.13/site-packages, where /app/.venv/bin/python does not look: "
        "HOME is /app"
    )
    assert result.fix == OFF_PATH.fix
    assert off_path().status is Status.PASS, "nothing is missing"


def test_an_import_that_fails_is_looked_for_too() -> None:
    error = "ModuleNotFoundError: No module named 'uvicorn.config'"
    rows = (Import(name="shop.api", ok=False, seconds=0, error=error),)
    interpreter = replace(probe().interpreter, off_path=(OFF_PATH,))
    seen = facts(
        probe=probe(interpreter=interpreter, imports=rows, distributions=(distribution("fastapi"),)),
        project=ProjectFacts(),
    )
    assert judged("python/packages-on-path", seen).actual.startswith("uvicorn lies in ")
