"""What a baseline knows of an image, and what it excuses: findings that are recorded, and have not grown.

A finding is known by its check and its causes: what was found, each by itself, without what another build, another run
or another line changes. What keeps an image from running, or another check from being decided, is never recorded, and
never excused: nobody knows what is behind it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from seatrial.checks.model import Result, Severity, Status, shorten
from seatrial.settings.model import Contract
from seatrial.text import UNITS, parse_size, plain_line, show_size

VERSION = 1
RUNS = {
    "process/command-resolves",
    "python/interpreter-resolves",
    "python/interpreter-reachable",
    "boot/healthy",
    "boot/stays-up",
    "stack/healthy",
}
"""The checks whose errors say that the image does not run."""
SIZE = "size/unpacked"
MOST_CAUSES = 50
"""Causes of one check that are recorded each by itself."""
LONGEST = 300
"""Characters of a cause."""
REST = "and more"
"""The cause of those beyond."""
MORE = re.compile(r"… and (\d+) more\b.*")
SHOWN = 5
NOUNS = "character|distribution|file|folder|line|module|package|path|process|processor|request|script|time|worker"
VOLATILE = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?:sha256:)?[0-9a-f]{12,64}\b", "<id>"),
    (r"\btmp[a-z0-9_]{8}\b", "<temporary>"),
    (r"\b(line|pid|owner \d+:)( ?)\d+", r"\1\2<n>"),
    (r"((?:\.[A-Za-z]\w*|[Dd]ockerfile|[Cc]ontainerfile)):\d+(?::\d+)?\b", r"\1:<n>"),
    (r"\b\d+(?:\.\d+)? ?(?:ms|s|min|seconds?|minutes?)\b", "<time>"),
    (r"\b\d+(?:\.\d+)? ?(?:B|kB|MB|GB|KiB|MiB|GiB|bytes)\b", "<size>"),
    (r"(?<![\d.])(?!\d+(?:\.\d+){3}(?![\d.]))\d+(?:\.\d+)+(?:[\w+!~-]|\.(?=\w))*", "<version>"),
    (r"\b\d+ of \d+\b", "<n> of <n>"),
    (rf"\b\d+ ({NOUNS})(?:e?s)?\b", r"<n> \1s"),
    (r"\b\d+ more\b", "<n> more"),
)
"""What another build or run changes of a text, and what a cause holds in its place. An address keeps its numbers."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A finding that is known."""

    check: str
    """The check's id."""
    cause: str
    """What was found, without what another build changes."""
    severity: Severity
    """How much it mattered at most; a graver one is not excused."""
    count: Annotated[int, Meta(ge=1)] = 1
    """How often it was found."""
    size: str = ""
    """How much it took, where it is about a size: `40.1 MB`."""

    def __post_init__(self) -> None:
        """Refuse what is no size."""
        _require_size("size", self.size)


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of one image: of an app for one of its Python versions, alone or among its services."""

    app: str = ""
    """The app; empty for an image that no app describes."""
    image: str = ""
    """The image's name without its tag, where no app describes it."""
    python: str = ""
    """The Python version; empty where the app declares none."""
    stack: bool = False
    """Whether it was smoked with its services up."""
    unpacked: str = ""
    """How much the image took on disk: `512 MB`."""
    findings: tuple[Entry, ...] = ()
    """What is known, by check and cause."""

    def __post_init__(self) -> None:
        """Refuse what is no size."""
        _require_size("unpacked", self.unpacked)

    @property
    def key(self) -> tuple[str, str, str, bool]:
        """What distinguishes its image from others."""
        return self.app, self.image, self.python, self.stack

    @property
    def name(self) -> str:
        """Its image, for a person."""
        python = f" for Python {self.python}" if self.python else ""
        return f"{self.app or self.image}{python}{' with its services' if self.stack else ''}"


class Baseline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The findings that are known, of all images: `seatrial-baseline.json`."""

    version: Literal[1] = 1
    """The form of this file."""
    images: tuple[Record, ...] = ()
    """What is known, by image."""


class Compared(Struct, frozen=True, kw_only=True):
    """An image's results beside a baseline."""

    results: tuple[Result, ...]
    """Each failure with what the baseline says of it."""
    paid: tuple[Entry, ...]
    """What it knows and is found no more."""


def _require_size(key: str, text: str) -> None:
    try:
        parse_size(text or "0 B")
    except ValueError:
        raise ValueError(f"`{key}`: not a size: {text!r}") from None


def cause_of(text: str) -> str:
    """Return what a finding is known by: its text in one line, without what another build or run changes."""
    cause = plain_line(text)
    for pattern, placeholder in VOLATILE:
        cause = re.sub(pattern, placeholder, cause)
    return cause[:LONGEST]


def size_text(size: int) -> str:
    """Return a size as a baseline holds it, rounded up to 0.1 MB: what has not grown is never larger."""
    return f"{math.ceil(size / 100_000) / 10} MB"


def _size_in(text: str) -> int:
    """Return the largest size that a text names, as `show_size` writes it; 0 where it names none."""
    units = "|".join(unit for unit in UNITS if "i" not in unit)
    return max((parse_size(found) for found in re.findall(rf"\b\d+(?:\.\d+)? (?:{units})\b", text)), default=0)


def _texts(result: Result) -> dict[str, list[str]]:
    """Return what a failure found, by cause."""
    texts: dict[str, list[str]] = {}
    for text in result.items or (result.actual,):
        texts.setdefault(REST if MORE.fullmatch(text) else cause_of(text), []).append(text)
    rest = texts.pop(REST, [])
    for cause in sorted(texts)[MOST_CAUSES:]:
        rest += texts.pop(cause)
    return dict(sorted(texts.items())) | ({REST: rest} if rest else {})


def entries_of(result: Result) -> tuple[Entry, ...]:
    """Return what is recorded of a failure, by cause."""
    entries = []
    for cause, texts in _texts(result).items():
        size = sum(map(_size_in, texts))
        count = sum(int(more[1]) if (more := MORE.fullmatch(text)) else 1 for text in texts)
        shown = size_text(size) if size else ""
        entries.append(Entry(check=result.id, cause=cause, severity=result.severity, count=count, size=shown))
    return tuple(entries)


def is_recordable(result: Result, results: Iterable[Result]) -> bool:
    """Tell whether a result is a finding that a baseline may hold."""
    if result.status is not Status.FAIL or result.follows_from:
        return False
    effects = [effect for effect in results if effect.follows_from == result.id]
    return not any(
        found.status is Status.ERROR or (found.id in RUNS and found.severity is Severity.ERROR)
        for found in (result, *effects)
    )


def recorded(results: Sequence[Result], known: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries that stand for these results; what was not asked, or not decided, is kept of those known.

    None becomes lighter: what makes a finding grave may follow from it at another level only.
    """
    before = {(entry.check, entry.cause): entry.severity for entry in known}
    decided = {result.id for result in results if result.status is not Status.ERROR and not result.follows_from}
    kept = [entry for entry in known if entry.check not in decided]
    now = [entry for result in results if is_recordable(result, results) for entry in entries_of(result)]
    found = [
        replace(entry, severity=entry.severity.or_graver(before.get((entry.check, entry.cause), entry.severity)))
        for entry in now
    ]
    return tuple(sorted((*kept, *found), key=lambda entry: (entry.check, entry.cause)))


def compared(results: Sequence[Result], record: Record, contract: Contract, *, unpacked: int, file: str) -> Compared:
    """Compare an image's results with what a baseline records of it.

    Args:
        results: of all checks that were asked.
        record: what is known of the image.
        contract: what says how much it may grow.
        unpacked: bytes that it takes on disk; 0 where that is not known.
        file: the baseline's name, for messages.

    """
    allowed = parse_size(record.unpacked or "0 B") * contract.max_growth / 100
    judged: list[Result] = []
    paid: list[Entry] = []
    for result in results:
        mine = {entry.cause: entry for entry in record.findings if entry.check == result.id}
        if is_recordable(result, results):
            judged.append(_against(result, mine, allowed))
            now = _texts(result)
            paid += [entry for cause, entry in mine.items() if cause not in now and REST not in now]
            continue
        limited = result.id == SIZE and SIZE not in contract.waive
        judged.append(_grown(result, record, unpacked, contract.max_growth, file) if limited else result)
        if result.status not in {Status.FAIL, Status.ERROR}:
            paid += mine.values()
    return Compared(results=tuple(judged), paid=tuple(paid))


def _against(result: Result, mine: dict[str, Entry], allowed: float) -> Result:
    """Return a failure with what those of its entries that are known say of it."""
    texts = _texts(result)
    wrong = dict(_exceeding(result, mine, allowed))
    if not wrong:
        return replace(result, baseline="known")
    if not mine.keys() & texts.keys():
        return replace(result, baseline="new")
    excused = [text for cause, found in texts.items() if cause not in wrong for text in found]
    first, *others = result.items or (result.actual,)
    if not others:
        texts = {cause: [result.actual] for cause in texts}
    left = [text for cause in wrong for text in texts[cause]]
    shown = [f"{text}{more}" for cause, more in wrong.items() for text in texts[cause]]
    return replace(
        result,
        baseline="new" if wrong.keys() - mine.keys() else "grown",
        actual=shorten(shown, SHOWN) + (f" (beside {len(excused)} known)" if excused else ""),
        items=tuple(shown),
        evidence=tuple(line for line in result.evidence if _names(line, left) or not _names(line, excused)),
        # It may be of what is known.
        fix=f"As for what is known: {result.fix}" if first in excused else result.fix,
        where="" if first in excused else result.where,
    )


def _names(line: str, texts: Iterable[str]) -> bool:
    return any(text in line for text in texts)


def _exceeding(result: Result, mine: dict[str, Entry], allowed: float) -> Iterator[tuple[str, str]]:
    """Yield the causes that are not excused, and of those that are known what is more than before."""
    entries = entries_of(result)
    rest = sum(entry.count for entry in entries if entry.cause == REST or entry.cause not in mine)
    # Of those that are not recorded each by itself, some are named when others are gone.
    named = REST not in mine or rest > mine[REST].count
    for now in entries:
        known = mine.get(now.cause)
        size, before = (parse_size(entry.size or "0 B") if entry else 0 for entry in (now, known))
        if known is None:
            if named:
                yield now.cause, ""
        elif now.severity is not known.severity and now.severity.counts(known.severity):
            yield now.cause, f" (known as {known.severity.value}, and now {now.severity.value})"
        elif now.count > known.count:
            yield now.cause, f" (known {known.count} times, and now {now.count})"
        elif size > before + allowed:
            yield now.cause, f" (known with {known.size or '0 B'}; it may grow by {show_size(int(allowed))})"


def _grown(result: Result, record: Record, unpacked: int, max_growth: float, file: str) -> Result:
    """Return the check of the size as a failure, where no limit is set and the image has grown beyond what it may."""
    before = parse_size(record.unpacked or "0 B")
    if result.status is not Status.SKIP or not before or unpacked <= before * (1 + max_growth / 100):
        return result
    return replace(
        result,
        status=Status.FAIL,
        baseline="grown",
        expected=f"at most {max_growth:g} % more than the {record.unpacked} that {file} records",
        actual=f"{show_size(unpacked)}, {show_size(unpacked - before)} more",
        fix="See where it went: `invoke layers`. If it may be that large: `--update-baseline`, or `max-growth` or "
        "`max-unpacked` in the contract.",
    )


def counted(results: Iterable[Result]) -> dict[Severity, int]:
    """Return how many findings are known, by severity."""
    found = Counter(result.severity for result in results if result.baseline == "known")
    return {severity: found[severity] for severity in Severity}
