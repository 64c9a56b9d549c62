"""Smokes as one HTML page that fetches nothing and runs no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from itertools import chain

from seatrial import __version__
from seatrial.checks.model import Status
from seatrial.checks.verdict import Smoke, Verdict, worst
from seatrial.reports import groups
from seatrial.reports.groups import (
    SHOWN_FIRST,
    Finding,
    Group,
    findings,
    grouped,
    made_of,
    name_of,
    rows_of,
    short_rows_of,
    word_of,
)
from seatrial.text import plain, plain_line

# The browser fetches nothing and runs nothing, whatever an image said.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</main>
<footer>Made by seatrial {version}.</footer>
</body>
</html>
"""
TO_LOOK_AT = {"error", "undecided", "warning", "note", "known", "waived"}
"""The words of results that are shown above the families."""
KINDS = {"error": "fail", "undecided": "error", "follows": "skip", "known": "waived"}
"""The style sheet's names for the words of results, where they are others."""
PLURALS = {"error": "errors", "warning": "warnings", "note": "notes", "follows": "that follow"}
VERDICTS = {"pass": "This image passes.", "fail": "This image does not pass.", "error": "This could not be decided."}


def as_html(smokes: Sequence[Smoke]) -> str:
    """Return the page."""
    together = worst(smokes)
    name = smokes[0].image if len(smokes) == 1 else f"{len(smokes)} images"
    body = [*_top(smokes, together), "<main>"]
    for number, smoke in enumerate(smokes, 1):
        body += _image(smoke, number, alone=len(smokes) == 1)
    return page(f"{together.value.upper()}: {name}", body)


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page, whose `<main>` the body begins."""
    return PAGE.format(
        policy=escape(POLICY),
        title=line(title),
        style=resources.files("seatrial.reports").joinpath("page.css").read_text(encoding="utf-8"),
        body="\n".join(body),
        version=escape(__version__),
    )


def _top(smokes: Sequence[Smoke], together: Verdict) -> Iterator[str]:
    yield '<header class="top">'
    if len(smokes) == 1:
        yield "<h1>Smoke report</h1>"
    else:
        yield '<div class="verdict">'
        yield f"<h1>Smoke of {len(smokes)} images</h1>"
        yield _chip(together.value, together.value, big=True)
        yield "</div>"
        yield from _matrix(smokes)
    yield "</header>"


def _matrix(smokes: Sequence[Smoke]) -> Iterator[str]:
    table = groups.matrix(smokes)
    yield '<div class="matrix card scroll" tabindex="0" role="region" aria-label="Apps by Python versions">'
    yield '<table><thead><tr><th scope="col">app</th>'
    yield "".join(f'<th scope="col">{line(groups.heading(python))}</th>' for python in table.pythons)
    yield "</tr></thead><tbody>"
    for app in table.apps:
        yield f'<tr><th scope="row">{line(app)}</th>'
        for python in table.pythons:
            cells = [_cell(smokes[number], number + 1) for number in table.cells.get((app, python), ())]
            yield f"<td>{'<br>'.join(cells) or '<span class=soft>not smoked</span>'}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def _cell(smoke: Smoke, number: int) -> str:
    word, _, why = groups.brief(smoke).partition(" ")
    link = f'<a class="chip {smoke.verdict.value}" href="#image-{number}">{word}</a>'
    return f'{link} <span class="soft">{line(why)}</span>'


def _image(smoke: Smoke, number: int, *, alone: bool) -> Iterator[str]:
    yield f'<section class="image" id="image-{number}" aria-labelledby="image-{number}-name">'
    yield '<div class="card">'
    yield f'<div class="verdict">{_chip(smoke.verdict.value, smoke.verdict.value, big=True)}'
    yield f'<h2 id="image-{number}-name">{line(smoke.image)}</h2></div>'
    yield f"<p>{VERDICTS[smoke.verdict.value]} {line(made_of(smoke).capitalize())}.</p>"
    yield from _share(smoke)
    known = (("app", smoke.app), ("Python", smoke.python), ("level", smoke.level), ("id", smoke.id[:19]))
    facts = " · ".join(f"{name} <code>{line(value)}</code>" for name, value in known if value)
    yield f'<p class="soft">{facts} · {smoke.seconds:.1f} s</p>'
    yield from (f"<p>Note: {line(note)}</p>" for note in smoke.notes)
    yield "</div>"
    if to_look_at := findings(smoke):
        yield "<h3>What to look at</h3>"
        yield from chain.from_iterable(map(_told, to_look_at))
    yield f"<h3>All {len(smoke.checks)} checks</h3>"
    for group in grouped(smoke.checks):
        yield from _group(group, opened=alone and group.worst in TO_LOOK_AT)
    if smoke.timings:
        yield from _timings(smoke)
    yield "</section>"


def _share(smoke: Smoke) -> Iterator[str]:
    words = Counter(map(word_of, smoke.checks))
    counts = [(word, words[word]) for word in SHOWN_FIRST if words[word]]
    spans = "".join(f'<span class="{_kind(word)}" style="flex:{number}"></span>' for word, number in counts)
    yield f'<div class="share" aria-hidden="true">{spans}</div>'
    items = "".join(
        f"<li>{_chip(_kind(word), f'{number} {PLURALS.get(word, word) if number > 1 else word}')}</li>"
        for word, number in counts
    )
    yield f'<ul class="counts">{items}</ul>'


def _told(finding: Finding) -> Iterator[str]:
    full = finding.counts or finding.first.status is Status.WAIVED
    kind = _kind(finding.word)
    yield f'<article class="card told {kind}">'
    yield f'<div class="head">{_chip(kind, finding.word)}'
    others = len(finding.results) > 1
    heading = f"{len(finding.results)} checks, for one reason" if others else finding.first.title
    yield f'<h4>{line(heading)}</h4><span class="id">{line(finding.names)}</span></div>'
    yield "<dl>"
    for name, value in rows_of(finding) if full else [("seen", finding.first.actual), *short_rows_of(finding)]:
        strong = ' class="now"' if name == "seen" else ""
        yield f"<dt>{name}</dt><dd{strong}>{_block(value)}</dd>"
    yield f"</dl>{_evidence(finding.evidence) if full else ''}"
    yield "</article>"


def _group(group: Group, *, opened: bool) -> Iterator[str]:
    yield f'<details class="group"{" open" if opened else ""}>'
    yield f"<summary><h4>{line(group.family)}</h4>{_chip(_kind(group.worst), group.worst)}"
    names = ", ".join(name_of(result.id) for result in group.results)
    yield f'<span class="soft">{escape(group.counts)}</span><span class="soft names">{line(names)}</span></summary>'
    yield "<table><thead><tr>"
    yield "".join(f'<th scope="col">{name}</th>' for name in ("result", "check", "seen"))
    yield "</tr></thead><tbody>"
    for result in group.results:
        word = word_of(result)
        seen = _block(result.actual)
        # What is shown in full above is not repeated.
        more = _evidence(result.evidence) if word not in TO_LOOK_AT else ""
        yield f"<tr><td>{_chip(_kind(word), word)}</td>"
        yield f'<td class="name">{line(result.title)}<span class="id">{line(result.id)}</span></td>'
        yield f'<td class="seen">{seen}{more}</td></tr>'
    yield "</tbody></table></details>"


def _timings(smoke: Smoke) -> Iterator[str]:
    longest = max((smoke.seconds, *smoke.timings.values())) or 1.0
    judging = sum(result.seconds for result in smoke.checks)
    rows = [*sorted(smoke.timings.items(), key=lambda row: -row[1]), ("judging the facts", judging)]
    yield '<h3>Where the time went</h3><div class="card"><dl class="bars">'
    for name, took in (("the whole smoke", smoke.seconds), *rows):
        share = max(0.0, min(100.0, 100 * took / longest))
        yield f'<dt>{line(name)}</dt><dd class="bar"><i style="width:{share:.1f}%"></i></dd>'
        yield f'<dd class="took">{took:.2f} s</dd>'
    yield "</dl></div>"


def _evidence(lines: Iterable[str]) -> str:
    text = "\n".join(_block(line) for line in lines)
    return f'<pre tabindex="0" aria-label="evidence">{text}</pre>' if text else ""


def _kind(word: str) -> str:
    return KINDS.get(word, word)


def _chip(kind: str, words: str, *, big: bool = False) -> str:
    shown = words.upper() if big else words
    return f'<span class="chip {kind}{" big" if big else ""}">{escape(shown)}</span>'


def line(said: str) -> str:
    """Return outside text as one line of HTML text."""
    return escape(plain_line(said))


def _block(said: str) -> str:
    """Return outside text as HTML text, its line ends kept."""
    return escape(plain(said))
