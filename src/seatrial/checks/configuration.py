"""health/declared, secrets/environment, size/unpacked: what the image's configuration says."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, failed, passed, skipped
from seatrial.sizes import parse_size, show_size

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract

SECRET_NAME = re.compile(
    r"(?:^|_)(?:\w*PASSWORD|PASSWD|\w+_PASS|\w+_?PWD|PASSPHRASE|SECRETS?|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|"
    r"CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|sk-[\w-]{20,}|xox[abpr]-[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY|"
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s:@]+@"
)
"""Values whose form alone says what they are: cloud keys, tokens, private keys, addresses with a password."""

PUBLIC = {"GPG_KEY", "PYTHON_SHA256", "PATH", "LS_COLORS"}
"""Variables of official images that hold public fingerprints and the like."""

A_MEASURE = re.compile(
    r"_(?:SECONDS|MINUTES|HOURS|DAYS|EXPIRE|EXPIRY|TTL|TIMEOUT|LIFETIME|AGE|LENGTH|SIZE|COUNT|LIMIT|ROUNDS)$",
    re.IGNORECASE,
)
"""Names of settings about secrets: ACCESS_TOKEN_EXPIRE_MINUTES=30."""

NOT_A_VALUE = {"", "none", "null", "false", "true", "changeme"}
LEAST_ENTROPY = 4.2
"""Bits a character: random base64 of 32 characters has 4.4 and more; hexadecimal digests have at most 4."""
LEAST_LENGTH = 24


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


def secret(name: str, value: str) -> str:
    """Return why a variable looks like a secret; empty where it does not."""
    if value.strip().lower() in NOT_A_VALUE or (A_MEASURE.search(name) and re.fullmatch(r"[\d.]+", value.strip())):
        return ""
    if SECRET_VALUE.search(value):
        return "its value has a secret's form"
    if SECRET_NAME.search(name) and not value.startswith("/"):
        return f"its name says so; {len(value)} characters"
    # A long path holds as many different letters as a random text does.
    if re.fullmatch(r"[\w+=.-][\w+/=.-]+", value) and len(value) >= LEAST_LENGTH and entropy(value) >= LEAST_ENTROPY:
        return f"its value looks random: {len(value)} characters"
    return ""


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


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
        level=Level.QUICK,
        function=health_declared,
    ),
    Check(
        id="secrets/environment",
        title="Carries no secret in its environment",
        why="Whoever can pull the image can read its environment.",
        source="CIS Docker Benchmark 4.10; Docker build check SecretsUsedInArgOrEnv",
        level=Level.QUICK,
        function=secrets_environment,
    ),
    Check(
        id="size/unpacked",
        title="Stays within its size",
        why="Size is paid for at every pull and start; it grows unseen when nothing watches it.",
        source="the applications' plans",
        level=Level.QUICK,
        function=size_unpacked,
    ),
)
