from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.errors import SettingsError
from seatrial.structure.files import read_structure_file
from seatrial.structure.run import read_env_file

if TYPE_CHECKING:
    from seatrial.structure.files import StructureFile

EXAMPLES = Path(__file__).parents[1] / "engine" / "structure"
HEAD = "schemaVersion: 2.0.0\n"
COMMAND = HEAD + "commandTests:\n- name: a\n  command: b\n"


def read(folder: Path, text: str, name: str = "t.yaml") -> StructureFile:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_structure_file(file)


def problem(folder: Path, text: str, name: str = "t.yaml") -> str:
    with pytest.raises(SettingsError) as caught:
        read(folder, text, name)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(folder))


def test_every_field_of_the_schema_is_read(tmp_path: Path) -> None:
    said = read(
        tmp_path,
        """
schemaVersion: "2.0.0"
globalEnvVars: [{key: A, value: b}]
commandTests:
  - name: c
    setup: [[touch, /x]]
    teardown: [[rm, /x]]
    command: cat
    args: [/x]
    envVars: [{key: N, value: 3.10}]
    exitCode: 16
    expectedOutput: [a, 'b$']
    excludedOutput: [c]
    expectedError: [d]
    excludedError: [e]
fileExistenceTests:
  - {name: f, path: /etc, shouldExist: no, permissions: drwxr-xr-x, uid: 1, gid: 2, isExecutableBy: any}
fileContentTests:
  - {name: g, path: /etc/passwd, expectedContents: [root], excludedContents: [toor]}
metadataTest:
  envVars: [{key: P, value: .*, isRegex: true}]
  unboundEnvVars: [{key: Q}]
  labels: [{key: l, value: v}]
  entrypoint: []
  cmd: [x]
  exposedPorts: [80, "443"]
  unexposedPorts: ["22"]
  volumes: [/v]
  unmountedVolumes: [/w]
  workdir: /
  user: app
licenseTests: [{debian: true, files: [/l]}]
containerRunOptions:
  user: root
  privileged: true
  allocateTty: false
  envVars: [HOME]
  envFile: .env
  capabilities: [NET_ADMIN]
  bindMounts: ["/a:/b"]
""",
    )
    command = said.command_tests[0]
    assert (command.exit_code, command.env_vars[0].value, command.line) == (16, "3.10", 5)
    assert command.expected_output == ("a", "b$")
    assert said.file_existence_tests[0].should_exist is False
    assert said.metadata_test is not None
    assert said.metadata_test.exposed_ports == ("80", "443")
    assert said.metadata_test.entrypoint == ()
    assert said.container_run_options.bind_mounts == ("/a:/b",)
    assert said.license_tests[0].files == ("/l",)


def test_what_is_left_out_has_the_tools_defaults(tmp_path: Path) -> None:
    yaml = read(tmp_path, HEAD + "fileExistenceTests: [{name: a, path: /a}]\n").file_existence_tests[0]
    assert (yaml.should_exist, yaml.uid, yaml.gid) == (True, -1, -1)
    text = '{"schemaVersion": "2.0.0", "fileExistenceTests": [{"name": "a", "path": "/a"}]}'
    json = read(tmp_path, text, "t.json").file_existence_tests[0]
    assert (json.should_exist, json.uid, json.gid) == (False, 0, 0)


def test_json_may_be_indented_by_tabs_and_write_any_character_by_its_number(tmp_path: Path) -> None:
    head = '{"schemaVersion": "2.0.0",\n\t"commandTests": [{"command": "b", '
    text = head + '"name":"\\ud83d\\ude00\\/\\u00e4",\n\t"exitCode":3}]}'
    (test,) = read(tmp_path, text, "t.json").command_tests
    assert (test.name, test.exit_code, test.line) == ("\U0001f600/ä", 3, 2)


@pytest.mark.parametrize("value", ["y", "0o10", "0x10", "1:30", "1_000", "1.0", "99999999999"])
def test_values_that_readers_of_yaml_differ_about_are_refused(tmp_path: Path, value: str) -> None:
    assert ":5: exitCode must be a whole number" in problem(tmp_path, f"{COMMAND}  exitCode: {value}\n")
    text = f"{HEAD}fileExistenceTests:\n- {{name: a, path: b, shouldExist: {value}}}\n"
    assert ":3: shouldExist must be true or false" in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "containerRunOptions:\n  allocateTty: true\n", ":3: not supported: allocateTty"),
        (COMMAND + "  args: [!!binary aGk=]\n", ":5: not supported: the type"),
        (HEAD + "commandTests: !mine [a]\n", ":2: not supported: the type"),
        (COMMAND + '  args: ["\\0"]\n', ":5: args holds a zero byte"),
        (COMMAND + '  args: ["\\ud83d"]\n', ":5: args holds half a character"),
        (COMMAND + '  "\\ud83d": a\n', ":5: a key holds half a character"),
        (COMMAND + "  <line>: 3\n", ":5: commandTests has the field '<line>' twice"),
        (COMMAND + "  zzzzzz: 3\n", ":5: commandTests has no field 'zzzzzz'. Known: args, command, envVars, excl"),
    ],
)
def test_what_is_not_supported_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


def test_anchors_and_merges_are_followed(tmp_path: Path) -> None:
    text = HEAD + "commandTests:\n- &a {name: a, command: b, exitCode: 2}\n- {<<: *a, name: c}\n"
    first, second = read(tmp_path, text).command_tests
    assert (first.name, first.exit_code, second.name, second.command, second.exit_code) == ("a", 2, "c", "b", 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schemaVersion: 1.0.0\n", ":1: schemaVersion '1.0.0' is not supported: only '2.0.0' is supported."),
        ("commandTests: []\n", ":1: schemaVersion is missing: only '2.0.0' is supported"),
        ("", ":1: schemaVersion is missing"),
        ("- a\n", ":1: schemaVersion is missing"),
        (COMMAND + "  comand: c\n", ":5: commandTests has no field 'comand'. Did you mean 'command'?"),
        (COMMAND + "  command: c\n", ":5: commandTests has the field 'command' twice."),
        (COMMAND + "  exitCode: '0'\n", ":5: exitCode must be a whole number in decimal digits."),
        (COMMAND + "  exitCode: yes\n", ":5: exitCode must be a whole number in decimal digits."),
        (COMMAND + "  args: a\n", ":5: args must be a list."),
        (COMMAND + "  args: [[a]]\n", ":5: args must be text."),
        (COMMAND + "  setup:\n  - []\n", ":6: setup must not be empty."),
        (COMMAND + "  envVars:\n  - key: A\n", ":6: envVars lacks 'value'."),
        (COMMAND + "  expectedOutput:\n  - ok\n  - 'a(b'\n", ":7: expectedOutput holds no regular expression: 'a(b':"),
        (COMMAND + "  expectedOutput: ['(?<=a)b']\n", ":5: expectedOutput holds no regular expression:"),
        (COMMAND + "  expectedOutput: ['\\C']\n", ":5: expectedOutput holds no regular expression:"),
        (COMMAND + "- name: c\n", ":5: commandTests lacks 'command'."),
        (COMMAND + "- {name: '', command: c}\n", ":5: name must not be empty."),
        (HEAD + "fileExistenceTests:\n- {name: a, path: /a, shouldExist: 1}\n", ":3: shouldExist must be true or"),
        (
            HEAD + "fileExistenceTests:\n- {name: a, path: /a, isExecutableBy: all}\n",
            ":3: isExecutableBy must be one of any, owner, group, other, and is 'all'.",
        ),
        (
            HEAD + "metadataTest:\n  labels:\n  - {key: a, value: '[', isRegex: true}\n",
            ":4: a holds no regular expression: '[':",
        ),
        (HEAD + "metadataTest: [a]\n", ":2: metadataTest must be a table."),
        (HEAD + "commandTests: {a: b}\n", ":2: commandTests must be a list."),
        ("schemaVersion: 2.0.0\n---\nschemaVersion: 2.0.0\n", ":2: several documents"),
        ("a: [b\n", ":2: invalid YAML: while parsing a flow sequence"),
        ("a:\n\t- b\n", ":2: invalid YAML:"),
        ("a: \x00\n", ":1: invalid YAML:"),
        ("[" * 2000, ":1: nested deeper than 40 levels."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert problem(tmp_path, text).startswith(f"/t.yaml{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"schemaVersion": "2.0.0",\n "comandTests": []}', "t.json:2: the file has no field 'comandTests'."),
        ('{"schemaVersion": "2.0.0",}', "t.json:1: invalid JSON: "),
        ('{"schemaVersion": "2.0.0"} x', "t.json:1: invalid JSON: Extra data"),
        ('{"schemaVersion": "2.0.0"', "t.json:1: invalid JSON: Expecting ',' delimiter"),
        ('{\n"a": nope}', "t.json:2: invalid JSON: Expecting value"),
        ('{\n"a": "b\n"}', "t.json:2: invalid JSON: Invalid control character"),
        ('{"a": }', "t.json:1: invalid JSON: Expecting value"),
        ('{"schemaVersion": "2.0.0", "x": ' + "9" * 5000 + "}", "t.json:1: invalid JSON: "),
        ('{"schemaVersion": "2.0.0", "licenseTests": [{"debian": NaN}]}', "t.json:1: debian must be true or false"),
        ("[" * 3000 + "]" * 3000, "t.json:1: nested"),
        ("", "t.json:1: invalid JSON: Expecting value"),
        ('{"schemaVersion": "2.0.0", "commandTests": [{"name": 1, "command": "c"}]}', "t.json:1: name must be text"),
    ],
)
def test_what_is_wrong_in_json_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text, "t.json")


WRECKS = (
    "- ",
    "{",
    "]",
    ":",
    "'",
    '"',
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "~",
    '"\\ud800"',
    "\\0",
    "\t",
    "---\n",
    "1e400",
    "\x85",
)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.[yj]*")), ids=lambda file: file.name)
def test_a_wrecked_file_is_read_or_refused_with_one_line(tmp_path: Path, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    chance = random.Random(file.name)  # noqa: S311 - the same wrecks each time
    for _ in range(60):
        wrecked = text
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(wrecked))
            wrecked = wrecked[:place] + chance.choice(("", *WRECKS)) + wrecked[place + chance.randint(0, 5) :]
        try:
            said = str(read(tmp_path, wrecked, file.name).schema_version)
        except SettingsError as error:
            said = str(error)
        assert "\n" not in said


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases counted" in problem(tmp_path, "\n".join(lines))


def test_an_alias_of_itself_is_refused(tmp_path: Path) -> None:
    assert "undefined alias" in problem(tmp_path, "a: &a [*a]\n")


def test_a_file_that_is_missing_not_text_too_large_or_of_another_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file"):
        read_structure_file(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="is not a file name"):
        read_structure_file(tmp_path / "a\0.yaml")
    assert "is a .yaml, .yml or .json file" in problem(tmp_path, HEAD, "t.toml")
    (tmp_path / "b.yml").write_bytes(b"a\nb: \xff\n")
    with pytest.raises(SettingsError, match=r"b\.yml:2: is not UTF-8"):
        read_structure_file(tmp_path / "b.yml")
    assert "is larger than" in problem(tmp_path, "#" * (2 * 1024 * 1024 + 1))


def env_file(folder: Path, text: str) -> dict[str, str]:
    file = folder / "variables.env"
    file.write_text(text, encoding="utf-8")
    return read_env_file(file)


def test_an_env_file_is_read_as_the_tool_reads_it(tmp_path: Path) -> None:
    text = (
        "# a comment\nA=1\nexport B = two words # not this\nC='$A #'\nD=\"x $A ${A}\"\n"
        "E=$A-${NONE}-$\n\nG=\nH=a#b\nI= # nothing\nK=''\nJ=last"
    )
    assert env_file(tmp_path, text) == {
        "A": "1",
        "B": "two words",
        "C": "$A #",
        "D": "x 1 1",
        "E": "1--$",
        "H": "a#b",
        "J": "last",
    }


@pytest.mark.parametrize("line", ["no value here", "B='never ends", "B: 1", r'B="a\nb"', r"B=\$A", "B='a' b", "B=$(A)"])
def test_what_is_not_supported_in_an_env_file_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"variables\.env:2: not supported in an env file"):
        env_file(tmp_path, f"A=1\n{line}\n")


def test_without_its_library_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    assert "pip install 'seatrial[structure]'" in problem(tmp_path, COMMAND + "  expectedOutput: [a]\n")


def test_a_wrong_file_is_one_line_and_exit_2_before_an_engine_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(COMMAND + "  comand: c\n", encoding="utf-8")
    argv = [sys.executable, "-m", "seatrial", "smoke", "--image", "a", "--structure-test", "t.yaml"]
    told = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "error: t.yaml:5: commandTests has no field 'comand'. Did you mean 'command'?\n"
