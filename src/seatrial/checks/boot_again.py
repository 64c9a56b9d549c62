"""boot/*: what further starts showed: with restrictions lifted, and at level deep with one thing changed each."""

from __future__ import annotations

import posixpath
import re

from seatrial.checks.boot import evidence_of, require_a_processor, what_happened
from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.facts import Boot, Configuration, DeepBoots, ProcInfo, Restriction, Unavailable, Usage
from seatrial.facts.boot import REFUSED, says_no_more_processes
from seatrial.settings.model import TMPFS_SIZE, Contract

ALL = frozenset(Restriction)
NO_SPACE = "no space left on device"
"""ENOSPC, likewise."""
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
        "Write to a tmpfs or a volume, and name it in the contract's `tmpfs`; or point the path elsewhere. Where it "
        "runs, give a tmpfs its folder's owner: `/app/state:uid=10001,gid=10001`."
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


@check(
    "boot/read-only",
    title="Starts on a read-only root",
    severity=Severity.WARNING,
    why="On a read-only root nobody can change the application's code while it runs.",
    source="CIS Docker Benchmark 5.13; OWASP Docker cheat sheet, rule 8",
    example="RUN mkdir /app/state && chown app /app/state    # written to at each start",
    fixed='VOLUME /app/state    # or, in the contract: tmpfs = ["/tmp", "/app/state"]',
)
def read_only(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    expected = f"starts on a read-only root (tmpfs: {', '.join(contract.tmpfs) or 'none'})"
    return _restricted(Restriction.READ_ONLY, expected, (hardened, *relaxed))


@check(
    "boot/drop-capabilities",
    title="Starts without capabilities",
    severity=Severity.WARNING,
    follows=("process/command-resolves", "python/interpreter-reachable"),
    why="An attacker who takes over the application cannot do more than it can.",
    source="CIS Docker Benchmark 5.4; OWASP Docker cheat sheet, rule 3",
    example='CMD ["sh", "-c", "chown -R app /data && exec gosu app shop"]',
    fixed='RUN install -d -o app /data\nUSER app\nCMD ["shop"]',
)
def drop_capabilities(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    given = ", ".join(contract.capabilities)
    expected = f"starts with no capabilities {f'but {given}' if given else 'at all'}"
    if "ALL" in contract.capabilities:
        fix = "Name the capabilities that the application needs in the contract's `capabilities`, and leave ALL out."
        return Expect(expected).failed("the contract gives it ALL: none is dropped", fix=fix)
    return _restricted(Restriction.CAPABILITIES, expected, (hardened, *relaxed))


@check(
    "boot/no-new-privileges",
    title="Starts with no-new-privileges",
    severity=Severity.WARNING,
    why="With it, no program with the setuid bit makes root out of the application's user.",
    source="CIS Docker Benchmark 5.26; OWASP Docker cheat sheet, rule 4",
    example='USER app\nCMD ["sudo", "shop"]',
    fixed='USER app\nCMD ["shop"]',
)
def no_new_privileges(hardened: Boot, relaxed: tuple[Boot, ...]) -> Outcome:
    return _restricted(Restriction.NO_NEW_PRIVILEGES, "starts with no-new-privileges", (hardened, *relaxed))


@check(
    "boot/limits",
    title="Runs within its limits",
    severity=Severity.WARNING,
    demanded_by=("memory", "processes"),
    follows=("boot/healthy", Cause(check="boot/stays-up", says=r"^(?!it runs, but)")),
    why="Without limits, one container takes the memory and processes of all others on its host.",
    source="CIS Docker Benchmark 5.11 and 5.29; OWASP Docker cheat sheet, rule 7",
    example='memory = "64 MiB"    # of the contract, and CMD ["gunicorn", "--workers", "16", "shop:app"]',
    fixed='CMD ["gunicorn", "--workers", "2", "shop:app"]',
)
def limits(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    expected = f"lives within {contract.memory} of memory and {contract.processes} processes and threads"
    if reached := _limit_reached(hardened, contract):
        return Expect(expected).failed(reached, fix=FIX[Restriction.LIMITS], evidence=evidence_of(hardened))
    return _restricted(Restriction.LIMITS, expected, (hardened, *relaxed))


def _restricted(restriction: Restriction, expected: str, starts: tuple[Boot, ...]) -> Outcome:
    """Judge one restriction by every start that was made, the hardened one first."""
    expect, (hardened, *relaxed) = Expect(expected), starts
    require_a_processor(*starts)
    by_lifted = {frozenset(start.lifted): start for start in starts}
    blamed = in_the_way(by_lifted)
    if restriction in blamed:
        written = tuple(f"wrote {path}" for start in relaxed if start.came_up for path in start.written)
        return expect.failed(
            _blame(restriction, hardened, by_lifted),
            fix=FIX[restriction],
            evidence=(*(written if restriction is Restriction.READ_ONLY else ()), *evidence_of(hardened)),
        )
    if not blamed and not hardened.came_up and any(start.came_up for start in relaxed):
        reason = "a later start succeeded, and no restriction is seen to have kept it from starting the first time"
        raise UndecidedError(f"{reason}: {what_happened(hardened)}", *evidence_of(hardened))
    held = next((start for start in by_lifted.values() if start.came_up and restriction not in start.lifted), None)
    if held is None:
        never = ALL in by_lifted and not by_lifted[ALL].came_up
        why = " without any restriction either" if never else ", for another reason"
        raise UndecidedError(f"it does not start{why}: see boot/healthy or boot/stays-up")
    return expect.passed(_held(restriction, held))


def in_the_way(starts: dict[frozenset[Restriction], Boot]) -> set[Restriction]:
    """Return the restrictions that keep an image from starting.

    Where one lifted is enough, that one; where it takes several, each with which alone it does not start.
    """
    if starts[frozenset()].came_up:
        return set()
    came_up = {lifted: boot.came_up for lifted, boot in starts.items()}
    single = {restriction for restriction in Restriction if came_up.get(frozenset({restriction}))}
    if Restriction.READ_ONLY in single and not _wrote(starts):
        # A slow start that came in time when it was repeated: its root had nothing to do with it.
        single.discard(Restriction.READ_ONLY)
    if single or not came_up.get(ALL):
        return single
    return {restriction for restriction in Restriction if came_up.get(ALL - {restriction}) is False}


def _wrote(starts: dict[frozenset[Restriction], Boot]) -> bool:
    """Tell whether there is a trace of a write: what the start with a writable root left, or an error in a log."""
    refused = any(REFUSED in line.lower() for line in starts[frozenset()].log)
    return refused or bool(starts[frozenset({Restriction.READ_ONLY})].written)


def _limit_reached(boot: Boot, contract: Contract) -> str:
    """Return which limit a start ran into, by what the engine counts and the log says; empty where none."""
    if boot.out_of_memory or (boot.exit is not None and boot.exit.out_of_memory):
        end = "it was killed" if boot.exit is not None else "a process of it was killed"
        return f"{end}, out of memory: the limit is {contract.memory}"
    if boot.filled:
        return boot.filled
    counted = boot.usage.processes if isinstance(boot.usage, Usage) else 0
    if counted >= contract.processes:
        more = "" if boot.came_up else ", and does not start"
        return f"it has {counted} processes and threads, as many as it is allowed{more}"
    return "" if boot.came_up else _said_limit(boot, contract)


def _said_limit(boot: Boot, contract: Contract) -> str:
    """Return which limit the log of a failed start names; empty where none."""
    for line in boot.log:
        if says_no_more_processes(line):
            return f"it is limited to {contract.processes} processes and threads: {line.strip()}"
        if NO_SPACE in line.lower():
            return f"a tmpfs or a volume is full, each of which holds {TMPFS_SIZE // MIB} MiB: {line.strip()}"
    return ""


def _blame(restriction: Restriction, boot: Boot, starts: dict[frozenset[Restriction], Boot]) -> str:
    if frozenset({restriction}) in starts and starts[frozenset({restriction})].came_up:
        return f"{UNDER[restriction]}: {what_happened(boot)}; {WITHOUT[restriction]}"
    alone = starts[ALL - {restriction}]
    return f"{what_happened(alone)} {UNDER[restriction]}, even where that is its only restriction"


def _held(restriction: Restriction, boot: Boot) -> str:
    """Return what was in force, as the engine says itself; undecided where it says that this was not."""
    force, usage = boot.enforced, boot.usage
    held, how = False, ""
    if force is not None:
        took = f"; it took {usage.memory // MIB} MiB and {usage.processes}" if isinstance(usage, Usage) else ""
        within = f"within {force.memory // MIB} MiB of memory and {force.processes} processes and threads{took}"
        but = f"with all capabilities dropped but {', '.join(force.added) or 'none'}"
        held, how = {
            Restriction.READ_ONLY: (force.read_only, "on a read-only root"),
            Restriction.CAPABILITIES: ("ALL" in force.dropped, but),
            Restriction.NO_NEW_PRIVILEGES: (force.no_new_privileges, "with no-new-privileges"),
            Restriction.LIMITS: (force.memory > 0 and force.processes > 0, within),
        }[restriction]
    if not held:
        raise UndecidedError(f"it started, but the engine does not enforce this: {restriction.value}")
    beside = f", with {', '.join(boot.lifted)} lifted" if boot.lifted else ""
    return f"started and stayed up {how}{beside}"


@check(
    "boot/missing-environment",
    title="Refuses to start without what it needs",
    severity=Severity.ERROR,
    why="An application that starts without its settings fails later, at a user's request.",
    source="the Twelve-Factor App, III",
    example='os.environ.get("DATABASE_URL", "")    # and the first request fails',
    fixed="os.environ[\"DATABASE_URL\"]    # KeyError: 'DATABASE_URL', exit code 1, at the start",
)
def missing_environment(deep: DeepBoots, contract: Contract) -> Outcome:
    if not contract.required_environment:
        return skipped("the contract names no `required-environment`")
    expect = Expect("ends at once, with an exit code other than 0, and names the variable that is missing")
    seen = []
    for name in dict.fromkeys(contract.required_environment):
        if name not in deep.without:
            raise UndecidedError(f"it was not started without {name}")
        boot = deep.without[name]
        problem = _bad_end(name, boot)
        if problem:
            return expect.failed(
                f"without {name}, {problem}",
                fix=f"Check {name} first at the start; if it is missing, name it in the log and exit with 1.",
                evidence=evidence_of(boot),
            )
        seen.append(f"without {name} it ended with {boot.exit.code if boot.exit else ''}, and named it")
    return expect.passed("; ".join(seen))


def _bad_end(name: str, boot: Boot) -> str:
    """Return what is wrong with how it took a missing variable; empty where nothing is."""
    if boot.start_error:
        raise UndecidedError(f"without {name} the engine could not start it: {boot.start_error}")
    if boot.exit is None:
        return "it starts anyway" if boot.came_up else f"it still runs after {boot.watched:.1f} s, and is not healthy"
    if boot.healthy_after is not None:
        return "it became healthy first"
    if boot.exit.code == 0:
        return "it ended with exit code 0, as if all were well"
    if not any(name in line for line in boot.log):
        return f"it ended with exit code {boot.exit.code}, and its log does not name it"
    return ""


@check(
    "boot/arbitrary-uid",
    title="Starts as a uid that no account has",
    severity=Severity.ERROR,
    why="OpenShift runs each project under its own uid, whatever USER says.",
    source="OpenShift, guidelines for images: support arbitrary user ids",
    example="RUN install -d -o app -m 0700 /app/state",
    fixed="RUN install -d -o app -g 0 -m 0770 /app/state",
)
def arbitrary_uid(deep: DeepBoots, contract: Contract) -> Outcome:
    if not contract.arbitrary_uid:
        return skipped("the contract does not ask for it: `arbitrary-uid = true` does")
    expect = Expect("starts as uid 1000620000 and gid 0, which no account has")
    if deep.other_user is None or isinstance(deep.other_user, Unavailable):
        raise UndecidedError("it was not started as another user")
    boot = deep.other_user
    if boot.came_up:
        return expect.passed("started as uid 1000620000 and gid 0")
    return expect.failed(
        f"as uid 1000620000 and gid 0: {what_happened(boot)}",
        fix="Give what it writes to group 0, with the group's rights those of the owner: `chgrp -R 0 DIR && chmod -R "
        "g=u DIR`; set HOME, and look up no account.",
        evidence=evidence_of(boot),
    )


@check(
    "boot/recreate",
    title="Starts again in a new container",
    severity=Severity.ERROR,
    why="Orchestrators delete containers and create new ones at any time.",
    source="Docker's build best practices: create ephemeral containers",
    example="socket.bind(('0.0.0.0', 0))    # another port each time",
    fixed="socket.bind(('0.0.0.0', 8000))",
)
def recreate(boot: Boot, deep: DeepBoots) -> Outcome:
    expect = Expect("starts again in a new container, in the same way")
    again = present(deep.again)
    if not again.came_up:
        return expect.failed(
            f"the second time: {what_happened(again)}",
            fix="Do not depend on what an earlier start left behind.",
            evidence=evidence_of(again),
        )
    if isinstance(boot.proc, ProcInfo) and isinstance(again.proc, ProcInfo):
        ports, now = _served(boot.proc), _served(again.proc)
        if ports != now:
            return expect.failed(
                f"the first time it listened on {', '.join(sorted(ports)) or 'nothing'}, the second time on "
                f"{', '.join(sorted(now)) or 'nothing'}",
                fix="Let it listen on fixed ports.",
            )
    after = f"{again.healthy_after:.1f} s" if again.healthy_after is not None else f"{again.watched:.1f} s"
    return expect.passed(f"started again, after {after}")


STALE = re.compile(r"(^|[._-])(pid|lock|lck|sock|socket)([._-]|$)", re.IGNORECASE)
"""Names of files that tell of a process that runs, or ran."""


@check(
    "boot/starts-after-kill",
    title="Starts again after it was killed",
    severity=Severity.ERROR,
    why="The kernel kills it when memory runs out; what it left in a volume then must not keep it from starting again.",
    source="Kubernetes, Container restarts; systemd.service(5), PIDFile: stale files are to be expected",
    example="if pidfile.exists():\n    sys.exit('already running')",
    fixed="if pidfile.exists() and running(pid := int(pidfile.read_text())) and pid != os.getpid():\n"
    "    sys.exit('already running')",
)
def starts_after_kill(deep: DeepBoots) -> Outcome:
    killed = present(deep.killed)
    expect = Expect("starts again in the same container, on the same volumes, after SIGKILL")
    again = killed.boot
    if again.came_up:
        after = again.healthy_after if again.healthy_after is not None else again.watched
        return expect.passed(f"started again, after {after:.1f} s")
    said = "\n".join(again.log)
    named = [path for path in killed.files if path in said or posixpath.basename(path) in said]
    blamed = named or [path for path in killed.files if STALE.search(posixpath.basename(path))]
    left = f"; the first start left {', '.join(blamed[:3])}" if blamed else ""
    return expect.failed(
        f"the second time, {what_happened(again)}{left}",
        fix="Let a start remove the pidfile, lock or socket that a killed one left, after a look whether its process "
        "still runs; or keep it on a tmpfs, which a restart empties.",
        evidence=(*(f"left behind: {path}" for path in first_lines(killed.files, 10)), *evidence_of(again)),
    )


def _served(inside: ProcInfo) -> set[str]:
    return {f"{seen.port}/tcp" for seen in inside.listeners if seen.protocol == "tcp" and not seen.loopback}


@check(
    "boot/writes-declared",
    title="Writes only where it is declared",
    severity=Severity.WARNING,
    why="What is written into the container's own layer is slow, and is removed with the container.",
    source="CIS Docker Benchmark 5.13",
    example="logging.FileHandler('/app/logs/shop.log')",
    fixed="logging.StreamHandler(sys.stdout)    # or: VOLUME /app/logs",
)
def writes_declared(deep: DeepBoots, configuration: Configuration, contract: Contract) -> Outcome:
    boot = present(deep.writable)
    allowed = (*contract.tmpfs, *configuration.volumes)
    expect = Expect(f"writes nowhere but in {', '.join(allowed)}" if allowed else "writes nowhere")
    if not boot.came_up:
        raise UndecidedError(f"with a writable root it did not start: {what_happened(boot)}", *evidence_of(boot))
    if boot.read_only:
        raise UndecidedError("it was not started with a writable root")
    if boot.written:
        return expect.failed(
            f"on a writable root it writes {', '.join(first_lines(boot.written, 5))}",
            fix="Write below a tmpfs or a volume (VOLUME, or the contract's `tmpfs`); for bytecode, set "
            "PYTHONDONTWRITEBYTECODE=1 and compile it in the build.",
            evidence=tuple(f"wrote {path}" for path in boot.written),
            items=boot.written,
        )
    return expect.passed("on a writable root it wrote nothing elsewhere")
