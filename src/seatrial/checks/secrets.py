"""What looks like a secret: one rule for environments, build arguments, Dockerfiles and compose files."""

from __future__ import annotations

import math
import re
from collections import Counter

SECRET_NAME = re.compile(
    r"(?:^|_)(?:\w{0,60}PASSWORD|PASSWD|\w{1,60}_PASS|\w{1,60}_?PWD|PASSPHRASE|SECRETS?|"
    r"TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|sk-[\w-]{20,}|xox[abpr]-[\w-]{10,}|-----BEGIN [A-Z ]{0,40}PRIVATE KEY|"
    r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|[a-z][a-z0-9+.-]{0,20}://[^/\s:@]*:[^/\s:@]+@"
)
"""Values whose form alone says what they are: cloud keys, tokens, private keys, addresses with a password.

Every part is bounded: a value of a megabyte, which an image may hold, takes no longer than its letters.
"""

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
LONGEST_NAME = 1000
"""Characters of a name that are looked at: a longer one is no name that anybody gave."""


def secret(name: str, value: str) -> str:
    """Return why a variable looks like a secret; empty where it does not."""
    name = name[-LONGEST_NAME:]
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


def named_secret(name: str) -> bool:
    """Tell whether a name alone says that it is for a secret."""
    name = name[-LONGEST_NAME:]
    return SECRET_NAME.search(name) is not None and A_MEASURE.search(name) is None and name not in PUBLIC


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
