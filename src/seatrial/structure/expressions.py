"""Regular expressions as Go understands them, matched in linear time.

RE2 is the engine that Go's own was made after. Python's `re` reads some of the syntax otherwise (where `$` matches,
Unicode classes, quoting), and a text that an image chose can keep it busy for ever.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from seatrial.errors import SettingsError

if TYPE_CHECKING:
    from types import ModuleType

MOST_MEMORY = 64 * 1024 * 1024
"""Bytes that one expression may take; Go sets no such limit that a person meets."""


def problem_of(expression: str) -> str:
    """Return what is wrong with an expression; nothing where it is one.

    Raises:
        SettingsError: RE2 is not installed.

    """
    # RE2 reads one byte with \C; Go has no such thing.
    if "\\C" in expression.replace("\\\\", ""):
        return "invalid escape sequence: \\C"
    re2 = _re2()
    try:
        _compiled(expression)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return ""


def matches(expression: str, text: bytes) -> bool:
    """Tell whether an expression is found in a text."""
    return _compiled(expression).search(text.decode("utf-8", "seatrial-each-byte")) is not None


def _compiled(expression: str) -> Any:
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
