"""health/*: whether there is a health check, what it needs and costs, and whether it notices a frozen application."""

from __future__ import annotations

import json
import posixpath
import re

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, present, skipped
from seatrial.checks.process import RESOLVES, access, broken, way
from seatrial.facts import Boot, Configuration, DeepBoots, FileKind, HealthCommand, ProcInfo, Unavailable
from seatrial.facts.command import SHELLS, may_read
from seatrial.settings.model import Contract

MOST = 0.5
"""The part of its timeout that a health check may take."""
JOB = "a job, which ends, has no health to ask for"
NO_CHECK = "the image has no HEALTHCHECK; health/declared decides"


def asked_elsewhere(boot: Boot, configuration: Configuration) -> tuple[str, str]:
    """Return that a failed health check asks where nothing listens, as a clause, and what to do; or nothing."""
    if not isinstance(boot.proc, ProcInfo) or boot.came_up:
        return "", ""
    listeners = [seen for seen in boot.proc.served if seen.protocol == "tcp"]
    for asked in configuration.health_addresses:
        addresses = boot.proc.resolved.get(asked.host) or ((asked.host,) if LITERAL.fullmatch(asked.host) else ())
        first = next(iter(addresses), "")
        if not first or any(seen.port == asked.port and _answers(seen.address, first) for seen in listeners):
            continue
        same = [seen for seen in listeners if seen.port == asked.port]
        where = ", ".join(map(str, same or listeners)) or "nothing"
        is_there = f", which is {first} there" if first != asked.host else ""
        told = f"the health check asks {asked.host}:{asked.port}{is_there}; the application listens on {where}"
        if same:
            host = "127.0.0.1" if ":" in first else "[::1]"
            return told, f"Ask `{host}:{asked.port}` in the HEALTHCHECK, or let the application listen on both (`::`)."
        return told, "Correct the port in the HEALTHCHECK, or the one that the command listens on."
    return "", ""


def asking(address: str) -> str:
    """Return the words of a health check that asks an address, and needs nothing but Python."""
    code = f"import urllib.request as r; r.urlopen('{address}', timeout=3)"
    return json.dumps(["python", "-c", code])


LITERAL = re.compile(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")


def _answers(listening: str, asked: str) -> bool:
    """Tell whether what listens on one address takes what is sent to another."""
    if listening == asked or (listening == "0.0.0.0" and ":" not in asked):  # noqa: S104 - read, not bound
        return True
    # By default a socket on :: takes IPv4 too: ipv6(7), IPV6_V6ONLY.
    return listening in {"::", f"::ffff:{asked}"} or (asked == "127.0.0.1" and listening.startswith("127."))


@check(
    "health/declared",
    title="Declares a health check",
    severity=Severity.WARNING,
    why="Without one, an orchestrator takes a frozen application for a running one.",
    source="CIS Docker Benchmark 4.6",
    example='EXPOSE 8000\nCMD ["uvicorn", "shop.api:app"]',
    fixed="EXPOSE 8000\n"
    'HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "healthcheck.py"]\n'
    'CMD ["uvicorn", "shop.api:app"]',
)
def health_declared(configuration: Configuration, contract: Contract) -> Outcome:
    if contract.job:
        return skipped(JOB)
    health_check = configuration.health_check
    expect = Expect("a HEALTHCHECK")
    if health_check is None:
        port = next((port.partition("/")[0] for port in configuration.exposed_ports if not port.endswith("/udp")), "")
        asks = f"Add `HEALTHCHECK CMD {asking(f'http://127.0.0.1:{port}/')}`, with a path that answers"
        asked = asking("http://127.0.0.1:PORT/")
        beats = (
            f"Add a HEALTHCHECK: where it listens on a port, `HEALTHCHECK CMD {asked}`; where it does not, one that "
            "looks at what its loop keeps touching, such as the age of a file"
        )
        fix = f"{asks if port else beats}; or waive health/declared with your reason."
        return expect.failed("no HEALTHCHECK", fix=fix)
    return expect.passed(f"{' '.join(health_check.test)}, every {health_check.interval:g} s")


@check(
    "health/command-exists",
    title="Holds the program of its health check",
    severity=Severity.ERROR,
    follows=("python/interpreter-resolves", "python/interpreter-reachable", "process/command-resolves"),
    why="A health check whose program is missing never passes: the container is restarted again and again.",
    source="distroless images hold no shell, Debian's slim images no curl: their documentation",
    example="FROM python:3.13-slim\nHEALTHCHECK CMD curl -f http://localhost:8000/health",
    fixed='HEALTHCHECK CMD ["python", "/app/healthcheck.py"]',
)
def command_exists(configuration: Configuration, health_command: HealthCommand | Unavailable | None) -> Outcome:
    health_check, health = configuration.health_check, health_command
    if health_check is None:
        return skipped(NO_CHECK)
    health = present(health or Unavailable(reason="the health check was not followed"))
    command = health.command
    line = " ".join(health_check.test[1:])
    missing = next((name for name, trail in command.starters.items() if trail is None or trail.entry is None), None)
    word = missing or command.word
    if missing is not None or (command.program is None and command.word):
        return Expect(f"a health check whose program is {RESOLVES.text.removeprefix('a program that is ')}").failed(
            f"`{line}`: no program {word!r} in any folder of PATH",
            fix=_without(word, line, shell=command.shell),
            evidence=tuple(f"looked in {folder}" for folder in command.searched),
        )
    found = broken(command) if command.program is not None else None
    return found or _script_missing(health, line) or RESOLVES.passed(_seen(health, line))


def _without(word: str, line: str, *, shell: bool) -> str:
    if posixpath.basename(word) in SHELLS and shell:
        return 'The image holds no shell: write `HEALTHCHECK CMD ["program", "argument"]`, a list of words.'
    asked = re.search(r"https?://[^\s'\"|&;]+", line)
    instead = f"`HEALTHCHECK CMD {asking(asked[0] if asked else 'http://127.0.0.1:PORT/')}`"
    return f"Install {word} into the final stage, or ask with what is there: {instead}."


def _script_missing(health: HealthCommand, line: str) -> Outcome | None:
    script = health.script
    if script is None:
        return None
    who = health.command.account
    expect = Expect("the file that the health check runs is there, and USER may read it")
    if script.entry is None or script.entry.kind is not FileKind.FILE:
        return expect.failed(
            f"`{line}`: {script}, and {script.gap or 'that is not a file'}",
            fix=f"Copy it into the final stage (`COPY {posixpath.basename(script.steps[0])} {script.steps[0]}`), or "
            "name its real path.",
        )
    barrier = health.script_blocked_by
    if barrier is not None or not may_read(script.entry, who):
        entry = barrier.entry if barrier else script.entry
        return expect.failed(
            f"`{line}`: uid {who.uid} cannot read {barrier.path if barrier else script.end} ({access(entry)})",
            fix=f"Copy it with `--chmod=0755`, or let uid {who.uid} read it.",
        )
    return None


def _seen(health: HealthCommand, line: str) -> str:
    if health.command.program is None:
        shells = ", ".join(str(trail) for trail in health.command.starters.values())
        return f"`{line}`: only the shell can parse it, and that is there: {shells}"
    return ", ".join([*way(health.command), *([str(health.script)] if health.script else [])])


@check(
    "health/cheap",
    title="Answers its health check quickly",
    severity=Severity.WARNING,
    why="A check that needs nearly all its timeout fails when the host is busy, and restarts a healthy application.",
    source="CIS Docker Benchmark 5.27; Dockerfile reference, HEALTHCHECK --timeout",
    example='HEALTHCHECK --timeout=3s CMD ["python", "-m", "shop.check_everything"]    # takes 2 s',
    fixed='HEALTHCHECK --timeout=3s CMD ["python", "-I", "-S", "/app/healthcheck.py"]    # takes 0.1 s',
)
def cheap(boot: Boot, configuration: Configuration) -> Outcome:
    health_check = configuration.health_check
    if health_check is None or boot.job:
        return skipped(NO_CHECK if health_check is None else JOB)
    # The quickest: the first ones run while the application still starts.
    taken = min((answer.seconds for answer in boot.answers if answer.exit_code == 0), default=None)
    if not boot.came_up or taken is None:
        raise UndecidedError("its health check never succeeded: see boot/healthy")
    most = health_check.timeout * MOST
    expect = Expect(f"an answer within {most:g} s, half of its timeout of {health_check.timeout:g} s")
    if taken > most:
        return expect.failed(
            f"the quickest answer took {taken:.2f} s",
            fix="Make it do less: one small request to the application, none to another service; or raise --timeout.",
        )
    return expect.passed(f"the quickest answer took {taken:.2f} s")


@check(
    "health/detects-freeze",
    title="Turns unhealthy when the application is frozen",
    severity=Severity.WARNING,
    demanded_by=("unhealthy_within",),
    why="A health check that does not ask the application stays green when it hangs.",
    source="Kubernetes, Liveness probes: catch an application that is running, but unable to make progress",
    example='HEALTHCHECK CMD ["python", "-c", "pass"]',
    fixed='HEALTHCHECK CMD ["python", "-I", "-S", "/app/healthcheck.py"]    # asks http://127.0.0.1:8000/health',
)
def detects_freeze(deep: DeepBoots, configuration: Configuration, contract: Contract) -> Outcome:
    if configuration.health_check is None:
        return skipped(NO_CHECK)
    if deep.freeze is None:
        raise UndecidedError("it was not frozen")
    frozen = present(deep.freeze)
    expect = Expect(f"unhealthy within {contract.unhealthy_within:g} s, once every process of it is stopped")
    if frozen.unhealthy_after is None:
        return expect.failed(
            f"with every process stopped, it was still healthy after {frozen.waited:.1f} s",
            fix="Let the health check ask the application itself: a request to its port, or the age of a file that its "
            "own loop keeps touching.",
            evidence=tuple(f"health check said: {line}" for line in frozen.output.splitlines()[-3:]),
        )
    return expect.passed(f"unhealthy {frozen.unhealthy_after:.1f} s after every process was stopped")
