"""config/*, health/declared, secrets/* and size/*: what the image's configuration and history say."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seatrial.checks.model import Check, Level, Outcome, failed, passed, skipped
from seatrial.checks.secrets import PUBLIC, SECRET_VALUE, secret
from seatrial.sizes import parse_size, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.facts import Facts
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


SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")
"""Folders that belong to the system with all that is in them, but /usr/local and what it was made for."""
SYSTEM_ITSELF = ("/", "/root", "/run", "/tmp", "/usr/local", "/var", "/var/lib", "/var/run", "/opt", "/home")  # noqa: S108
"""Folders that belong to the system; a folder of an application's own may lie in them."""
OWN = ("/usr/local/share/", "/usr/src/")
OCI = "org.opencontainers.image."
ADDRESSES = {"source", "url", "documentation"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


def volumes(facts: Facts, _: Contract) -> Outcome:
    """Look for a VOLUME over what belongs to the system."""
    declared = facts.configuration.volumes
    expected = "no VOLUME on a path of the system"
    bad = [path for path in declared if _of_the_system(path)]
    if bad:
        return failed(
            ", ".join(f"{path} is a volume" for path in bad),
            expected=expected,
            fix=f"Take `VOLUME {bad[0]}` out; name a folder of the application's own, such as /data.",
        )
    return passed(", ".join(declared) or "no VOLUME at all", expected=expected)


def _of_the_system(path: str) -> bool:
    tidy = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
    if tidy in SYSTEM_ITSELF or tidy.split("/")[1] in SYSTEM:
        return not tidy.startswith(OWN)
    return False


def labels(facts: Facts, contract: Contract) -> Outcome:
    """Look for the labels that the contract wants, and judge each OCI label by its own rule."""
    carried = {key.removeprefix(OCI): value for key, value in facts.configuration.labels.items() if key.startswith(OCI)}
    if not contract.labels and not carried:
        return skipped("the contract wants no label (`labels = []`), and the image carries no OCI label")
    problems = {
        name: problem
        for name in dict.fromkeys((*contract.labels, *sorted(carried)))
        if (problem := _problem(name, carried.get(name), wanted=name in contract.labels))
    }
    expected = f"valid labels {OCI}… {', '.join(contract.labels)}".rstrip()
    if problems:
        first = next(iter(problems))
        return failed(
            "; ".join(f"{OCI}{name} {problem}" for name, problem in problems.items()),
            expected=expected,
            fix=_label_fix(first),
        )
    shown = "; ".join(f"{name}={carried[name]}" for name in contract.labels)
    return passed(shown or f"{len(carried)} OCI labels", expected=expected)


def _problem(name: str, value: str | None, *, wanted: bool) -> str:
    if value is None:
        return "is not there"
    text = value.strip()
    if not text:
        # An empty one says that the build was not told: as good as none.
        return "is empty: the build was not told" if wanted else ""
    if name == "created" and not _is_moment(text):
        return f"is {value!r}, no date and time as RFC 3339 has them"
    if name in ADDRESSES and not _is_address(text):
        return f"is {value!r}, no address"
    if name in {"version", "revision"} and re.search(r"[\s$]", text):
        return f"is {value!r}, no {name}"
    return ""


def _is_moment(text: str) -> bool:
    if not RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https", "git", "ssh", "git+https", "git+ssh"} and bool(parts.hostname)


def _label_fix(name: str) -> str:
    if name == "title":
        return f'Write `LABEL {OCI}title="…"` into the final stage.'
    argument = name.replace(".", "_").upper()
    told = " `invoke build` gives it what git says." if name in {"version", "revision", "source", "created"} else ""
    return f'Write `ARG {argument}` and `LABEL {OCI}{name}="${{{argument}}}"` at the end of the final stage.{told}'


def history(facts: Facts, contract: Contract) -> Outcome:
    """Judge what the history keeps of build arguments, variables and commands; a found value is never shown."""
    allowed = PUBLIC | set(contract.declared_secrets)
    seen = facts.configuration
    expected = "no line of the image's history holds a secret"
    if not seen.history:
        return skipped("the engine gives no history of this image")
    found = {
        f"{name} ({why}) in history line {number}": None
        for number, line in enumerate(seen.history, 1)
        for name, why in _secrets(line, seen.environment)
        if name not in allowed
    }
    if found:
        return failed(
            "; ".join(found),
            expected=expected,
            fix=(
                "Hand it to the one RUN that needs it with `--mount=type=secret,id=…`, never as ARG, ENV or text; "
                "change the secret. If it is none, name it in `declared-secrets`."
            ),
        )
    return passed(f"{len(seen.history)} lines of history looked at", expected=expected)


def _secrets(line: str, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    # What the environment still holds is secrets/environment's to name.
    if line.lstrip().startswith("ENV "):
        given = {name: value for name, value in assignments(line) if environment.get(name) != value}
        rest = ""
    else:
        given, rest = dict(assignments(line)), line
    named = False
    # Inside of a shell's line there are flags and file names that look random enough.
    declared = line.partition("/bin/sh -c")[0]
    for name, value in given.items():
        why = secret(name, value)
        if why and (f"{name}=" in declared or not why.startswith("its value looks random")):
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


CHECKS_METADATA = (
    Check(
        id="config/volumes",
        title="Declares no volume on a path of the system",
        why="A volume there hides the system's own files, and what a later layer changes in it is lost.",
        source="dockle DKL-DI-0002",
        example="VOLUME /etc",
        mend="VOLUME /data",
        level=Level.QUICK,
        function=volumes,
    ),
    Check(
        id="config/labels",
        title="Says what it is and what it was made from",
        why="Whoever finds the image in a registry or a cluster must learn which commit to look at.",
        source="OCI image specification, annotations; Docker's build best practices, LABEL",
        example='LABEL org.opencontainers.image.created="yesterday"',
        mend='ARG CREATED\nLABEL org.opencontainers.image.created="${CREATED}"',
        level=Level.QUICK,
        function=labels,
    ),
    Check(
        id="secrets/history",
        title="Carries no secret in its history",
        why="Build arguments and commands stay in the history, which everyone reads who can pull the image.",
        source="Docker build check SecretsUsedInArgOrEnv; CIS Docker Benchmark 4.10",
        example="ARG INDEX_TOKEN\nRUN pip install -i https://ci:${INDEX_TOKEN}@packages.example.org/ shop==1.0",
        mend="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
        level=Level.QUICK,
        function=history,
    ),
)
