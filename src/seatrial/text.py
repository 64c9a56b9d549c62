"""Text for people: outside text made safe to show, sizes, and the nearest name for a misspelt one."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# ECMA-48: control sequences (CSI), command strings (OSC, DCS, SOS, PM, APC) and two-character escapes.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Other controls, the marks that reorder or hide text on a screen (Unicode's bidirectional ones), and what
# neither UTF-8 (surrogates) nor XML (U+FFFE, U+FFFF) can hold.
CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


BYTES = re.compile("[\udc80-\udcff]")
"""Bytes that are no UTF-8, as Python keeps them in a name: PEP 383."""


def with_bytes_shown(text: str) -> str:
    r"""Return text in which bytes that are no UTF-8 stand as `\xff`, so that every file format holds it."""
    return BYTES.sub(lambda found: f"\\x{ord(found.group()) - 0xDC00:02x}", text)


MOST_RETURNS = 3
"""Carriage returns of a line that are shown as such: a progress bar has many, and its last state is what counts."""


def with_returns_shown(line: str) -> str:
    r"""Return a line of a log in which carriage returns stand as `\r`: they are what a Windows line end leaves."""
    return line.replace("\r", "\\r") if line.count("\r") <= MOST_RETURNS else line


def is_below(path: str, folder: str) -> bool:
    """Tell whether a POSIX path is a folder, or lies in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def plain(text: str) -> str:
    """Return text without terminal codes and control characters; line ends and tabs stay.

    Of a line that carriage returns overwrite, the last version stays.
    """
    lines = ESCAPES.sub("", with_bytes_shown(text)).replace("\r\n", "\n").split("\n")
    return "\n".join(CONTROLS.sub("", _last_version(line)) for line in lines)


def plain_line(text: str) -> str:
    """Return text as one line without terminal codes, its white space collapsed."""
    return " ".join(plain(text).split())


def _last_version(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")


UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def parse_size(text: str) -> int:
    """Return a size such as `500 MB` or `1 GiB` in bytes.

    Raises:
        ValueError: it is not a size.

    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    if found is None or found.group(2) not in UNITS:
        raise ValueError(text)
    return round(float(found.group(1)) * UNITS[found.group(2)])


def show_size(size: int) -> str:
    """Return a size in decimal units, as Docker prints image sizes: `494 MB`."""
    for unit in ("GB", "MB", "kB"):
        if size >= UNITS[unit]:
            value = size / UNITS[unit]
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"  # noqa: PLR2004
    return f"{size} B"


def counted(number: int, noun: str) -> str:
    """Return a number of things: `1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list for a person: `a, b and c`."""
    *most, last = words or [""]
    return f"{', '.join(most)} and {last}" if most else last


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest known name, or lists them all."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None is declared."


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return a sentence that suggests the nearest known names; their last part alone is compared, too."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.75)
    close += [full for full in names if name in full.split("/") and full not in close]
    if not close:
        likely = difflib.get_close_matches(name, [full.rpartition("/")[2] for full in names], n=most, cutoff=0.6)
        close = [full for full in names if full.rpartition("/")[2] in likely]
    shown = [repr(name) for name in close[:most]]
    if not shown:
        return "There is no similar name."
    return f"Did you mean {' or '.join(filter(None, (', '.join(shown[:-1]), shown[-1])))}?"


def toml_value(value: object) -> str:
    """Return a value as TOML on one line: JSON's numbers and strings are valid TOML, except for DEL."""
    if isinstance(value, dict):
        pairs = (f"{toml_key(str(key))} = {toml_value(inner)}" for key, inner in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(key: str) -> str:
    """Return a key as TOML: in quotes only where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)
