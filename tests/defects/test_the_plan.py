"""The first plan's image, built literally: its four checks passed, and it cannot start."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.defects.commands import Ended, run
from tests.defects.defect import NEVER_UP
from tests.defects.yard import FOLDER

from seatrial.checks import registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.defects.yard import Yard

pytestmark = [pytest.mark.engine, pytest.mark.core]

BUILD_SECONDS = 300


@pytest.fixture(scope="module")
def plan(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("plan") / "the_plan"
    shutil.copytree(FOLDER / "the_plan", folder)
    for app in ("plan", "mended"):
        built = run("invoke", "build", "--app", app, folder=folder, within=BUILD_SECONDS)
        assert built.code == 0, built.errors
    yield folder
    for image in ("seatrial-test/the-plan", "seatrial-test/the-plan-mended"):
        yard.engine.client.images.remove(f"{image}:latest", force=True)


@pytest.fixture(scope="module")
def smoked(plan: Path) -> Ended:
    return run("invoke", "smoke", "--app", "plan", folder=plan)


def test_the_smoke_fails_and_names_the_broken_first_line_with_both_paths(smoked: Ended) -> None:
    assert smoked.code == 1
    assert smoked.errors == ""
    assert "seen: /app/.venv/bin/uvicorn starts with `#!/build/.venv/bin/python`, and /build is not there" in smoked.out
    assert "Make it at /app/.venv in the builder (not at /build/.venv)" in smoked.out


def test_it_names_the_second_command_that_is_broken_too(smoked: Ended) -> None:
    assert "/app/.venv/bin/alembic: #!/build/.venv/bin/python" in smoked.out


def test_it_names_the_package_that_cannot_be_imported(smoked: Ended) -> None:
    assert "course_supporter.api:app: ModuleNotFoundError: No module named 'course_supporter'" in smoked.out
    assert "PYTHONPATH" in smoked.out


def test_it_says_that_the_container_exits_at_start(smoked: Ended) -> None:
    assert "the container exited at start" in smoked.out


def test_it_lists_the_packages_that_the_plans_own_list_did_not(plan: Path) -> None:
    listed = run("invoke", "smoke.pip-list", "--app", "plan", folder=plan)
    assert "uvicorn" in listed.out
    assert "alembic" in listed.out


def test_exactly_these_checks_fail(plan: Path) -> None:
    ended = run("invoke", "smoke", "--app", "plan", "--format", "json", folder=plan)
    document = json.loads(ended.out)
    assert ended.code == 1
    assert document["verdict"] == "fail"
    assert by_status(document, "fail") == {
        "process/command-resolves",
        "python/script-interpreters",
        "packages/no-installers",
        "app/imports",
        # /app is the home folder of USER, who may replace what lies in it.
        "app/code-read-only",
        "boot/healthy",
        "bytecode/dependencies",
        "identity/numeric-user",
        "config/labels",
        "dockerfile/base-pinned",
        "context/ignored",
    }
    assert by_status(document, "error") == NEVER_UP


def test_whoami_and_size_still_pass(plan: Path) -> None:
    who = run("invoke", "smoke.whoami", "--app", "plan", folder=plan)
    size = run("invoke", "smoke.size", "--app", "plan", folder=plan)
    assert (who.code, who.out.splitlines()[0]) == (0, "app")
    assert size.code == 0
    assert "PASS size/unpacked" in size.out


def test_its_clean_twin_passes_everything(plan: Path) -> None:
    ended = run("invoke", "smoke", "--app", "mended", "--format", "json", folder=plan)
    document = json.loads(ended.out)
    assert ended.code == 0, ended.out
    assert document["verdict"] == "pass"
    assert by_status(document, "skip") == {
        *("python/version", "bytecode/standard-library", "files/expected", "boot/stays-up", "boot/answers"),
        *("runtime/worker-heartbeat", "app/home"),
        *(check.id for check in registry.of_family("compose")),
    }


def test_a_failure_names_its_line_in_the_dockerfile(plan: Path) -> None:
    ended = run("invoke", "smoke", "--app", "plan", "--level", "quick", "--format", "json", folder=plan)
    where = {load["id"]: load["where"] for load in json.loads(ended.out)["checks"] if load["status"] == "fail"}
    lines = (plan / "Dockerfile").read_text(encoding="utf-8").splitlines()
    named = {
        name: lines[int(place.removeprefix("Dockerfile:")) - 1] for name, place in where.items() if ".d" not in place
    }
    assert named["identity/numeric-user"] == "USER app"
    assert named["process/command-resolves"].startswith("CMD ")
    assert named["dockerfile/base-pinned"].startswith("COPY --from=ghcr.io/astral-sh/uv:latest")
    assert named["config/labels"] == "FROM python:3.13-slim"


def by_status(document: dict[str, Any], status: str) -> set[str]:
    return {entry["id"] for entry in document["checks"] if entry["status"] == status}
