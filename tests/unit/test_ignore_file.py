"""An ignore file's patterns, as BuildKit matches them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from seatrial.observe.project.ignore_file import (
    MOST_BYTES,
    MOST_PATTERNS,
    IgnoreFile,
    IgnoreFileError,
    read_ignore_file,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("foo", ["foo", "foo/bar"], ["a/foo", "foobar", "Foo"]),
        ("/foo/", ["foo", "foo/bar"], ["a/foo"]),
        ("./foo/../bar", ["bar"], ["foo"]),
        ("*.py", ["a.py", ".py"], ["a/b.py", "a.pyc"]),
        ("**/*.py", ["a.py", "a/b/c.py"], ["a.pyc"]),
        ("foo/**", ["foo/bar", "foo/a/b"], ["foo", "bar"]),
        ("**", ["a", "a/b"], []),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/c"], ["b", "a/x", "ab"]),
        ("**/a/**/b/*/c", ["a/b/x/c", "z/a/y/b/x/c", "a/b/x/b/y/c"], ["a/b/c", "b/x/c"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("a[[]b", ["a[b"], ["ab"]),
        (r"a\*b", ["a*b"], ["axb"]),
        (r"a\b", ["ab"], []),
        ("a.c", ["a.c"], ["abc"]),
        ("a(b)+c|d$", ["a(b)+c|d$"], ["abc"]),
        ("*a*b*", ["xaxbx", "ab", "aab", "abb/c"], ["ba", "a/b"]),
        ("*ab*ab", ["abab", "ababab", "xabxab"], ["ab", "aba", "xabxa"]),
        ("a**b", ["ab", "ax/b", "a/x/b"], ["ac", "b", "axb", "ax/yb"]),
        ("**.py", ["a.py", "a/b.py", ".py"], ["a.pyc"]),
        ("***ab", ["ab", "xab", "c/xab"], ["abc"]),
        ("..", [], ["a"]),
        (".", [], ["a"]),
    ],
)
def test_a_pattern_leaves_out_what_it_matches_and_what_lies_below(
    pattern: str, ignored: list[str], kept: list[str]
) -> None:
    file = IgnoreFile([pattern])
    assert [path for path in (*ignored, *kept) if file.ignores(path)] == ignored


def test_the_last_pattern_that_matches_decides() -> None:
    file = IgnoreFile(["# all", "", "*", "!src", "src/secret", "!src/secret/but.txt"])
    tried = ("a", "src", "src/a", "src/secret", "src/secret/a", "src/secret/but.txt")
    assert [path for path in tried if file.ignores(path)] == ["a", "src/secret", "src/secret/a"]
    assert file.enters("src/secret")
    assert not file.enters("a")


@pytest.mark.parametrize(
    ("line", "problem"),
    [("[a", "not closed"), ("!", "nothing follows"), ("!/", "nothing follows"), ("a**b**c**d**e", "inside of names")],
)
def test_a_line_that_is_no_pattern_is_named(line: str, problem: str) -> None:
    with pytest.raises(IgnoreFileError, match=rf"line 2 is not a pattern: .*{problem}"):
        IgnoreFile(["a", line])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (f"{'*a' * 200}b", "a" * 4000),
        (f"{'**/a/' * 400}b", "/".join("a" * 1500)),
        (f"{'**/*a*a/' * 200}b", "/".join(["a" * 100] * 20)),
        (f"{'?*' * 500}b", "a" * 4000),
        ("*[ab]" * 300 + "c", "ab" * 2000),
        ("a**a**a**b", "a" * 4000),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    started = time.process_time()
    assert not IgnoreFile([pattern]).ignores(path)
    # Backtracking would take longer than anybody waits; this bound only tells it from that.
    assert time.process_time() - started < 20


def test_what_is_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IgnoreFileError, match=f"more than {MOST_PATTERNS} patterns"):
        IgnoreFile(["a"] * (MOST_PATTERNS + 1))
    file = tmp_path / ".dockerignore"
    file.write_bytes(b"a" * (MOST_BYTES + 1))
    with pytest.raises(IgnoreFileError, match="larger than"):
        read_ignore_file(file)
    assert not read_ignore_file(tmp_path / "missing").patterns


def test_the_walk_yields_what_a_build_is_sent(tmp_path: Path) -> None:
    for name in ("a/b/c.txt", "a/d.txt", "x/y/keep.txt", "x/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path)
    file = IgnoreFile(["a/b", "x", "!x/y/keep.txt"])
    later = time.monotonic() + 60
    assert sorted(file.walk(tmp_path, later)) == ["a", "a/d.txt", "loop", "x/y/keep.txt"]
    assert not list(file.walk(tmp_path, time.monotonic() - 1))
