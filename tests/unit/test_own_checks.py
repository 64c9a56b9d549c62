"""Checks of a project's own: the documented example, and what is wrong with a module of checks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from tests.unit.factories import configuration, facts

import seatrial.checks
from seatrial.checks import registry
from seatrial.checks import registry as own_checks
from seatrial.checks.declaration import FACTS
from seatrial.checks.model import Level, Status
from seatrial.checks.verdict import Smoke, smoke_of
from seatrial.errors import SettingsError
from seatrial.reports.write import Format, render
from seatrial.settings.model import Contract
from seatrial.settings.read import read_project
from seatrial.smoke import app_target, image_target

if TYPE_CHECKING:
    from seatrial.checks.model import Check

PAGE = (Path(__file__).parents[2] / "docs" / "own-checks.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
HEAD = "from seatrial.checks import check, passed\n"
GOOD = '@check("shop/x", title="X", why="Y.", source="Z")\ndef x(configuration):\n    return passed("x")\n'


def own(folder: Path, **modules: str) -> tuple[Check, ...]:
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    names = json.dumps(list(modules))
    (folder / "pyproject.toml").write_text(f"[tool.seatrial]\nchecks = {names}\n", encoding="utf-8")
    return own_checks.own_checks(read_project(folder))


def refused(folder: Path, **modules: str) -> str:
    with pytest.raises(SettingsError) as caught:
        own(folder, **modules)
    return str(caught.value)


def smoke(check: Check, **labels: str) -> Smoke:
    return smoke_of(facts(configuration=configuration(labels=labels)), Contract(), [check], seconds=0)


def test_the_documented_example_judges(tmp_path: Path) -> None:
    (check,) = own(tmp_path, our_checks=EXAMPLE)
    assert (check.id, check.level, check.stack, check.among_services) == ("shop/has-licence", Level.QUICK, False, False)
    bad = smoke(check).checks[0]
    assert (bad.status, bad.title, bad.actual) == (Status.FAIL, "Carries its licence as a label", "no such label")
    good = smoke(check, **{"org.opencontainers.image.licenses": "MIT"}).checks[0]
    assert (good.status, good.actual) == (Status.PASS, "MIT")
    waived = Contract(waive={"shop/has-licence": "not ours"})
    registry.require_known(waived, "here", [check])
    assert smoke_of(facts(configuration=configuration(labels={})), waived, [check], seconds=0).checks[0].status is (
        Status.WAIVED
    )
    with pytest.raises(SettingsError, match="shop/has-licence"):
        registry.require_known(waived, "here")


@pytest.mark.parametrize("shape", get_args(Format))
def test_every_report_shows_it(tmp_path: Path, shape: Format) -> None:
    (check,) = own(tmp_path, our_checks=EXAMPLE)
    made = render([smoke(check)], shape)
    assert "has-licence" in made
    if shape == "sarif":
        run = json.loads(made)["runs"][0]
        assert run["tool"]["driver"]["rules"][run["results"][0]["ruleIndex"]]["id"] == "shop/has-licence"


def test_the_page_lists_every_fact_and_every_name() -> None:
    table = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", table)) == set(FACTS)
    listed = PAGE.split("`seatrial.checks` holds")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(seatrial.checks.__all__)


def test_an_app_is_asked_its_projects_checks_and_any_image_those_of_distributions(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (tmp_path / "our_checks.py").write_text(EXAMPLE, encoding="utf-8")
    text = '[tool.seatrial]\nchecks = ["our_checks"]\n[tool.seatrial.apps.api]\ncontext = "."\n'
    waiver = '[tool.seatrial.apps.api.contract.waive]\n"shop/has-licence" = "later"\n'
    (tmp_path / "pyproject.toml").write_text(text + waiver, encoding="utf-8")
    target = app_target(read_project(tmp_path), "api")
    assert [check.id for check in target.own_checks] == ["shop/has-licence"]
    assert registry.up_to(Level.QUICK, target.own_checks)[-1].id == "shop/has-licence"
    assert image_target("nginx", None).own_checks == ()
    contract = tmp_path / "contract.toml"
    contract.write_text('checks = ["our_checks"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="checks"):
        image_target("nginx", contract)


def test_a_distribution_brings_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought_checks.py").write_text(HEAD + GOOD, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint(name="ours", value="brought_checks", group=own_checks.GROUP)
    monkeypatch.setattr(own_checks, "entry_points", lambda *, group: [point] if group == own_checks.GROUP else [])
    assert [check.id for check in image_target("nginx", None).own_checks] == ["shop/x"]
    lost = EntryPoint(name="ours", value="no_such_module", group=own_checks.GROUP)
    monkeypatch.setattr(own_checks, "entry_points", lambda *, group: [lost] if group else [])
    with pytest.raises(SettingsError, match=r"\[seatrial\.checks\].*no_such_module.*ModuleNotFoundError"):
        own_checks.own_checks()


def test_a_package_and_a_module_in_a_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "__init__.py").write_text("from .labels import *\n", encoding="utf-8")
    (tmp_path / "rules" / "labels.py").write_text(HEAD + GOOD, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial]\nchecks = ["rules"]\n', encoding="utf-8")
    assert [check.id for check in own_checks.own_checks(read_project(tmp_path))] == ["shop/x"]
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial]\nchecks = ["rules.labels"]\n', encoding="utf-8")
    assert [check.id for check in own_checks.own_checks(read_project(tmp_path))] == ["shop/x"]


BROKEN = {
    "a fault of syntax": (HEAD + "def x(:\n", r"rules\.py:2: the checks of rules cannot be loaded: SyntaxError"),
    "what raises": (HEAD + "\n1 / 0\n", r"rules\.py:3: .*ZeroDivisionError: division by zero"),
    "an exit": ("raise SystemExit\n", r"rules\.py:1: .*SystemExit"),
    "a module that is not there": ("import no_such_thing\n", r"rules\.py:1: .*No module named 'no_such_thing'"),
    "no family": (
        HEAD + GOOD.replace("shop/x", "x"),
        r"rules\.py:2: .*loaded: 'x' is not a valid check id\. Write FAMILY/NAME in lower case",
    ),
    "a parameter that is no fact": (
        HEAD + GOOD.replace("(configuration)", "(configuratoin)"),
        r"rules\.py:2: .*x: no fact is called 'configuratoin'\. Did you mean 'configuration'\?",
    ),
    "no check at all": ("", r"rules\.py: rules declares no check\."),
    "an id twice": (HEAD + GOOD + GOOD.replace("def x", "def y"), r"rules\.py:5: the check 'shop/x' is declared twice"),
    "a family of seatrial's": (
        HEAD + GOOD.replace("shop/x", "boot/healthy"),
        r"rules\.py:2: the check 'boot/healthy' is in a family of seatrial's own",
    ),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=[name.replace(" ", "-") for name in BROKEN])
def test_a_broken_module_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(said, refused(tmp_path, rules=text))


def test_a_module_that_is_not_there_is_looked_for_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial]\nchecks = ["rules"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"there is no checks module 'rules'\. It is looked for in .*rules\.py"):
        own_checks.own_checks(read_project(tmp_path))
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial]\nchecks = ["rules.py"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="Name the module without its ending: 'rules'"):
        own_checks.own_checks(read_project(tmp_path))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "the check itself failed: ZeroDivisionError: division by zero"),
        ("None", "the check returned None, not an outcome"),
    ],
)
def test_a_check_that_fails_itself_is_undecided_and_names_the_line(tmp_path: Path, body: str, said: str) -> None:
    (check,) = own(tmp_path, rules=HEAD + GOOD.replace('passed("x")', body))
    result = smoke(check).checks[0]
    assert (result.status, result.actual) == (Status.ERROR, f"could not be decided: {said}")
    assert "rules.py:" in result.evidence[0]


def test_explain_knows_it_and_a_broken_module_is_no_traceback(tmp_path: Path) -> None:
    def explain(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "seatrial", "explain", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    own(tmp_path, our_checks=EXAMPLE)
    told = explain("shop/has-licence")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("shop/has-licence  Carries its licence as a label\n")
    (tmp_path / "our_checks.py").write_text("1 / 0\n", encoding="utf-8")
    told = explain("boot/healthy")
    assert told.returncode == 2
    assert "our_checks.py:1: the checks of our_checks cannot be loaded" in told.stderr
    assert "Traceback" not in told.stderr
