from __future__ import annotations

import pytest

from seatrial.errors import BuildFailedError, ExitCode, SeatrialError
from seatrial.text import did_you_mean, parse_size, plain, plain_line, show_size


def test_the_nearest_name_is_suggested_or_all_are_listed() -> None:
    assert did_you_mean("contxt", ["dockerfile", "context"]) == "Did you mean 'context'?"
    assert did_you_mean("zzz", ["b", "a"]) == "Known: a, b."
    assert did_you_mean("zzz", []) == "None is declared."


@pytest.mark.parametrize(
    ("text", "size"), [("500 MB", 500_000_000), ("1GiB", 1 << 30), ("1.5 kB", 1500), ("0 B", 0), ("2 KiB", 2048)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "500", "MB", "500 mb", "-1 MB", "1,5 GB", "1 MB "])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (494_000_000, "494 MB"), (49_460_000, "49.5 MB"), (2**31, "2.1 GB")],
)
def test_sizes_are_shown_as_docker_shows_them(size: int, text: str) -> None:
    assert show_size(size) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#1\x1b\\after", "after"),
        ("\x9b2Jcleared", "cleared"),
        ("a\x08\x08b\x00\x7f", "ab"),
        ("progress 1\rprogress 2", "progress 2"),
        ("windows\r\nline\tend", "windows\nline\tend"),
        ("left\u202eright\u2066x\ufeff", "leftrightx"),
        ("cut\x1b[", "cut"),
        ("half \ud800 of a pair, and no character: \uffff\ufffe", "half  of a pair, and no character: "),
        ("bytes: \udcff\udcfe\udc80", "bytes: \\xff\\xfe\\x80"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_outside_text_is_made_plain(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_a_line_is_one_line() -> None:
    assert plain_line("a\n  b\t\x1b[1mc\r\n") == "a b c"


def test_plain_text_is_quick_on_a_flood() -> None:
    assert plain("\x1b]" * 200_000 + "\x90" * 200_000) == ""


def test_an_error_says_where_what_and_what_to_do() -> None:
    assert str(SeatrialError("is wrong.", where="a file", fix="Mend it.")) == "a file: is wrong. Mend it."
    assert str(SeatrialError("is wrong.")) == "is wrong."
    assert SeatrialError("x").exit_code is ExitCode.UNDECIDED
    assert BuildFailedError("x").exit_code is ExitCode.FAILED
