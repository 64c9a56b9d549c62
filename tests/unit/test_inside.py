"""The scripts that run inside images: what is joined, what is left out, and that Python 3.8 takes it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from importlib import resources

import pytest
from tests.unit.test_probe_script import INTERPRETERS

from seatrial import inside

SCRIPTS = {name: inside.script(name) for name in ("agent", "freeze")}
SCRIPTS |= {name: inside.child(name) for name in inside.CHILDREN.values()}
SCRIPTS["probe"] = inside.probe_script()
SCRIPTS["look"] = inside.look("").partition(b"\n")[2].decode()
MOST_BYTES = 128 * 1024
"""What Linux takes as one argument: MAX_ARG_STRLEN."""


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_the_standard_library_alone(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(SCRIPTS[name])):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    # One of them is there: `_sha2` since Python 3.12, `_sha256` before.
    assert imported <= {*sys.stdlib_module_names, "_sha2", "_sha256"}
    # What only a type checker reads is left out: loading it takes time in a container that is waited for.
    assert not imported & {"typing", "__future__", "dataclasses", "pathlib", "collections"}
    assert "TYPE_CHECKING" not in SCRIPTS[name]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("version", [version for version in ("3.8", "3.13") if version in INTERPRETERS])
def test_a_script_compiles_on_old_and_new_pythons(version: str, name: str) -> None:
    line = "import sys; compile(sys.stdin.read(), 'script', 'exec')"
    done = subprocess.run(
        [INTERPRETERS[version], "-W", "error", "-c", line], input=SCRIPTS[name].encode(), check=False, timeout=60
    )
    assert done.returncode == 0


def test_the_probe_is_one_argument_to_linux() -> None:
    assert len(SCRIPTS["probe"].encode()) < MOST_BYTES * 0.75


def test_nothing_of_the_question_stands_in_the_arguments() -> None:
    asked = inside.question("the secret", '{"modules": []}')
    length, text = asked.split(b"\n", 1)
    assert int(length) == len(text)
    assert text.startswith(b"SECRET, REQUEST = 'the secret', ")
    assert inside.ISOLATED[:3] == ("-I", "-S", "-B")
    assert len(inside.BOOTSTRAP) < 400
    compile(inside.BOOTSTRAP, "bootstrap", "exec")


@pytest.mark.parametrize("name", ["import_child", "selftest_child", "start_child"])
def test_a_child_begins_by_forgetting_the_working_directory(name: str) -> None:
    first, second = [node for node in ast.parse(SCRIPTS[name]).body if not isinstance(node, ast.Expr)][:2]
    assert ast.unparse(first) == "import sys"
    assert ast.unparse(second).splitlines()[-1].strip() == "del sys.path[0]"


def test_no_part_defines_a_name_of_another_one() -> None:
    defined: Counter[str] = Counter()
    for file in resources.files(inside.PROBE).iterdir():
        if not file.name.endswith(".py"):
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined[node.name] += 1
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                defined.update(target.id for target in targets if isinstance(target, ast.Name))
    assert len(defined) > 70
    assert [name for name, times in defined.items() if times > 1] == []


def test_nothing_of_a_part_is_lost_when_it_is_joined() -> None:
    whole = {node.name for node in ast.walk(ast.parse(SCRIPTS["probe"])) if isinstance(node, ast.FunctionDef)}
    for file in resources.files(inside.PROBE).iterdir():
        if file.name.endswith(".py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            assert {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} <= whole


@pytest.mark.parametrize("name", ["agent", "freeze", "proc"])
def test_a_script_runs_as_a_script_only(name: str) -> None:
    # Read, not imported: the one that stops processes would stop all of this machine's, if it were wrong.
    body = ast.parse(inside.script(name)).body
    assert isinstance(body[-1], ast.If)
    assert ast.unparse(body[-1].test) == "__name__ == '__main__'"
    harmless = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    rest = [line for line in body[:-1] if not isinstance(line, harmless)]
    assert [ast.unparse(line) for line in rest if not isinstance(line, ast.Expr | ast.If)] == []
    calls = [line for line in rest if isinstance(line, ast.Expr) and not isinstance(line.value, ast.Constant)]
    assert [ast.unparse(line) for line in calls] == []
