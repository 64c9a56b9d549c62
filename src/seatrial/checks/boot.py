"""boot/*: what one real start showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import (
    Check,
    Level,
    Outcome,
    UndecidedError,
    boot_of,
    deciding_boot,
    failed,
    passed,
    skipped,
)
from seatrial.facts.data import Boot, Health

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract

LAST_LINES = 15
TRACEBACK = "Traceback (most recent call last)"


def healthy(facts: Facts, contract: Contract) -> Outcome:
    """Judge the health check of the start that counts."""
    if facts.configuration.health_check is None:
        return skipped("the image has no HEALTHCHECK; boot/stays-up decides")
    boot = deciding_boot(facts)
    expected = f"healthy within {contract.healthy_within:g} s"
    if boot.up and boot.healthy_after is not None:
        return passed(f"healthy after {boot.healthy_after:.1f} s", expected=expected)
    return failed(_what_happened(boot), expected=expected, fix=_fix(boot), evidence=_evidence(boot))


def stays_up(facts: Facts, contract: Contract) -> Outcome:
    """Without a health check: judge whether it still ran, with no traceback in its log."""
    if facts.configuration.health_check is not None:
        return skipped("the image has a HEALTHCHECK; boot/healthy decides")
    boot = deciding_boot(facts)
    expected = f"still runs {contract.stays_up:g} s after its start, with no traceback in its log"
    if not boot.up:
        return failed(_what_happened(boot), expected=expected, fix=_fix(boot), evidence=_evidence(boot))
    if any(TRACEBACK in line for line in boot.log):
        return failed(
            "it runs, but its log holds a traceback",
            expected=expected,
            fix="Mend what the traceback names.",
            evidence=_evidence(boot),
        )
    return passed(f"still ran after {boot.watched:.1f} s", expected=expected)


def read_only(facts: Facts, contract: Contract) -> Outcome:
    """Judge the hardened start; where it failed, the second start with a writable root tells why."""
    boot = boot_of(facts)
    tmpfs = ", ".join(contract.tmpfs) or "none"
    expected = f"starts on a read-only root (tmpfs: {tmpfs})"
    if boot.up:
        return passed("started and stayed up on a read-only root", expected=expected)
    relaxed = facts.relaxed_boot
    if not isinstance(relaxed, Boot):
        raise UndecidedError("it does not come up, for another reason: boot/healthy or boot/stays-up tells it")
    if not relaxed.up:
        raise UndecidedError("it does not come up with a writable root either: boot/healthy or boot/stays-up tells why")
    return failed(
        f"{_what_happened(boot)}; with a writable root it starts",
        expected=expected,
        fix="Write to a tmpfs or a volume, and name it in the contract's `tmpfs`; or point the path elsewhere.",
        evidence=(*(f"wrote {path}" for path in relaxed.written), *_evidence(boot)),
    )


def _what_happened(boot: Boot) -> str:
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


def _fix(boot: Boot) -> str:
    if boot.start_error:
        return "See process/command-resolves and identity/non-root: they follow command and USER to what is missing."
    if boot.exit is not None and boot.exit.out_of_memory:
        return "Raise the contract's `memory`, or find out what takes it."
    if boot.exit is not None:
        return "Mend what its last lines name. What it needs to start goes into the contract's `environment`."
    if boot.answers and boot.answers[-1].exit_code:
        return "The health check answers, and says no: hold the address and program that it asks against the log."
    return "Read its last lines and health-check answers; a slow start needs a larger `healthy-within`."


def _evidence(boot: Boot) -> tuple[str, ...]:
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
        level=Level.STANDARD,
        function=healthy,
    ),
    Check(
        id="boot/stays-up",
        title="Stays up",
        why="An image that ends right after its start passes every check that never starts it.",
        source="the applications' plans",
        level=Level.STANDARD,
        function=stays_up,
    ),
    Check(
        id="boot/read-only",
        title="Starts on a read-only root",
        why="On a read-only root nobody can change the application's code while it runs.",
        source="CIS Docker Benchmark 5.13; OWASP Docker cheat sheet, rule 8",
        level=Level.STANDARD,
        function=read_only,
    ),
)
