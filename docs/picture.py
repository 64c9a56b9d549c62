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
WIDTH = 104
PIXELS = 720
"""As wide as it is shown: both are to be seen on the README's first screen."""
FAMILY = re.compile(r"[A-Z]+ +[a-z]+ +\d")
EVIDENCE = re.compile(r" {4}\S")
LESSER = re.compile(r"(?:WARNING|NOTE) \S+/\S+: ")
"""How a finding begins that does not count."""


def main() -> None:
    """Smoke both images and draw what is seen."""
    engine = find_engine(this_host())
    _draw("refused", "invoke smoke --app plan", _plan(engine), short=True)
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


def _draw(name: str, command: str, smoked: Smoke, *, short: bool = False) -> None:
    whole = _console()
    print_smoke(smoked, whole)
    lines = Text.from_ansi(whole.export_text(styles=True)).split("\n")
    drawn = _console()
    for line in _in_short(lines) if short else lines:
        drawn.print(line, no_wrap=True, crop=True)
    svg = drawn.export_svg(title=command, unique_id=name)
    # rich names a font on another host: a picture should fetch nothing.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is not None:
        svg = svg.replace("<svg ", f'<svg width="{PIXELS}" height="{PIXELS * float(box[2]) / float(box[1]):.0f}" ', 1)
    (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+\n", "\n", svg), encoding="utf-8")


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False)


def _in_short(lines: Iterable[Text]) -> Iterator[Text]:
    """Yield what counts, and `…` where lines are left out: the families, evidence, and findings that do not count."""
    lesser = gap = False
    for line in lines:
        text = line.plain
        # They end at an empty line.
        lesser = bool(LESSER.match(text)) or (lesser and bool(text.strip()))
        if lesser or FAMILY.match(text) or EVIDENCE.match(text):
            if not gap:
                yield Text("…" if FAMILY.match(text) or lesser else "    …")
            gap = True
        else:
            gap = False
            yield line


if __name__ == "__main__":
    main()
