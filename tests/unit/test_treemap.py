"""The page of an image's layers: boxes by size, each of which leads to its row."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import invoke
import pytest
from tests.unit.saved import config, docker_archive, tar, write

from seatrial.cli.layers import layers
from seatrial.reports.treemap import squarified

if TYPE_CHECKING:
    from pathlib import Path

SITE = "app/.venv/lib/python3.13/site-packages"
FILES: dict[str, str | bytes | None] = {
    "var/lib/dpkg/info/tzdata.list": "/.\n/usr\n/usr/share/zones\n",
    "usr/share/zones": bytes(40_000),
    f"{SITE}/six.py": bytes(30_000),
    f"{SITE}/six-1.17.0.dist-info/METADATA": "Name: six\nVersion: 1.17.0\n",
    f"{SITE}/six-1.17.0.dist-info/RECORD": "six.py,,\nsix-1.17.0.dist-info/METADATA,,\n",
    "srv/<b>\x1b/model.bin": bytes(60_000),
    "app/old": bytes(20_000),
}


@pytest.mark.parametrize(
    "sizes", [[1], [5, 3, 2, 1], [1000, 1, 1, 1], [6, 6, 4, 3, 2, 2, 1], list(range(300, 0, -1)), [3, 0, 0], []]
)
def test_boxes_have_the_areas_of_their_sizes_and_lie_side_by_side(sizes: list[int]) -> None:
    boxes = squarified(sizes)
    total = sum(sizes)
    assert len(boxes) == len(sizes)
    for size, (left, top, width, height) in zip(sizes, boxes, strict=True):
        assert width * height == pytest.approx(10_000 * size / total, abs=1e-6)
        assert left >= 0
        assert top >= 0
        assert left + width <= 100 + 1e-6
        assert top + height <= 100 + 1e-6
    inside = [(left + width / 2, top + height / 2) for left, top, width, height in boxes if width and height]
    for x, y in inside:
        around = [box for box in boxes if box[0] < x < box[0] + box[2] and box[1] < y < box[1] + box[3]]
        assert len(around) == 1, "boxes overlap"


def test_boxes_are_near_to_squares() -> None:
    for _, _, width, height in squarified([6, 6, 4, 3, 2, 2, 1]):
        assert max(width / height, height / width) < 5


class Page(HTMLParser):
    """What a page links to, and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append(tag)
        self.links += [said["href"] or ""] if "href" in said else []
        self.ids |= {said["id"] or ""} if "id" in said else set()


def test_each_box_leads_to_a_row_and_nothing_is_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [tar(FILES), tar({"app/.wh.old": ""})]
    archive = write(tmp_path / "a.tar", docker_archive(made, config(made)))
    layers(invoke.Context(), archive=str(archive), format="html")
    text = capsys.readouterr().out
    page = Page()
    page.feed(text)
    links = [link for link in page.links if link != "data:,"]
    assert len(links) >= 4
    assert {link.removeprefix("#") for link in links} <= page.ids
    assert not {"script", "img", "b", "iframe"} & {*page.tags}
    assert not re.search(r"https?://", text)
    assert "\x1b" not in text
    for word in ("six 1.17.0", "tzdata", "&lt;b&gt;", "Hidden by later layers", "hidden by layer 2"):
        assert word in text
