"""boot/*: what one real start showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, deciding_boot, failed, passed, skipped
from seatrial.facts import Health, Sources, Unavailable

if TYPE_CHECKING:
    from seatrial.facts import Boot, Facts
    from seatrial.settings.model import Contract


LAST_LINES = 15
TRACEBACK = "Traceback (most recent call last)"


def healthy(facts: Facts, contract: Contract) -> Outcome:
    """Judge the health check of the start that counts."""
    if facts.configuration.health_check is None:
        return skipped("the image has no HEALTHCHECK; boot/stays-up decides")
    boot = deciding_boot(facts)
    expected = f"healthy within {contract.healthy_within:g} s"
    if boot.came_up and boot.healthy_after is not None:
        return passed(f"healthy after {boot.healthy_after:.1f} s", expected=expected)
    return failed(what_happened(boot), expected=expected, fix=_fix(facts, boot), evidence=evidence_of(boot))


def stays_up(facts: Facts, contract: Contract) -> Outcome:
    """Without a health check: judge whether it still ran, with no traceback in its log."""
    if facts.configuration.health_check is not None:
        return skipped("the image has a HEALTHCHECK; boot/healthy decides")
    boot = deciding_boot(facts)
    expected = f"still runs {contract.stays_up:g} s after its start, with no traceback in its log"
    if not boot.came_up:
        return failed(what_happened(boot), expected=expected, fix=_fix(facts, boot), evidence=evidence_of(boot))
    if any(TRACEBACK in line for line in boot.log):
        return failed(
            "it runs, but its log holds a traceback",
            expected=expected,
            fix="Mend what the traceback names.",
            evidence=evidence_of(boot),
        )
    return passed(f"still ran after {boot.watched:.1f} s", expected=expected)


def first_log(facts: Facts, contract: Contract) -> Outcome:
    """Judge when the first line came: logs are the first thing that anyone looks at."""
    boot = deciding_boot(facts)
    if not boot.came_up:
        raise UndecidedError("it does not come up: boot/healthy or boot/stays-up tells why")
    expected = f"a first line in its log within {contract.first_log_within:g} s"
    buffered = "PYTHONUNBUFFERED" not in facts.configuration.environment
    if boot.first_log is not None and boot.first_log <= contract.first_log_within:
        return passed(f"its first line came after {boot.first_log:.1f} s", expected=expected)
    if boot.first_log is not None:
        return failed(
            f"its first line came after {boot.first_log:.1f} s",
            expected=expected,
            fix="Log a line at once when it starts; a slow start needs a larger `first-log-within`.",
            evidence=evidence_of(boot),
        )
    if boot.log_at_stop:
        return failed(
            f"nothing in {boot.watched:.1f} s, and its first line only when it was asked to stop: output is buffered",
            expected=expected,
            fix="Add `ENV PYTHONUNBUFFERED=1` to the Dockerfile"
            + (
                ", or flush what it prints."
                if buffered
                else "'s last stage, or flush what it prints: it is not in effect."
            ),
            evidence=evidence_of(boot),
        )
    return failed(
        f"it logged nothing at all, in {boot.watched:.1f} s and at its stop",
        expected=expected,
        fix="Log a line to standard output or standard error when it starts, and not to a file.",
    )


def what_happened(boot: Boot) -> str:
    """Return how a start that did not come up ended, as a clause."""
    if boot.start_error:
        return f"the engine could not start it: {boot.start_error}"
    if boot.exit is not None:
        memory = ", out of memory" if boot.exit.out_of_memory else ""
        if boot.healthy_after is not None:
            return (
                f"it became healthy after {boot.healthy_after:.1f} s, and then exited by itself: "
                f"exit code {boot.exit.code} after {boot.exit.after:.1f} s{memory}"
            )
        return f"the container exited at start: exit code {boot.exit.code} after {boot.exit.after:.1f} s{memory}"
    answer = f"; the health check ends with {boot.answers[-1].exit_code}" if boot.answers else ""
    if boot.health is Health.NONE:
        return f"not up after {boot.watched:.1f} s"
    return f"still {boot.health.value} after {boot.watched:.1f} s{answer}"


def _fix(facts: Facts, boot: Boot) -> str:
    if boot.start_error:
        return "See process/command-resolves and identity/non-root: they follow command and USER to what is missing."
    if boot.exit is not None and boot.exit.out_of_memory:
        return "Raise the contract's `memory`, or find out what takes it."
    if boot.exit is not None:
        if _has_services(facts):
            return (
                "Mend what its last lines name. What it needs to start goes into the contract's `environment`; where "
                "it needs the services of its compose file, `invoke smoke --stack` starts it among them."
            )
        return "Mend what its last lines name. What it needs to start goes into the contract's `environment`."
    if boot.answers and boot.answers[-1].exit_code:
        return "The health check answers, and says no: hold the address and program that it asks against the log."
    return "Read its last lines and health-check answers; a slow start needs a larger `healthy-within`."


def _has_services(facts: Facts) -> bool:
    """Whether it was started alone, while its project has a compose file that brings up what it may need."""
    sources = facts.sources
    has_compose = isinstance(sources, Sources) and sources.compose is not None
    return has_compose and isinstance(facts.stack, Unavailable)


def evidence_of(boot: Boot) -> tuple[str, ...]:
    """Return its last lines and what the health check said last."""
    said = boot.answers[-1].output.strip().splitlines()[-3:] if boot.answers else []
    answers = tuple(f"health check said: {line}" for line in said)
    lines = boot.log[-LAST_LINES:]
    shown = tuple(f"log: {line}" for line in lines)
    cut = ("its log is longer than what is kept",) if boot.log_cut else ()
    return (*shown, *cut, *answers) if lines or answers else ("it logged nothing",)


CHECKS = (
    Check(
        id="boot/healthy",
        title="Becomes healthy",
        why="A health check that never passes means an application that no orchestrator sends requests to.",
        source="CIS Docker Benchmark 5.27",
        example=(
            'HEALTHCHECK CMD ["curl", "--fail", "http://127.0.0.1:80/health"]\n'
            'CMD ["uvicorn", "shop.api:app", "--port", "8000"]'
        ),
        mend=(
            'HEALTHCHECK CMD ["curl", "--fail", "http://127.0.0.1:8000/health"]\n'
            'CMD ["uvicorn", "shop.api:app", "--port", "8000"]'
        ),
        level=Level.STANDARD,
        function=healthy,
    ),
    Check(
        id="boot/stays-up",
        title="Stays up",
        why="An image that ends right after its start passes every check that never starts it.",
        source="the applications' plans",
        example='# looks at its settings, and ends\nCMD ["python", "-m", "bot", "--check-settings"]',
        mend='CMD ["python", "-m", "bot"]',
        level=Level.STANDARD,
        function=stays_up,
    ),
    Check(
        id="boot/first-log",
        title="Logs its first line soon",
        why="An application that says nothing, or says it only at its end, cannot be followed when it fails.",
        source="pythonspeed.com, Docker packaging guide: PYTHONUNBUFFERED; the Twelve-Factor App, XI",
        example="ENV PYTHONUNBUFFERED=",
        mend="ENV PYTHONUNBUFFERED=1",
        level=Level.STANDARD,
        function=first_log,
    ),
)
