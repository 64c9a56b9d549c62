"""config/*, system/*, size/*: what the image's configuration says, and the system that the application finds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, present, shorten, skipped
from seatrial.checks.python import stopped_before
from seatrial.facts import ComposeSource, Configuration, FileKind, Inventory, ResolvedPath, Unavailable
from seatrial.facts.probe import Locale, SelfTest
from seatrial.settings.model import Contract
from seatrial.text import parse_size, show_size


@check(
    "config/workdir",
    title="Its working directory is there",
    severity=Severity.WARNING,
    why="Without it, some engines make it as root, others refuse to start.",
    source="hadolint DL3000",
    example="WORKDIR /srv/work\nRUN rmdir /srv/work",
    fixed="WORKDIR /srv/work",
)
def workdir(configuration: Configuration, working_directory: ResolvedPath | Unavailable) -> Outcome:
    """Follow WORKDIR in the image's files; at a start, the engine would make it where it is missing."""
    directory = configuration.working_directory or "/"
    expect = Expect("an absolute WORKDIR that is a folder of the image")
    if not directory.startswith("/"):
        return expect.failed(f"WORKDIR {directory}", fix=f"Write it absolute: `WORKDIR /{directory}`.")
    trail = present(working_directory)
    if trail.entry is None:
        return expect.failed(
            f"WORKDIR {directory}: {trail.gap}",
            fix=f"Let the final stage have it: `WORKDIR {directory}` after what removes it. Or name one that is there.",
            evidence=(str(trail),),
        )
    if trail.entry.kind is not FileKind.FOLDER:
        return expect.failed(
            f"WORKDIR {directory} is a {trail.entry.kind}",
            fix="Name a folder, or move the file that is there.",
            evidence=(str(trail),),
        )
    return expect.passed(str(trail))


@check(
    "size/unpacked",
    title="Stays within its size",
    severity=Severity.ERROR,
    why="Size is paid for at every pull and start; it grows unseen when nothing watches it.",
    source="Docker's build best practices: multi-stage builds, no unnecessary packages",
    example='# contract: max-unpacked = "500 MB"; torch brings 4 GB of CUDA along\nRUN pip install torch',
    fixed='# contract: max-unpacked = "500 MB"\nRUN pip install --index-url "$TORCH_CPU_INDEX" torch',
)
def size_unpacked(configuration: Configuration, contract: Contract) -> Outcome:
    if contract.max_unpacked is None:
        return skipped(f"the contract sets no `max-unpacked`; it is {show_size(configuration.unpacked)}")
    size, most = configuration.unpacked, parse_size(contract.max_unpacked)
    expect = Expect(f"at most {contract.max_unpacked}")
    if size > most:
        fix = "See where it went: `invoke layers`. Multi-stage builds and pinned indexes help most."
        return expect.failed(f"{show_size(size)}, {show_size(size - most)} over", fix=fix, items=[f"{size} B unpacked"])
    return expect.passed(show_size(size))


GPU_VARIABLES = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CUDA_VERSION")
"""What images that are meant for GPUs set: NVIDIA's container toolkit reads the first two."""
LEAST_CUDA = 5_000_000
"""Bytes: a stub of a distribution is none."""


@check(
    "size/cuda",
    title="Holds no CUDA where nothing computes on a GPU",
    severity=Severity.WARNING,
    why="On Linux, PyTorch's default wheels bring gigabytes of CUDA along, and on a processor none of it is loaded.",
    source="PyTorch's installation page, which has an index of builds for processors; NVIDIA Container Toolkit",
    example="RUN pip install torch",
    fixed='RUN pip install --index-url "$TORCH_CPU_INDEX" torch',
)
def size_cuda(
    inventory: Inventory, configuration: Configuration, compose: ComposeSource | Unavailable, contract: Contract
) -> Outcome:
    expect = Expect("no libraries of CUDA")
    if inventory.cuda < LEAST_CUDA:
        return expect.passed("none is there")
    model = compose if isinstance(compose, Unavailable) else compose.model
    services = () if isinstance(model, Unavailable) else model.services
    if contract.gpu or any(service.gpus and service.own for service in services):
        return skipped(f"it is meant for GPUs; CUDA takes {show_size(inventory.cuda)}")
    if names := [name for name in GPU_VARIABLES if configuration.environment.get(name)]:
        return skipped(f"it is meant for GPUs, as {names[0]} says; CUDA takes {show_size(inventory.cuda)}")
    brought = [row.name for row in inventory.distributions if row.name.lower().startswith("nvidia")]
    return expect.failed(
        f"{show_size(inventory.cuda)} in {shorten(brought, 3) or 'a folder nvidia'}",
        fix="Install the build for processors, from the index that PyTorch's installation page names for CPU; with uv, "
        "as an explicit index of the package. Or write `gpu = true` into the contract.",
        evidence=tuple(brought),
    )


SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")
"""Folders that belong to the system with all that is in them, but /usr/local and what it was made for."""
SYSTEM_ITSELF = ("/", "/root", "/run", "/tmp", "/usr/local", "/var", "/var/lib", "/var/run", "/opt", "/home")  # noqa: S108
"""Folders that belong to the system; a folder of an application's own may lie in them."""
OWN = ("/usr/local/share/", "/usr/src/")
OCI = "org.opencontainers.image."
GIT = {"version", "revision", "source", "created"}
"""What `invoke build` fills in."""
ADDRESSES = {"source", "url", "documentation"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


@check(
    "config/volumes",
    title="Declares no volume on a path of the system",
    severity=Severity.WARNING,
    why="A volume there hides the system's own files, and what a later layer changes in it is lost.",
    source="dockle DKL-DI-0002",
    example="VOLUME /etc",
    fixed="VOLUME /data",
)
def volumes(configuration: Configuration) -> Outcome:
    declared = configuration.volumes
    expect = Expect("no VOLUME on a path of the system")
    bad = [path for path in declared if _of_the_system(path)]
    if bad:
        return expect.failed(
            ", ".join(f"{path} is a volume" for path in bad),
            items=bad,
            fix=f"Remove `VOLUME {bad[0]}`; name a folder of the application's own, such as /data.",
        )
    return expect.passed(", ".join(declared) or "no VOLUME at all")


def _of_the_system(path: str) -> bool:
    tidy = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
    if tidy in SYSTEM_ITSELF or tidy.split("/")[1] in SYSTEM:
        return not tidy.startswith(OWN)
    return False


@check(
    "config/labels",
    title="Is labelled with what it was built from",
    severity=Severity.NOTE,
    demanded_by=("labels",),
    why="An image in a registry or a cluster has to say which commit it was built from.",
    source="OCI image specification, annotations; Docker's build best practices, LABEL",
    example='LABEL org.opencontainers.image.created="yesterday"',
    fixed='ARG CREATED\nLABEL org.opencontainers.image.created="${CREATED}"',
)
def labels(configuration: Configuration, contract: Contract) -> Outcome:
    carried = {key.removeprefix(OCI): value for key, value in configuration.labels.items() if key.startswith(OCI)}
    if not contract.labels and not carried:
        return skipped("the contract wants no label (`labels = []`), and the image carries no OCI label")
    problems = {
        name: problem
        for name in dict.fromkeys((*contract.labels, *sorted(carried)))
        if (problem := _problem(name, carried.get(name), wanted=name in contract.labels))
    }
    expect = Expect(f"valid labels {OCI}… {', '.join(contract.labels)}".rstrip())
    if problems:
        absent = [name for name, problem in problems.items() if problem == ABSENT]
        first = f"{OCI}{', '.join(absent)} {ABSENT if len(absent) == 1 else 'are not there'}"
        lines = [f"{OCI}{name} {problem}" for name, problem in problems.items() if name not in absent]
        return expect.failed(
            "; ".join([*([first] if absent else []), *lines]),
            fix=_label_fix(list(problems)),
            items=[f"{OCI}{name} {problem}" for name, problem in problems.items()],
        )
    shown = "; ".join(f"{name}={carried[name]}" for name in contract.labels)
    return expect.passed(shown or f"{len(carried)} OCI labels")


ABSENT = "is not there"


def _problem(name: str, value: str | None, *, wanted: bool) -> str:
    if value is None:
        return ABSENT
    text = value.strip()
    if not text:
        # An empty label means that the build argument was not passed: it counts as missing.
        return "is empty (build argument not passed)" if wanted else ""
    if name == "created" and not _is_moment(text):
        return f"is {value!r}, not an RFC 3339 date-time"
    if name in ADDRESSES and not _is_address(text):
        return f"is {value!r}, not a URL"
    if name in {"version", "revision"} and re.search(r"[\s$]", text):
        return f"is {value!r}, no {name}"
    return ""


def _is_moment(text: str) -> bool:
    with suppress(ValueError):
        return RFC3339.fullmatch(text) is not None and bool(datetime.fromisoformat(text.upper()))
    return False


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(text)
        return parts.scheme in {"http", "https", "git", "ssh", "git+https", "git+ssh"} and bool(parts.hostname)
    return False


def _label_fix(names: Sequence[str]) -> str:
    arguments = {name: name.replace(".", "_").upper() for name in names if name != "title"}
    labels = " ".join(f'{OCI}{name}="{f"${{{arguments[name]}}}" if name in arguments else "…"}"' for name in names)
    given = f"`ARG {' '.join(arguments.values())}` and " if arguments else ""
    told = " `invoke build` gives them what git says." if arguments.keys() & GIT else ""
    return f"Write {given}`LABEL {labels}` at the end of the final stage.{told}"


@check(
    "system/utc-utf8",
    title="Runs in UTC and UTF-8",
    severity=Severity.WARNING,
    why="Logs in another time zone cannot be compared with others, and another encoding breaks on the first accent.",
    source="docker-library, official-images tests: utc; PEP 538, PEP 540",
    example="ENV TZ=Europe/Berlin LC_ALL=en_US.ISO-8859-1",
    fixed="ENV LANG=C.UTF-8",
)
def utc_utf8(locale: Locale) -> Outcome:
    wrong, fixes = [], []
    if not locale.utc:
        wrong.append(f"its time zone is {locale.zone}")
        fixes.append("remove TZ and /etc/localtime: the application converts what it shows")
    encodings = {"file names": locale.filesystem, "files": locale.preferred, "output": locale.output}
    others = [
        f"the encoding of {what} is {encoding}"
        for what, encoding in encodings.items()
        if re.sub("[-_]", "", encoding.lower()) != "utf8"
    ]
    if others:
        wrong += others
        fixes.append("`ENV LANG=C.UTF-8`, and no LC_ALL, PYTHONIOENCODING or PYTHONUTF8=0 beside it")
    expect = Expect("UTC, and UTF-8 for file names, files and output")
    if wrong:
        fix = "; ".join(fixes)
        severity = None if others else Severity.NOTE
        return expect.failed(wrong, fix=f"{fix[0].upper()}{fix[1:]}.", severity=severity)
    return expect.passed(f"{locale.zone}, {locale.preferred}")


@check(
    "system/trust-store",
    title="Holds a TLS trust store",
    severity=Severity.WARNING,
    why="Without certificate authorities every call to another service fails, and only when it is first made.",
    source="docker-library, official-images tests: python-pip-requests-ssl; SSL_CTX_set_default_verify_paths(3)",
    example="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recommends python3",
    fixed="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recommends python3 ca-certificates",
)
def trust_store(selftest: SelfTest) -> Outcome:
    """Judge what a default TLS context finds; certifi's bundle serves those clients that bring it.

    Clients such as requests and httpx read certifi's bundle and no other, so that an image with it is usable. The
    pass says then that urllib, aiohttp and database drivers, which ask the system's store, find none.
    """
    seen = selftest.trust
    if seen is None:
        raise stopped_before(selftest)
    expect = Expect("a default TLS context finds at least one certificate authority")
    if seen.lost:
        return expect.failed(
            [f"{path}, which is not there" for path in seen.lost],
            fix="Remove it from ENV: what only a build needs is exported in the RUN that needs it.",
            severity=Severity.ERROR,  # Every client fails, also one that brings its own certificates.
        )
    if seen.error:
        raise UndecidedError(f"ssl cannot be used: {seen.error}; see python/stdlib-complete")
    if seen.certificates:
        return expect.passed(f"{seen.certificates} authorities in {seen.file} or {seen.folder}")
    if seen.certifi:
        return expect.passed(f"the system has no store; {seen.certifi} serves requests and httpx, and nothing else")
    where = " or ".join(path for path in (seen.file, seen.folder) if path)
    return expect.failed(
        f"no certificate authority in {where}",
        fix="Install them in the final stage: `RUN apt-get install -y --no-install-recommends ca-certificates`.",
    )
