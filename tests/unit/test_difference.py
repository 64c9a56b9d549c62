"""`diff`: what differs between two images, here two saved ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import invoke
import pytest
from tests.unit.saved import config, docker_archive, tar, write

from seatrial.cli.diff import diff
from seatrial.engine import find
from seatrial.errors import ImageError
from seatrial.smoke.difference import Change, Difference, FileChange, difference, side_of_archive
from seatrial.smoke.images import image_target

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = "app/.venv/lib/python3.13/site-packages"
DPKG = "Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: {}\n"
FILES: dict[str, str | bytes | None] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:10001:10001::/app:/bin/sh\n",
    "etc/group": "root:x:0:\napp:x:10001:\n",
    "etc/shadow": "root:*:1:0:99999:7:::\napp:!:1:0:99999:7:::\n",
    "var/lib/dpkg/status": DPKG.format("2026a"),
    f"{SITE}/six-1.16.0.dist-info/METADATA": "Name: six\nVersion: 1.16.0\n",
    f"{SITE}/idna-3.1.dist-info/METADATA": "Name: idna\nVersion: 3.1\n",
    "app/start": "#!/bin/sh\nexec serve\n",
    "app/model.bin": bytes(2000),
    "app/same-size": "one",
    "app/link": "-> model.bin",
}
RUN: dict[str, Any] = {"User": "app", "Entrypoint": ["/app/start"], "Env": ["PATH=/bin", "API_TOKEN=kP9xQ2mZ7vL4nB8w"]}


def saved(file: Path, files: Mapping[str, str | bytes | None], **run: Any) -> str:
    modes = {"app/start": (0o755, 0, 0), "app/late": (0o4755, 0, 0)}
    layers = [tar({"etc/": None}), tar(files, modes)]
    write(file, docker_archive(layers, config(layers, **{**RUN, **run})))
    return str(file)


@pytest.fixture
def old(tmp_path: Path) -> str:
    return saved(tmp_path / "old.tar", FILES)


@pytest.fixture
def new(tmp_path: Path) -> str:
    files = {name: body for name, body in FILES.items() if "idna" not in name and "six" not in name} | {
        "var/lib/dpkg/status": DPKG.format("2026b"),
        f"{SITE}/six-1.17.0.dist-info/METADATA": "Name: six\nVersion: 1.17.0\n",
        "app/model.bin": bytes(5000),
        "app/same-size": "two",
        "app/link": "-> start",
        "app/late": b"\x7fELF",
    }
    variables = ["PATH=/bin", "API_TOKEN=another4nB8wzzz", "MODE=\x1b[2Jfast"]
    return saved(tmp_path / "new.tar", files, User="root", Env=variables)


def compared(old: str, new: str) -> Difference:
    sides = (side_of_archive(image_target(name, None), Path(name), lambda _: None) for name in (old, new))
    return difference(*sides)


def test_packages_files_sizes_configuration_and_findings_are_compared(old: str, new: str) -> None:
    found = compared(old, new)
    assert found.distributions == (Change("idna", "3.1", ""), Change("six", "1.16.0", "1.17.0"))
    assert found.packages == (Change("tzdata", "2026a", "2026b"),)
    assert found.configuration == (
        Change("user", "app", "root"),
        Change("variable API_TOKEN", "(hidden)", "(hidden, another)"),
        Change("variable MODE", "", "\x1b[2Jfast"),
    )
    assert found.files[0] == FileChange("/app/model.bin", 2000, 5000, "content")
    assert {
        file.path: file.why for file in found.files if file.path.startswith("/app/") and ".venv" not in file.path
    } == {
        "/app/model.bin": "content",
        "/app/same-size": "content",
        "/app/link": "target",
        "/app/late": "",
    }
    assert found.size[1] - found.size[0] == sum(file.grown for file in found.files)
    came = {finding.check for finding in found.came}
    assert {"identity/non-root", "files/setuid"} <= came
    assert {finding.check for finding in compared(new, old).went} == came


def test_an_image_does_not_differ_from_itself(old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared(old, old).same
    diff(invoke.Context(), old, old)
    assert "do not differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    "setting",
    [
        {"Env": ["DB_PASSWORD={}"]},
        {"Cmd": ["app", "--password={}"]},
        {"Cmd": ["app", "--db-password", "{}", "--fast"]},
        {"Entrypoint": ["/bin/sh", "-c", "DB_PASSWORD='{}' exec app --url=postgresql://shop:{}@db/shop"]},
        {"Healthcheck": {"Test": ["CMD-SHELL", "probe --token {} || exit 1"]}},
        {"Labels": {"com.example.api-key": "{}"}},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_secret_is_compared_and_never_shown(setting: dict[str, Any], tmp_path: Path) -> None:
    images = []
    for word in ("hunter2aaaa", "hunter3bbbb"):
        run = json.loads(json.dumps(setting).replace("{}", word))
        images.append(saved(tmp_path / f"{word}.tar", FILES, **{"Env": RUN["Env"], **run}))
    (change,) = [row for row in compared(*images).configuration if "API_TOKEN" not in row.name]
    assert "hunter" not in f"{change.before} {change.after}"
    assert ("(hidden)" in change.before, "(hidden, another)" in change.after) == (True, True)
    assert compared(images[0], images[0]).configuration == ()


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_every_form_names_what_differs_without_an_engine_and_without_a_secret(
    old: str, new: str, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(find, "find_engine", lambda _: pytest.fail("an engine was looked for"))
    diff(invoke.Context(), old, new, format=form)
    said = capsys.readouterr().out
    for word in ("six", "1.17.0", "2026b", "identity/non-root", "model.bin", "MODE"):
        assert word in said
    assert not any(word in said for word in ("kP9xQ2mZ7vL4nB8w", "another4nB8wzzz", "\x1b"))
    if form == "json":
        assert json.loads(said)["difference"]["distributions"][1]["after"] == "1.17.0"


def test_what_was_not_read_to_its_end_is_not_compared(old: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(Path(old).read_bytes()[:3000])
    with pytest.raises(ImageError):
        compared(old, str(cut))
