"""`command` and `entrypoint` of the settings: an image that is started with other words than its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.factories import configuration, facts
from tests.unit.source_factories import sources

from seatrial.checks.model import Status
from seatrial.checks.places import place
from seatrial.checks.registry import CHECKS as ALL
from seatrial.checks.verdict import judge, smoke_of
from seatrial.engine.containers import NO_ENTRYPOINT
from seatrial.errors import SettingsError
from seatrial.observe.configuration import OtherCommand
from seatrial.observe.running.sandbox import boot_config, override_config
from seatrial.settings.model import Contract
from seatrial.settings.read import read_project
from seatrial.smoke import app_target

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = configuration(entrypoint=("tini", "--"), command=("uvicorn", "shop.api:app"))
WHERE = "pyproject.toml:2"
CHECKS = {check.id: check for check in ALL}


@pytest.mark.parametrize(
    ("entrypoint", "command", "words"),
    [
        (None, ("celery", "worker"), ("tini", "--", "celery", "worker")),
        (("sh", "-c"), ("run",), ("sh", "-c", "run")),
        (("worker",), None, ("worker",)),
        ((), ("celery",), ("celery",)),
        (None, (), ("tini", "--")),
        (None, None, ("tini", "--", "uvicorn", "shop.api:app")),
    ],
)
def test_its_words_are_put_together_as_compose_does(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None, words: tuple[str, ...]
) -> None:
    assert OtherCommand(entrypoint=entrypoint, command=command, where=WHERE).of(IMAGE).words == words


def test_every_start_gets_them_and_the_image_alone_gets_none() -> None:
    worker = OtherCommand(command=("celery", "worker"), where=WHERE).of(IMAGE)
    plan = boot_config(worker, Contract())
    assert (plan["Entrypoint"], plan["Cmd"]) == (["tini", "--"], ["celery", "worker"])
    assert {"Entrypoint", "Cmd"} & set(boot_config(IMAGE, Contract())) == set()
    bare = boot_config(OtherCommand(entrypoint=(), command=("x",), where=WHERE).of(IMAGE), Contract())
    assert (bare["Entrypoint"], bare["Cmd"]) == (NO_ENTRYPOINT, ["x"])


def test_another_command_goes_behind_the_entrypoint_of_the_settings() -> None:
    other = OtherCommand(entrypoint=("entry.sh",), command=("x",), where=WHERE).of(IMAGE)
    plan = override_config(other, ["python", "-c", "1"], Contract())
    assert (plan["Entrypoint"], plan["Cmd"]) == (["entry.sh"], ["python", "-c", "1"])


def project(folder: Path, more: str) -> Path:
    (folder / "Dockerfile").write_text("FROM python:3.13-slim\n")
    (folder / "pyproject.toml").write_text(f"[tool.seatrial.apps.worker]\n{more}\n")
    return folder


def test_an_apps_target_has_the_words_of_its_settings_and_their_line(tmp_path: Path) -> None:
    other = app_target(read_project(project(tmp_path, 'image = "shop"\ncommand = ["celery", "worker"]')), "worker")
    assert other.other_command == OtherCommand(command=("celery", "worker"), where="pyproject.toml:3")
    assert other.reference == "shop:latest"
    both = app_target(read_project(project(tmp_path, 'entrypoint = []\ncommand = ["x"]')), "worker").other_command
    assert both == OtherCommand(entrypoint=(), command=("x",), where="pyproject.toml:2")
    assert app_target(read_project(project(tmp_path, "")), "worker").other_command is None


@pytest.mark.parametrize("more", ['command = "celery worker"', "entrypoint = [1]", 'command = ["a\\u0000b"]'])
def test_words_that_are_no_list_are_refused_with_their_line(tmp_path: Path, more: str) -> None:
    with pytest.raises(SettingsError, match=r"pyproject\.toml:2"):
        read_project(project(tmp_path, more))


def test_reports_say_that_the_command_is_that_of_the_settings() -> None:
    worker = facts(configuration=OtherCommand(command=("celery", "-A", "shop two"), where=WHERE).of(IMAGE))
    notes = smoke_of(worker, Contract(), (), seconds=1).notes
    said = f"started with the command in {WHERE}, not the image's own: tini -- celery -A 'shop two'"
    assert notes == (said,)
    assert smoke_of(facts(configuration=IMAGE), Contract(), (), seconds=1).notes == ()


def test_what_is_wrong_with_it_belongs_to_the_settings() -> None:
    text = 'FROM a\nSTOPSIGNAL SIGINT\nEXPOSE 80\nCMD ["uvicorn"]\nUSER app\n'
    worker = OtherCommand(command=("celery",), where=WHERE).of(IMAGE)
    seen = facts(configuration=worker, sources=sources(text))
    assert place("process/command-resolves", "no program 'celery'", seen) == WHERE
    assert place("boot/stays-up", "exit code 1", seen) == WHERE
    assert place("process/graceful-stop", "killed", seen) == "Dockerfile:2"
    assert place("identity/non-root", "USER app", seen) == "Dockerfile:5"
    assert place("boot/stays-up", "exit code 1", facts(configuration=IMAGE, sources=sources(text))) == "Dockerfile:4"


SHELL = ("sh", "-c", "uvicorn shop:app")
VARIABLE = ("uvicorn", "--port", "$PORT")


@pytest.mark.parametrize(
    ("check", "image", "other", "fix", "where"),
    [
        ("exec-form", {}, {"command": SHELL}, 'Write `command = ["uvicorn", "shop:app"]`.', WHERE),
        ("exec-form", {}, {"entrypoint": SHELL}, 'Write `entrypoint = ["uvicorn", "shop:app"]`.', WHERE),
        ("exec-form", {"command": SHELL}, {}, 'Write `CMD ["uvicorn", "shop:app"]`.', "Dockerfile:2"),
        ("exec-form", {"entrypoint": SHELL}, {"command": ("x",)}, "Write `ENTRYPOINT [", "Dockerfile:3"),
        ("variables-expand", {}, {"command": VARIABLE}, 'Write `command = ["sh", "-c", "exec uvicorn', WHERE),
        ("variables-expand", {"command": VARIABLE}, {}, 'Write `CMD ["sh", "-c", "exec uvicorn', "Dockerfile:2"),
    ],
)
def test_the_advice_is_for_whoever_says_the_word(
    check: str, image: dict[str, Any], other: dict[str, Any], fix: str, where: str
) -> None:
    own = configuration(**{"entrypoint": (), "command": (), **image})
    started = OtherCommand(**other, where=WHERE).of(own) if other else own
    words = {key: " ".join(image.get(key, ("x",))) for key in ("command", "entrypoint")}
    text = f"FROM a\nCMD {words['command']}\nENTRYPOINT {words['entrypoint']}\n"
    result = judge(CHECKS[f"process/{check}"], facts(configuration=started, sources=sources(text)), Contract())
    assert result.status is Status.FAIL
    assert result.fix.startswith(fix)
    assert result.where == where
