"""identity/numeric-user, process/exec-form, health/command-exists: how the image says that it runs."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, skipped, start_of
from seatrial.checks.process import RESOLVES, broken
from seatrial.facts import FileKind, Unavailable
from seatrial.observe.command import SHELLS
from seatrial.observe.paths import may_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.facts import Facts, HealthCommand
    from seatrial.settings.model import Contract

BECOMES = re.compile(r"(?:^|&&|;)\s*exec\s+\S[^;&|]*$")
"""A line at whose end the shell gives its place to the program: nothing stands in between any more."""

NUMERIC = "a USER that begins with a number"


def numeric_user(facts: Facts, _: Contract) -> Outcome:
    """Look whether USER says by itself that it is not root."""
    user = facts.configuration.user
    who = user.partition(":")[0]
    if re.fullmatch(r"[0-9]+", who):
        return passed(f"USER {user}", expected=NUMERIC)
    account = start_of(facts).account
    if account.uid == 0:
        return skipped(f"USER {user or '(none)'} is root; identity/non-root decides")
    number = f"{account.uid}:{account.gids[0]}" if account.uid is not None and account.gids else "10001:10001"
    return failed(
        f"USER {user} is a name, which only the image's own /etc/passwd explains",
        expected=NUMERIC,
        fix=f"Write `USER {number}` as the Dockerfile's last USER.",
    )


def shell_line(words: Sequence[str]) -> str | None:
    """Return the line that a command hands to a shell; None where it starts no shell with a line."""
    name = posixpath.basename(words[0]) if words else ""
    if name not in SHELLS or len(words) < 3:  # noqa: PLR2004 - sh -c LINE
        return None
    at = next((at for at, word in enumerate(words[1:-1], 1) if re.fullmatch(r"-[a-z]*c", word)), None)
    return None if at is None else words[at + 1]


def exec_form(facts: Facts, _: Contract) -> Outcome:
    """Look for a shell between the engine and the command."""
    seen = facts.configuration
    if not seen.words:
        return skipped("the image has no ENTRYPOINT and no CMD; process/command-resolves decides")
    expected = "ENTRYPOINT and CMD in exec form: a JSON list of words"
    inner = shell_line(seen.entrypoint)
    # A shell that was given its line as an ENTRYPOINT never looks at CMD.
    kind, line = ("ENTRYPOINT", inner) if inner is not None else ("CMD", shell_line(seen.command))
    if line is None:
        return passed(json.dumps(list(seen.words), ensure_ascii=False), expected=expected)
    if BECOMES.search(line):
        return passed(f"{kind} is the line `{line}` for a shell, which hands its place on by `exec`", expected=expected)
    return failed(
        f"{kind} is the line `{line}` for a shell, which stays in between",
        expected=expected,
        fix=_as_list(kind, line),
    )


def _as_list(kind: str, line: str) -> str:
    simple = not re.search(r"[$`;&|<>*?(){}\[\]#~\n]", line)
    try:
        words = shlex.split(line) if simple else []
    except ValueError:
        words = []
    if words:
        return f"Write `{kind} {json.dumps(words, ensure_ascii=False)}`."
    return f"Write a JSON list of words behind {kind}; where a shell is needed, let its line end with `exec PROGRAM`."


def health_command_exists(facts: Facts, _: Contract) -> Outcome:
    """Follow the health check's program, and the file that it is told to run, to their ends."""
    check, health = facts.configuration.health_check, facts.health_command
    if check is None:
        return skipped("the image has no HEALTHCHECK; health/declared decides")
    if health is None or isinstance(health, Unavailable):
        unknown = health or Unavailable(reason="the health check was not followed")
        raise UndecidedError(unknown.reason, unknown.detail)
    start = health.command
    line = " ".join(check.test[1:])
    missing = next((name for name, trail in start.starters.items() if trail is None or trail.entry is None), None)
    word = missing or start.word
    if missing is not None or (start.program is None and start.word):
        return failed(
            f"`{line}`: no program {word!r} in any folder of PATH",
            expected=f"a health check whose program is {RESOLVES.removeprefix('a program that is ')}",
            fix=_without(word, shell=start.shell),
            evidence=tuple(f"looked in {folder}" for folder in start.searched),
        )
    found = broken(start) if start.program is not None else None
    return found or _script_missing(health, line) or passed(_seen(health, line), expected=RESOLVES)


def _without(word: str, *, shell: bool) -> str:
    if posixpath.basename(word) in SHELLS and shell:
        return 'The image holds no shell: write `HEALTHCHECK CMD ["program", "argument"]`, a list of words.'
    return (
        f"Install {word} into the final stage, or ask with what is there: "
        '`HEALTHCHECK CMD ["python", "/app/healthcheck.py"]`.'
    )


def _script_missing(health: HealthCommand, line: str) -> Outcome | None:
    script = health.script
    if script is None:
        return None
    who = health.command.account
    expected = "the file that the health check runs is there, and USER may read it"
    if script.entry is None or script.entry.kind is not FileKind.FILE:
        return failed(
            f"`{line}`: {script}, and {script.gap or 'that is no file'}",
            expected=expected,
            fix=f"Copy it into the final stage (`COPY healthcheck.py {script.steps[0]}`), or name its real path.",
        )
    barrier = health.script_blocked_by
    if barrier is not None or not may_read(script.entry, who):
        entry = barrier.entry if barrier else script.entry
        return failed(
            f"`{line}`: uid {who.uid} may not read {barrier.path if barrier else script.end} "
            f"(mode {entry.mode & 0o7777:04o}, owner {entry.uid}:{entry.gid})",
            expected=expected,
            fix=f"Copy it with `--chmod=0755`, or let uid {who.uid} read it.",
        )
    return None


def _seen(health: HealthCommand, line: str) -> str:
    if health.command.program is None:
        shells = ", ".join(str(trail) for trail in health.command.starters.values())
        return f"`{line}`: only the shell can take it apart, and that is there: {shells}"
    parts = [str(health.command.program), *(f"#! {one.resolved}" for one in health.command.scripts)]
    return ", ".join([*parts, *([str(health.script)] if health.script else [])])


CHECKS = (
    Check(
        id="identity/numeric-user",
        title="Says by a number which user it runs as",
        why="An orchestrator that must not run root cannot tell what a name means, and refuses to start the image.",
        source="Kubernetes, runAsNonRoot: it verifies a numeric USER only; hadolint DL3066",
        example="USER app",
        mend="USER 10001:10001",
        level=Level.QUICK,
        function=numeric_user,
    ),
    Check(
        id="process/exec-form",
        title="Starts its command without a shell in between",
        why="A shell as PID 1 does not hand on the stop signal, so that the application is killed instead of stopped.",
        source="Docker build check JSONArgsRecommended; hadolint DL3025",
        example="CMD uvicorn shop.api:app --host 0.0.0.0",
        mend='CMD ["uvicorn", "shop.api:app", "--host", "0.0.0.0"]',
        level=Level.QUICK,
        function=exec_form,
    ),
    Check(
        id="health/command-exists",
        title="Holds the program of its health check",
        why="A health check whose program is missing never passes: the container is restarted again and again.",
        source="users of distroless and slim images: neither holds curl, the first no shell",
        example="FROM python:3.13-slim\nHEALTHCHECK CMD curl -f http://localhost:8000/health",
        mend='HEALTHCHECK CMD ["python", "/app/healthcheck.py"]',
        level=Level.QUICK,
        function=health_command_exists,
    ),
)
