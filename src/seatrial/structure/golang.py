"""What Go does with texts and Python does not: regular expressions, `$NAME`, how a file's mode is written."""

from __future__ import annotations

import codecs
import re
import stat
from typing import TYPE_CHECKING, Any

from seatrial.errors import SettingsError
from seatrial.facts import FileKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

MOST_MEMORY = 64 * 1024 * 1024
"""Bytes that one expression may take; Go sets no such limit that a person meets."""
REFERENCE = re.compile(
    r"""\$(?:
        \{(?P<braced>[^}]+)\}   # ${NAME}, whatever the name holds
      | (?P<broken>\{\}?)       # ${} and a brace that is never closed: dropped
      | (?P<special>[*#$@!?0-9-])
      | (?P<name>[A-Za-z0-9_]+)
    )""",
    re.VERBOSE,
)
MODE_KINDS = {FileKind.FOLDER: "d", FileKind.LINK: "L", FileKind.FILE: ""}
MODE_BITS = ((stat.S_ISUID, "u"), (stat.S_ISGID, "g"), (stat.S_ISVTX, "t"))


def problem_of(expression: str) -> str:
    """Return what is wrong with a regular expression; empty where it is valid.

    Raises:
        SettingsError: RE2 is not installed.
    """
    # RE2 reads one byte with \C; Go has no such thing.
    if "\\C" in expression.replace("\\\\", ""):
        return "invalid escape sequence: \\C"
    try:
        _compiled(expression)
    except _re2().error as error:
        said = error.args[0] if error.args else ""
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return ""


def matches(expression: str, text: bytes) -> bool:
    """Tell whether an expression is found in a text."""
    return _compiled(expression).search(text.decode("utf-8", "seatrial-each-byte")) is not None


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with its variables replaced as os.Expand does: what is not set by nothing, `$$` and `$1` too."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["special"] or found["name"]
        return environment.get(name, "") if name else ""

    return REFERENCE.sub(value, text)


def mode_text(mode: int, kind: FileKind) -> str:
    """Return a mode as fs.FileMode writes it: `-rwxr-xr-x`, `drwxr-xr-x`, `Lrwxrwxrwx`, `dtrwxrwxrwx`, `urwxr-xr-x`.

    Args:
        mode: the permission bits with setuid, setgid and sticky.
        kind: what has it.
    """
    marks = MODE_KINDS.get(kind, "?") + "".join(letter for bit, letter in MODE_BITS if mode & bit)
    bits = "".join(letter if mode & (1 << (8 - place)) else "-" for place, letter in enumerate("rwxrwxrwx"))
    return (marks or "-") + bits


def _compiled(expression: str) -> Any:
    # RE2 is what Go's own was made after. Python's `re` reads some of the syntax differently (where `$` matches,
    # Unicode classes, quoting), and a text that an image chose can keep it busy for ever.
    re2 = _re2()
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    return re2.compile(expression, options)


def _re2() -> ModuleType:
    try:
        import re2
    except ImportError as error:
        raise SettingsError(
            "structure tests need google-re2, which is not installed.",
            fix="Install it: `pip install 'seatrial[structure]'`.",
        ) from error
    module: ModuleType = re2
    return module


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Read each byte that is no UTF-8 as one U+FFFD, as Go does."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("seatrial-each-byte", _each_byte)
