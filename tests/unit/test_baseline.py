"""What a baseline knows, what it excuses, what it never does, and its file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from tests.unit.factories import boot, configuration, facts
from tests.unit.samples import result, smoke
from tests.unit.test_checks import CHECKS, CONTRACT, FAILING
from tests.unit.test_report_formats import assert_valid

from seatrial.checks.baseline import REST, RUNS, Baseline, Entry, Record, cause_of, compared, entries_of, recorded
from seatrial.checks.model import Result, Severity, Status, failed
from seatrial.checks.verdict import Verdict, judge
from seatrial.errors import SettingsError
from seatrial.reports.ci import workflow_commands
from seatrial.reports.groups import brief, made_of
from seatrial.reports.write import Format, render
from seatrial.settings.model import Contract
from seatrial.smoke import baseline as files
from seatrial.smoke.baseline import NAME, BaselineFile, open_baseline, text_of
from seatrial.smoke.masking import masked
from seatrial.trust import Trust

if TYPE_CHECKING:
    from seatrial.checks.verdict import Smoke

PASS = result(Status.PASS, "a/b")
NO_CHECK = configuration(health_check=None)
SCHEMA = Path(files.__file__).parents[1] / "schemas/baseline.schema.json"


def found(*items: str, check: str = "files/setuid", **more: Any) -> Result:
    """Return a failure that found some things, each by itself."""
    told: dict[str, Any] = {"items": items if len(items) > 1 else (), "evidence": items, "severity": Severity.ERROR}
    return result(Status.FAIL, check, "; ".join(items), **(told | more))


def shop(*results: Result, **more: Any) -> Smoke:
    about: dict[str, Any] = {"app": "shop", "unpacked": 100_000_000}
    return smoke(PASS, *results, **(about | more))


def adopted(*results: Result, file: Path = Path(NAME), **more: Any) -> BaselineFile:
    """Return the baseline that these results were recorded in."""
    made = BaselineFile(file=file, update=True)
    made.judged(shop(*results, **more), Contract())
    return BaselineFile(file=file, read=Baseline(images=tuple(made.made.values())))


def beside(known: BaselineFile, *results: Result, contract: Contract = Contract(), **more: Any) -> Smoke:  # noqa: B008
    return known.judged(shop(*results, **more), contract)


# --- what a finding is known by -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("exit code 1 after 0.8 s", "exit code 1 after 12.4 s"),
        ("line 3: python:3.13 has no digest", "line 17: python:3.14.1 has no digest"),
        ("/app/src/shop/api.py:12 imports x", "/app/src/shop/api.py:140:7 imports x"),
        ("docker/Dockerfile:3 says so", "docker/Dockerfile:4 says so"),
        ("pip 24.2 in /v/lib/python3.12/site-packages", "pip 25.0.1rc1 in /v/lib/python3.13/site-packages"),
        ("libssl3 3.0.11-1~deb12u2 is old", "libssl3 3.0.17-1~deb12u3 is old"),
        ("/root/.cache/pip: 1 file, 1.2 kB", "/root/.cache/pip: 812 files, 40 MB"),
        ("3 of 12 scripts are broken", "4 of 13 scripts are broken"),
        ("sha256:" + "ab" * 32, "sha256:" + "cd" * 32),
        ("<object at 0x7f12ab>, pid 17", "<object at 0x7f99cd>, pid 4"),
        ("2026-11-30T13:00:01Z failed", "2026-12-01 09:10:11.123+01:00 failed"),
        ("/bin/wall has mode 2755 and owner 0:5", "/bin/wall has mode 2755 and owner 0:101"),
        ("/tmp/tmpab12cd_x/state", "/tmp/tmpzz99zz_y/state"),
        ("a\n  b", "a b"),
    ],
)
def test_what_another_build_changes_is_no_part_of_a_cause(before: str, after: str) -> None:
    assert cause_of(before) == cause_of(after)


@pytest.mark.parametrize(
    ("this", "that"),
    [
        ("USER root is uid 0", "USER root is uid 10001"),
        ("it listens on 0.0.0.0:80", "it listens on 127.0.0.1:80"),
        ("db:5432 is refused", "db:6432 is refused"),
        ("/a has mode 4755", "/a has mode 0777"),
        ("/a has mode 4755 and owner 0:0", "/a has mode 4755 and owner 9:0"),
        ("exit code 1", "exit code 137"),
        ("DL3008 pin", "DL3013 pin"),
    ],
)
def test_what_tells_one_fault_from_another_is(this: str, that: str) -> None:
    assert cause_of(this) != cause_of(that)


@pytest.mark.parametrize("check", FAILING)
def test_every_check_that_fails_is_known_when_it_fails_the_same_way_again(check: str) -> None:
    failing = judge(CHECKS[check], FAILING[check], CONTRACT)
    known = recorded([PASS, failing], ())
    if check in RUNS and failing.severity is Severity.ERROR:
        assert known == ()
        return
    assert {entry.check for entry in known} == {check}
    assert all(re.search(r"\w{2}", re.sub(r"<\w+>", "", entry.cause)) for entry in known)
    again = compared([PASS, failing], Record(findings=known), Contract(max_growth=0), unpacked=0, file=NAME)
    assert ([judged.baseline for judged in again.results], again.paid) == (["", "known"], ())


def test_a_list_of_things_is_known_item_by_item() -> None:
    told = failed(["b is odd", "a is odd"], expected="none", fix="Mend them.")
    assert (told.actual, told.items) == ("b is odd; a is odd", ("b is odd", "a is odd"))
    assert failed("a; and 1 more", expected="", fix="", evidence=("a", "b")).items == ("a", "b")
    assert failed("it ended", expected="", fix="", evidence=("log: x",)).items == ()
    assert failed("a, b", expected="", fix="", items=["a", "b"]).items == ("a", "b")


@pytest.mark.parametrize(
    ("raised", "state"),
    [("ValueError: 7 is no port", "known"), ("ValueError: 12 is no port", "known"), ("KeyError: 'PORT'", "new")],
)
def test_a_traceback_in_a_log_is_known_by_what_it_raises(raised: str, state: str) -> None:
    def told(line: str) -> Result:
        log = ("up", "Traceback (most recent call last):", '  File "/app/a.py", line 3, in go', "    1 / 0", line, "on")
        return judge(CHECKS["boot/stays-up"], facts(boot=boot(log=log), configuration=NO_CHECK), Contract())

    known = adopted(told("ValueError: 7 is no port"))
    assert [entry.cause for entry in known.read.images[0].findings] == ["a traceback of ValueError"]  # type: ignore[union-attr]
    assert beside(known, told(raised)).checks[1].baseline == state


# --- new, same, grown, paid ---------------------------------------------------------------------------------


def test_what_is_known_is_excused_and_counted_by_itself() -> None:
    judged = beside(adopted(found("/a")), found("/a"))
    assert judged.verdict is Verdict.PASS
    assert (judged.findings["error"], judged.known["error"], judged.baseline) == (0, 1, NAME)  # type: ignore[index]
    assert made_of(judged).endswith(f"no error (fail-on = error); 1 known error in {NAME}")
    assert brief(judged) == "PASS 1 known"
    assert judged.notes == ()


def test_what_is_new_is_refused_and_named_alone() -> None:
    judged = beside(adopted(found("/a", "/c")), found("/a", "/b", "/c", where="Dockerfile:3"))
    assert judged.verdict is Verdict.FAIL
    told = judged.checks[1]
    assert (told.baseline, told.actual, told.items, told.evidence) == ("new", "/b (beside 2 known)", ("/b",), ("/b",))
    # What is told to do, and where, is of the first one, which is known.
    assert (told.fix, told.where) == ("As for what is known: fix /a; /b; /c", "")


def test_another_check_is_new() -> None:
    judged = beside(adopted(found("/a")), found("/a"), found("b", check="tools/build"))
    assert [made.baseline for made in judged.checks] == ["", "known", "new"]
    assert judged.verdict is Verdict.FAIL


def test_what_is_gone_is_told_as_paid_and_dropped_at_the_next_update(tmp_path: Path) -> None:
    known = adopted(found("/a", "/b"), found("gcc", check="tools/build"))
    judged = beside(known, found("/b"), result(Status.PASS, "tools/build"))
    assert judged.verdict is Verdict.PASS
    assert judged.notes == (
        f"paid: files/setuid: /a; `--update-baseline` takes it out of {NAME}",
        f"paid: tools/build: gcc; `--update-baseline` takes it out of {NAME}",
    )
    said: list[str] = []
    known.update, known.file = True, tmp_path / NAME
    assert known.judged(shop(found("/b"), result(Status.PASS, "tools/build")), Contract()).notes == ()
    known.write(said.append)
    assert said == [f"{NAME}: shop: 1 known: 0 added or changed, 2 taken out."]


def test_what_was_not_asked_or_not_decided_is_neither_paid_nor_dropped() -> None:
    known = adopted(found("/a"), found("gcc", check="tools/build")).read
    assert known is not None
    undecided = result(Status.ERROR, "tools/build")
    found_now = compared([PASS, undecided], known.images[0], Contract(), unpacked=0, file=NAME)
    assert found_now.paid == ()
    assert recorded([PASS, undecided], known.images[0].findings) == known.images[0].findings


def test_an_update_at_a_lesser_level_does_not_make_a_finding_lighter() -> None:
    known = adopted(found("x"))
    known.update = True
    known.judged(shop(found("x", severity=Severity.WARNING)), Contract())
    (record,) = known.made.values()
    assert [entry.severity for entry in record.findings] == [Severity.ERROR]


@pytest.mark.parametrize(
    ("before", "now", "state", "says"),
    [
        (found("x: 4 MB"), found("x: 8.9 MB"), "known", ""),
        (found("x: 4 MB"), found("x: 9.2 MB"), "grown", "(known with 4.0 MB; it may grow by 5.0 MB)"),
        (found("line 1: x", "line 2: x"), found("line 7: x", "line 9: x"), "known", ""),
        (found("line 1: x", "line 2: x"), found("line 1: x"), "known", ""),
        (found("line 1: x"), found("line 1: x", "line 2: x"), "grown", "(known 1 times, and now 2)"),
        (found("x", severity=Severity.WARNING), found("x"), "grown", "(known as warning, and now error)"),
        (found("x"), found("x", severity=Severity.NOTE), "known", ""),
    ],
)
def test_what_has_grown_is_refused(before: Result, now: Result, state: str, says: str) -> None:
    told = beside(adopted(before), now).checks[1]
    assert told.baseline == state
    assert says in told.actual


SKIPPED = result(Status.SKIP, "size/unpacked")


@pytest.mark.parametrize(
    ("size", "growth", "verdict"),
    [
        (105_000_000, 5.0, Verdict.PASS),
        (105_100_000, 5.0, Verdict.FAIL),
        (105_100_000, 6.0, Verdict.PASS),
        (100_000_000, 0.0, Verdict.PASS),
    ],
)
def test_an_image_without_a_limit_may_grow_by_max_growth(size: int, growth: float, verdict: Verdict) -> None:
    judged = beside(adopted(SKIPPED), SKIPPED, unpacked=size, contract=Contract(max_growth=growth))
    assert judged.verdict is verdict
    if verdict is Verdict.FAIL:
        assert judged.checks[1].actual == "105 MB, 5.1 MB more"
        assert judged.checks[1].baseline == "grown"


def test_a_limit_of_the_contract_or_a_waiver_holds_in_place_of_the_recorded_size() -> None:
    within = result(Status.PASS, "size/unpacked")
    assert beside(adopted(within), within, unpacked=900_000_000).verdict is Verdict.PASS
    waiving = Contract(waive={"size/unpacked": "the registry is large"})
    assert beside(adopted(SKIPPED), SKIPPED, unpacked=900_000_000, contract=waiving).verdict is Verdict.PASS


def test_evidence_of_what_is_known_is_left_out() -> None:
    evidence = ("Dockerfile:3 DL3025 as JSON", "Dockerfile:4 DL3008 pin", "hadolint 2.12")
    known = adopted(found("DL3025 as JSON", "DL3015 x", check="dockerfile/lint"))
    (told,) = [
        made
        for made in beside(
            known, found("DL3025 as JSON", "DL3008 pin", check="dockerfile/lint", evidence=evidence)
        ).checks
        if made.baseline
    ]
    assert told.evidence == evidence[1:]


def test_many_things_are_recorded_as_some_and_a_number() -> None:
    many = found(*(f"/f{number:03}" for number in range(80)), "… and 20 more lines")
    entries = entries_of(many)
    assert (len(entries), entries[-1].cause, entries[-1].count) == (51, REST, 50)
    known = adopted(many)
    fewer = found(*(f"/f{number:03}" for number in range(5, 80)), "… and 20 more lines")
    assert beside(known, fewer).verdict is Verdict.PASS, "what is named now was among the others"
    more = found("/e", *(f"/f{number:03}" for number in range(80)), "… and 20 more lines")
    assert beside(known, more).verdict is Verdict.FAIL


# --- what is never excused ----------------------------------------------------------------------------------


UNDECIDED_FOR_IT = result(Status.ERROR, "app/names", follows_from="files/setuid")
NOT_HEALTHY = result(Status.FAIL, "boot/healthy", follows_from="files/setuid")


@pytest.mark.parametrize(
    "results",
    [
        (result(Status.ERROR, "files/setuid"),),
        (result(Status.FAIL, "boot/healthy"),),
        (found("/a"), UNDECIDED_FOR_IT),
        (found("/a"), NOT_HEALTHY),
    ],
    ids=["undecided", "does not run", "leaves another check undecided", "keeps it from running"],
)
def test_it_is_not_recorded_and_not_excused(results: tuple[Result, ...]) -> None:
    book = BaselineFile(file=Path(NAME), update=True)
    judged = book.judged(shop(*results), Contract())
    assert judged.verdict is shop(*results).verdict or judged.verdict is not Verdict.PASS
    assert next(iter(book.made.values())).findings == ()
    assert book.said
    # Nor by an entry that someone wrote by hand, or that stood for less.
    entries = tuple(Entry(check=made.id, cause=cause_of(made.actual), severity=Severity.ERROR) for made in results)
    written = BaselineFile(file=Path(NAME), read=Baseline(images=(Record(app="shop", findings=entries),)))
    assert beside(written, *results).verdict is not Verdict.PASS


def test_each_image_has_a_record_of_its_own() -> None:
    known = adopted(found("/a"), python="3.13")
    for contract, more, excused in (
        (Contract(), {}, True),
        (Contract(python="3.14"), {}, False),
        (Contract(), {"app": "other"}, False),
        (Contract(), {"level": "stack"}, False),
        (Contract(), {"app": "", "image": "shop:1"}, False),
    ):
        judged = beside(known, found("/a"), contract=contract, **more)
        assert (judged.verdict is Verdict.PASS) is excused
        assert bool(judged.notes) is not excused
    assert judged.notes == (f"{NAME} records nothing of shop: `--update-baseline` adds it",)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("shop:1.0", "shop:2.0", True),
        ("host:5000/shop:1", "host:5000/shop@sha256:" + "a" * 64, True),
        ("shop:1", "bot:1", False),
        ("sha256:" + "a" * 64, "sha256:" + "b" * 64, False),
    ],
)
def test_an_image_of_no_app_is_known_by_its_name(first: str, second: str, same: bool) -> None:
    known = adopted(found("/a"), app="", image=first)
    assert (beside(known, found("/a"), app="", image=second).verdict is Verdict.PASS) is same


def test_no_secret_gets_into_the_file() -> None:
    secret = "s3cr3t-Value-9x7"
    told = masked(shop(found(f"DB_PASSWORD={secret} is odd", "other")), [("DB_PASSWORD", secret)])
    book = BaselineFile(file=Path(NAME), update=True)
    book.judged(told, Contract())
    assert secret not in text_of(Baseline(images=tuple(book.made.values())))


# --- the file -----------------------------------------------------------------------------------------------


def opened(file: Path, **more: Any) -> BaselineFile:
    asked: dict[str, Any] = {"trust": Trust.PROJECT, "folder": file.parent}
    return open_baseline(file, **(asked | more))


def test_the_file_is_sorted_has_a_line_for_each_finding_and_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / NAME
    for app in ("shop", "bot"):
        book = opened(file, update=True)
        book.judged(shop(found("ü", "a"), found("gcc", check="tools/build"), app=app), Contract())
        book.write(lambda _: None)
    text = file.read_text(encoding="ascii")
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert text.splitlines()[:9] == [
        "{",
        '  "version": 1,',
        '  "images": [',
        "    {",
        '      "app": "bot",',
        '      "unpacked": "100.0 MB",',
        '      "findings": [',
        '        {"check": "files/setuid", "cause": "a", "severity": "error"},',
        '        {"check": "files/setuid", "cause": "\\u00fc", "severity": "error"},',
    ]
    read = opened(file).read
    assert read is not None
    assert [record.app for record in read.images] == ["bot", "shop"]
    assert text_of(read) == text
    assert text_of(Baseline()) == '{\n  "version": 1,\n  "images": []\n}\n'
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]


def test_what_another_command_wrote_meanwhile_stays(tmp_path: Path) -> None:
    first, second = (opened(tmp_path / NAME, update=True) for _ in range(2))
    for book, app in ((first, "a"), (second, "b")):
        book.judged(shop(found("x"), app=app), Contract())
    first.write(lambda _: None)
    second.write(lambda _: None)
    read = opened(tmp_path / NAME).read
    assert read is not None
    assert [record.app for record in read.images] == ["a", "b"]


ENTRY = '{"version": 1, "images": [{"app": "a", "findings": [%s]}]}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n  "version": 1,\n<<<<<<< HEAD\n', ":3:1: is not JSON: Expecting property name"),
        ("", ":1:1: is not JSON: Expecting value"),
        ("[" * 100_000, "is not JSON that can be read"),
        ("[]", "is no baseline: Expected `object`, got `array`"),
        ('{"version": 2, "images": 7}', "was written by a newer seatrial: version 2, and this one reads 1"),
        ('{"version": 0}', "is no baseline"),
        (ENTRY % '{"check": "a/b"}', "missing required field `cause` - at `$.images[0].findings[0]`"),
        (ENTRY % '{"check": "a/b", "cause": "c", "severity": "grave"}', "Invalid enum value 'grave'"),
        (ENTRY % '{"check": "a/b", "cause": "c", "severity": "note", "size": "much"}', "`size`: not a size: 'much'"),
        (ENTRY % '{"check": "a/b", "cause": "c", "severity": "note", "count": -1}', "Expected `int` >= 1"),
        (ENTRY % '{"check": "a/b", "cause": "c", "severity": "note", "until": 1}', "unknown field `until`"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    file = tmp_path / NAME
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    for update in (False, True):
        with pytest.raises(SettingsError) as caught:
            opened(file, update=update)
        assert says in str(caught.value)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("update", [False, True])
def test_a_folder_a_link_and_a_pipe_are_refused(tmp_path: Path, update: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "elsewhere").write_text(text_of(Baseline()), encoding="utf-8")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "nowhere").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "pipe")
    for name, says in (
        ("folder", "cannot be read: Is a directory"),
        ("link", "is a symbolic link: not followed"),
        ("nowhere", "is a symbolic link: not followed"),
        ("pipe", "cannot be read: it is not a regular file"),
        ("x" * 300, "cannot be read: File name too long"),
    ):
        with pytest.raises(SettingsError, match=says):
            opened(tmp_path / name, update=update)
    assert not Path("/nowhere").exists()


def test_what_cannot_be_written_is_told_before_the_smokes_and_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=r"cannot be written: .*--baseline FILE"):
        opened(tmp_path / "no" / NAME, update=True)
    file = tmp_path / NAME
    file.write_text(text_of(Baseline()), encoding="utf-8")
    book = opened(file, update=True)
    book.judged(shop(found("/a")), Contract())
    monkeypatch.setattr(files, "replace", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(SettingsError, match="cannot be written: Read-only file system"):
        book.write(lambda _: None)
    assert file.read_text(encoding="utf-8") == text_of(Baseline())
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SettingsError, match="read-only"):
        opened(file, update=True)


def test_a_named_file_has_to_be_there_and_the_projects_need_not(tmp_path: Path) -> None:
    assert beside(opened(tmp_path / NAME), found("/a")).baseline == ""
    with pytest.raises(SettingsError, match="does not exist"):
        opened(tmp_path / "known.json", required=True)


def test_a_project_that_is_not_trusted_excuses_nothing_by_itself(tmp_path: Path) -> None:
    inside = tmp_path / "project"
    inside.mkdir()
    untrusted: dict[str, Any] = {"trust": Trust.NONE, "folder": inside}
    assert beside(opened(inside / NAME, **untrusted), found("/a")).notes == ()
    for file in (inside / NAME, tmp_path / NAME):
        book = opened(file, update=True)
        book.judged(shop(found("/a")), Contract())
        book.write(lambda _: None)
    judged = beside(opened(inside / NAME, **untrusted), found("/a"))
    assert judged.verdict is Verdict.FAIL
    assert judged.notes == (f"{NAME} does not count, as the project is not trusted",)
    with pytest.raises(SettingsError, match="is not written, as the project is not trusted"):
        opened(inside / NAME, update=True, **untrusted)
    # A file of the host's own does.
    assert beside(opened(tmp_path / NAME, **untrusted), found("/a")).verdict is Verdict.PASS


# --- reports ------------------------------------------------------------------------------------------------


def test_every_report_says_what_is_excused_and_how_much() -> None:
    judged = beside(adopted(found("/a")), found("/a"), found("gcc", check="tools/build"))
    known = f"1 known error in {NAME}"
    for form in ("text", "markdown", "html"):
        assert known in render([judged], form).replace("&#45;", "-")
    data = json.loads(render([judged], "json"))
    assert (data["known"]["error"], data["checks"][1]["baseline"], data["checks"][2]["baseline"]) == (1, "known", "new")
    sarif = json.loads(render([judged], "sarif"))["runs"][0]
    states = {told["ruleId"]: (told["baselineState"], "suppressions" in told) for told in sarif["results"]}
    assert states == {"files/setuid": ("unchanged", True), "tools/build": ("new", False)}
    assert sarif["properties"]["excused"] == known
    suite = ET.fromstring(render([judged], "junit")).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    assert [told.get("message") for told in suite.iter("skipped")] == ["known error: /a"]
    assert known in {told.get("value") for told in suite.iter("property")}
    quality = {told["check_name"]: told["severity"] for told in json.loads(render([judged], "codequality"))}
    assert quality == {"files/setuid": "info", "tools/build": "critical"}
    lines = list(workflow_commands([judged], {"GITHUB_ACTIONS": "true"}, None))
    assert lines[0].startswith("::error title=tools/build")
    assert lines[1:] == [f"::notice title=shop::{known}: files/setuid"]
    schemas: tuple[Format, ...] = ("json", "junit", "html", "sarif")
    for shape in schemas:
        assert_valid(shape, render([judged], shape))
