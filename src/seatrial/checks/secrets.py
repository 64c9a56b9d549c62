"""secrets/*: secrets in files, variables and history; and the rule by which a text looks like one."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from seatrial.checks.declaration import check
from seatrial.checks.files import SHOWN, none_found, of_kind, without
from seatrial.checks.layers import line_of, named, refuse_partial_layers
from seatrial.checks.model import Cause, Expect, Outcome, Severity, shorten, skipped
from seatrial.facts import Configuration, ContentKind, Contents, DockerfileSource, Layers, Unavailable
from seatrial.settings.model import Contract
from seatrial.text import counted

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

LOOKS_RANDOM = "its value looks random"
"""The weakest reason: a fingerprint or an identifier does so, too."""
NOT_A_VALUE = {"", "none", "null", "false", "true", "changeme"}
PLACEHOLDER = re.compile(
    r"(?:^|[^a-z])(?:dummy|fake|place-?holder|example|change-?me|test(?:ing)?|build(?:time)?|temp(?:orary)?|unused|"
    r"insecure|unsafe|not-?(?:so-?)?(?:a-?)?secret|nothing|only|x{3,}|foo(?:bar)?|throw-?away|collectstatic|ignored|whatever|"
    r"irrelevant)(?:[^a-z]|$)",
    re.IGNORECASE,
)
"""Words that say that a value is none."""
SIGNING_KEY = re.compile(r"(?:^|_)SECRET_KEY(?:_|$)", re.IGNORECASE)
"""Keys that a framework wants before it runs any command, such as Django's `collectstatic`, which signs nothing."""
LEAST_SIGNING_KEY = 20
"""Characters: Django's own check calls a key of fewer than 50 weak (security.W009)."""
A_SHELL = re.compile(r"/(?:ba|da|a)?sh (?:-\w+ (?:pipefail )?){0,4}?-\w{0,4}c ")
"""Where the arguments of a RUN end, and the line that its shell gets begins."""
LEAST_ENTROPY = 4.2
"""Bits a character: random base64 of 32 characters has 4.4 and more; hexadecimal digests have at most 4."""
LEAST_LENGTH = 24
A_WORD = r"(?:[A-Z]?[a-z]{1,16}|[A-Z]{1,16}|v?\d{1,4})"
WORDS = re.compile(rf"{A_WORD}(?:[-_.+/]{A_WORD})+")
"""Names made of words and numbers, as those of projects are: many words hold many different letters, too."""
LONGEST_NAME = 1000
"""Characters of a name that are checked: nobody gives a longer name."""


def secret(name: str, value: str) -> str:
    """Return why a variable looks like a secret; empty where it does not."""
    name = name[-LONGEST_NAME:]
    if value.strip().lower() in NOT_A_VALUE or (A_MEASURE.search(name) and re.fullmatch(r"[\d.]+", value.strip())):
        return ""
    if SECRET_VALUE.search(value):
        return "its value has a secret's form"
    if SECRET_NAME.search(name) and not value.startswith("/"):
        return f"secret-like name; {len(value)} characters"
    if value.startswith("--"):
        # An option of a command: `--character-set-server=utf8mb4` is a name and a value.
        option, _, given = value.partition("=")
        return secret(option.strip("-").replace("-", "_").replace(".", "_"), given) if given else ""
    # A long path holds as many different letters as a random text does.
    if not re.fullmatch(r"[\w+=.-][\w+/=.-]+", value) or len(value) < LEAST_LENGTH or WORDS.fullmatch(value):
        return ""
    return f"{LOOKS_RANDOM}: {len(value)} characters" if entropy(value) >= LEAST_ENTROPY else ""


def named_secret(name: str) -> bool:
    """Tell whether a name alone says that it is for a secret."""
    name = name[-LONGEST_NAME:]
    return SECRET_NAME.search(name) is not None and A_MEASURE.search(name) is None and name not in PUBLIC


def throw_away(name: str, value: str) -> bool:
    """Tell whether a value that one command of a build was given is no secret: it says so, or signs nothing."""
    value = value[:LONGEST_NAME]
    if SECRET_VALUE.search(value):
        login = re.search(r"://([^/\s:@]*):([^/\s:@]+)@", value)
        return login is not None and (login[2] in {login[1], "password", "pass"} or bool(PLACEHOLDER.search(login[2])))
    if PLACEHOLDER.search(value):
        return True
    if SIGNING_KEY.search(name[-LONGEST_NAME:]) is None:
        return False
    return (
        len(value) < LEAST_SIGNING_KEY
        or re.fullmatch(r"[a-zA-Z]{1,40}(?:[-_. ][a-zA-Z]{1,40}){0,20}", value) is not None
    )


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


MADE_BY_PACKAGES = ("/etc/ssl/private/ssl-cert-snakeoil.key",)
"""Keys that a package of Debian makes as it is installed (ssl-cert), for a certificate that no client trusts."""


def _no_secrets(contract: Contract) -> tuple[str, ...]:
    return (*contract.declared_secrets, *MADE_BY_PACKAGES)


@check(
    "secrets/files",
    title="Holds no key and no credentials",
    severity=Severity.ERROR,
    follows=(Cause(check="dockerfile/secret-mounts", shares=r"(?:COPY|ADD) (?:\S*/)?(\S+) puts"),),
    why="Everyone who can pull the image can read its files.",
    source="CIS Docker Benchmark 4.10",
    example="COPY .netrc /root/.netrc\nRUN pip install -r requirements.txt",
    fixed="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
)
def secret_files(contents: Contents, contract: Contract) -> Outcome:
    """Judge files that give access to something; nothing of what they hold is shown or kept."""
    found = list(map(str, without(of_kind(contents, ContentKind.SECRET), _no_secrets(contract))))
    return none_found(
        contents,
        found,
        shown=shorten(found, SHOWN),
        expected="no private key and no file with credentials",
        fix="Give it to the build with `RUN --mount=type=secret`, or to the container when it starts, and change "
        "the key or password, as the layer keeps it. If it is not secret, name its path in `declared-secrets`.",
        seen="; what an earlier layer holds and a later one removes: secrets/deleted, at level deep",
    )


@check(
    "secrets/deleted",
    title="Holds no secret in a layer below the one that removes it",
    severity=Severity.ERROR,
    follows=(Cause(check="dockerfile/secret-mounts", shares=r"(?:COPY|ADD) (?:\S*/)?(\S+) puts"),),
    why="A later line removes a file from what a container sees; everyone who can pull the image can read its layers.",
    source="CIS Docker Benchmark 4.10; Docker's documentation, Build secrets",
    example="COPY .netrc /root/.netrc\nRUN pip install -r requirements.txt\nRUN rm /root/.netrc",
    fixed="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
)
def deleted_secrets(layers: Layers, dockerfile: DockerfileSource | Unavailable, contract: Contract) -> Outcome:
    """Judge files of layers that later ones remove or write again; nothing of what they hold is shown or kept."""
    expect = Expect("no private key and no file with credentials in any layer")
    shown = {row.path for row in without([row.found for row in layers.secrets], _no_secrets(contract))}
    found = [row for row in layers.secrets if row.found.path in shown]
    if found:
        lines = [
            f"{row.found}: {named(layers.layer(row.layer))} holds it, {named(layers.layer(row.by))} "
            f"{'removes it' if row.removed else 'writes over it'}"
            for row in found
        ]
        return expect.failed(
            shorten(lines, SHOWN),
            fix="Give it to the one RUN that needs it with `--mount=type=secret`, and change the key or password: the "
            "layer keeps it. If it is not secret, name its path in `declared-secrets`.",
            evidence=tuple(lines),
            where=line_of(dockerfile, layers.layer(found[0].layer)),
        )
    refuse_partial_layers(layers)
    return expect.passed(f"{counted(len(layers.layers), 'layer')} checked")


@check(
    "secrets/environment",
    title="Carries no secret in its environment",
    severity=Severity.ERROR,
    follows=(Cause(check="dockerfile/secret-mounts", shares=r"(?:ARG|ENV) (\w+)"),),
    why="Everyone who can pull the image can read its environment.",
    source="CIS Docker Benchmark 4.10; Docker build check SecretsUsedInArgOrEnv",
    example="ENV DATABASE_URL=postgresql://shop:hunter2@db/shop",
    fixed="# in compose.yaml, not in the image\nenv_file: .env",
)
def secrets_environment(configuration: Configuration, contract: Contract) -> Outcome:
    """Judge each variable by its name and by its value; a found value is never shown."""
    variables = configuration.environment
    allowed = PUBLIC | set(contract.declared_secrets)
    found = {name: why for name, value in variables.items() if name not in allowed and (why := secret(name, value))}
    expect = Expect("no variable of the image holds a secret")
    if found:
        return expect.failed(
            [f"{name} ({why})" for name, why in found.items()],
            fix="Remove it from the Dockerfile and give it when the container starts (env file, secret); change the "
            "secret, as the image's history keeps it. If it is not a secret, name it in `declared-secrets`.",
            severity=Severity.WARNING if all(why.startswith(LOOKS_RANDOM) for why in found.values()) else None,
        )
    return expect.passed(f"{len(variables)} variables checked")


@check(
    "secrets/history",
    title="Carries no secret in its history",
    severity=Severity.ERROR,
    follows=(Cause(check="dockerfile/secret-mounts", shares=r"(?:ARG|ENV) (\w+)"),),
    why="Build arguments and commands stay in the history: everyone who can pull the image can read it.",
    source="Docker build check SecretsUsedInArgOrEnv; CIS Docker Benchmark 4.10",
    example="ARG INDEX_TOKEN\nRUN pip install -i https://ci:${INDEX_TOKEN}@packages.example.org/ shop==1.0",
    fixed="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
)
def history(configuration: Configuration, contract: Contract) -> Outcome:
    """Judge what the history keeps of build arguments, variables and commands; a found value is never shown."""
    allowed = PUBLIC | set(contract.declared_secrets)
    seen = configuration
    expect = Expect("no line of the image's history holds a secret")
    if not seen.history:
        return skipped("the engine gives no history of this image")
    found = {
        f"{name} ({why}) in history line {number}": None
        for number, line in enumerate(seen.history, 1)
        for name, why in _secrets(line, seen.environment)
        if name not in allowed
    }
    if found:
        return expect.failed(
            list(found),
            fix="Hand it to the one RUN that needs it with `--mount=type=secret,id=…`, never as ARG, ENV or text; "
            "change the secret. If it is not a secret, name it in `declared-secrets`.",
            severity=Severity.WARNING if all(f"({LOOKS_RANDOM}" in line for line in found) else None,
        )
    return expect.passed(f"{len(seen.history)} lines of history checked")


def _secrets(line: str, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    # What the environment still holds is secrets/environment's to name.
    if line.lstrip().startswith("ENV "):
        given = {name: value for name, value in assignments(line) if environment.get(name) != value}
        rest = ""
    else:
        given, rest = dict(assignments(line)), line
    named = False
    # Inside of a shell's line there are flags and file names that look random enough.
    declared = A_SHELL.split(line, maxsplit=1)[0]
    for name, value in given.items():
        why = secret(name, value)
        if why and f"{name}=" not in declared and (why.startswith(LOOKS_RANDOM) or throw_away(name, value)):
            rest = rest.replace(value, "")
            continue
        if why:
            named = True
            yield name, why
    if not named and SECRET_VALUE.search(rest):
        yield "a value", "its form is a secret's"


def assignments(line: str) -> Iterator[tuple[str, str]]:
    """Yield what a line of history sets: ENV, ARG, the arguments of a RUN (`|1 NAME=value /bin/sh -c …`), its shell."""
    for match in re.finditer(r"""(?<![\w$./-])([A-Za-z_]\w*)=("[^"]*"|'[^']*'|[^\s;&|)]*)""", line):
        value = match[2].strip("\"'")
        # What a shell works out as it runs is not written here.
        if not value.startswith(("$", "`")):
            yield match[1], value
