"""Where reports go: the screen, files written whole or not at all, a job's summary."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.unit.samples import every_status, judged, matrix

from seatrial.cli import output
from seatrial.errors import SettingsError
from seatrial.reports import write as writing
from seatrial.reports.write import MOST_SUMMARY, STEP_SUMMARY, Report, planned, summarise, write

if TYPE_CHECKING:
    from pathlib import Path


def test_text_goes_to_the_screen_unless_something_else_is_asked_for(tmp_path: Path) -> None:
    assert planned(None, None) == (Report(form="text"),)
    assert planned("sarif", None) == (Report(form="sarif"),)
    page = tmp_path / "page.HTML"
    assert planned(None, str(page)) == (Report(form="html", file=page),)
    assert planned("json", str(page)) == (Report(form="json", file=page),), "what is said counts"
    assert planned(None, str(tmp_path / "report")) == (Report(form="text", file=tmp_path / "report"),)
    also = [str(tmp_path / name) for name in ("a.xml", "b.sarif", "c.md", "d.txt")]
    assert [report.form for report in planned(None, None, also)] == ["text", "junit", "sarif", "markdown", "text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("xml", None), "--format 'xml' is not known"),
        (("html", "no/where/x.html"), "no/where/x.html: cannot be written. Give --output a file"),
        ((None, "."), "cannot be written"),
        ((None, ""), "cannot be written"),
        ((None, "x" * 5000), "cannot be written"),
        ((None, None, ["report.doc"]), r"--also 'report.doc' has no extension of a report. Known: .txt, .json"),
        ((None, None, ["no/where.xml"]), "no/where.xml: cannot be written. Give --also a file"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str | None, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as refused:
        planned(*arguments)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_every_report_is_made_and_the_first_one_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("r.json", "r.xml", "r.html")]
    write(matrix(), planned("json", None, map(str, files)), console=output.console, say=output.say, verbose=False)
    out, errors = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert errors == ""
    assert files[0].read_text(encoding="utf-8") == out
    assert files[1].read_text(encoding="utf-8").startswith("<?xml")
    assert files[2].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(tmp_path.iterdir()) == sorted(files), "no half of a file is left"


def test_a_report_in_a_file_alone_is_said_on_the_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.txt"
    write([every_status()], planned(None, str(file)), console=output.console, say=output.say, verbose=True)
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors == f"FAIL  shop:latest: the report is in {file}\n"
    assert "\x1b" not in file.read_text(encoding="utf-8")
    assert "PASS identity/non-root" in file.read_text(encoding="utf-8")


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "r.json"
    file.write_text("before")
    reports = planned(None, str(file))
    monkeypatch.setattr(writing, "render", lambda *_, **__: "\ud800 after")
    write([every_status()], reports, console=output.console, say=output.say, verbose=False)
    assert file.read_text(encoding="utf-8") == "\\ud800 after"

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(SettingsError, match=r"r\.json: cannot be written: No space left on device"):
        write([every_status()], reports, console=output.console, say=output.say, verbose=False)
    assert file.read_text(encoding="utf-8") == "\\ud800 after"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    link.symlink_to(target)
    target.write_text("")
    write([every_status()], planned(None, str(link)), console=output.console, say=output.say, verbose=False)
    assert link.is_symlink()
    assert json.loads(target.read_text())["verdict"] == "fail"


# --- a job's summary ----------------------------------------------------------------------------------------


def test_a_summary_is_appended_where_a_job_has_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "summary"
    summarise([every_status()], {}, say=output.say)
    assert list(tmp_path.iterdir()) == []
    file.write_text("# Before\n")
    for _ in range(2):
        summarise([judged()[0]], {STEP_SUMMARY: str(file)}, say=output.say)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Before\n## FAIL: shop:")
    assert text.count("\n## FAIL: shop:") == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("where", ["full", "folder", "missing/summary"])
def test_a_summary_that_cannot_be_written_is_said_and_fails_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "full").write_bytes(b"x" * MOST_SUMMARY)
    summarise([every_status()], {STEP_SUMMARY: str(tmp_path / where)}, say=output.say)
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {tmp_path / where}")
    assert len(said.splitlines()) == 1
    assert (tmp_path / "full").stat().st_size == MOST_SUMMARY
