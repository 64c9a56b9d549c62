"""The Dockerfile as the builder gets it: the project's own file, or where something is put in or left out, a copy.

The copy lies in the build's temporary folder. buildx would write such a file too if it came through standard input, and
would not look for the ignore file that goes by the Dockerfile's name. Each RUN of it gets the host's certificates, and
the credentials that the settings name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from seatrial.dockerfile import Run, parse, runs, without_syntax
from seatrial.images.plan import BuildPlan
from seatrial.images.secrets.credentials import secret_variable
from seatrial.images.untrusted import SYNTAX_ARGUMENT

SECRET = "ca-bundle"  # noqa: S105 - its id
"""The build secret that holds the certificates: the host's bundle, with the public ones."""
FOLDER = "/dev/seatrial"
BUNDLE, APT, WGET, VALUES = (f"{FOLDER}/{name}" for name in ("ca.pem", "apt.conf", "wgetrc", "env"))
VARIABLES = {
    # OpenSSL, and with it Python and Ruby; Go; uv and what else rustls-native-certs reads for.
    "SSL_CERT_FILE": BUNDLE,
    "REQUESTS_CA_BUNDLE": BUNDLE,  # requests, and with it poetry and pipenv
    "PIP_CERT": BUNDLE,
    "CURL_CA_BUNDLE": BUNDLE,
    "GIT_SSL_CAINFO": BUNDLE,
    "NODE_EXTRA_CA_CERTS": BUNDLE,
    "CARGO_HTTP_CAINFO": BUNDLE,
    "AWS_CA_BUNDLE": BUNDLE,
    # Both have no variable of their own for it, but for one more file with settings.
    "APT_CONFIG": APT,
    "WGETRC": WGET,
}
FILES = {APT: f'Acquire::https::CaInfo "{BUNDLE}";\n', WGET: f"ca_certificate = {BUNDLE}\n"}
CREDENTIALS = {
    "netrc": (f"{FOLDER}/netrc", {"NETRC": f"{FOLDER}/netrc"}),
    # Where pip and uv look for the settings of a whole system: those of the image and of the project stay in force.
    "pip-config": (f"{FOLDER}/xdg/pip/pip.conf", {"XDG_CONFIG_DIRS": f"{FOLDER}/xdg:/etc/xdg"}),
    "uv-config": (f"{FOLDER}/xdg/uv/uv.toml", {"XDG_CONFIG_DIRS": f"{FOLDER}/xdg:/etc/xdg"}),
}
"""Build secrets with the host's accounts: each with its place, and the variables by which it is found."""
READ_VALUES = f". {VALUES}; "

SHELLS = re.compile(r"(?:^|[\s\"/])(?:ba|da|a|k|z)?sh(?:[\"\s]|$)")
"""Those that understand `. FILE; COMMAND`, in a SHELL."""
OWN_PLACE = re.compile(r"/etc/(ssl|pki)(/|$)|/usr/(local/)?share/ca-certificates(/|$)|/usr/lib/ssl(/|$)|.*/pip\.conf$")
"""Where a mount of the Dockerfile's own may put certificates."""
DOCKERS_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::(?P<tag>[^@]*))?(?P<digest>@.*)?")
FIRST_FRONTEND = (1, 10)
"""The first Dockerfile frontend that sets a variable from a secret."""
FIRST_ENGINE = 28
"""The first series of engines that all have such a frontend built in."""


@dataclass(frozen=True, kw_only=True)
class Mounted:
    """A Dockerfile, with the mounts that were put into it."""

    text: str
    lines: tuple[int, ...] = ()
    """Those of the RUNs that mount something now."""
    left: Mapping[int, str] = field(default_factory=dict)
    """Those of the RUNs that were left as they are, each with the reason."""
    inserted: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What its mounts need beside the host's files: texts, by the secret's id."""

    def arguments(self) -> list[str]:
        """Return the arguments for buildx's command line."""
        return [word for name in self.secrets for word in ("--secret", f"id={name},env={secret_variable(name)}")]

    def environment(self) -> dict[str, str]:
        """Return what buildx's environment needs for those arguments."""
        return {secret_variable(name): text for name, text in self.secrets.items()}

    def as_written(self, said: str) -> str:
        """Return what BuildKit says, where it quotes the Dockerfile as its author wrote it."""
        for inserted in self.inserted:
            said = said.replace(inserted, "")
        return said

    def message(self, dockerfile: str, what: str, setting: str) -> str:
        """Return what is said of it, on one line; empty where there is nothing to say. `what` is given to the RUNs."""
        left = ", ".join(f"line {line} ({reason})" for line, reason in self.left.items())
        if not self.lines:
            return f"{dockerfile}: no RUN gets {what}: {left}." if left else ""
        runs = "1 RUN gets" if len(self.lines) == 1 else f"{len(self.lines)} RUNs get"
        but = f"; left as written: {left}" if left else ""
        return f"{dockerfile}: {runs} {what} while running{but}. {setting}".rstrip()


def mount(text: str, *, by_variables: bool, certificates: bool = True, credentials: Collection[str] = ()) -> Mounted:
    """Put mounts of certificates and credentials into each RUN of a Dockerfile. Every line keeps its number.

    `by_variables`: the frontend can set a variable from a secret; else a shell has to. `credentials` are ids of
    CREDENTIALS.
    """
    flags, secrets = _flags(text, by_variables=by_variables, certificates=certificates, credentials=credentials)
    pieces: list[tuple[int, str]] = []
    lines: list[int] = []
    left: dict[int, str] = {}
    for run in runs(text):
        if ("network", "none") in run.instruction.flags:
            continue
        if reason := _own(run) or ("" if by_variables else _out_of_reach(run)):
            left[run.instruction.line] = reason
            continue
        lines.append(run.instruction.line)
        pieces.append((run.flags, flags))
        if not by_variables and run.script is not None:
            pieces.append((run.script, READ_VALUES))
    if not lines:
        return Mounted(text=text, left=left)
    parts, end = [], 0
    for at, piece in sorted(pieces):
        parts += [text[end:at], piece]
        end = at
    return Mounted(
        text="".join([*parts, text[end:]]), lines=tuple(lines), left=left,
        inserted=(flags, READ_VALUES), secrets=secrets,
    )  # fmt: skip


def frontend_sets_variables(syntax: str | None, engine_version: str | None, *, local: bool) -> bool | None:
    """Tell whether the Dockerfile's frontend can set a variable from a secret; None where it is none of Docker's.

    `syntax` is the image of the frontend; without one, the builder's own is used. `engine_version` is None where the
    builder is another than the engine's. `local`: the engine has that image already; it may be an old one.
    """
    if syntax is None:
        series = re.match(r"\d+", engine_version or "")
        return series is not None and int(series.group()) >= FIRST_ENGINE
    if (named := DOCKERS_FRONTEND.fullmatch(syntax)) is None:
        return None
    numbers = re.match(r"(\d+)\.(\d+)", named["tag"] or "")
    if numbers is not None:
        return (int(numbers[1]), int(numbers[2])) >= FIRST_FRONTEND
    # A tag that moves: what is pulled now is new.
    return not local and named["digest"] is None


def _flags(
    text: str, *, by_variables: bool, certificates: bool, credentials: Collection[str]
) -> tuple[str, dict[str, str]]:
    """Return the flags for a RUN, and the texts of the secrets that they name and nobody else gives."""
    targets = {SECRET: BUNDLE} if certificates else {}
    variables = dict(VARIABLES) if certificates else {}
    secrets = {_id(path): content for path, content in FILES.items()} if certificates else {}
    targets.update({_id(path): path for path in FILES} if certificates else {})
    for name in credentials:
        targets[name], more = CREDENTIALS[name]
        variables.update(more)
    # What the image itself sets stays.
    if by_variables:
        instructions = [found for stage in parse(text).stages for found in stage.instructions]
        own = " ".join(found.text for found in instructions if found.keyword == "ENV")
        variables = {name: value for name, value in variables.items() if not re.search(rf"\b{name}\b", own)}
        secrets.update({_id(name): value for name, value in variables.items()})
    else:
        values = " ".join(f'{name}="${{{name}:-{value}}}"' for name, value in variables.items())
        # A shell that tells what it does (`set -x`) tells nothing of it.
        secrets[_id(VALUES)] = f"{{ export {values}; }} 2>/dev/null\n"
        targets[_id(VALUES)], variables = VALUES, {}
    # Readable for all: a USER may stand before the RUN.
    files = [f"id={name},target={target},mode=0444" for name, target in targets.items()]
    mounts = [*files, *(f"id={_id(name)},env={name}" for name in variables)]
    return "".join(f" --mount=type=secret,{mount}" for mount in mounts), secrets


def _own(run: Run) -> str:
    """Return why a RUN is left to its author: it mounts certificates by itself."""
    mounts = run.instruction.mounts
    its_own = any(
        mount.get("id") == SECRET or OWN_PLACE.match(mount.get("target", "")) or mount.get("env") in VARIABLES
        for mount in mounts
    )
    return "mounts its own" if its_own else ""


def _out_of_reach(run: Run) -> str:
    """Return why no shell of a RUN can set a variable."""
    if run.script is None:
        return "no shell reads it"
    return "" if not run.shell or SHELLS.search(run.shell) else "its SHELL is no POSIX shell"


def _id(name: str) -> str:
    """Return the id of a secret of this module's own, for a file or a variable."""
    return f"seatrial-{name.removeprefix(f'{FOLDER}/').lower().replace('_', '-').replace('.', '-')}"


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """What reads a Dockerfile."""

    image: str | None
    """The image that its syntax line names; None where the builder's own reads it."""
    left_out: bool = False
    """The syntax line is left out, as that image cannot be had."""
    local: bool = False
    """The engine has that image already: it may be an old one."""
    engine_version: str | None = None
    """The engine's version where its own builder is used."""


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A Dockerfile for the builder."""

    mounted: Mounted
    changed: bool
    """It is not what the project's file holds."""
    note: str = ""
    """What is said of it."""

    def file(self, plan: BuildPlan, folder: Path) -> Path:
        """Return the file for buildx: the project's own, or a copy in a folder, with the ignore file of its name."""
        if not self.changed:
            return plan.dockerfile
        file = folder / plan.dockerfile.name
        ignore = plan.dockerfile.with_name(f"{plan.dockerfile.name}.dockerignore")
        file.write_bytes(self.mounted.text.encode("utf-8", errors="surrogateescape"))
        if ignore.is_file():
            shutil.copyfile(ignore, folder / ignore.name)
        return file


def hand_over(
    plan: BuildPlan, frontend: Frontend, bundle: Path | None, credentials: Collection[str], *, settings: str
) -> Handed:
    """Return what the builder gets of a plan's Dockerfile; raises an OSError where it cannot be read.

    `bundle` holds the host's certificates, if it has any of its own; `credentials` are the secrets for every RUN;
    `settings` is the file that a message names.
    """
    # BuildKit takes what is not UTF-8 as it is.
    text = plan.dockerfile.read_bytes().decode("utf-8", errors="surrogateescape")
    if frontend.left_out:
        text = without_syntax(text)
    named = plan.build_arguments.get(SYNTAX_ARGUMENT)
    image = named or (None if frontend.left_out else frontend.image)
    as_it_is = Handed(mounted=Mounted(text=text), changed=frontend.left_out)
    certificates = bundle is not None and plan.certificates
    if not (certificates or credentials) or not runs(text):
        return as_it_is
    what = ", ".join([*([f"the host's certificates ({bundle})"] if certificates else []), *credentials])
    by_variables = frontend_sets_variables(image, frontend.engine_version, local=frontend.local or named is not None)
    if by_variables is None:
        note = f"{plan.dockerfile_shown}: no RUN gets {what}, as {image} reads it. Mount such secrets there yourself."
        return replace(as_it_is, note=note)
    mounted = mount(text, by_variables=by_variables, certificates=certificates, credentials=credentials)
    off = f"`build-certificates = false` in {plan.table} of {settings} keeps them out."
    note = mounted.message(plan.dockerfile_shown, what, off if certificates else "")
    return Handed(mounted=mounted, changed=frontend.left_out or bool(mounted.lines), note=note)
