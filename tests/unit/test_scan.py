"""Known vulnerabilities: what scanners and lists answer, and the verdict that is made of it.

The reports of trivy, grype and docker scout are recorded: shortened to what is read of them, from the examples in those
projects' own tests and documentation. pip-audit is the real program, with a server that speaks OSV's API.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.unit.factories import host

from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import Verdict, verdict_of
from seatrial.dockerfile import parse
from seatrial.facts import InstalledDistribution, Inventory, Release, SystemPackage, Unavailable
from seatrial.observe.project.sources import SourceFiles
from seatrial.offline.updates import Update, read_policy
from seatrial.scan import Answer, Kind, Vulnerability
from seatrial.scan.judge import results_of, waiver_notes
from seatrial.scan.lists import audit, debian, pins
from seatrial.scan.places import Places, places_of
from seatrial.scan.scanners import GRYPE, SCANNERS, SCOUT, TRIVY, ask, is_installed, read_grype, read_scout, read_trivy
from seatrial.settings.model import ScanWaiver

TODAY = date(2026, 11, 30)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
TRIVY_BUSTER: dict[str, Any] = {
    "SchemaVersion": 2,
    "Metadata": {"OS": {"Family": "debian", "Name": "10.1"}},
    "Results": [
        {
            "Target": "debian-buster.tar.gz (debian 10.1)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2019-18276",
                    "PkgName": "bash",
                    "InstalledVersion": "5.0-4",
                    "Status": "affected",
                    "Severity": "LOW",
                },
                {
                    "VulnerabilityID": "CVE-2019-18224",
                    "VendorIDs": ["DSA-4613-1"],
                    "PkgName": "libidn2-0",
                    "InstalledVersion": "2.0.5-1",
                    "FixedVersion": "2.0.5-1+deb10u1",
                    "Status": "fixed",
                    "Severity": "CRITICAL",
                },
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg"},
    ],
}
GRYPE_IMAGE: dict[str, Any] = {
    "matches": [
        {
            "vulnerability": {
                "id": "CVE-1999-0001",
                "severity": "Low",
                "fix": {"versions": ["1.2.1", "2.1.3"], "state": "fixed"},
            },
            "relatedVulnerabilities": [],
            "artifact": {"name": "package-1", "version": "1.1.1", "type": "rpm"},
        },
        {
            "vulnerability": {"id": "GHSA-1", "severity": "Medium", "fix": {"versions": [], "state": ""}},
            "relatedVulnerabilities": [{"id": "CVE-1999-0002"}],
            "artifact": {"name": "package-2", "version": "2.2.2", "type": "python"},
        },
    ],
    "distro": {"name": "centos", "version": "8.0"},
    "descriptor": {"name": "grype"},
}
SCOUT_IMAGE: dict[str, Any] = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "docker scout",
                    "rules": [
                        {
                            "id": "GMS-2022-9109",
                            "properties": {
                                "cvssV3_severity": "UNSPECIFIED",
                                "fixed_version": "not fixed",
                                "purl": "pkg:maven/com.thoughtworks.xstream/xstream@1.4.5",
                            },
                        },
                        {
                            "id": "CVE-2019-9192",
                            "properties": {
                                "cvssV3_severity": "HIGH",
                                "fixed_version": "2.36-9+deb12u10",
                                "purls": ["pkg:deb/debian/glibc@2.36-9%2Bdeb12u9?os_distro=bookworm"],
                            },
                        },
                    ],
                }
            },
        }
    ],
}


def hole(package: str = "jinja2", version: str = "3.1.2", **more: Any) -> Vulnerability:
    return Vulnerability(**{"kind": Kind.PYTHON, "package": package, "version": version, "fixed": "3.1.5", **more})


def test_recorded_reports_are_read() -> None:
    bash, idn = read_trivy(TRIVY_BUSTER).found
    assert (bash.kind, bash.fixed, bash.severity) == (Kind.SYSTEM, "", Severity.NOTE)
    assert idn.ids == ("CVE-2019-18224", "DSA-4613-1")
    assert (idn.package, idn.version, idn.fixed, idn.severity) == (
        "libidn2-0",
        "2.0.5-1",
        "2.0.5-1+deb10u1",
        Severity.ERROR,
    )
    first, second = read_grype(GRYPE_IMAGE).found
    assert (first.kind, first.fixed, first.severity) == (Kind.SYSTEM, "1.2.1, 2.1.3", Severity.NOTE)
    assert (second.kind, second.fixed, second.advisory) == (Kind.PYTHON, "", "CVE-1999-0002")
    xstream, glibc = read_scout(SCOUT_IMAGE).found
    assert (xstream.kind, xstream.fixed, xstream.severity) == (Kind.OTHER, "", Severity.ERROR)
    assert (glibc.package, glibc.version, glibc.fixed) == ("glibc", "2.36-9+deb12u9", "2.36-9+deb12u10")


def test_a_scanner_that_does_not_know_the_release_knows_no_system_package() -> None:
    assert read_trivy({"SchemaVersion": 2, "Results": []}).covers == {Kind.PYTHON, Kind.OTHER}
    assert read_grype({"matches": [], "distro": None}).covers == {Kind.PYTHON, Kind.OTHER}
    assert read_trivy(TRIVY_BUSTER).covers == set(Kind)


def program(folder: Path, name: str, answer: object, code: int = 0) -> str:
    """Put a program on a PATH that prints an answer, and writes down how it was called, and where; return the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
    script = folder / name
    script.write_text(
        f'#!/bin/sh\n(pwd; echo "$@"; env) > {folder}/called\n'
        f'cat {folder}/answer\necho "db is broken" >&2\nexit {code}\n'
    )
    script.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def asked(tmp_path: Path, answer: object, code: int = 0, *, data: Path | None = None) -> Answer | Unavailable:
    path = program(tmp_path / "bin", "trivy", answer, code)
    (tmp_path / "work").mkdir()
    return ask(TRIVY, tmp_path / "work" / "image.tar", host(tmp_path, PATH=path), data, NOW)


def test_a_scanner_reads_the_archive_in_a_folder_that_holds_nothing_of_the_project(tmp_path: Path) -> None:
    answer = asked(tmp_path, TRIVY_BUSTER)
    assert isinstance(answer, Answer)
    assert len(answer.found) == 2
    where, words, *_ = (tmp_path / "bin" / "called").read_text().splitlines()
    assert where == str(tmp_path / "work")
    assert words.endswith(f"--format json --input {tmp_path}/work/image.tar")


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        (TRIVY_BUSTER, 1, "trivy gave no answer: ended with exit code 1"),
        ("", 0, "cannot be read"),
        ("[1]", 0, "cannot be read"),
        ("{}", 0, "cannot be read"),
        ("[" * 100_000, 0, "cannot be read"),
        ({"SchemaVersion": 3}, 0, "schema version is 3"),
        ({"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"PkgName": 1}]}]}, 0, "cannot be read"),
        (
            {
                "SchemaVersion": 2,
                "Results": [
                    {"Vulnerabilities": [{"PkgName": 1, "InstalledVersion": [], "VulnerabilityID": "x"}]},
                ],
            },
            0,
            "text was expected",
        ),
    ],
)
def test_a_scanner_without_an_answer_is_undecided(tmp_path: Path, answer: object, code: int, why: str) -> None:
    found = asked(tmp_path, answer, code)
    assert isinstance(found, Unavailable)
    assert why in found.reason


def test_each_scanner_refuses_what_is_not_its_report() -> None:
    documents: tuple[Any, ...] = ([], {}, {"matches": 1}, {"runs": []}, {"runs": [{}]})
    for scanner in SCANNERS.values():
        for document in (*documents, {"SchemaVersion": 2, "Results": [1]}):
            with pytest.raises((LookupError, TypeError, AttributeError, ValueError)):
                scanner.read(document)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("2026-11-28T06:12:33.471Z", ""),
        ("2026-10-01T06:12:33.471Z", "its data is 59 days old"),
        ("yesterday", "how old its data is"),
        (None, "how old its data is"),
    ],
)
def test_data_by_path_must_not_be_too_old(tmp_path: Path, made: str | None, why: str) -> None:
    (tmp_path / "trivy" / "db").mkdir(parents=True)
    if made:
        (tmp_path / "trivy" / "db" / "metadata.json").write_text(json.dumps({"Version": 2, "UpdatedAt": made}))
    answer = asked(tmp_path, TRIVY_BUSTER, data=tmp_path)
    if why:
        assert isinstance(answer, Unavailable)
        assert why in answer.reason
    else:
        assert isinstance(answer, Answer)
        called = (tmp_path / "bin" / "called").read_text()
        assert f"--offline-scan --skip-db-update --skip-java-db-update --cache-dir {tmp_path}/trivy" in called


def test_other_scanners_take_their_data_as_they_can(tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "grype", GRYPE_IMAGE)
    here = host(tmp_path, PATH=path)
    assert ask(GRYPE, tmp_path / "image.tar", here, tmp_path, NOW) == Unavailable(
        reason=f"grype has no data in {tmp_path}"
    )
    (tmp_path / "grype").mkdir()
    assert isinstance(ask(GRYPE, tmp_path / "image.tar", here, tmp_path, NOW), Answer)
    called = (tmp_path / "bin" / "called").read_text()
    assert f"GRYPE_DB_CACHE_DIR={tmp_path}/grype\n" in called
    assert "GRYPE_DB_AUTO_UPDATE=false\n" in called
    assert ask(SCOUT, tmp_path / "image.tar", here, tmp_path, NOW) == Unavailable(
        reason=f"scout has no data in {tmp_path}"
    )


def test_a_project_brings_no_scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "project", "trivy", TRIVY_BUSTER)
    monkeypatch.chdir(tmp_path / "project")
    for path in (".:/usr/bin:/bin", ":/usr/bin:/bin", "bin/..:/usr/bin:/bin"):
        assert not is_installed(TRIVY, host(tmp_path, PATH=path), tmp_path / "project")
    assert is_installed(TRIVY, host(tmp_path, PATH=f"{tmp_path}/project:/usr/bin:/bin"), tmp_path)


POLICY = """\
openssl:
  Installed: 3.5.0-1
  Candidate: 3.5.9-1~deb13u1
  Version table:
     3.5.9-1~deb13u1 500
        500 http://deb.debian.org/debian trixie/main amd64 Packages
     3.5.7-1~deb13u3 500
        500 http://deb.debian.org/debian-security trixie-security/main amd64 Packages
 *** 3.5.0-1 100
        100 /cache/status
tzdata:
  Installed: 2020a-1
  Candidate: 2026f-0+deb13u1
  Version table:
     2026f-0+deb13u1 500
        500 http://deb.debian.org/debian trixie-updates/main amd64 Packages
 *** 2020a-1 100
        100 /cache/status
zlib1g:
  Installed: 1:1.3.1-1
  Candidate: 1:1.3.1-1
  Version table:
     1:1.3.1-1 500
        500 http://deb.debian.org/debian-security trixie-security/main amd64 Packages
 *** 1:1.3.1-1 100
        100 /cache/status
     1:1.2 500
        500 http://deb.debian.org/debian trixie/main amd64 Packages
nodejs:
  Installed: 22
  Candidate: 22
  Version table:
 *** 22 100
        100 /cache/status
"""


def test_aptcache_tells_what_is_newer_and_whether_it_is_a_security_update() -> None:
    updates, known = read_policy(POLICY)
    assert updates == [
        Update(name="openssl", installed="3.5.0-1", version="3.5.9-1~deb13u1", security="3.5.7-1~deb13u3"),
        Update(name="tzdata", installed="2020a-1", version="2026f-0+deb13u1", security=""),
    ]
    assert known == {"openssl", "tzdata", "zlib1g"}


def test_another_system_is_not_debian(tmp_path: Path) -> None:
    inventory = Inventory(release=Release(id="ubuntu", codename="noble", title="Ubuntu 24.04"), manager="dpkg")
    answer = debian(inventory, host(tmp_path), print, None)
    assert answer == Unavailable(reason="the image is not Debian: Ubuntu 24.04")


class Osv(BaseHTTPRequestHandler):
    """A server of OSV's API that knows two vulnerabilities of one distribution."""

    status = 200
    asked: list[Any]

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((question["package"]["name"], question["version"]))
        known = question["package"]["name"] == "jinja2" and question["version"] == "3.1.2"
        rows: list[tuple[str, str, list[str]]] = [("GHSA-h5c8", "CVE-2024-22195", ["2.11.3", "3.1.3"])]
        rows.append(("GHSA-none", "CVE-2099-1", []))
        body = json.dumps({"vulns": [advisory(*row) for row in rows]} if known else {}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def advisory(identity: str, alias: str, fixed: list[str]) -> dict[str, Any]:
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    affected = [{"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": identity, "aliases": [alias], "summary": "\x1b[31msandbox", "affected": affected}


@pytest.fixture
def osv() -> Iterator[str]:
    Osv.status, Osv.asked = 200, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


def installed(*pairs: tuple[str, str]) -> list[InstalledDistribution]:
    return [InstalledDistribution(name=name, version=version, locations=()) for name, version in pairs]


def test_pip_audit_asks_osv_for_each_version(tmp_path: Path, osv: str) -> None:
    held = installed(("Jinja2", "3.1.2"), ("jinja2", "3.1.6"), ("torch", "2.7.1+cpu"))
    answer = audit(held, host(tmp_path, PATH="/usr/bin:/bin", NO_PROXY="127.0.0.1"), osv)
    assert isinstance(answer, Answer), answer
    assert sorted(Osv.asked) == [("jinja2", "3.1.2"), ("jinja2", "3.1.6"), ("torch", "2.7.1")]
    first, second = answer.found
    assert (first.package, first.version, first.fixed, first.advisory) == ("jinja2", "3.1.2", "3.1.3", "CVE-2024-22195")
    assert first.about == "sandbox"
    assert (second.fixed, second.advisory) == ("", "CVE-2099-1")


def test_advisories_that_cannot_be_asked_for_are_undecided(tmp_path: Path, osv: str) -> None:
    here, held = host(tmp_path, PATH="/usr/bin:/bin", NO_PROXY="127.0.0.1"), installed(("jinja2", "3.1.2"))
    Osv.status = 503
    answers = {osv: audit(held, here, osv), "refused": audit(held, here, "http://127.0.0.1:9/v1/query")}
    for answer in answers.values():
        assert isinstance(answer, Unavailable)
        assert answer.reason.startswith("pip-audit could not ask the server of --osv-url: ")


def test_only_names_and_versions_reach_pip_audit(tmp_path: Path) -> None:
    hostile = installed(("x\n--index-url http://evil", "1"), ("six", "1\n-r /etc/passwd"), ("-e", "1"), ("ok", "1.0"))
    pinned, malformed = pins(hostile)
    assert pinned == [{"ok": "1.0"}]
    assert len(malformed) == 3
    answer = audit(hostile, host(tmp_path, PATH="/usr/bin:/bin"), None)
    assert isinstance(answer, Unavailable)
    assert "no version that can be asked for: x\n--index-url http://evil 1; six 1\n-r /etc/passwd" in answer.reason


INVENTORY = Inventory(
    release=Release(id="debian", version="13", codename="trixie"),
    distributions=tuple(installed(("jinja2", "3.1.2"))),
    packages=(
        SystemPackage(name="libssl3t64", version="3.5.0-1", source="openssl"),
        SystemPackage(name="openssl", version="3.5.0-1"),
    ),
    manager="dpkg",
)


def judged(
    answers: dict[str, Answer | Unavailable],
    fail_on: Severity = Severity.ERROR,
    waive: dict[str, ScanWaiver] | None = None,
) -> Any:
    waivers = waive or {}
    results = results_of(answers, INVENTORY, waivers, TODAY, Places(locked={}))
    notes = list(waiver_notes(answers, INVENTORY, waivers, TODAY))
    return verdict_of(results, fail_on), {result.id: result for result in results}, notes


def answer(*found: Vulnerability) -> dict[str, Answer | Unavailable]:
    return {"trivy": Answer(covers=frozenset(Kind), said="files", found=found)}


def waived(until: date) -> ScanWaiver:
    return ScanWaiver(reason="never rendered", until=until)


@pytest.mark.parametrize(
    ("found", "waive", "verdict", "note"),
    [
        (hole(ids=("GHSA-1", "CVE-1")), {}, Verdict.FAIL, ""),
        (hole(ids=("CVE-1",), fixed=""), {}, Verdict.PASS, ""),
        (hole(ids=("CVE-1",), severity=Severity.WARNING), {}, Verdict.PASS, ""),
        (hole(ids=("GHSA-1", "CVE-1")), {"CVE-1": waived(TODAY)}, Verdict.PASS, ""),
        (hole(ids=("CVE-1",)), {"jinja2": waived(TODAY)}, Verdict.PASS, ""),
        (hole(ids=("CVE-1",)), {"CVE-1": waived(date(2026, 11, 29))}, Verdict.FAIL, "ended on 2026-11-29"),
        (hole(ids=("CVE-1",)), {"CVE-2": waived(TODAY)}, Verdict.FAIL, "not needed any more"),
    ],
)
def test_what_has_a_fix_fails_unless_a_waiver_still_counts(
    found: Vulnerability, waive: dict[str, ScanWaiver], verdict: Verdict, note: str
) -> None:
    seen, results, notes = judged(answer(found), waive=waive)
    assert seen is verdict
    assert note in " ".join(notes)
    assert bool(notes) is bool(note)
    if not found.fixed:
        assert results["scan-source/trivy"].evidence == ("jinja2 3.1.2: CVE-1, no fix yet",)
        assert len(results) == 1


def test_failing_on_warnings_counts_those_with_a_fix_alone() -> None:
    grave, mild = hole(severity=Severity.WARNING), hole(severity=Severity.WARNING, fixed="")
    assert judged(answer(grave), Severity.WARNING)[0] is Verdict.FAIL
    assert judged(answer(mild), Severity.NOTE)[0] is Verdict.PASS


def test_a_package_is_one_finding_as_grave_as_its_gravest_hole() -> None:
    holes = (
        hole(ids=("CVE-1",), severity=Severity.NOTE),
        hole(ids=("CVE-2",), severity=Severity.WARNING, fixed="3.1.10"),
        hole("Jinja2", ids=("CVE-3",)),
        hole(ids=("CVE-4",), fixed=""),
    )
    _, results, _ = judged(answer(*holes), waive={"CVE-3": waived(TODAY)})
    result = results["scan-python/jinja2"]
    assert (result.status, result.severity) == (Status.FAIL, Severity.WARNING)
    assert result.items == ("CVE-1", "CVE-2")
    assert result.expected == "jinja2 in 3.1.10, or later"
    assert result.evidence[2].startswith("waived: Jinja2 3.1.2: CVE-3")
    assert result.evidence[3].startswith("jinja2 3.1.2: CVE-4, no fix yet")


def test_system_packages_of_one_source_package_are_one_finding() -> None:
    names = ("libssl3t64", "openssl")
    holes = [hole(name, "3.5.0-1", kind=Kind.SYSTEM, fixed="3.5.7-1") for name in names]
    verdict, results, _ = judged(answer(*holes))
    assert verdict is Verdict.FAIL
    assert results["scan-system/openssl"].actual == "libssl3t64 3.5.0-1; openssl 3.5.0-1: a security update"
    assert judged(answer(*holes), waive={"openssl": waived(TODAY)})[0] is Verdict.PASS


def test_what_nobody_could_tell_is_undecided_never_a_pass() -> None:
    missing = Unavailable(reason="cannot be reached", detail="timed out\n\x1b[31mred")
    verdict, results, _ = judged({**answer(), "debian": missing})
    assert verdict is Verdict.ERROR
    assert results["scan-source/debian"].actual == "could not be decided: cannot be reached"
    assert results["scan-source/debian"].evidence == ("timed out", "red")
    only = {"debian": Answer(covers=frozenset({Kind.SYSTEM}), said="96 packages")}
    verdict, results, notes = judged({**only}, waive={"CVE-1": waived(TODAY)})
    assert verdict is Verdict.ERROR
    assert "pip install seatrial[scan]" in results["scan-source/python"].actual
    assert notes == [], "of what nobody looked at, no waiver is unneeded"
    results = results_of(only, INVENTORY, {}, TODAY, Places(locked={}), chosen=True)
    assert verdict_of(results) is Verdict.PASS
    assert judged({})[0] is Verdict.ERROR
    for there in (Inventory(release=Release(id="arch")), Inventory(manager="rpm")):
        results = results_of({}, there, {}, TODAY, Places(locked={}))
        assert [result.id for result in results] == ["scan-source/system"]
        assert verdict_of(results) is Verdict.ERROR
    old = structs.replace(INVENTORY, release=Release(id="debian", version="10", codename="buster"))
    results = results_of(answer(), old, {}, TODAY, Places(locked={}))
    assert verdict_of(results) is Verdict.ERROR
    assert "has had no security fixes since 20" in results[1].actual


def test_what_an_image_calls_its_packages_is_text() -> None:
    name = "x\x1b[31m\n::error::y/../" + "z" * 5000
    _, results, _ = judged(answer(hole(name, "1\n2", kind=Kind.OTHER, ids=("CVE\n1",))))
    (result,) = [result for result in results.values() if result.status is Status.FAIL]
    texts = (result.id, result.actual, result.expected, result.fix, *result.evidence, *result.items)
    assert not any("\n" in text or "\x1b" in text for text in texts)
    assert max(map(len, texts)) < 5000


DOCKERFILE = """\
FROM python:3.13-slim AS base
RUN apt-get update && apt-get install -y curl=8.1 && echo openssl
RUN pip install gunicorn==20
FROM base
"""


def test_the_line_to_change_is_named(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "uv.lock").write_text('version = 1\n[[package]]\nname = "Jinja2"\nversion = "3.1.2"\n')
    (tmp_path / "requirements.txt").write_text("# jinja2\nflask==1.0  # web\n")
    (tmp_path / "Pipfile.lock").write_text(
        '{\n  "default": {\n    "idna": {\n      "version": "==3.6"\n    }\n  }\n}\n'
    )
    (tmp_path / "poetry.lock").symlink_to("/etc/passwd")
    files = SourceFiles(
        project=tmp_path,
        dockerfile=tmp_path / "Dockerfile",
        context=tmp_path,
        compose=None,
        build_arguments={},
        host=host(tmp_path),
    )
    places = places_of(files, "dpkg")
    expected = {
        (Kind.PYTHON, "jinja2"): ("uv.lock:3", "`uv lock --upgrade-package jinja2`"),
        (Kind.PYTHON, "flask"): ("requirements.txt:2", "Raise flask to 2 in this line"),
        (Kind.PYTHON, "idna"): ("Pipfile.lock:3", "`pipenv upgrade idna`"),
        (Kind.PYTHON, "gunicorn"): ("Dockerfile:3", "This RUN installs gunicorn: raise it there to 2"),
        (Kind.PYTHON, "pip"): ("Dockerfile:1", "It comes with `FROM python:3.13-slim AS base`"),
        (Kind.SYSTEM, "curl"): ("Dockerfile:2", "where it pins a version, raise that to 2"),
        (Kind.SYSTEM, "zlib1g"): ("Dockerfile:1", "apt-get install --yes --only-upgrade zlib1g &&"),
        (Kind.OTHER, "curl"): ("", "Raise curl to 2 where it comes from"),
    }
    for (kind, name), (line, fix) in expected.items():
        where, how = places.of(kind, [name], ["2"])
        assert where == line, name
        assert fix in how, name
    where, how = places.of(Kind.SYSTEM, ["a", "b"], ["1", "2"])
    assert "the latest of 1, 2" in how
    assert (
        Places(manager="apk", chain=parse(DOCKERFILE).stages[0].instructions, locked={})
        .of(Kind.SYSTEM, ["musl"], ["2"])[1]
        .endswith("`RUN apk upgrade --no-cache musl`.")
    )
    assert places_of(None, "dpkg").of(Kind.SYSTEM, ["a"], ["1"]) == (
        "",
        "Raise a to 1: build the image again on a base that has it.",
    )
