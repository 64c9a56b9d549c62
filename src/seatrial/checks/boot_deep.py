"""boot/* of level deep: what further starts showed, each with one thing changed."""

from __future__ import annotations

import posixpath
import re

from seatrial.checks.boot import evidence_of, what_happened
from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.facts import Boot, Configuration, DeepBoots, ProcInfo, Unavailable
from seatrial.settings.model import Contract


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
