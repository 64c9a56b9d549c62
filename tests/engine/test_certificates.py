"""An unchanged Dockerfile behind a proxy that signs certificates itself: each RUN gets the host's, and none stays."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import sys
import tarfile
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import docker.errors
import pytest
from tests.engine.test_build import MARK, Yard, searched, shell_image

from seatrial.engine.find import find_engine
from seatrial.errors import BuildError, BuildFailedError
from seatrial.host import this_host
from seatrial.images.progress import StepOutput
from seatrial.images.secrets.credentials import find_secrets
from seatrial.images.secrets.handover import READ_VALUES, frontend_sets_variables
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.engine.find import Engine

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux programs")]

BASE = "seatrial-test/certificates:1"
ALL = '"$(cat "${SSL_CERT_FILE:-/dev/null}")"'
DOCKERFILE = f"""\
# escape=`
FROM {BASE} AS base
# As every real base has it.
WORKDIR /dev
WORKDIR /
FROM base AS one
run echo lower {ALL} > /dev/stderr; mkdir -p /a/b
RUN <<EOF
# the first line is a comment
echo heredoc {ALL}
EOF
RUN cat <<'EOF' && echo complex {ALL}
two lines `
of it
EOF
RUN --mount=type=cache,target=/cache `
    # a comment in between

    --mount=type=tmpfs,target=/scratch `
    echo flags `
    {ALL}
SHELL ["/bin/sh", "-eu", "-c"]
RUN echo shell {ALL}
ENV CURL_CA_BUNDLE=/own.pem
RUN echo own "$CURL_CA_BUNDLE"
RUN --network=none echo none {ALL}
ONBUILD RUN echo never
FROM base
RUN echo 1234:x:1234:1234::/:/bin/sh > /etc/passwd; echo 1234:x:1234: > /etc/group
USER 1234
RUN echo user {ALL}; cat /dev/seatrial/apt.conf /dev/seatrial/wgetrc || true
COPY --from=one /a /a
USER 0:0
RUN ls /dev /run /etc || true
"""
SEEN = ("lower", "heredoc", "complex", "flags", "shell", "user")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = find_engine(this_host())
    shell_image(found, BASE)
    yield found
    found.client.images.remove(BASE, force=True)
    found.client.close()


@pytest.fixture
def yard(tmp_path: Path, engine: Engine) -> Iterator[Yard]:
    made = Yard(folder=tmp_path, engine=engine, host=this_host(), image=f"seatrial-test-{uuid.uuid4().hex[:12]}")
    yield made
    for image in made.made:
        with contextlib.suppress(docker.errors.ImageNotFound):
            engine.client.images.remove(image, force=True)


def with_bundle(yard: Yard, bundle: str) -> None:
    """Give the yard's host this bundle, and no other one."""
    names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    environment = {name: value for name, value in yard.host.environment.items() if name not in names}
    yard.host = replace(yard.host, environment={**environment, **({"SSL_CERT_FILE": bundle} if bundle else {})})


def output(yard: Yard) -> list[str]:
    """Return the lines that the steps wrote, and forget them."""
    lines = [line for event in yard.witness.events if isinstance(event, StepOutput) for line in event.lines]
    yard.witness.events.clear()
    return lines


def layers(engine: Engine, image: str) -> list[dict[str, tuple[int, int, int, str, str]]]:
    """Return what each layer holds, without the times: modes, owners, links and digests of the content."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.client.images.get(image).save()))) as saved:

        def member(name: str) -> bytes:
            content = saved.extractfile(name)
            assert content is not None
            return content.read()

        for name in json.loads(member("manifest.json"))[0]["Layers"]:
            held = {}
            with tarfile.open(fileobj=io.BytesIO(member(name))) as layer:
                for entry in layer:
                    content = layer.extractfile(entry) if entry.isreg() else None
                    digest = hashlib.sha256(content.read()).hexdigest() if content is not None else ""
                    held[entry.name] = (entry.mode, entry.uid, entry.gid, entry.linkname, digest)
            found.append(held)
    return found


def history(engine: Engine, image: str) -> list[str]:
    return [str(row["CreatedBy"]) for row in engine.client.images.get(image).history()]


@pytest.mark.parametrize("trust", [Trust.PROJECT, Trust.NONE])
def test_each_run_gets_the_certificates_and_none_stays(yard: Yard, trust: Trust) -> None:
    bundle = yard.folder / "ca.pem"
    bundle.write_text(f"{MARK}\n")
    yard.host = replace(yard.host, trust=trust)
    # No step of an earlier run may be found in the cache: what it writes would not be seen.
    yard.write(re.sub(f"echo ({'|'.join([*SEEN, 'own', 'none'])}) ", rf"echo {yard.image} \1 ", DOCKERFILE))

    with_bundle(yard, "")
    before = yard.build()
    said = output(yard)
    assert not any(MARK in line for line in said)
    assert not any("certificates" in line for line in yard.witness.said)
    written, past = layers(yard.engine, before.image_id), history(yard.engine, before.image_id)

    with_bundle(yard, str(bundle))
    given = yard.build()
    said = output(yard)
    for name in SEEN:
        assert f"{yard.image} {name} {MARK}" in said
    assert f"{yard.image} own /own.pem" in said
    assert f"{yard.image} none" in [line.strip() for line in said]
    assert 'Acquire::https::CaInfo "/dev/seatrial/ca.pem";' in said
    assert any(
        line.startswith(f"Dockerfile: 9 RUNs get the host's certificates ({bundle})") for line in yard.witness.said
    )
    assert [step.text for step in given.steps if READ_VALUES in step.text or "type=secret" in step.text] == []

    assert layers(yard.engine, given.image_id) == written
    assert searched(yard.engine, given.image_id, MARK.encode()) == []
    assert searched(yard.engine, given.image_id, str(bundle).encode()) == []
    inserted = "" if frontend_sets_variables(None, yard.engine.version, local=False) else READ_VALUES
    now = history(yard.engine, given.image_id)
    assert [line.replace(inserted, "") for line in now] == past
    # Only what a shell has to read can be told from it.
    assert (now == past) is (inserted == "")

    # The cache of a build without certificates knows nothing of the other.
    with_bundle(yard, "")
    again = yard.build()
    assert again.image_id == before.image_id
    assert again.cached == again.counted


def test_a_failing_step_is_told_as_it_is_written(yard: Yard) -> None:
    bundle = yard.folder / "ca.pem"
    bundle.write_text(f"{MARK}\n")
    with_bundle(yard, str(bundle))
    yard.write(f"FROM {BASE}\n\nRUN echo {yard.image} && \\\n    # why\n    cat /nosuch\n")
    with pytest.raises(BuildFailedError) as caught:
        yard.build()
    assert caught.value.where.endswith(":3")
    assert "dev/seatrial" not in f"{caught.value} {caught.value.detail}"
    # BuildKit's own excerpt of what is malformed.
    yard.write(f"FROM {BASE}\nRUN echo {yard.image}\n\nNOSUCH x\n")
    with pytest.raises(BuildError, match="NOSUCH") as malformed:
        yard.build()
    assert malformed.value.where.endswith(":4")
    assert "dev/seatrial" not in f"{malformed.value} {malformed.value.detail}"


PYTHON = "FROM python:3.12-slim\nWORKDIR /app\n"
UNCHANGED = {
    "pip": f"{PYTHON}RUN pip install --no-cache-dir six && python -m venv /venv && /venv/bin/pip install -q idna\n",
    "python": f"{PYTHON}RUN python -c \"from urllib.request import urlopen; urlopen('https://pypi.org/simple/six/')\"\n",
    "uv": f"{PYTHON}COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv\nRUN uv venv && uv pip install six\n",
    "poetry": f"""{PYTHON}RUN pip install --no-cache-dir poetry
COPY project.toml pyproject.toml
RUN <<EOF
poetry config virtualenvs.create false
poetry install --no-root --no-interaction
EOF
""",
    # Debian's base has no certificates at all; installing them makes the bundle anew while ours is mounted.
    "apt, curl, wget": """FROM debian:trixie-slim
RUN find /etc/apt -name '*.sources' -o -name sources.list | xargs sed -i 's/http:/https:/' && \\
    apt-get update && apt-get install -y --no-install-recommends ca-certificates curl wget && \\
    curl -fsS --retry 5 --retry-all-errors https://pypi.org/simple/six/ > /dev/null && \\
    for n in 1 2 3; do wget -q -O /dev/null https://pypi.org/simple/six/ && exit; sleep 5; done; exit 4
""",
    "npm": """FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm
RUN mkdir /n && cd /n && npm install left-pad@1.3.0
""",
}
POETRY = """\
[project]
name = "p"
version = "1"
requires-python = ">=3.12,<4"
dependencies = ["six"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "index"
url = "https://pypi.org/simple/"
"""


@pytest.mark.slow("installs poetry, apt's packages and Debian's npm from their registries")
@pytest.mark.parametrize("program", UNCHANGED)
def test_an_unchanged_dockerfile_builds(yard: Yard, program: str) -> None:
    if "ca-bundle" not in find_secrets(yard.host).files:
        pytest.skip("NOT RUN: this host names no certificates of its own")
    yard.write(f"{UNCHANGED[program]}RUN echo {yard.image}\n", **{"project.toml": POETRY})
    yard.build()
    assert any("the host's certificates" in line for line in yard.witness.said)


def test_without_them_a_step_fails_and_the_advice_names_what_gives_them(yard: Yard) -> None:
    if "ca-bundle" not in find_secrets(yard.host).files:
        pytest.skip("NOT RUN: this host names no certificates of its own")
    yard.settings(more="build-certificates = false\n")
    yard.write(f"{PYTHON}RUN pip install --retries 0 --no-cache-dir six; echo {yard.image}; python -m six\n")
    try:
        yard.build()
    except BuildFailedError as failed:
        if "certificate" not in f"{failed.fix} {failed.detail}".lower():
            pytest.skip("NOT RUN: the index is not within reach")
        assert "SSL_CERT_FILE" in failed.fix  # noqa: PT017 - whether it fails depends on the host's network
    else:
        pytest.skip("NOT RUN: no proxy of this host signs certificates itself")
