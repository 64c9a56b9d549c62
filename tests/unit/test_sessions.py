"""The Nox side: what it leaves on the screen when it ends."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from tests.unit.samples import matrix

from seatrial.reports.json import as_json

if TYPE_CHECKING:
    from pathlib import Path

sessions = pytest.importorskip("seatrial.sessions", reason="NOT RUN: nox is not installed")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("atexit.register", lambda *_: None)
    return tmp_path


def test_the_last_lines_are_the_matrix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = sessions.Results()
    files = [results.file() for _ in range(5)]
    assert len(set(files)) == 5
    for file, smoke in zip(files, matrix(), strict=False):
        file.write_text(as_json([smoke]), encoding="utf-8")
    # One could not be tried, and one was ended while it wrote.
    files[4].write_text("{", encoding="utf-8")
    results.finish()
    assert capsys.readouterr().err.splitlines() == [
        "app   Python 3.9    Python 3.13",
        "shop  FAIL 1 error  PASS 1 passed",
        "bot   -             PASS 1 passed",
    ]
    assert list(folder.iterdir()) == []


def test_one_smoke_needs_no_matrix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = sessions.Results()
    results.file().write_text(as_json(matrix()[:1]), encoding="utf-8")
    results.finish()
    assert capsys.readouterr() == ("", "")
    assert list(folder.iterdir()) == []
