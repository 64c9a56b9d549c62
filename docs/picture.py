"""Makes the README's two pictures from real smokes: an image that is refused, and one that passes. `nox -s picture`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from seatrial.checks.model import Level
from seatrial.checks.verdict import Smoke
from seatrial.engine.find import Engine, find_engine
from seatrial.host import this_host
from seatrial.reports.console import print_smoke
from seatrial.settings.read import read_project
from seatrial.smoke import app_target, smoke

HERE = Path(__file__).parent
PLAN = HERE.parent / "tests" / "defects" / "the_plan"
"""A team's image that passed its four checks, and cannot start."""
WIDTH = 100
LESSER = re.compile(r"(?:WARNING|NOTE) \S+/\S+: ")
"""How a finding begins that does not count."""


def main() -> None:
    """Smoke both images and draw what is seen."""
    engine = find_engine(this_host())
    _draw("refused", "invoke smoke --app plan", _plan(engine))
    _draw("smoke", "invoke smoke --app course-supporter", _smoke(HERE.parent, "course-supporter", engine))


def _plan(engine: Engine) -> Smoke:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "plan")
        shutil.copytree(PLAN, project)
        subprocess.run([sys.executable, "-m", "seatrial", "build", "--app", "plan"], cwd=project, check=True)
        try:
            return _smoke(project, "plan", engine)
        finally:
            engine.client.images.remove("seatrial-test/the-plan:latest", force=True)


def _smoke(folder: Path, app: str, engine: Engine) -> Smoke:
    return smoke(app_target(read_project(folder), app, host=this_host()), engine, level=Level.STANDARD)[0]


def _draw(name: str, command: str, smoked: Smoke) -> None:
    whole = _console()
    print_smoke(smoked, whole)
    drawn = _console()
    for line in _shown(Text.from_ansi(whole.export_text(styles=True)).split("\n")):
        drawn.print(line, no_wrap=True, crop=True)
    svg = drawn.export_svg(title=command, unique_id=name)
    # rich names a font on another host: a picture should fetch nothing.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+\n", "\n", svg), encoding="utf-8")


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False)


def _shown(lines: Iterable[Text]) -> Iterator[Text]:
    """Yield the lines to draw: of findings that do not count, only that there are some."""
    left_out = False
    for line in lines:
        lesser = LESSER.match(line.plain)
        if lesser and not left_out:
            yield Text("…")
        left_out = bool(lesser) or (left_out and bool(line.plain.strip()))
        if not left_out:
            yield line


if __name__ == "__main__":
    main()
