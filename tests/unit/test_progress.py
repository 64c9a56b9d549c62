from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.installers import installs, installs_that_ran

from seatrial.dockerfile import parse
from seatrial.images.progress import KEPT_LOG_LINES, Progress, Step, StepChanged, StepOutput, StepState, locate
from seatrial.text import plain, plain_line

DOCKERFILE = parse("""\
FROM a:1 AS builder
ENV X=1
WORKDIR /
RUN --mount=type=cache,target=/c \\
    uv sync --frozen
COPY . /src
RUN true

FROM a:1
COPY --from=builder /src /src
RUN make
""")


def at(second: float) -> str:
    return f"2026-01-01T00:00:{second:012.9f}Z"


def vertex(name: str, *, start: float | None = None, end: float | None = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"digest": f"sha256:{name}", "name": name, **more}
    if start is not None:
        made["started"] = at(start)
    if end is not None:
        made["completed"] = at(end)
    return made


def log(name: str, data: bytes) -> dict[str, Any]:
    return {"vertex": f"sha256:{name}", "stream": 1, "data": base64.b64encode(data).decode()}


def feed(progress: Progress, report: dict[str, Any], *, indent: int | None = 2) -> list[StepChanged | StepOutput]:
    text = json.dumps(report, indent=indent)
    return [event for line in text.splitlines(keepends=True) for event in progress.feed(line)]


def step(progress: Progress, name: str) -> Step:
    return next(entry for entry in progress.steps if entry.name == name)


@pytest.mark.parametrize("indent", [2, None])
def test_reports_are_read_whether_indented_or_on_one_line(indent: int | None) -> None:
    progress = Progress(DOCKERFILE)
    events = feed(progress, {"vertexes": [vertex("[builder 2/4] RUN x", start=1, end=3.5)]}, indent=indent)
    assert [type(event) for event in events] == [StepChanged]
    assert events[0].step.state is StepState.DONE
    assert events[0].step.seconds == pytest.approx(2.5)


def test_a_step_goes_from_waiting_to_done_and_tells_each_change_once() -> None:
    progress = Progress(DOCKERFILE)
    name = "[builder 4/4] RUN true"
    states = []
    for report in (
        vertex(name),
        vertex(name),
        vertex(name, start=1),
        vertex(name, start=1, end=2),
        vertex(name, start=1, end=2),
    ):
        states += [event.step.state for event in feed(progress, {"vertexes": [report]})]
    assert states == [StepState.WAITING, StepState.RUNNING, StepState.DONE]


def test_waiting_between_two_spans_is_not_counted_as_work() -> None:
    progress = Progress(DOCKERFILE)
    name = "[internal] load build context"
    feed(progress, {"vertexes": [vertex(name, start=1, end=2)]})
    feed(progress, {"vertexes": [vertex(name, start=10, end=11)]})
    assert step(progress, name).seconds == pytest.approx(2)


def test_cached_failed_and_stopped_are_told_apart() -> None:
    progress = Progress(DOCKERFILE)
    feed(
        progress,
        {
            "vertexes": [
                vertex("[builder 2/4] RUN uv sync", start=1, end=1, cached=True),
                vertex("[builder 4/4] RUN true", start=1, end=2, error="exit code: 1"),
                vertex("[stage-1 3/3] RUN make", start=1, end=2, error="context canceled: context canceled"),
            ]
        },
    )
    assert [entry.state for entry in progress.steps] == [StepState.CACHED, StepState.FAILED, StepState.STOPPED]


def test_steps_are_found_in_the_dockerfile_whatever_buildkit_counts() -> None:
    names = [
        "[builder 1/4] FROM docker.io/library/a:1",
        # WORKDIR / is counted in the total and has no step.
        "[builder 2/4] RUN --mount=type=cache,target=/c uv sync --frozen",
        "[builder 3/4] COPY . /src",
        "[builder 4/4] RUN true",
        "[linux/amd64 stage-1 2/3] COPY --from=builder /src /src",
        "[stage-1 3/3] RUN make",
        "[internal] load build context",
        "[nobody 1/1] RUN x",
        "[stage-9 1/1] RUN x",
    ]
    found = {name: one.line for name, one in locate(names, DOCKERFILE).items()}
    assert found == dict(zip(names[:6], [1, 4, 6, 7, 10, 11], strict=True))


def test_what_a_bases_onbuild_adds_does_not_move_the_lines() -> None:
    dockerfile = parse("FROM a:1\nCOPY x /x\nRUN own\n")
    names = ["[1/5] FROM a:1", "[2/5] COPY theirs /", "[3/5] RUN theirs", "[4/5] COPY x /x", "[5/5] RUN own"]
    found = {name: one.line for name, one in locate(names, dockerfile).items()}
    assert found == {names[0]: 1, names[3]: 2, names[4]: 3}


def test_output_comes_in_whole_lines_however_it_is_cut() -> None:
    progress = Progress(DOCKERFILE)
    name = "[builder 4/4] RUN true"
    feed(progress, {"vertexes": [vertex(name, start=1)]})
    assert feed(progress, {"logs": [log(name, b"one")]}) == []
    [event] = feed(progress, {"logs": [log(name, b" line\n10%\r100%\nlast")]})
    assert isinstance(event, StepOutput)
    assert event.lines == ("one line", "100%")
    assert progress.log(step(progress, name)) == ("one line", "100%", "last")


def test_a_flood_is_kept_short() -> None:
    progress = Progress(DOCKERFILE)
    name = "[builder 4/4] RUN true"
    feed(progress, {"vertexes": [vertex(name, start=1)]})
    feed(progress, {"logs": [log(name, b"x" * 1_000_000 + b"\n" + b"y\n" * 100_000)]})
    assert progress.log(step(progress, name)) == ("y",) * KEPT_LOG_LINES
    feed(progress, {"logs": [log(name, b"z" * 1_000_000)]})
    assert len(progress.log(step(progress, name))[-1]) < 10_000


def test_terminal_codes_in_names_errors_and_output_are_gone() -> None:
    progress = Progress(DOCKERFILE)
    name = "[builder 4/4] RUN \x1b[31mtrue\x1b]0;title\x07"
    feed(progress, {"vertexes": [vertex(name, start=1, end=2, error="\x1b[2Jbad")]})
    feed(progress, {"logs": [log(name, b"\x1b[1mred\x1b[0m [bold]x[/bold] \xff\x07\n")]})
    [one] = progress.steps
    assert (one.name, one.error) == ("[builder 4/4] RUN true", "bad")
    assert progress.log(one) == ("red [bold]x[/bold] \ufffd",)


def test_what_is_no_report_is_kept_as_text() -> None:
    progress = Progress(DOCKERFILE)
    for line in ("WARNING: \x1b[1mx\n", "{ not json }\n", "{\n", "neither\n", "}\n", "ERROR: done\n"):
        assert progress.feed(line) == []
    assert list(progress.text) == ["WARNING: x", "{ not json }", "{", "neither", "}", "ERROR: done"]


def test_the_output_of_an_unknown_step_is_ignored() -> None:
    assert feed(Progress(DOCKERFILE), {"logs": [log("never named", b"x\n")]}) == []


def test_a_report_lists_its_steps_in_the_dockerfiles_order() -> None:
    progress = Progress(DOCKERFILE)
    names = ["[stage-1 3/3] RUN make", "[builder 4/4] RUN true", "[builder 3/4] COPY . /src"]
    events = feed(progress, {"vertexes": [vertex(name) for name in names]})
    assert [event.step.line for event in events] == [6, 7, 11]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN pip install -r requirements.txt", True),
        ("RUN /opt/venv/bin/python -m pip --python /x install y", True),
        ("RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-dev", True),
        ("RUN set -eu; \\\n    apt-get update && apt-get -y install libpq5", True),
        ("RUN <<EOF\nset -e\napk add curl\nEOF", True),
        ("RUN --network=none uv pip install --offline --no-deps /wheel/app.whl", False),
        ("RUN python -m compileall /app && echo install", False),
        ("RUN useradd app", False),
        ("COPY pip install", False),
    ],
)
def test_installs(text: str, expected: bool) -> None:
    instruction = parse(f"FROM a\n{text}\n").stages[0].instructions[1]
    name = f"[2/2] {plain_line(instruction.whole)}"
    one = Step(key="k", name=name, state=StepState.DONE, instruction=instruction)
    assert installs(one) is expected
    assert bool(installs_that_ran([one])) is expected
    cached = Step(key="k", name=name, state=StepState.CACHED, instruction=instruction)
    assert installs_that_ran([cached]) == ()


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("[internal] load metadata for docker.io/library/t:1", "docker.io/library/t:1"),
        ("[context python:3.13-slim] load metadata for x", "python:3.13-slim"),
        ("resolve image config for docker-image://docker.io/docker/dockerfile:1", "docker.io/docker/dockerfile:1"),
        ("[2/2] RUN true", None),
    ],
)
def test_looked_up(name: str, image: str | None) -> None:
    assert Step(key="k", name=name, state=StepState.FAILED).looked_up == image


def test_plain_leaves_text_and_takes_codes() -> None:
    assert plain("\x1b[31;1mred\x1b[0m\ttab\nnext\r\n") == "red\ttab\nnext\n"
    assert plain("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x9b2J\x1b(B\x1bc\x00\x7f\u202egnp") == "link gnp"
    assert plain("10%\r20%\r") == "20%"
    assert plain("[bold]not markup[/bold]") == "[bold]not markup[/bold]"
    assert plain("cut \x1b[") == "cut "
