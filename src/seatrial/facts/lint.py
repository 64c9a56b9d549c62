"""Asks hadolint about a Dockerfile, where it is installed."""

from __future__ import annotations

import json
import sysconfig
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import ProgramError
from seatrial.facts.data import Lint, LintFinding, Missing, NotInstalled

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.host import Host

SECONDS = 20
MOST_FINDINGS = 500
CONFIGURATIONS = (".hadolint.yaml", ".hadolint.yml", ".hadolint.json", ".hadolint.toml")


def run_lint(dockerfile: Path, project: Path, host: Host) -> Lint | Missing:
    """Return what hadolint says; its own configuration file in the project's folder holds."""
    try:
        program = _program(host)
    except ProgramError:
        return NotInstalled(reason="hadolint is not installed; `pip install seatrial[lint]` brings it")
    configuration = next((project / name for name in CONFIGURATIONS if (project / name).is_file()), None)
    words = [program, "--no-fail", "--no-color", "--format", "json"]
    if configuration is not None:
        words += ["--config", str(configuration)]
    # Without a home it finds no settings of one person's, which another one would not have.
    environment = {"PATH": host.environment.get("PATH", ""), "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        done = process.run(
            [*words, "--", str(dockerfile)], timeout=SECONDS, environment=environment, folder=project, check=False
        )
        rows = json.loads(done.output or "null")
    except (ProgramError, ValueError) as error:
        return Missing(reason=f"hadolint gave no answer: {str(error)[:300]}")
    if done.code != 0 or not isinstance(rows, list):
        said = f"ended with exit code {done.code}" if done.code else "gave no list of findings"
        return Missing(reason=f"hadolint {said}", detail=done.errors[-500:])
    return Lint(findings=tuple(_finding(row) for row in rows[:MOST_FINDINGS]))


def _program(host: Host) -> str:
    # The wheel puts it beside this interpreter, which need not be on PATH.
    own = sysconfig.get_path("scripts")
    path = f"{own}:{host.environment.get('PATH', '')}"
    return process.find_program("hadolint", path=path)


def _finding(row: dict[str, object]) -> LintFinding:
    line = row.get("line")
    return LintFinding(
        rule=str(row.get("code", "")),
        level=str(row.get("level", "")),
        line=line if isinstance(line, int) else 0,
        message=str(row.get("message", "")),
    )
