"""The edge: what a person sees of the commands, and the exit codes. Nothing here reaches an engine."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import invoke
import pytest

from seatrial.cli.command import command
from seatrial.errors import BuildFailedError, ExitCode, SettingsError
from seatrial.tasks import ns

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


def outcome(function: Callable[[], ExitCode | None]) -> int:
    """Return the exit code of a task that does this."""

    @command()
    def task(_context: invoke.Context) -> ExitCode | None:
        """Do it."""
        return function()

    before = signal.getsignal(signal.SIGTERM)
    try:
        task(invoke.Context())
    except invoke.Exit as ended:
        return int(ended.code)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def raising(error: BaseException) -> Callable[[], ExitCode | None]:
    def function() -> ExitCode | None:
        raise error

    return function


# --- problems become one line and an exit code ------------------------------------------------------------


def test_what_a_task_returns_is_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda: None) == 0
    assert [outcome(partial(ExitCode, code)) for code in (0, 1, 2)] == [0, 1, 2]
    assert capfd.readouterr().err == ""


def test_a_problem_is_one_line_with_its_details_below(capfd: pytest.CaptureFixture[str]) -> None:
    problem = SettingsError("is\nwrong \x1b[31m.", where="a file", fix="Mend it.", detail="one\n\x1b[2Jtwo")
    assert outcome(raising(problem)) == 2
    assert capfd.readouterr().err == "error: a file: is wrong . Mend it.\n  one\n  two\n"
    assert outcome(raising(BuildFailedError("no."))) == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "Interrupted; what was started is removed."),
        (KeyError("x"), 2, "error: this is a bug in seatrial: KeyError: 'x'"),
        (RecursionError("a\nb\x1b[2J"), 2, "error: this is a bug in seatrial: RecursionError: a b"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x"),
            2,
            "error: /x: No space left on device. Free some space, then run it again.",
        ),
        (EOFError(), 2, "error: standard input ended before the question was answered. Nothing was changed."),
    ],
)
def test_no_traceback_reaches_a_person(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    monkeypatch.delenv("SEATRIAL_DEBUG", raising=False)
    assert outcome(raising(error)) == code
    said = capfd.readouterr().err
    assert said.splitlines()[0] == line
    assert "Traceback" not in said


def test_who_asks_for_it_gets_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_DEBUG", "1")
    with pytest.raises(KeyError):
        outcome(raising(KeyError("x")))


def test_termination_unwinds_like_an_interrupt(capfd: pytest.CaptureFixture[str]) -> None:
    cleaned: list[str] = []

    def function() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            cleaned.append("up")

    assert outcome(function) == 143
    assert cleaned == ["up"]
    assert "Traceback" not in capfd.readouterr().err


# --- the collection -----------------------------------------------------------------------------------------


TASKS: dict[str, invoke.Task[Any]] = {name: ns[name] for name in ns.task_names}
"""As seatrial has them: this project's own tasks.py, which a test loads, adds to the same collection."""


def test_the_commands_are_those_of_the_design() -> None:
    expected = {"onboard", "build", "up", "down", "ps", "logs", "doctor", "init", "smoke.all", "smoke.whoami"}
    expected |= {"restart", "exec"}
    expected |= {"smoke.pip-list", "smoke.size", "engine.status", "engine.start", "engine.stop", "engine.remove"}
    assert expected <= set(TASKS)
    assert "explain" in TASKS
    assert ns["smoke"] is ns["smoke.all"]
    assert ns["engine"] is ns["engine.status"]


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_explains_itself_and_its_options(name: str) -> None:
    task = TASKS[name]
    # get_arguments raises where a help key names no option: that would break --list.
    arguments = task.get_arguments()
    assert task.__doc__
    for argument in arguments:
        assert argument.help, f"{name} --{argument.name}"
    if name.partition(".")[2] in {"start", "stop", "remove"} or name in {
        "build",
        "up",
        "down",
        "restart",
        "onboard",
        "init",
    }:
        assert "dry_run" in {argument.attr_name or argument.name for argument in arguments}


def run(*argv: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


@pytest.mark.parametrize("program", ["invoke", "seatrial"])
def test_the_list_of_commands(program: str) -> None:
    if not (PROGRAMS / program).exists():
        pytest.skip(f"NOT LISTED: {program} is not installed beside this interpreter")
    listed = run(PROGRAMS / program, "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"smoke\.all \(smoke\)\s+Prove images", listed.stdout)
    for name in TASKS:
        assert re.search(rf"^  {re.escape(name)}\b", listed.stdout, re.MULTILINE), name


def test_listing_loads_nothing_but_invoke_and_the_tasks() -> None:
    script = (
        "import json, sys\nfrom seatrial.cli.collection import program\n"
        "program.run(['seatrial', '--list'], exit=False)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    listed = run(sys.executable, "-c", script)
    loaded = set(json.loads(listed.stdout.splitlines()[-1]))
    assert {"seatrial", "invoke"} <= loaded
    heavy = {"docker", "rich", "requests", "urllib3", "packaging", "msgspec", "platformdirs", "tomllib", "jinja2"}
    assert not heavy & loaded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("smoke", "--level", "quik"), "error: --level 'quik' is not known. Did you mean 'quick'?"),
        (("smoke", "--format", "xml"), "error: --format 'xml' is not known."),
        (("smoke", "--output", "no/where"), "error: no/where: cannot be written."),
        (("smoke", "--also", "report"), "error: --also 'report' has no extension of a report. Known: .txt, .json,"),
        (("smoke", "--output", "a.md", "--also", "./a.md"), "error: ./a.md: two reports cannot be in one file."),
        (("smoke", "--also", "a.xml", "--also", "no/b.md"), "error: no/b.md: cannot be written. Give --also a file"),
        (("smoke", "--app", "api", "--python", "3.13", "--all"), "Give only one of them."),
        (("smoke", "--image", "x", "--all"), "error: --image names the image by itself."),
        (("explain", "boot/helthy"), "error: there is no check 'boot/helthy'. Did you mean 'boot/healthy'?"),
        (("explain", "xyzzy"), "`seatrial explain` lists them all."),
        (("smoke", "--contract", "c.toml"), "error: --contract goes with --image."),
        (("smoke", "--image", "x", "--app", "y"), "error: --image names the image by itself."),
        (("smoke", "--image", "x", "--contract", "none.toml"), "error: none.toml: cannot be read"),
        (("smoke", "--app", "apo"), "Did you mean 'api'?"),
        (("smoke", "--app", "api"), "the engine that DOCKER_HOST names does not answer"),
        (("smoke.whoami", "--image", "x"), "the engine that DOCKER_HOST names does not answer"),
        (("build", "--python", "3.13", "--all"), "Give only one of them."),
        (("build", "--app", "api", "--python", "3.15"), "api is not declared for Python '3.15'"),
        (("up", "--timeout", "0"), "error: --timeout 0 leaves no time."),
        (("up", "--timeout", "soon"), "error: --timeout 'soon' is not a whole number. Give digits only."),
        (("logs", "--app", "api", "--tail", "all"), "error: --tail 'all' is not a whole number. Give digits only."),
        (("logs", "--tail", "-3"), "error: --tail -3 is below 0."),
        (("up",), "no app has a compose file"),
        (("up", "--format", "yaml"), "error: --format 'yaml' is not known."),
        (("ps", "--format", "jsn"), "error: --format 'jsn' is not known. Did you mean 'json'?"),
        (("restart", "--timeout", "0"), "error: --timeout 0 leaves no time."),
        (("restart",), "no app has a compose file"),
        (("exec", "--service", "db"), "error: which command? Give it last: exec --service SERVICE -- COMMAND..."),
        (("exec", "--service", "db", "--command", "a", "--", "b"), "are two commands. Give one of them."),
        (("exec", "--command", "a 'b"), "cannot be split into words: No closing quotation."),
        (("exec", "--", "ls"), "no app has a compose file"),
        (("smoke", "--stack"), "no app has a compose file"),
        (("smoke", "--stack", "--level", "quick"), "error: --level quick starts nothing, and --stack starts all."),
        (("smoke", "--stack", "--level", "depe"), "error: --level 'depe' is not known. Did you mean 'deep'?"),
        (("smoke", "--stack", "--image", "x"), "error: --image does not go with --stack."),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial.apps.api]\npythons = ['3.13']\n")
    (tmp_path / "Dockerfile").write_text("ARG PYTHON_VERSION=3.13\nFROM python:${PYTHON_VERSION}-slim\n")
    before = sorted(tmp_path.iterdir())
    done = run(sys.executable, "-c", "from seatrial.cli.collection import main; main()", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


WHILE_IT_LOADS = """
import builtins, os, signal, sys
known = builtins.__import__

def loads(name, *words, **more):
    if name == "invoke":
        os.kill(os.getpid(), signal.{name})
    return known(name, *words, **more)

builtins.__import__ = loads
from seatrial.__main__ import main
main()
"""
AS_IT_LEAVES = """
import os, signal
from seatrial.__main__ import main
try:
    main()
finally:
    os.kill(os.getpid(), signal.{name})
"""


@pytest.mark.parametrize("script", [WHILE_IT_LOADS, AS_IT_LEAVES])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_and_after_a_command_leaves_no_traceback(
    tmp_path: Path, script: str, number: signal.Signals
) -> None:
    done = run(sys.executable, "-c", script.replace("{name}", number.name), "ps", folder=tmp_path)
    assert done.returncode == -number
    assert "Traceback" not in done.stderr


def test_a_parent_that_ignores_an_interrupt_has_it_ignored(tmp_path: Path) -> None:
    ignored = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{AS_IT_LEAVES}"
    done = run(sys.executable, "-c", ignored.replace("{name}", "SIGINT"), "--version", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_current_folder_that_was_removed_is_one_clear_line(tmp_path: Path) -> None:
    # Imported before: CPython 3.13.0 itself imports nothing from a removed folder.
    script = "import os; from seatrial.cli.collection import main; os.rmdir(os.getcwd()); main()"
    (tmp_path / "gone").mkdir()
    done = run(sys.executable, "-c", script, "ps", folder=tmp_path / "gone")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the current folder was removed. Go to one that exists, and try again.\n"


@pytest.mark.parametrize("program", ["invoke", "seatrial"])
def test_explain_tells_one_check_and_without_a_name_lists_all(program: str) -> None:
    if not (PROGRAMS / program).exists():
        pytest.skip(f"NOT EXPLAINED: {program} is not installed beside this interpreter")
    one, every = run(PROGRAMS / program, "explain", "boot/healthy"), run(PROGRAMS / program, "explain")
    assert (one.returncode, one.stderr, every.returncode, every.stderr) == (0, "", 0, "")
    assert one.stdout.startswith("boot/healthy  Becomes healthy\n")
    assert "\nfails:\n" in one.stdout
    assert "\nfixed:\n" in one.stdout
    assert re.search(r"^boot\n  boot/healthy +Becomes healthy$", every.stdout, re.MULTILINE)
    assert "\x1b" not in one.stdout + every.stdout


@pytest.mark.parametrize("words", [("--help",), ("--list",), ("explain",)])
def test_a_reader_that_goes_away_ends_the_program_without_a_word(words: tuple[str, ...]) -> None:
    here, there = os.pipe()
    os.close(here)
    with os.fdopen(there, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "seatrial", *words], stdout=nobody, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (ExitCode.UNREAD, b"")


def test_a_disk_that_is_full_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seatrial", "--list"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == ExitCode.UNDECIDED
    assert done.stderr.decode() == "error: No space left on device.\n"
