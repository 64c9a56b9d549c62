"""A scan for real: an image that holds an old package, Debian's archive, and a copy of its signed lists."""

from __future__ import annotations

import io
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Smoke, Verdict
from seatrial.engine.find import Engine, find_engine
from seatrial.host import Host, this_host
from seatrial.offline import ensure_substitute, find_substitute, recipes
from seatrial.offline.debian import host_archive
from seatrial.scan.images import Asking, scan_images
from seatrial.smoke import image_target

pytestmark = [pytest.mark.engine]

STATUS = "/var/lib/dpkg/status"
IMAGE = "seatrial-test/old:1"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return find_engine(this_host())


@pytest.fixture(scope="module")
def host() -> Host:
    here = this_host()
    try:
        if host_archive().security_uri is None:
            pytest.skip("NOT RUN: this host's source lists name no security archive")
    except Exception as error:  # noqa: BLE001 - whatever is missing
        pytest.skip(f"NOT RUN: {error}")
    return here


@pytest.fixture(scope="module")
def images(engine: Engine, host: Host) -> Iterator[tuple[str, str]]:
    """Give an image as it is, and the same in whose dpkg database openssl's library is older."""
    substitute = find_substitute("debian:trixie-slim", recipes(None))
    assert substitute is not None
    clean = ensure_substitute(substitute, engine=engine, host=host, say=print)
    made = engine.client.containers.create(clean, ["true"])
    try:
        chunks, _ = made.get_archive(STATUS)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as packed:
            member = packed.extractfile("status")
            assert member is not None
            entries = member.read().decode().split("\n\n")
        at = next(number for number, entry in enumerate(entries) if entry.startswith("Package: libssl3t64\n"))
        lines = [line if not line.startswith("Version:") else "Version: 3.5.0-1" for line in entries[at].split("\n")]
        body = "\n\n".join([*entries[:at], "\n".join(lines), *entries[at + 1 :]]).encode()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as packing:
            header = tarfile.TarInfo("status")
            header.size = len(body)
            packing.addfile(header, io.BytesIO(body))
        made.put_archive(str(Path(STATUS).parent), archive.getvalue())
        made.commit(*IMAGE.split(":"))
    finally:
        made.remove(v=True)
    try:
        yield clean, IMAGE
    finally:
        engine.client.images.remove(IMAGE)


def scanned(image: str, engine: Engine, host: Host, data: Path | None = None) -> Smoke:
    asking = Asking(engine=engine, host=host, sources=["debian"], data=data)
    found = scan_images([image_target(image, None)], asking)
    assert found.problems == ()
    return found.smokes[0]


def of(smoke: Smoke, name: str) -> Result:
    return next(result for result in smoke.checks if result.id == name)


@pytest.mark.core
def test_a_package_older_than_the_security_archives_fails(images: tuple[str, str], engine: Engine, host: Host) -> None:
    clean, old = (scanned(image, engine, host) for image in images)
    # A substitute is kept for a week, in which there may be updates.
    behind = {result.id for result in clean.checks if result.id.startswith("scan-system/")}
    assert clean.verdict is (Verdict.FAIL if behind else Verdict.PASS)
    assert {result.id for result in old.checks} == {result.id for result in clean.checks} | {"scan-system/openssl"}
    assert old.verdict is Verdict.FAIL
    result = of(old, "scan-system/openssl")
    assert "libssl3t64 3.5.0-1" in result.actual
    assert result.expected.startswith("openssl in 3.5.")
    assert "security-tracker.debian.org/tracker/source-package/openssl" in result.evidence[0]
    seen = of(old, "scan-source/debian")
    assert seen.status is Status.PASS
    assert " packages of trixie: " in seen.actual
    assert not any("nothing is known" in line for line in seen.evidence)


def test_a_scanner_is_given_the_image_as_an_archive(
    images: tuple[str, str], engine: Engine, host: Host, tmp_path: Path
) -> None:
    """Its answer is made up; what it is given is real."""
    script = tmp_path / "trivy"
    listed, answer = tmp_path / "listed", '{"SchemaVersion": 2, "Results": [{"Class": "os-pkgs"}]}'
    script.write_text(f"#!/bin/sh\nfor word; do file=$word; done\ntar -tf $file > {listed}\necho '{answer}'\n")
    script.chmod(0o755)
    path = f"{tmp_path}:{host.environment['PATH']}"
    here = replace(host, environment={**host.environment, "PATH": path})
    smoke = scan_images([image_target(images[1], None)], Asking(engine=engine, host=here, sources=["trivy"])).smokes[0]
    assert smoke.verdict is Verdict.PASS, smoke
    assert "manifest.json" in listed.read_text().split()


def test_a_copy_of_the_signed_lists_tells_the_same_and_a_changed_one_nothing(
    images: tuple[str, str], engine: Engine, host: Host, tmp_path: Path
) -> None:
    archive = host_archive()
    for (uri, suite), name in zip(archive.suites("trixie"), ("debian", "debian-security"), strict=True):
        for file in ("InRelease", "main/binary-amd64/Packages.xz"):
            target = tmp_path / name / "dists" / suite / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(f"{uri}/dists/{suite}/{file}", timeout=60) as source:  # noqa: S310 - the host's
                target.write_bytes(source.read())

    online, offline = (of(scanned(images[1], engine, host, data), "scan-system/openssl") for data in (None, tmp_path))
    assert offline == online
    with (tmp_path / "debian-security/dists/trixie-security/InRelease").open("r+b") as release:
        text = release.read().replace(b"Suite: ", b"Suite: x", 1)
        release.seek(0)
        release.write(text)
    smoke = scanned(images[1], engine, host, tmp_path)
    assert smoke.verdict is Verdict.ERROR
    assert "Debian's lists cannot be had" in of(smoke, "scan-source/debian").actual
    smoke = scanned(images[1], engine, host, tmp_path / "debian")
    assert smoke.verdict is Verdict.ERROR
    assert "holds no debian/dists" in of(smoke, "scan-source/debian").actual
