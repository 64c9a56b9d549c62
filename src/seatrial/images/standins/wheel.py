"""Takes programs out of a wheel, through the installer that the host has and its own settings."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import BuildError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.host import Host

TIMEOUT = 600.0


def programs(requirement: str, folder: Path, *, host: Host, say: Callable[[str], None]) -> None:
    """Put the programs of a distribution's wheel into a folder: `uv==0.9.*` gives `uv` and `uvx`.

    Raises:
        BuildError: this environment has no installer, the wheel cannot be had, or it holds no program.

    """
    say(f"Fetching {requirement} from the package index.")
    unpacked = folder.with_name(f"{folder.name}.unpacked")
    installer = next(_installers(host), None)
    if installer is None:
        raise BuildError(
            "neither pip nor uv is there to fetch a wheel with.",
            where=sys.executable,
            fix="Install one of them into this environment: `python -m ensurepip`.",
        )
    # Settings of a person's own shell that contradict a target folder.
    environment = {**host.environment, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    try:
        process.run(
            [*installer, "--target", unpacked, "--no-deps", "--only-binary", ":all:", requirement],
            timeout=TIMEOUT,
            environment=environment,
        )
    except ProgramError as error:
        raise BuildError(
            f"the wheel {requirement} cannot be had: {error.what}",
            where=f"wheel:{requirement}",
            fix="Look at the lines below, the network, and the settings of the package index.",
            detail="\n".join(line[-300:] for line in error.detail.splitlines()[-20:]),
        ) from error
    if not (unpacked / "bin").is_dir():
        raise BuildError(f"the wheel {requirement} holds no program.", where=f"wheel:{requirement}")
    (unpacked / "bin").rename(folder)
    shutil.rmtree(unpacked)


def _installers(host: Host) -> Iterator[list[str]]:
    machine = platform.machine()
    # Wheels for musl are statically linked: their programs run in an image that holds nothing else.
    tags = ("musllinux_1_2", "musllinux_1_1", "manylinux_2_28", "manylinux2014")
    platforms = [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]
    install = ["install", "--no-compile", "--disable-pip-version-check", "--quiet", *platforms]
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip", *install]
    beside = Path(sys.executable).parent
    for path in (str(beside), host.environment.get("PATH")):
        if uv := shutil.which("uv", path=path):
            yield [uv, "pip", "install", "--quiet", "--python-platform", f"{machine}-unknown-linux-musl",
                   "--python", sys.executable]  # fmt: skip
    # An environment that uv made has neither; the interpreter carries pip's own wheel, which runs as it is.
    if bundled := _bundled_pip():
        yield [sys.executable, f"{bundled}/pip", *install]


def _bundled_pip() -> Path | None:
    spec = importlib.util.find_spec("ensurepip")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "_bundled").glob("pip-*.whl"))), None)
