"""The schema of SARIF 2.1.0, from the npm package that carries it: no package of the Python index does."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import jsonschema
import pytest

PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
MEMBER = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
SECONDS = 60


def validate(made: str) -> None:
    """Hold a report against the schema; where that cannot be had, say so loudly."""
    text, problem = fetched()
    if text is None:
        pytest.skip(f"SARIF WAS NOT HELD AGAINST ITS SCHEMA: {problem}")
    jsonschema.Draft7Validator(json.loads(text)).validate(json.loads(made))


@functools.cache
def fetched() -> tuple[str | None, str]:
    """Return the schema's text, or None and why it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        return None, "this host has no npm"
    with tempfile.TemporaryDirectory() as folder:
        argv = [npm, "pack", "--silent", "--cache", f"{folder}/cache", "--pack-destination", folder, PACKAGE]
        try:
            subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return None, f"npm did not fetch {PACKAGE}: {error}"
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as packed:
            member = packed.extractfile(MEMBER)
            assert member is not None
            return member.read().decode("utf-8"), ""
