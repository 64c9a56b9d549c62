"""probe/*: whether the image's interpreter can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, first_lines
from seatrial.facts import Agreement, ResolvedCommand, Unavailable
from seatrial.facts.probe import Start, StartSide

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = 10
"""Differences that are shown."""


@check(
    "probe/agrees",
    title="Its interpreter says what its files say, with start hooks and without",
    severity=Severity.ERROR,
    why="Code that runs at each start of the interpreter can hide packages, programs and errors from whoever asks.",
    source="Python, site: code in .pth files, sitecustomize and usercustomize runs at each start",
    example="COPY hooks.pth /app/.venv/lib/python3.13/site-packages/hooks.pth",
    fixed="# no code at the interpreter's start: it changes what every tool sees\nRUN uv sync --frozen --no-dev",
)
def agrees(agreement: Agreement, start: Start, command: ResolvedCommand | Unavailable) -> Outcome:
    """Compare the interpreter's word with the files, and its start without hooks with the application's."""
    if isinstance(command, ResolvedCommand) and command.python_is:
        raise UndecidedError(
            f"{command.python} is {command.python_is}; what it says is its own word: name the interpreter behind it "
            "in the contract's `interpreter`"
        )
    expect = Expect(
        "the interpreter and the image's files tell the same account, Python, packages and programs; a start without "
        "hooks and the application's start tell the same"
    )
    hooks = tuple(f"{hook.kind}: {hook.where}{f': {hook.line}' if hook.line else ''}" for hook in start.hooks)
    lines = [
        *(
            f"{found.what}: {found.files} by the files, {found.said} by the interpreter"
            for found in agreement.differences
        ),
        *_of_the_starts(start),
    ]
    if not lines and start.application is None:
        raise UndecidedError(f"the interpreter's start as the application's: {start.ended}")
    if lines:
        named = ", ".join(dict.fromkeys((*agreement.start_code[:3], *(hook.where for hook in start.hooks[:3]))))
        return expect.failed(
            lines[0] + (f"; and {len(lines) - 1} more" if len(lines) > 1 else ""),
            fix=f"Look at what runs at the interpreter's start{f': {named}' if named else ''}, and at LD_PRELOAD. "
            "Remove what changes what it says. A folder that holds packages belongs into PYTHONPATH or a .pth file.",
            evidence=(*first_lines(lines, SHOWN), *first_lines(hooks, SHOWN)),
            items=lines,
        )
    return expect.passed(
        f"{agreement.distributions} distributions and {agreement.executables} programs compared"
        + (f"; {len(hooks)} start hooks change nothing" if hooks else ""),
        evidence=first_lines(hooks, SHOWN),
    )


def _of_the_starts(start: Start) -> Iterator[str]:
    """Yield in words what the two starts do not agree on."""
    if start.application is None:
        if start.late:
            return
        yield f"the interpreter does not start as the application starts it: {start.ended or 'it gave no answer'}"
    else:
        for name in structs.fields(StartSide):
            alone, hooked = getattr(start.isolated, name.name), getattr(start.application, name.name)
            if alone != hooked:
                what = name.name.replace("_", " ")
                yield f"{what}: {alone} without start hooks, {hooked} as the application starts it"
    yield from (f"{line}, not the standard library's own" for line in start.replaced)
    for seen in start.differences:
        if seen.isolated:
            yield f"{seen.name} imports with the start hooks alone; without them: {seen.isolated}"
        else:
            yield f"{seen.name} imports without the start hooks alone; with them: {seen.application}"
