"""Makes text of images, builds and engines safe to print: no terminal codes, no control characters."""

from __future__ import annotations

import re

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


def plain(text: str) -> str:
    """Return text without terminal codes and control characters; line ends and tabs stay.

    Of a line that carriage returns overwrite, the last version stays.
    """
    lines = ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(CONTROLS.sub("", _last_version(line)) for line in lines)


def plain_line(text: str) -> str:
    """Return text as one line without terminal codes, its white space collapsed."""
    return " ".join(plain(text).split())


def _last_version(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")
