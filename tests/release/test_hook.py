"""The pre-commit hook, as another project gets it: the session `hook` runs this; the package index is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKED = ("src", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
LEAKS = "FROM python:3.13-slim\nENV API_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ456789\n"


def repository(folder: Path) -> Path:
    """Make a repository of what lies in a folder."""
    me = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), (*me, "commit", "--quiet", "--message=all")):
        subprocess.run([shutil.which("git") or "git", *words], cwd=folder, check=True, timeout=60)
    return folder


def test_the_hook_installs_itself_with_hadolint_and_judges_the_files_that_it_is_for(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "seatrial", tmp_path / "theirs"
    ours.mkdir()
    for name in PACKED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, ours / name)
    files = {"Dockerfile": "FROM python:3.13-slim\n", "leaks.Dockerfile": LEAKS, "a/compose.yaml": "services: ["}
    for name, text in {**files, "x.py": ""}.items():
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_text(text, encoding="utf-8")
    program = f"{sysconfig.get_path('scripts')}/pre-commit"
    done = subprocess.run(
        [program, "try-repo", str(repository(ours)), "seatrial-check", "--all-files", "--verbose"],
        cwd=repository(theirs),
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "DL3064" in said, "hadolint is there"
    verdicts = {line.split()[1].rstrip(":"): line.split()[0] for line in said.splitlines() if "(fail-on = " in line}
    assert verdicts == {"Dockerfile": "PASS", "leaks.Dockerfile": "FAIL", "a/compose.yaml": "ERROR"}
