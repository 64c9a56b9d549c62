"""Where an image's bytes are as one HTML page: a treemap, each box of which leads to its row in the tables below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seatrial.observe.layers.usage import Row, Usage
from seatrial.reports.html import line, page
from seatrial.text import show_size

LEAST_SHARE = 0.002
"""Of all bytes: what has less is in a box together with others."""
Box = tuple[float, float, float, float]
"""Left, top, width and height, in percent of what it lies in."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Boxes of one kind."""

    key: str
    """What the style sheet and the ids of its rows call it."""
    title: str
    head: str
    """Over the names in its table."""
    rows: Sequence[Row]

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(row.size for row in self.rows)


def layers_page(image: str, summary: str, usage: Usage) -> str:
    """Return the page of an image."""
    groups = [group for group in _groups(usage) if group.size]
    body = ['<header class="top">', f"<h1>{line(image)}</h1>", f"<p>{line(summary)}</p>", "</header>", "<main>"]
    body += [*_treemap(groups), *_instructions(usage)]
    for group in groups:
        body += _table(group)
    return page(f"Layers of {image}", body)


def _groups(usage: Usage) -> Iterator[Group]:
    hidden = [
        Row(
            name=f"layer {row.layer}, hidden by layer {row.by}: {row.folder}",
            files=row.files,
            size=row.size,
            saves=row.size,
        )
        for row in usage.hidden
    ]
    yield Group(key="python", title="Python distributions", head="distribution", rows=usage.distributions)
    yield Group(key="system", title="System packages", head="package", rows=usage.packages)
    yield Group(key="rest", title="Other files", head="folder", rows=usage.rest)
    yield Group(key="hidden", title="Hidden by later layers", head="what", rows=hidden)


def _treemap(groups: Sequence[Group]) -> Iterator[str]:
    total = sum(group.size for group in groups)
    yield '<nav class="treemap" aria-label="Where the bytes are; each box leads to its row">'
    for group, box in zip(groups, squarified([group.size for group in groups]), strict=True):
        yield f'<div class="area" style="{_at(box)}"><span>{line(group.title)} {show_size(group.size)}</span><div>'
        shown = [(number, row) for number, row in enumerate(group.rows, 1) if row.size >= LEAST_SHARE * total]
        rest = group.rows[len(shown) :]
        sizes = [*(row.size for _, row in shown), *([sum(row.size for row in rest)] if rest else [])]
        for index, inner in enumerate(squarified(sizes)):
            number, row = shown[index] if index < len(shown) else (len(shown) + 1, None)
            name = row.name if row else f"{len(rest)} more"
            said = f"{name}, {show_size(sizes[index])}"
            yield f'<a class="box {group.key}" href="#{group.key}-{number}" title="{line(said)}" style="{_at(inner)}">'
            yield f"{line(name)} <small>{show_size(sizes[index])}</small></a>"
        yield "</div></div>"
    yield "</nav>"


def _at(box: Box) -> str:
    return ";".join(f"{name}:{value:.3f}%" for name, value in zip(("left", "top", "width", "height"), box, strict=True))


def _instructions(usage: Usage) -> Iterator[str]:
    yield '<h3>By instruction</h3><div class="card scroll" tabindex="0" role="region" aria-label="By instruction">'
    yield "<table><thead><tr>"
    yield "".join(f'<th scope="col">{name}</th>' for name in ("layer", "size", "hidden", "line", "instruction"))
    yield "</tr></thead><tbody>"
    for row in usage.instructions:
        hidden, number = show_size(row.hidden) if row.hidden else "", row.line or ""
        yield f"<tr><td>{row.layer}</td><td>{show_size(row.size)}</td><td>{hidden}</td><td>{number}</td>"
        base = '<span class="soft">the base\'s</span> ' if row.base else ""
        yield f"<td>{base}<code>{line(row.instruction)}</code></td></tr>"
    yield "</tbody></table></div>"


def _table(group: Group) -> Iterator[str]:
    yield f"<h3>{line(group.title)}: {show_size(group.size)}</h3>"
    yield f'<div class="card scroll" tabindex="0" role="region" aria-label="{line(group.title)}"><table><thead><tr>'
    yield "".join(f'<th scope="col">{name}</th>' for name in ("size", "saves", "files", group.head))
    yield "</tr></thead><tbody>"
    for number, row in enumerate(group.rows, 1):
        saves = show_size(row.saves) if row.saves else ""
        yield f'<tr id="{group.key}-{number}"><td>{show_size(row.size)}</td><td>{saves}</td><td>{row.files}</td>'
        yield f"<td>{line(row.name)}</td></tr>"
    yield "</tbody></table></div>"


def squarified(sizes: Sequence[int]) -> list[Box]:
    """Return boxes whose areas are as sizes, the largest first, each as near to a square as a row allows.

    The whole is 100 by 100. Source: Bruls, Huizing and van Wijk, "Squarified Treemaps".
    """
    left = top = 0.0
    width = height = 100.0
    total, boxes, rest = sum(sizes) or 1, [], [max(size, 0) for size in sizes]
    scale = width * height / total
    while rest:
        side = min(width, height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], side, scale) <= _worst(rest[:count], side, scale):
            count += 1
        row, rest = rest[:count], rest[count:]
        deep = sum(row) * scale / side if side else 0.0
        along = 0.0
        for size in row:
            length = size * scale / deep if deep else 0.0
            boxes.append((left, top + along, deep, length) if width >= height else (left + along, top, length, deep))
            along += length
        if width >= height:
            left, width = left + deep, max(width - deep, 0.0)
        else:
            top, height = top + deep, max(height - deep, 0.0)
    return boxes


def _worst(row: Sequence[int], side: float, scale: float) -> float:
    """Return how far the boxes of a row are from squares: the largest of their ratios of length to width."""
    area, least = sum(row) * scale, min(row) * scale
    if not least or not side:
        return float("inf")
    return max(side * side * max(row) * scale / (area * area), area * area / (side * side * least))
