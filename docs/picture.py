"""Makes docs/smoke.svg, the README's picture, from a real smoke: `nox -s picture`."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from rich.console import Console

from seatrial.checks.model import Level
from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.reports.console import print_smoke
from seatrial.settings.read import read_project
from seatrial.smoke import app_target, smoke

HERE = Path(__file__).parent
WIDTH = 108


def main() -> None:
    """Smoke the Course Supporter's image and draw what is seen."""
    target = app_target(read_project(HERE), "course-supporter", host=this_host())
    result, _ = smoke(target, find_engine(this_host()), level=Level.STANDARD)
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False)
    print_smoke(result, console)
    drawn = console.export_svg(title="invoke smoke --app course-supporter", unique_id="smoke")
    # rich names a font on another host: a picture should fetch nothing.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    (HERE / "smoke.svg").write_text(re.sub(r"[ \t]+\n", "\n", drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
