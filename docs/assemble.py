"""Puts the pages of the site into build/docs, laid out as the repository is: links between them hold in both."""

from __future__ import annotations

import re
import shutil
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
INTO = ROOT / "build" / "docs"
PAGES = ("*.md", "docs/*.md", "examples/*/README.md")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)")


def main() -> None:
    """Copy the pages, and the files that they lead to; refuse one that the navigation does not name."""
    shutil.rmtree(INTO, ignore_errors=True)
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            if f": {page.relative_to(ROOT)}\n" not in navigation:
                sys.exit(f"error: mkdocs.yml: its nav does not name {page.relative_to(ROOT)}.")
            place = INTO / page.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(LINK.sub(partial(_kept, page), page.read_text("utf-8")), "utf-8")


def _kept(page: Path, link: re.Match[str]) -> str:
    """Return a link as it stands; a folder's, which no site shows, becomes its text."""
    target = (page.parent / link[3]).resolve()
    if target.is_dir():
        return link[2]
    if target.is_file() and target.suffix != ".md":
        place = INTO / target.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(target, place)
    return link[0]


if __name__ == "__main__":
    main()
