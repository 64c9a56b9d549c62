"""What is installed in an image, by its files: its parts, until when they get fixes, and the list of them."""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from typing import Any

import invoke
import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.json.json_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from tests.unit.factories import configuration, facts, probe
from tests.unit.test_checks import judged
from tests.unit.trees import index

from seatrial import process
from seatrial.checks.model import Severity, Status
from seatrial.checks.supply import python_ends, releases
from seatrial.cli import sbom as cli
from seatrial.compose.services import _asks_for_gpus
from seatrial.facts import Inventory, Release, Unavailable
from seatrial.observe.archived import NOT_RUN
from seatrial.observe.inventory import inventory_of
from seatrial.observe.kept import kept_text, wanted_bytes
from seatrial.reports.sbom import cyclonedx, spdx

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
DPKG = b"""Package: libssl3t64
Status: install ok installed
Priority: optional
Architecture: amd64
Source: openssl (3.5.1-1)
Version: 3.5.1-1+b1
Depends: libc6
Description: library
 Package: not-this

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026a-0+deb13u1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
APK = b"C:Q1\nP:musl\nV:1.2.5-r10\nA:x86_64\no:musl\nF:lib\nR:ld.so\n\nP:libcrypto3\nV:3.5.4-r0\nA:x86_64\no:openssl\n"
SITE = "/app/.venv/lib/python3.13/site-packages"
FILES: dict[str, str | None] = {
    "/usr/lib/os-release": TRIXIE,
    "/etc/os-release": "-> ../usr/lib/os-release",
    "/usr/local/lib/python3.13/site.py": "",
    "/var/lib/dpkg/status": DPKG.decode(),
    f"{SITE}/Shop_Front-1.0.dist-info/METADATA": "Name: Shop_Front\nVersion: 1.0\nRequires-Dist: six",
    "/opt/other/six-1.17.0.dist-info/METADATA": "Name: six\nVersion: 1.17.0",
    f"{SITE}/six-1.17.0.dist-info/METADATA": "Name: six\nVersion: 1.17.0",
    f"{SITE}/broken-1.dist-info/METADATA": "Version: 1",
}


def installed(files: dict[str, str | None] = FILES) -> Inventory:
    found = inventory_of(index(files))
    assert isinstance(found, Inventory)
    return found


def rows(found: Inventory) -> list[tuple[str, str]]:
    packages = [(package.name, package.version) for package in found.packages]
    return [*((row.name, row.version) for row in found.distributions), *packages]


def test_everything_that_is_installed_anywhere_is_listed() -> None:
    found = installed()
    assert found.release == Release(id="debian", version="13", codename="trixie", title="Debian GNU/Linux 13 (trixie)")
    assert (found.pythons, found.manager) == (("3.13",), "dpkg")
    assert rows(found) == [
        *(("Shop_Front", "1.0"), ("six", "1.17.0"), ("libssl3t64", "3.5.1-1+b1"), ("tzdata", "2026a-0+deb13u1")),
    ]
    assert found.distributions[1].locations == (
        "/app/.venv/lib/python3.13/site-packages/six-1.17.0.dist-info",
        ("/opt/other/six-1.17.0.dist-info"),
    )
    assert (found.packages[0].source, found.packages[0].source_version) == ("openssl", "3.5.1-1")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/lib/apk/db/installed": APK.decode()}, [("libcrypto3", "3.5.4-r0"), ("musl", "1.2.5-r10")]),
        (
            {"/lib": "-> usr/lib", "/usr/lib/apk/db/installed": APK.decode()},
            [("libcrypto3", "3.5.4-r0"), ("musl", "1.2.5-r10")],
        ),
        (
            {
                "/var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 1\nDescription: x\n",
                "/var/lib/dpkg/status.d/tzdata.md5sums": "Package: no",
            },
            [("tzdata", "1")],
        ),
        ({"/usr/lib/sysimage/rpm/rpmdb.sqlite": ""}, []),
        ({"/var/lib/dpkg/status": "Package: a\n\nVersion: 1\n\nPackage: \nVersion:\n\n: :\n"}, []),
        (
            {f"{SITE}/x.egg-info": "Name: x\nVersion: 2", f"{SITE}/y-1.egg/EGG-INFO/PKG-INFO": "Name: y\nVersion: 1"},
            [("x", "2"), ("y", "1")],
        ),
    ],
    ids=["apk", "wolfi", "distroless", "rpm", "damaged", "eggs"],
)
def test_other_package_managers(files: dict[str, str | None], expected: list[tuple[str, str]]) -> None:
    assert rows(installed(files)) == expected


def test_of_a_database_only_what_is_read_is_kept() -> None:
    assert wanted_bytes("/var/lib/dpkg/status", 0o644) > len(DPKG)
    kept = kept_text("/var/lib/dpkg/status", 0o644, DPKG) or ""
    assert "Version: 3.5.1-1+b1" in kept
    assert "not-this" not in kept
    assert "Depends" not in kept
    assert kept_text("/usr/lib/os-release", 0o644, TRIXIE.encode()) == TRIXIE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NAME=x\n", Release(id="linux")),
        ("ID='it is'\nVERSION_ID=\"1\n", Release(id="it is", version="1")),
        ("ID\n=\n\0\n#ID=x\n", Release(id="linux")),
        ("ID=debian\nVERSION_ID=12\n", Release(id="debian", version="12", codename="bookworm")),
        ('ID=debian\nVERSION="15 (duke)"\nVERSION_ID=15', Release(id="debian", version="15", codename="duke")),
        ('ID=shop\nVERSION="12 (bookworm)"\nVERSION_ID=12', Release(id="shop", version="12")),
    ],
)
def test_odd_releases(text: str, expected: Release) -> None:
    assert installed({"/etc/os-release": text}).release == expected


def test_what_was_not_seen_whole_has_no_inventory() -> None:
    found = inventory_of(msgspec.structs.replace(index(FILES), cut=("/: it took too long",)))
    assert isinstance(found, Unavailable)


# --- until when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("python", "release", "today", "status", "severity"),
    [
        ("3.13.1", ("debian", "13"), date(2026, 11, 30), Status.PASS, None),
        ("3.13.1", ("debian", "13"), date(2030, 7, 1), Status.FAIL, Severity.WARNING),
        ("3.9.1", ("debian", "13"), date(2025, 10, 31), Status.FAIL, Severity.NOTE),
        ("3.9.1", ("debian", "13"), date(2025, 11, 1), Status.FAIL, Severity.WARNING),
        ("2.7.18", ("debian", "13"), date(2026, 11, 30), Status.FAIL, Severity.WARNING),
        ("3.13.1", ("debian", "11"), date(2026, 9, 1), Status.FAIL, Severity.WARNING),
        ("3.13.1", ("ubuntu", "24.04"), date(2026, 9, 1), Status.PASS, None),
        ("3.13.1", ("shoplinux", "9"), date(2026, 9, 1), Status.PASS, None),
        ("3.13.1", ("renewed", "9"), date(2026, 9, 1), Status.PASS, None),
        ("pypy", ("shoplinux", "9"), date(2026, 9, 1), Status.SKIP, None),
    ],
)
def test_what_gets_no_fixes_any_more_is_a_warning(
    python: str, release: tuple[str, str], today: date, status: Status, severity: Severity | None
) -> None:
    seen = probe()
    interpreter = msgspec.structs.replace(seen.interpreter, version=python)
    seen = msgspec.structs.replace(seen, interpreter=interpreter)
    there = Inventory(release=Release(id=release[0], version=release[1]))
    told = judged("supply/end-of-life", facts(probe=seen, inventory=there, today=today))
    assert (told.status, told.severity if status is Status.FAIL else None) == (status, severity), told
    if status is Status.FAIL:
        assert ("Python" in told.fix) == (python != "3.13.1" or release[1] == "13")


def test_of_an_archive_the_applications_python_counts() -> None:
    seen = probe()
    there = Inventory(pythons=("3.8", "3.13"))
    told = judged("supply/end-of-life", facts(probe=NOT_RUN, by_files=seen, inventory=there, today=date(2026, 11, 30)))
    assert told.status is Status.PASS, told


def test_the_table_knows_what_its_sources_say() -> None:
    # PEP 602 and the developers' guide; Debian's LTS wiki; Ubuntu's release cycle.
    assert (python_ends("3.8.20"), python_ends("3.13.0")) == (date(2024, 10, 31), date(2029, 10, 31))
    assert releases()["debian"]["10"] == date(2024, 6, 30)
    assert releases()["ubuntu"]["20.04"].year == 2025


# --- the list --------------------------------------------------------------------------------------------------


IMAGE = configuration(reference="registry.example:5000/Shop/front:1", created="2026-11-30T10:11:12.123456789Z")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_an_image_without_a_date_has_the_same_one_everywhere(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        told = json.loads(cyclonedx(configuration(created=""), installed()))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert told["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"


def is_spdx(document: dict[str, Any]) -> bool:
    read = JsonLikeDictParser().parse(document)  # type: ignore[no-untyped-call]
    return validate_full_spdx_document(read) == []


def test_the_list_holds_what_cyclonedx_wants_and_is_the_same_each_time() -> None:
    text = cyclonedx(IMAGE, installed())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == cyclonedx(IMAGE, installed())
    document = json.loads(text)
    assert {component["purl"] for component in document["components"]} == {
        "pkg:generic/debian@13",
        "pkg:generic/python@3.13",
        "pkg:pypi/shop-front@1.0",
        "pkg:pypi/six@1.17.0",
        "pkg:deb/debian/libssl3t64@3.5.1-1%2Bb1?arch=amd64&distro=debian-13&upstream=openssl%403.5.1-1",
        "pkg:deb/debian/tzdata@2026a-0%2Bdeb13u1?arch=all&distro=debian-13",
    }
    assert document["metadata"]["timestamp"].startswith("2026-11-30T10:11:12")
    assert document["metadata"]["component"]["purl"].startswith("pkg:oci/front@sha256")


def test_the_list_holds_what_spdx_wants_and_is_the_same_each_time() -> None:
    text = spdx(IMAGE, installed())
    document: dict[str, Any] = json.loads(text)
    assert is_spdx(document)
    assert text == spdx(IMAGE, installed())
    assert [package["name"] for package in document["packages"]] == [
        *(IMAGE.reference, "debian", "python", "Shop_Front", "six", "libssl3t64", "tzdata"),
    ]


@pytest.mark.parametrize("name", ["a b/../c", "ü\u202e", "\x1b[2J", "x" * 150, "@", "-"])
def test_names_from_a_hostile_image_make_no_broken_list(name: str) -> None:
    hostile = installed(
        {f"{SITE}/x-1.dist-info/METADATA": f"Name: {name}\nVersion: {name}", "/etc/os-release": f"ID={name}"}
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx(IMAGE, hostile)) is None
    assert is_spdx(json.loads(spdx(IMAGE, hostile)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "xml"], "--format 'xml' is not known"),
        (["--app", "a", "--image", "b"], "--app and --image each name an image"),
    ],
)
def test_bad_input_is_one_clear_line(words: list[str], said: str) -> None:
    done = process.run([sys.executable, "-m", "seatrial", "sbom", *words], timeout=60, check=False)
    assert (done.code, done.output) == (2, "")
    assert said in done.errors
    assert done.errors.count("\n") == 1


def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "spdx_tools" else name)
    with pytest.raises(invoke.Exit):
        cli.sbom(invoke.Context(), image="b")
    assert "pip install 'seatrial[sbom]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Inventory(manager="rpm"), "RPM's database is not read"),
        (Inventory(release=Release(id="arch")), "no database of dpkg or apk is there"),
        (Inventory(), ""),
        (installed(), ""),
    ],
)
def test_packages_that_are_left_out_are_told(
    found: Inventory, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_installed", lambda *_: (configuration(), found))
    cli.sbom(invoke.Context(), image="b")
    note = capsys.readouterr().err
    assert said in note
    assert bool(note) is bool(said)


@pytest.mark.parametrize(
    ("changed", "contract", "status"),
    [
        ({}, {}, Status.FAIL),
        ({}, {"gpu": True}, Status.SKIP),
        ({"configuration": configuration(environment={"NVIDIA_VISIBLE_DEVICES": "all"})}, {}, Status.SKIP),
        ({"inventory": Inventory(cuda=100)}, {}, Status.PASS),
    ],
)
def test_cuda_is_for_images_that_compute_on_gpus(
    changed: dict[str, Any], contract: dict[str, Any], status: Status
) -> None:
    there = {"inventory": installed({f"{SITE}/nvidia/cublas/lib/x.so": "x" * 6_000_000}), **changed}
    assert judged("size/cuda", facts(**there), **contract).status is status


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"gpus": "all"}, True),
        ({"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}}, True),
        ({"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["tpu"]}]}}}}, False),
        ({}, False),
    ],
)
def test_a_service_asks_for_gpus(table: dict[str, Any], expected: bool) -> None:
    assert _asks_for_gpus(table, table.get("deploy") or {}) is expected
