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


def test_a_scan_is_a_session_beside_the_smoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nox.registry

    monkeypatch.setattr(nox.registry, "_REGISTRY", {})
    (tmp_path / "seatrial.toml").write_text('[apps.shop]\npythons = ["3.13", "3.14"]\n')
    sessions.image_smoke(tmp_path)
    sessions.image_scan(tmp_path, fail_on="warning")
    found = nox.registry.get()
    assert {name: function.venv_backend for name, function in found.items()} == {
        "image_smoke": "none",
        "image_scan": "none",
    }
    said: list[tuple[str, ...]] = []
    session = type(
        "Session", (), {"posargs": ["--source", "debian"], "run": lambda _, *words, **__: said.append(words)}
    )
    monkeypatch.setattr(sessions, "skip_without_engine", lambda _: None)
    monkeypatch.setattr(sessions.Results, "file", lambda _: "result.json")
    found["image_scan"].func(session(), "shop", "3.14")
    chosen = ("--app", "shop", "--python", "3.14")
    assert [words[3:] for words in said] == [
        ("build", *chosen),
        ("scan", *chosen, "--fail-on=warning", "--also=result.json", "--source", "debian"),
    ]
