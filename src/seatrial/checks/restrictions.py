"""boot/*: which restriction of the hardened start, if any, is in the application's way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, assert_never

from seatrial.checks.boot import evidence_of, what_happened
from seatrial.checks.model import Check, Level, Outcome, UndecidedError, boot_of, failed, passed
from seatrial.facts import Restriction, Usage

if TYPE_CHECKING:
    from seatrial.facts import Boot, Facts
    from seatrial.settings.model import Contract

ALL = frozenset(Restriction)
NO_MORE_PROCESSES = ("can't start new thread", "cannot fork", "can't fork", "fork: retry", "fork: resource temp")
"""How Python and shells say that the process limit is reached."""
REFUSED = "read-only file system"
"""EROFS, as the C library says it."""
MIB = 1024 * 1024

WITHOUT = {
    Restriction.READ_ONLY: "with a writable root it starts",
    Restriction.CAPABILITIES: "with the capabilities that the engine gives by default it starts",
    Restriction.NO_NEW_PRIVILEGES: "without no-new-privileges it starts",
    Restriction.LIMITS: "with four times the memory and processes it starts",
}
UNDER = {
    Restriction.READ_ONLY: "on a read-only root",
    Restriction.CAPABILITIES: "without capabilities",
    Restriction.NO_NEW_PRIVILEGES: "with no-new-privileges",
    Restriction.LIMITS: "within its limits",
}
FIX = {
    Restriction.READ_ONLY: (
        "Write to a tmpfs or a volume, and name it in the contract's `tmpfs`; or point the path elsewhere."
    ),
    Restriction.CAPABILITIES: (
        "Do as root in the Dockerfile, not at the start, what needs it (chown, chmod, installing). What it cannot do "
        'without goes into the contract\'s `capabilities`, such as ["NET_BIND_SERVICE"].'
    ),
    Restriction.NO_NEW_PRIVILEGES: (
        "Start as the right USER from the beginning: no sudo, no su, no program with the setuid bit."
    ),
    Restriction.LIMITS: "Raise the contract's `memory` or `processes`, or find out what takes them.",
}


def restricted(restriction: Restriction, facts: Facts, contract: Contract) -> Outcome:
    """Judge one restriction by every start that was made."""
    boot = boot_of(facts)
    expected = _expected(restriction, contract)
    if restriction is Restriction.LIMITS and (reached := limit_reached(boot, contract)):
        return failed(reached, expected=expected, fix=FIX[restriction], evidence=evidence_of(boot))
    starts = {frozenset(one.lifted): one for one in (boot, *facts.relaxed)}
    blamed = in_the_way(starts)
    if restriction in blamed:
        written = tuple(f"wrote {path}" for one in facts.relaxed if one.came_up for path in one.written)
        return failed(
            _blame(restriction, boot, starts),
            expected=expected,
            fix=FIX[restriction],
            evidence=(*(written if restriction is Restriction.READ_ONLY else ()), *evidence_of(boot)),
        )
    if not blamed and not boot.came_up and any(one.came_up for one in facts.relaxed):
        reason = "it came up later, and no restriction is seen to have been in its way the first time"
        raise UndecidedError(f"{reason}: {what_happened(boot)}", *evidence_of(boot))
    held = next((one for one in starts.values() if one.came_up and restriction not in one.lifted), None)
    if held is None:
        raise UndecidedError(_why_not(starts))
    return passed(_held(restriction, held), expected=expected)


def in_the_way(starts: dict[frozenset[Restriction], Boot]) -> set[Restriction]:
    """Return the restrictions that keep an image from coming up.

    Where one lifted is enough, that one; where it takes several, each with which alone it does not come up.
    """
    if starts[frozenset()].came_up:
        return set()
    came_up = {lifted: one.came_up for lifted, one in starts.items()}
    single = {one for one in Restriction if came_up.get(frozenset({one}))}
    if Restriction.READ_ONLY in single and not _wrote(starts):
        # A slow start that came in time when it was repeated: its root had nothing to do with it.
        single.discard(Restriction.READ_ONLY)
    if single or not came_up.get(ALL):
        return single
    return {one for one in Restriction if came_up.get(ALL - {one}) is False}


def _wrote(starts: dict[frozenset[Restriction], Boot]) -> bool:
    """Tell whether there is a trace of a write: what the start with a writable root left, or an error in a log."""
    refused = any(REFUSED in line.lower() for line in starts[frozenset()].log)
    return refused or bool(starts[frozenset({Restriction.READ_ONLY})].written)


def limit_reached(boot: Boot, contract: Contract) -> str:
    """Return which limit a start ran into, by what the engine counts and the log says; empty where none."""
    if boot.out_of_memory or (boot.exit is not None and boot.exit.out_of_memory):
        end = "it was killed" if boot.exit is not None else "a process of it was killed"
        return f"{end} for want of memory: the limit is {contract.memory}"
    if boot.came_up:
        return ""
    counted = boot.usage.processes if isinstance(boot.usage, Usage) else 0
    if counted >= contract.processes:
        return f"it has {counted} processes and threads, as many as it may have, and does not come up"
    said = next((line for line in boot.log if any(words in line.lower() for words in NO_MORE_PROCESSES)), "")
    if said:
        return f"it may have no more than {contract.processes} processes and threads: {said.strip()}"
    return ""


def _blame(restriction: Restriction, boot: Boot, starts: dict[frozenset[Restriction], Boot]) -> str:
    if frozenset({restriction}) in starts and starts[frozenset({restriction})].came_up:
        return f"{what_happened(boot)}; {WITHOUT[restriction]}"
    alone = starts[ALL - {restriction}]
    return f"{what_happened(alone)} {UNDER[restriction]}, even where that is its only restriction"


def _why_not(starts: dict[frozenset[Restriction], Boot]) -> str:
    tells = "boot/healthy or boot/stays-up tells why"
    if ALL in starts and not starts[ALL].came_up:
        return f"it does not come up with no restriction in its way either: {tells}"
    return f"it does not come up, for another reason: {tells}"


def _expected(restriction: Restriction, contract: Contract) -> str:
    match restriction:
        case Restriction.READ_ONLY:
            return f"starts on a read-only root (tmpfs: {', '.join(contract.tmpfs) or 'none'})"
        case Restriction.CAPABILITIES:
            given = ", ".join(contract.capabilities)
            return f"starts with no capabilities but {given}" if given else "starts with no capabilities at all"
        case Restriction.NO_NEW_PRIVILEGES:
            return "starts with no-new-privileges"
        case Restriction.LIMITS:
            return f"lives within {contract.memory} of memory and {contract.processes} processes and threads"
        case _:
            assert_never(restriction)


def _held(restriction: Restriction, boot: Boot) -> str:
    """Return what was in force, as the engine says itself.

    Raises:
        UndecidedError: it says that this was not.

    """
    force = boot.enforced
    in_force = force is not None and {
        Restriction.READ_ONLY: force.read_only,
        Restriction.CAPABILITIES: "ALL" in force.dropped,
        Restriction.NO_NEW_PRIVILEGES: force.no_new_privileges,
        Restriction.LIMITS: force.memory > 0 and force.processes > 0,
    }.get(restriction)
    if force is None or not in_force:
        raise UndecidedError(f"it came up, but the engine does not hold it to this: {restriction.value}")
    beside = f", with {', '.join(boot.lifted)} lifted" if boot.lifted else ""
    match restriction:
        case Restriction.READ_ONLY:
            what = "on a read-only root"
        case Restriction.CAPABILITIES:
            what = f"with all capabilities dropped but {', '.join(force.added) or 'none'}"
        case Restriction.NO_NEW_PRIVILEGES:
            what = "with no-new-privileges"
        case Restriction.LIMITS:
            what = f"within {force.memory // MIB} MiB of memory and {force.processes} processes and threads"
            if isinstance(boot.usage, Usage):
                what += f"; it took {boot.usage.memory // MIB} MiB and {boot.usage.processes}"
        case _:
            assert_never(restriction)
    return f"started and stayed up {what}{beside}"


def _check(restriction: Restriction, slug: str, title: str, why: str, source: str, example: str, mend: str) -> Check:
    return Check(
        id=f"boot/{slug}",
        title=title,
        why=why,
        source=source,
        example=example,
        mend=mend,
        level=Level.STANDARD,
        function=partial(restricted, restriction),
    )


CHECKS = (
    _check(
        Restriction.READ_ONLY,
        "read-only",
        "Starts on a read-only root",
        "On a read-only root nobody can change the application's code while it runs.",
        "CIS Docker Benchmark 5.13; OWASP Docker cheat sheet, rule 8",
        "RUN mkdir /app/state && chown app /app/state    # written to at each start",
        'VOLUME /app/state    # or, in the contract: tmpfs = ["/tmp", "/app/state"]',
    ),
    _check(
        Restriction.CAPABILITIES,
        "drop-capabilities",
        "Starts without capabilities",
        "What the application may not do, whoever takes it over may not do either.",
        "CIS Docker Benchmark 5.4; OWASP Docker cheat sheet, rule 3",
        'CMD ["sh", "-c", "chown -R app /data && exec gosu app shop"]',
        'RUN install -d -o app /data\nUSER app\nCMD ["shop"]',
    ),
    _check(
        Restriction.NO_NEW_PRIVILEGES,
        "no-new-privileges",
        "Starts with no-new-privileges",
        "With it, no program with the setuid bit makes root out of the application's user.",
        "CIS Docker Benchmark 5.26; OWASP Docker cheat sheet, rule 4",
        'USER app\nCMD ["sudo", "shop"]',
        'USER app\nCMD ["shop"]',
    ),
    _check(
        Restriction.LIMITS,
        "limits",
        "Lives within its limits",
        "Without limits, one container takes the memory and processes of all others on its host.",
        "CIS Docker Benchmark 5.11 and 5.29; OWASP Docker cheat sheet, rule 7",
        'memory = "64 MiB"    # of the contract, and CMD ["gunicorn", "--workers", "16", "shop:app"]',
        'CMD ["gunicorn", "--workers", "2", "shop:app"]',
    ),
)
