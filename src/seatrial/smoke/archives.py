"""A smoke of a saved image in a file or folder: every check that needs no process of the image, and no engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from seatrial.observe.archived import gather_archive
from seatrial.smoke.images import judged_by_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seatrial.checks.verdict import Smoke
    from seatrial.facts import Facts
    from seatrial.observe.layers.files import ArchiveFiles
    from seatrial.smoke.images import Target

LEVEL = "archive"
"""What a report says in the place of a level."""


def smoke_archive(
    target: Target,
    path: Path,
    platform: str = "",
    *,
    files: ArchiveFiles | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Smoke, Facts]:
    """Smoke a saved image: what needs a process of it is skipped, with the reason.

    Raises:
        ImageError: it holds no image that can be read.

    """
    from seatrial.checks.model import Level
    from seatrial.checks.registry import up_to

    started = time.perf_counter()
    facts = gather_archive(
        path,
        target.contract,
        target.project,
        platform=platform,
        sources=target.sources,
        other_command=target.other_command,
        files=files,
        say=say,
    )
    return judged_by_facts(target, facts, up_to(Level.DEEP, target.own_checks), level=LEVEL, started=started), facts
