from __future__ import annotations

import pytest

from seatrial.adopt.dockerfiles import faults
from seatrial.dockerfile import bases, declares, expand, heredocs, parse, without_syntax

PLATFORM = {"TARGETARCH": "amd64", "TARGETPLATFORM": "linux/amd64"}


def references(text: str, **arguments: str) -> list[str]:
    return [base.reference for base in bases(parse(text), arguments, PLATFORM)]


def test_bases_come_from_from_copy_and_mounts_with_their_lines() -> None:
    text = """\
FROM --platform=$BUILDPLATFORM python:3.13-slim AS builder
COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv
RUN --mount=type=cache,target=/c \\
    # a comment in between
    --mount=type=bind,from=tools/lint:2,source=/,target=/t \\
    true
FROM debian:trixie-slim
COPY --chown=1 --from=builder /a /a
COPY --from=0 /b /b
"""
    found = bases(parse(text), {}, PLATFORM)
    assert [(base.reference, base.line) for base in found] == [
        ("python:3.13-slim", 1),
        ("ghcr.io/astral-sh/uv:latest", 2),
        ("tools/lint:2", 3),
        ("debian:trixie-slim", 7),
    ]


def test_an_argument_in_another_ones_default_is_resolved_and_overridden() -> None:
    text = "ARG PYTHON_VERSION=3.13\nARG BASE=python:${PYTHON_VERSION}-slim\nFROM ${BASE}\n"
    assert references(text) == ["python:3.13-slim"]
    assert references(text, PYTHON_VERSION="3.12") == ["python:3.12-slim"]
    assert references(text, BASE="other:1", UNDECLARED="x") == ["other:1"]


def test_the_argument_of_a_stage_does_not_reach_a_from() -> None:
    assert references("FROM a:1 AS x\nARG V=9\nFROM b:${V}\nCOPY --from=x /a /b\n") == ["a:1", "b:"]


def test_a_platform_argument_chooses_a_stage() -> None:
    text = "FROM a:1 AS base-amd64\nFROM b:1 AS base-arm64\nFROM base-${TARGETARCH}\n"
    assert references(text) == ["a:1"]


def test_the_base_of_a_stage_that_nothing_needs_is_left_out() -> None:
    assert references("FROM unused:1 AS tests\nFROM needed:1\n") == ["needed:1"]


def test_a_stage_may_be_copied_from_before_it_is_written() -> None:
    assert references("FROM a:1\nCOPY --from=Later /x /y\nFROM b:1 AS later\nFROM scratch\n") == []
    assert references("FROM b:1 AS other\nFROM a:1 AS x\nCOPY --from=last /x /y\nFROM x AS last\n") == ["a:1"]


def test_a_stage_named_like_its_base_is_not_its_own_base() -> None:
    assert references("FROM python AS python\nRUN true\n") == ["python"]


def test_scratch_and_blank_bases_are_no_images() -> None:
    assert references("FROM scratch\nCOPY a /\n") == []
    assert references("ARG NOTHING\nFROM ${NOTHING}\n") == []


def test_the_body_of_a_heredoc_is_no_instruction() -> None:
    text = """\
FROM a:1
RUN <<-EOF cat && <<"TWO" cat
\tFROM evil:1
\tEOF
COPY --from=evil:2 /a /b
TWO
COPY --from=b:1 /a /b
RUN echo "1 << 2" $((1<<3)) <<<word
"""
    assert references(text) == ["a:1", "b:1"]
    run = parse(text).stages[0].instructions[1]
    assert "COPY --from=evil:2" in run.body
    assert parse(text).stages[0].instructions[-1].line == 8


def test_an_escape_directive_changes_what_continues_a_line() -> None:
    text = "# escape=`\nFROM a:1\nCOPY a C:\\\nRUN one `\n  two\nRUN three\n"
    instructions = parse(text).stages[0].instructions
    assert [(instruction.whole, instruction.line) for instruction in instructions] == [
        ("FROM a:1", 2),
        ("COPY a C:\\", 3),
        ("RUN one two", 4),
        ("RUN three", 6),
    ]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A-${A}", "1-1"),
        ("${NO:-x}${EMPTY:-y}${EMPTY-z}", "xy"),
        ("${A:+set}${NO:+set}", "set"),
        ("${NO:-${A}b}", "1b"),
        ("$NO", ""),
    ],
)
def test_expand(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "EMPTY": ""}) == result


def test_syntax_is_read_and_taken_out_without_moving_a_line() -> None:
    text = "# syntax=docker/dockerfile:1 --flag\n# escape=`\n# a comment\nFROM a:1\nRUN x `\n  y\n"
    assert parse(text).syntax == "docker/dockerfile:1"
    stripped = without_syntax(text)
    assert parse(stripped).syntax is None
    assert [instruction.line for instruction in parse(stripped).stages[0].instructions] == [4, 5]
    assert parse(stripped).stages[0].instructions[1].whole == "RUN x y"
    assert without_syntax("# a comment\n# syntax=x\nFROM a\n") == "# a comment\n# syntax=x\nFROM a\n"


def test_a_byte_order_mark_does_not_hide_the_syntax() -> None:
    assert parse("\ufeff# syntax=a/b:1\nFROM a").syntax == "a/b:1"


@pytest.mark.parametrize("text", ["", "\n\n# only\n", "RUN true\n", "FROM", "FROM \\", "RUN <<EOF\nnever", "\x01"])
def test_what_is_malformed_is_left_for_buildkit(text: str) -> None:
    assert bases(parse(text), {}, PLATFORM) == ()


def test_declares_finds_an_argument_anywhere() -> None:
    dockerfile = parse("ARG ONE=1 TWO\nFROM a\nARG THREE\nENV FOUR=4\n")
    assert [declares(dockerfile, name) for name in ("ONE", "TWO", "THREE", "FOUR")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("run", "ends"),
    [
        ("""RUN ["bash", "-c", "cat <<EOF > /x"]""", []),
        ("RUN bash -c 'cat <<EOF > /x'", []),
        ('RUN bash -c "cat <<EOF > /x"', []),
        ("RUN bash -c 'a\\\n cat <<EOF'", []),
        ("RUN echo \\'<<EOF", []),
        ("RUN cat<<EOF", []),
        ("RUN cat << EOF", []),
        ("RUN echo it's <<EOF", []),
        ("LABEL a=b <<EOF", []),
        ("ONBUILD CMD a <<EOF", []),
        ("RUN cat <<EOF > /x 'it <<X'\nUSER 2\nEOF", ["EOF"]),
        ("RUN 3<<'A B' cat\nUSER 2\nA B", ["A B"]),
        ('RUN <<E"O"F\\ X cat\nUSER 2\nEOF X', ["EOF X"]),
        ("RUN <<-\\EOF\nUSER 2\n\t\tEOF", ["EOF"]),
        ("ONBUILD RUN <<EOF\nUSER 2\nEOF", ["EOF"]),
        ("COPY <<a.txt <<b.txt /x/\nUSER 2\na.txt\nUSER 3\nb.txt", ["a.txt", "b.txt"]),
    ],
)
def test_a_heredoc_is_a_word_that_no_quote_begins(run: str, ends: list[str]) -> None:
    text = f"FROM a\n{run}\nUSER 1\n"
    parsed = parse(text)
    _, found, user = parsed.stages[0].instructions
    assert ([end for _, end in heredocs(found.keyword, found.text)], user.words) == (ends, ("1",))
    assert not list(faults(text, parsed))
