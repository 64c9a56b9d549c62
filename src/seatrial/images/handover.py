"""The Dockerfile as the builder gets it: the project's own file, or where something is put in or left out, a copy.

The copy lies in the build's temporary folder. buildx would write such a file too if it came through standard input, and
would not look for the ignore file that goes by the Dockerfile's name.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from seatrial.dockerfile import runs, without_syntax
from seatrial.images.certificates import Mounted, frontend_sets_variables, mount
from seatrial.images.plan import BuildPlan
from seatrial.images.untrusted import SYNTAX_ARGUMENT


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
