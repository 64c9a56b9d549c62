"""File names in a Dockerfile and an ignore file that are written: each as it is meant, whatever is in it."""

from __future__ import annotations

import json
import re
import shlex

PLAIN = re.compile(r"[\w./@%+:~][\w./@%+:~-]*", re.ASCII)


def plain(path: str) -> bool:
    """Tell whether a path stands for itself wherever it is written."""
    return PLAIN.fullmatch(path) is not None


def shell_word(path: str) -> str:
    """Return a path as one word of a shell's line, which is no option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def copied(source: str, target: str) -> str:
    """Return what a COPY takes and where to: plain words, or else a list, in which patterns and variables are none."""
    if plain(source) and plain(target):
        return f"{source} {target}"
    pattern = re.sub(r"[*?[]", lambda sign: f"[{sign[0]}]", _literal(source))
    return json.dumps([f"./{pattern}" if pattern.startswith("-") else pattern, _literal(target)], ensure_ascii=False)


def _literal(path: str) -> str:
    """Return a path that BuildKit, which takes quotes and variables out of each word, leaves as it is."""
    return re.sub(r"[\\'\"$]", r"\\\g<0>", path)


def as_pattern(path: str) -> str:
    """Return the pattern of an ignore file that means one path alone."""
    return re.sub(r"[\\*?[\]]", r"\\\g<0>", path)
