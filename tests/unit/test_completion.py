"""What the Tab key gives: the scripts of `seatrial --print-completion-script`, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent
ASKED = {
    "bash": "{script}\ncomplete -p seatrial\nCOMP_WORDS=({words})\n_complete_seatrial seatrial {last} seatrial\n"
    'printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": "{script}\nwords=({words})\n_complete_seatrial\nprint -l -- $reply",
    "fish": "{script}\ncomplete -C '{words}'",
}
"""What a shell does at the Tab key: zsh and fish sort the candidates out by themselves."""


@pytest.mark.parametrize(
    ("line", "completed"),
    [("seatrial onb", "onboard"), ("seatrial check --fail", "--fail-on"), ("seatrial smoke.w", "smoke.whoami")],
)
@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_commands_and_options(shell: str, line: str, completed: str, tmp_path: Path) -> None:
    if not (PROGRAMS / "seatrial").exists() or shutil.which(shell) is None:
        pytest.skip(f"NOT COMPLETED: seatrial beside this interpreter, or {shell}, is not installed")
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = said([str(PROGRAMS / "seatrial"), "--print-completion-script", shell], environment)
    asked = ASKED[shell].format(script=script, words=line, last=line.rpartition(" ")[2])
    lines = said([shell, "-c", asked], environment).split()
    assert completed in lines
    if shell == "bash":
        assert lines[-1] == completed, "nothing else begins so"


def said(argv: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
