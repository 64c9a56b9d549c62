from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.errors import SettingsError
from seatrial.settings.model import App, Contract
from seatrial.settings.read import line_of, python_of, read_contract, read_project

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.settings.read import Project

WHOLE = """
[project]
name = "shop"

[tool.seatrial.engine]
suite = "forky"

[tool.seatrial.apps.api]
context = "services/api"
dockerfile = "docker/api/Dockerfile"
compose = "compose.yaml"
pythons = ["3.13", "3.14"]
build-arguments = { EXTRA = "1" }

[tool.seatrial.apps.api.contract]
user = "app"
uid = 10001
max-unpacked = "500 MB"
healthy-within = 20
waive = { "health/declared" = "a job" }

[tool.seatrial.apps.bot]
"""


def written(folder: Path, text: str) -> Project:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return read_project(folder)


def refused(folder: Path, text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        written(folder, text)
    return caught.value


def test_settings_are_read_with_their_defaults(tmp_path: Path) -> None:
    project = written(tmp_path, WHOLE)
    api, bot = project.app("api"), project.app("bot")
    assert (project.name, project.settings.engine.suite) == ("shop", "forky")
    assert (api.pythons, api.build_arguments) == (("3.13", "3.14"), {"EXTRA": "1"})
    assert (api.contract.uid, api.contract.healthy_within, api.contract.stops_within) == (10001, 20.0, 10.0)
    assert api.contract.waive == {"health/declared": "a job"}
    assert bot == App()
    assert (project.context(api), project.dockerfile(api)) == (
        tmp_path / "services/api",
        tmp_path / "docker/api/Dockerfile",
    )
    assert project.dockerfile(bot) == tmp_path / "Dockerfile"
    assert project.declared["apps"]["bot"] == {}


def test_the_nearest_pyproject_above_counts(tmp_path: Path) -> None:
    written(tmp_path, WHOLE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert read_project(below).folder == tmp_path


def test_a_project_without_settings_is_one_without_apps(tmp_path: Path) -> None:
    project = written(tmp_path, "")
    assert project.name == tmp_path.name
    with pytest.raises(SettingsError, match="no app is declared") as caught:
        project.chosen(None)
    assert "seatrial init" in caught.value.fix


def test_no_pyproject_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no pyproject\.toml") as caught:
        read_project(tmp_path / "nowhere")
    assert caught.value.where == str(tmp_path / "nowhere")


def test_an_unknown_app_gets_the_nearest_name(tmp_path: Path) -> None:
    project = written(tmp_path, WHOLE)
    with pytest.raises(SettingsError, match=r"no app is called 'apo'\. Did you mean 'api'\?"):
        project.chosen("apo")
    assert list(project.chosen(None)) == ["api", "bot"]
    assert list(project.chosen("bot")) == ["bot"]


def test_a_python_must_be_declared(tmp_path: Path) -> None:
    project = written(tmp_path, WHOLE)
    assert python_of("api", project.app("api"), None) == "3.13"
    assert python_of("api", project.app("api"), "3.14") == "3.14"
    assert python_of("bot", project.app("bot"), None) is None
    with pytest.raises(SettingsError, match=r"'3\.15'.*Declared: 3\.13, 3\.14\."):
        python_of("api", project.app("api"), "3.15")


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("[tool.seatrial]\nap = 1", "tool.seatrial", "the key 'ap' does not exist. Did you mean 'apps'?"),
        (
            "[tool.seatrial.apps.a]\ncontxt = '.'",
            "tool.seatrial.apps.a",
            "'contxt' does not exist. Did you mean 'context'",
        ),
        (
            "[tool.seatrial.apps.ok]\n[tool.seatrial.apps.bad.contract]\nmax_unpacked = '1 MB'",
            "tool.seatrial.apps.bad.contract",
            "Did you mean 'max-unpacked'",
        ),
        ("[tool.seatrial.apps.'a.b']\nx = 1", "tool.seatrial.apps.a.b", "Known: "),
        ('[tool.seatrial.apps.a]\n"evil` - at `$.y" = 1', "tool.seatrial.apps.a", "does not exist"),
        ('[tool.seatrial]\n"evil` - at `$.y" = 1', "tool.seatrial", "does not exist"),
        ('[tool.seatrial]\n"two\\nlines" = 1', "tool.seatrial", "does not exist"),
        ("[tool.seatrial.apps.a]\ncontext = 1", "tool.seatrial.apps.a.context", "expected text, got a whole number"),
        ("[tool.seatrial.apps.a]\ncontext = 2020-01-01", "tool.seatrial.apps.a.context", "expected text, got `date`"),
        ("[tool.seatrial.apps.a]\npythons = '3.13'", "tool.seatrial.apps.a.pythons", "expected a list, got text"),
        ("[tool.seatrial.apps.a]\npythons = ['3.13', '3']", "tool.seatrial.apps.a.pythons[1]", "such as 3.13"),
        ("[tool.seatrial.apps.a]\nonboard = 'no'", "tool.seatrial.apps.a.onboard", "expected true or false, got text"),
        ("[tool.seatrial]\napps = 3", "tool.seatrial.apps", "expected a table, got a whole number"),
        ("[tool.seatrial.apps]\na = []", "tool.seatrial.apps.a", "expected a table, got a list"),
        ("[tool]\nseatrial = 3", "tool.seatrial", "expected a table"),
        ("[tool.seatrial.apps.a.contract]\nuid = -1", "tool.seatrial.apps.a.contract.uid", "of at least 0, not -1"),
        ("[tool.seatrial.apps.a.contract]\nhealthy-within = nan", "contract.healthy-within", "greater than 0, not nan"),
        ("[tool.seatrial.apps.a.contract]\nhealthy-within = -1", "contract.healthy-within", "greater than 0, not -1"),
        (
            "[tool.seatrial.apps.a.contract]\nmemory = '0 MB'",
            "contract.memory",
            "a size such as 500 MB or 1 GiB, not '0 MB'",
        ),
        (
            "[tool.seatrial.apps.a.contract]\nmemory = '5 MiB'",
            "contract.memory",
            "expected at least 6 MiB, not '5 MiB'",
        ),
        ("[tool.seatrial.apps.a.contract]\nprocesses = 0", "contract.processes", "of at least 1, not 0"),
        ("[tool.seatrial.apps.a.contract]\nuid = 99999999999", "contract.uid", "of at most 4294967294"),
        ("[tool.seatrial.apps.a.contract]\ntmpfs = ['/']", "contract.tmpfs[0]", "below /"),
        ("[tool.seatrial.apps.a.contract]\ntmpfs = ['/a/..']", "contract.tmpfs[0]", "without .."),
        ("[tool.seatrial.apps.a.contract]\ntmpfs = ['/dev/shm:size=512m']", "contract.tmpfs[0]", "without options"),
        (
            "[tool.seatrial.apps.a.contract]\ninstallers = ['npm']",
            "contract.installers[0]",
            "one of pip, setuptools, wheel",
        ),
        ("[tool.seatrial.apps.a.contract.environment]\n'A B' = '1'", "contract.environment", "the name of a variable"),
        ("[tool.seatrial.apps.a.contract.waive]\n'size/unpacked' = '...'", "waive.size/unpacked", "a reason, in words"),
        ("[tool.seatrial.apps.a.contract]\nhealthy-within = 1e9", "contract.healthy-within", "of at most 3600"),
        (
            "[tool.seatrial.apps.a.contract.scan.waive]\n'CVE-1' = { reason = 'x', until = 'soon' }",
            "scan.waive.CVE-1.until",
            "expected a date such as 2027-03-01, not 'soon'",
        ),
        ("[tool.seatrial.apps.a.contract]\nmemory = '1 gig'", "contract.memory", "such as 500 MB or 1 GiB"),
        ("[tool.seatrial.apps.a.contract.waive]\n'size/unpacked' = ' '", "waive.size/unpacked", "expected a reason"),
        ("[tool.seatrial.standins.'x:{v}']\ninputs = {}", "tool.seatrial.standins.x:{v}", "required key is missing"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, text: str, at: str, what: str) -> None:
    error = refused(tmp_path, text)
    place = error.where.removeprefix(f"{tmp_path / 'pyproject.toml'}:")
    # The line that sets the key, or else the one that begins its table.
    of_table = what in {"required key is missing", "the name of a variable"} or "two" in text
    assert int(place.partition(": ")[0]) == len(text.splitlines()) - of_table
    assert error.where.endswith(at)
    assert what in str(error)
    assert "\n" not in str(error) or "two" in str(error)
    assert ("a key in it is wrong: " in error.what) is (what == "the name of a variable")


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "x=" + "[" * 20_000, "x=" + "1" * 5000, "x = 2020-13-01"])
def test_what_is_no_toml_is_one_clear_error(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)
    assert error.where.startswith(str(tmp_path / "pyproject.toml"))
    assert error.what.startswith("is not TOML: ")


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "contract.toml").write_bytes(b"user = '\xff'")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        read_contract(tmp_path / "contract.toml")
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_contract(tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_contract(tmp_path)


def test_a_contract_file_holds_the_keys_of_the_contract_table(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text("user = 'app'\nmodules = ['a.b:c']\n", encoding="utf-8")
    assert read_contract(file) == Contract(user="app", modules=("a.b:c",))
    file.write_text("usr = 'app'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"contract\.toml:1: top level: the key 'usr' .* Did you mean 'user'\?"):
        read_contract(file)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("tool", "a", "x"), 3),
        (("tool", "a", "list"), 4),
        (("tool", "a", "missing"), 2),
        (("tool", "b.c", "inline", "deep"), 9),
        (("tool", "b.c", "two words"), 10),
        (("tool", "d", "e"), 12),
        (("other",), None),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str, ...], line: int | None) -> None:
    text = (
        "# [tool.a]\n[tool.a]\nx = 1 # y\nlist = [\n  'x = 3',\n]\n\n"
        "[ tool . 'b.c' ]\ninline = { deep = 1 }\n\"two words\" = 2\n[tool]\nd.e = 5\n"
    )
    assert line_of(text, path) == line
