"""probe/*: whether the image's interpreter says what its files say."""

from __future__ import annotations

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome
from seatrial.facts import Agreement

SHOWN = 10
"""Differences that are shown."""


@check(
    "probe/agrees",
    title="Its interpreter says what its files say",
    why="Code that runs at each start of the interpreter can hide packages, programs and accounts from whoever asks.",
    source="Python, site: code in .pth files, sitecustomize and usercustomize runs at each start",
    example="COPY hooks.pth /app/.venv/lib/python3.13/site-packages/hooks.pth",
    fixed="# no code at the interpreter's start: it changes what every tool sees\nRUN uv sync --frozen --no-dev",
)
def agrees(agreement: Agreement) -> Outcome:
    """Compare the account, the version and folders of Python, the distributions and the programs on PATH."""
    differences = agreement.differences
    expect = Expect("the interpreter and the image's files tell the same account, Python, packages and programs")
    if differences:
        lines = [f"{found.what}: {found.files} by the files, {found.said} by the interpreter" for found in differences]
        more = len(lines) - SHOWN
        hooks = ", ".join(agreement.start_code[:3])
        return expect.failed(
            lines[0] + (f"; and {len(lines) - 1} more" if len(lines) > 1 else ""),
            fix=f"Look at what runs at the interpreter's start{f': {hooks}' if hooks else ''}, and at LD_PRELOAD. "
            "Remove what changes what it says. A folder that holds packages belongs into PYTHONPATH or a .pth file.",
            evidence=(*lines[:SHOWN], *((f"and {more} more",) if more > 0 else ())),
        )
    return expect.passed(f"{agreement.distributions} distributions and {agreement.executables} programs compared")
