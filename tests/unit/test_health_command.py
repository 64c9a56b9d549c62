"""What the health check resolves to: its program, and the file that its interpreter runs."""

from __future__ import annotations

import pytest
from tests.unit.factories import Tree, configuration

from seatrial.facts import Account, HealthCheck, HealthCommand, ResolvedPath
from seatrial.observe.command.resolve import health_command, script_of

WHO = Account(name="app", uid=10001, gids=(10001,), home="/app")
FILES = Tree({"/usr/bin/python": b"\x7fELF", "/bin/sh": b"\x7fELF", "/app/health.py": None, "/root": 0o700})


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("python health.py", "health.py"),
        ("/venv/bin/python3.13 -u -W error health.py --fast", "health.py"),
        ("python -X importtime -W error health.py", "health.py"),
        ("python --check-hash-based-pycs always health.py", "health.py"),
        ("python -W", ""),
        ("python", ""),
        ("python -c pass", ""),
        ("python -Ic pass", ""),
        ("python -m shop.health", ""),
        ("python - health.py", ""),
        ("python --version health.py", ""),
        ("python $HEALTH", ""),
        ("python `which health`", ""),
        ("python *.py", ""),
        ("sh health.sh", "health.sh"),
        ("sh -e health.sh", "health.sh"),
        ("sh -ec ./health.sh", ""),
        ("bash --version", ""),
        ("bash --posix health.sh", "health.sh"),
        ("sh -W health.sh", "health.sh"),
        ("busybox health.sh", ""),
        ("curl health.py", ""),
        ("", ""),
    ],
)
def test_the_file_that_an_interpreter_is_told_to_run(words: str, file: str) -> None:
    assert script_of(words.split()) == file


def checked(*test: str, directory: str = "/app") -> HealthCommand:
    check = HealthCheck(test=test, interval=30.0, timeout=5.0, start_period=0.0, retries=3)
    image = configuration(health_check=check, environment={"PATH": "/usr/bin"}, working_directory=directory)
    found = health_command(image, FILES, WHO)
    assert found is not None
    return found


def script(found: HealthCommand) -> ResolvedPath:
    assert found.script is not None
    return found.script


def test_an_image_without_a_health_check_has_no_command() -> None:
    assert health_command(configuration(health_check=None), FILES, WHO) is None


def test_a_program_and_its_file_are_followed() -> None:
    found = checked("CMD", "python", "health.py")
    assert found is not None
    assert (found.command.word, str(found.command.program)) == ("python", "/usr/bin/python")
    assert (script(found).end, found.script_blocked_by) == ("/app/health.py", None)


def test_a_folder_on_the_way_that_user_may_not_enter() -> None:
    found = checked("CMD", "python", "/root/health.py")
    assert found.script_blocked_by is not None
    assert found.script_blocked_by.path == "/root"
    assert script(found).missing == "/root/health.py"


def test_a_relative_file_lies_in_the_working_directory() -> None:
    assert script(checked("CMD", "python", "x/health.py", directory="/srv")).steps[0] == "/srv/x/health.py"
    assert script(checked("CMD", "python", "health.py", directory="")).steps[0] == "/health.py"


def test_a_line_is_run_by_the_engines_shell() -> None:
    found = checked("CMD-SHELL", "python health.py || exit 1")
    assert found.command.shell
    assert list(found.command.starters) == ["/bin/sh"]
    assert script(found).end == "/app/health.py"


def test_what_a_shell_carries_out_itself_names_no_program() -> None:
    found = checked("CMD-SHELL", "read x < /tmp/ready")
    assert (found.command.word, found.command.program, found.command.scripts) == ("", None, ())
    # Where no shell stands in between, it is a program that the image has or has not.
    bare = checked("CMD", "read", "x")
    assert bare.command.word == "read"


def test_a_test_that_the_engine_does_not_know_is_shown_by_its_words() -> None:
    assert checked("python", "health.py").command.words == ("python", "health.py")
