"""app/code-read-only: who may change the application's code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, probe_of, skipped
from seatrial.checks.parts import had

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract


def read_only(facts: Facts, _: Contract) -> Outcome:
    """Judge the files of the application's packages, and every folder above them, by owner and permission."""
    probe = probe_of(facts)
    if probe.identity.uid == 0:
        return skipped("USER is root, who may change everything; identity/non-root judges that")
    rows = had(probe.code, probe, "code")
    if not rows:
        return skipped("neither the contract nor the command names a module; set `modules`")
    lost = [one.name for one in rows if not one.origin]
    found = {one.path: one for row in rows for one in row.changeable}
    expected = f"uid {probe.identity.uid} can change nothing of {', '.join(one.name for one in rows)}"
    if found:
        first = next(iter(found.values()))
        return failed(
            f"uid {probe.identity.uid} can change {first.path} (mode {first.mode}, owner {first.owner})"
            + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
            expected=expected,
            fix=(
                "Let root own the code: `COPY` without --chown, `RUN chmod -R u=rwX,go=rX /app` in the builder, and a "
                "WORKDIR that root made. What must be written belongs on a tmpfs or a volume."
            ),
            evidence=tuple(f"{one.path}: mode {one.mode}, owner {one.owner}" for one in found.values()),
        )
    if lost:
        raise UndecidedError(f"{', '.join(lost)} is not found in any file; app/imports tells why")
    return passed(f"{sum(one.files for one in rows)} files and folders looked at", expected=expected)


CHECKS = (
    Check(
        id="app/code-read-only",
        title="Its user cannot change its code",
        why="Whoever breaks into the process then cannot leave anything in the code that runs at the next start.",
        source="CIS Docker Benchmark 4.1, 5.13; OWASP Docker cheat sheet, rule 8",
        example="COPY --chown=app:app . /app",
        mend="COPY . /app",
        level=Level.QUICK,
        function=read_only,
    ),
)
