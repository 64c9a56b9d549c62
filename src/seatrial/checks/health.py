"""health/*: what the health check costs, and whether it notices an application that has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, deciding_boot, failed, passed, skipped
from seatrial.checks.starts import starts_of
from seatrial.facts import Unavailable

if TYPE_CHECKING:
    from seatrial.facts import Facts
    from seatrial.settings.model import Contract


MOST = 0.5
"""The part of its timeout that a health check may take."""
NO_CHECK = "the image has no HEALTHCHECK; health/declared tells"


def cheap(facts: Facts, _: Contract) -> Outcome:
    """Hold the seconds that a good answer took against the check's own timeout."""
    boot = deciding_boot(facts)
    check = facts.configuration.health_check
    if check is None:
        return skipped(NO_CHECK)
    # The quickest: the first ones run while the application still starts.
    taken = min((one.seconds for one in boot.answers if one.exit_code == 0), default=None)
    if not boot.came_up or taken is None:
        raise UndecidedError("its health check gave no good answer: boot/healthy tells why")
    most = check.timeout * MOST
    expected = f"an answer within {most:g} s, half of its timeout of {check.timeout:g} s"
    if taken > most:
        return failed(
            f"the quickest answer took {taken:.2f} s",
            expected=expected,
            fix="Ask less of it: the application's own small answer, no other service; or raise --timeout.",
        )
    return passed(f"the quickest answer took {taken:.2f} s", expected=expected)


def detects_freeze(facts: Facts, contract: Contract) -> Outcome:
    """Judge whether the health check noticed that every process was stopped."""
    starts = starts_of(facts)
    if facts.configuration.health_check is None:
        return skipped(NO_CHECK)
    if starts.freeze is None:
        raise UndecidedError("it was not frozen")
    if isinstance(starts.freeze, Unavailable):
        raise UndecidedError(starts.freeze.reason, starts.freeze.detail)
    frozen = starts.freeze
    expected = f"unhealthy within {contract.unhealthy_within:g} s, once every process of it is stopped"
    if frozen.unhealthy_after is None:
        return failed(
            f"with every process stopped, it was still healthy after {frozen.waited:.1f} s",
            expected=expected,
            fix="Let the health check ask the application itself: a request to its port, or the age of a file that its "
            "own loop keeps touching.",
            evidence=tuple(f"health check said: {line}" for line in frozen.output.splitlines()[-3:]),
        )
    return passed(f"unhealthy {frozen.unhealthy_after:.1f} s after every process was stopped", expected=expected)


CHECKS = (
    Check(
        id="health/cheap",
        title="Answers its health check soon",
        why="A check that nearly takes its whole timeout fails as soon as the host is busy, and restarts what is well.",
        source="CIS Docker Benchmark 5.27; Dockerfile reference, HEALTHCHECK --timeout",
        example='HEALTHCHECK --timeout=3s CMD ["python", "-m", "shop.check_everything"]    # takes 2 s',
        mend='HEALTHCHECK --timeout=3s CMD ["python", "-I", "-S", "/app/healthcheck.py"]    # takes 0.1 s',
        level=Level.STANDARD,
        function=cheap,
    ),
    Check(
        id="health/detects-freeze",
        title="Turns unhealthy when the application is frozen",
        why="A health check that does not ask the application stays green when it hangs.",
        source="the applications' plans; no other tool looks",
        example='HEALTHCHECK CMD ["python", "-c", "pass"]',
        mend='HEALTHCHECK CMD ["python", "-I", "-S", "/app/healthcheck.py"]    # asks http://127.0.0.1:8000/health',
        level=Level.DEEP,
        function=detects_freeze,
    ),
)
