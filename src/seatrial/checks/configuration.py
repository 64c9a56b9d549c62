"""health/declared, secrets/environment, size/unpacked: what the image's configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, failed, passed, skipped
from seatrial.checks.secrecy import PUBLIC, secret
from seatrial.sizes import parse_size, show_size

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract


def health_declared(facts: Facts, _: Contract) -> Outcome:
    """Look for a HEALTHCHECK."""
    check = facts.configuration.health_check
    if check is None:
        return failed(
            "no HEALTHCHECK",
            expected="a HEALTHCHECK",
            fix='Add `HEALTHCHECK CMD ["python", "healthcheck.py"]`, or waive health/declared with your reason.',
        )
    return passed(f"{' '.join(check.test)}, every {check.interval:g} s", expected="a HEALTHCHECK")


def secrets_environment(facts: Facts, contract: Contract) -> Outcome:
    """Judge each variable by its name and by its value; a found value is never shown."""
    variables = facts.configuration.environment
    allowed = PUBLIC | set(contract.declared_secrets)
    found = {name: why for name, value in variables.items() if name not in allowed and (why := secret(name, value))}
    expected = "no variable of the image holds a secret"
    if found:
        return failed(
            "; ".join(f"{name} ({why})" for name, why in found.items()),
            expected=expected,
            fix=(
                "Remove it from the Dockerfile and give it when the container starts (env file, secret); change the "
                "secret, as the image's history keeps it. If it is none, name it in `declared-secrets`."
            ),
        )
    return passed(f"{len(variables)} variables looked at", expected=expected)


def size_unpacked(facts: Facts, contract: Contract) -> Outcome:
    """Compare the sum of the unpacked layers with the contract."""
    if contract.max_unpacked is None:
        return skipped(f"the contract sets no `max-unpacked`; it is {show_size(facts.configuration.unpacked)}")
    size, most = facts.configuration.unpacked, parse_size(contract.max_unpacked)
    if size > most:
        return failed(
            f"{show_size(size)}, {show_size(size - most)} too many",
            expected=f"at most {contract.max_unpacked}",
            fix="See where it went with `docker history`; multi-stage builds and pinned indexes help most.",
        )
    return passed(show_size(size), expected=f"at most {contract.max_unpacked}")


CHECKS = (
    Check(
        id="health/declared",
        title="Declares a health check",
        why="Without one, an orchestrator takes a frozen application for a running one.",
        source="CIS Docker Benchmark 4.6",
        example='EXPOSE 8000\nCMD ["uvicorn", "shop.api:app"]',
        mend=(
            "EXPOSE 8000\n"
            'HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "healthcheck.py"]\n'
            'CMD ["uvicorn", "shop.api:app"]'
        ),
        level=Level.QUICK,
        function=health_declared,
    ),
    Check(
        id="secrets/environment",
        title="Carries no secret in its environment",
        why="Whoever can pull the image can read its environment.",
        source="CIS Docker Benchmark 4.10; Docker build check SecretsUsedInArgOrEnv",
        example="ENV DATABASE_URL=postgresql://shop:hunter2@db/shop",
        mend="# in compose.yaml, not in the image\nenv_file: .env",
        level=Level.QUICK,
        function=secrets_environment,
    ),
    Check(
        id="size/unpacked",
        title="Stays within its size",
        why="Size is paid for at every pull and start; it grows unseen when nothing watches it.",
        source="the applications' plans",
        example='# contract: max-unpacked = "500 MB"; torch brings 4 GB of CUDA along\nRUN pip install torch',
        mend='# contract: max-unpacked = "500 MB"\nRUN pip install --index-url "$TORCH_CPU_INDEX" torch',
        level=Level.QUICK,
        function=size_unpacked,
    ),
)
