"""Images that seatrial did not build: other platforms, references that are none or too many, a drafted contract."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import tomllib
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import run
from tests.defects.defect import python_command
from tests.defects.wheels import elf, program
from tests.defects.yard import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.defects.commands import Ended
    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine


def other_machine(yard: Yard) -> str:
    return "arm64" if yard.engine.client.version()["Arch"] == "amd64" else "amd64"


# --- other platforms ----------------------------------------------------------------------------------------


def foreign_program(machine: str) -> bytes:
    """Return a program of another processor: the header alone tells the kernel that it is none of its own."""
    body = bytearray(program())
    body[18:20] = {"arm64": 183, "amd64": 62}[machine].to_bytes(2, "little")
    return bytes(body)


@pytest.mark.parametrize("check", ["", 'HEALTHCHECK CMD ["python3", "-c", "pass"]'])
def test_an_image_for_another_platform_says_so_and_is_judged_by_what_stands_still(
    yard: Yard, tmp_path: Path, check: str
) -> None:
    machine = other_machine(yard)
    dockerfile = (
        "FROM scratch\nCOPY python3 /usr/local/bin/python3\n"
        f'ENV PATH=/usr/local/bin\nUSER 1000\nCMD ["python3", "-m", "shop"]\n{check}\n'
    )
    image = yard.image(dockerfile, {"python3": foreign_program(machine)}, f"linux/{machine}")
    assert yard.engine.client.images.get(image).attrs["Architecture"] == machine
    ended = run("seatrial", "smoke", "--image", image, "--format", "json", folder=tmp_path, within=30)
    checks = {load["id"]: load for load in json.loads(ended.out)["checks"]}
    for name in ("app/imports", "process/graceful-stop", "boot/healthy" if check else "boot/stays-up"):
        assert checks[name]["status"] == "error"
        assert f"the image is for linux/{machine}, and this engine runs linux/" in checks[name]["actual"]
    assert checks["identity/non-root"]["status"] == "pass"
    assert checks["python/interpreter-resolves"]["status"] == "pass"
    assert checks["health/declared"]["status"] == ("pass" if check else "fail")
    grave = [entry for entry in checks.values() if entry["status"] == "fail" and entry["severity"] == "error"]
    assert ended.code == (1 if grave else 2)
    assert yard.left_behind() == []


def test_a_program_that_is_no_program_is_not_taken_for_another_platform(yard: Yard, tmp_path: Path) -> None:
    image = yard.image('FROM {clean}\nCOPY odd.so /usr/local/bin/odd\nCMD ["odd"]', {"odd.so": elf("libtide.so.9")})
    ended = run("seatrial", "smoke", "--image", image, folder=tmp_path, within=60)
    assert ended.code == 1
    assert "this engine runs" not in ended.out


# --- references ---------------------------------------------------------------------------------------------


def layer(text: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        entry = tarfile.TarInfo("x")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return sink.getvalue()


@pytest.fixture
def twins(yard: Yard) -> Iterator[str]:
    """Give the beginning of an id that two images have: of 17 images two begin with the same figure."""
    client, made = yard.engine.client.api, []
    try:
        for number in range(17):
            answer = client.import_image_from_data(layer(b"%d" % number), repository=f"seatrial-test/twins-{number}")
            made.append(json.loads(answer.splitlines()[-1])["status"].partition(":")[2])
        yield next(a[0] for a, b in itertools.combinations(made, 2) if a[0] == b[0])
    finally:
        for entry in made:
            client.remove_image(entry, force=True)


def test_an_id_that_begins_two_images_ids_names_them(yard: Yard, twins: str, tmp_path: Path) -> None:
    ended = run("seatrial", "smoke", f"--image={twins}", folder=tmp_path)
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.errors.splitlines()) == 1
    assert "images have an id that begins so. Give more of it: " in ended.errors
    assert yard.left_behind() == []


def test_a_name_that_is_nearly_right_gets_the_right_one(yard: Yard, tmp_path: Path) -> None:
    clean = yard.bases["clean"]
    for wrong in (clean[:-1], clean.replace("defects", "defect")):
        ended = run("seatrial", "smoke", f"--image={wrong}", folder=tmp_path)
        assert ended.code == 2
        assert f"Did you mean '{clean}'?" in ended.errors
    ended = run("seatrial", "smoke", f"--image={clean.partition(':')[0]}", folder=tmp_path)
    assert f"without a tag, a name means :latest. Give one: {REPOSITORY}:" in ended.errors


# --- output that cannot be written --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["no/where", ".", "/dev/full", "/proc/x", "x" * 300])
@pytest.mark.parametrize("words", [("smoke", "--level", "quick"), ("contract",)])
def test_a_file_that_cannot_be_written_is_one_line(
    yard: Yard, tmp_path: Path, words: tuple[str, ...], place: str
) -> None:
    ended = run("seatrial", *words, "--image", yard.bases["clean"], "--output", place, folder=tmp_path)
    assert ended.code == 2, ended.errors
    assert ended.errors.startswith("error: ")
    assert len(ended.errors.splitlines()) == 1, ended.errors
    assert "bug" not in ended.errors
    assert [path for path in tmp_path.iterdir() if path.name not in {".out", ".errors"}] == []
    assert yard.left_behind() == []


# --- a drafted contract -------------------------------------------------------------------------------------


def drafted(image: str, folder: Path, *words: str) -> Ended:
    return run("seatrial", "contract", "--image", image, *words, folder=folder, within=120)


def test_the_contract_of_an_image_that_works_holds(yard: Yard, tmp_path: Path) -> None:
    clean = yard.bases["clean"]
    ended = drafted(clean, tmp_path, "--output", "contract.toml")
    assert (ended.code, ended.out) == (0, ""), ended.errors
    values = tomllib.loads((tmp_path / "contract.toml").read_text(encoding="utf-8"))
    assert (values["user"], values["uid"], values["gid"], values["python"]) == ("app", 10001, 10001, "3.13")
    assert values["dependencies"] == ["shipapp"]
    assert {"shipapp", "shipapp-health", "shipapp-migrate"} <= set(values["executables"])
    smoked = run("seatrial", "smoke", "--image", clean, "--contract", "contract.toml", folder=tmp_path)
    assert smoked.code == 0, smoked.out
    again = drafted(clean, tmp_path, "--output", "contract.toml")
    assert again.code == 2
    assert "contract.toml: exists already." in again.errors
    forced = drafted(clean, tmp_path, "--output", "contract.toml", "--force")
    assert forced.code == 0
    assert yard.left_behind() == []


def test_without_a_file_it_goes_to_standard_output(yard: Yard, tmp_path: Path) -> None:
    ended = drafted(yard.bases["clean"], tmp_path)
    assert (ended.code, ended.errors) == (0, "")
    assert tomllib.loads(ended.out)["user"] == "app"


def test_what_does_not_hold_waits_for_a_reason(yard: Yard, tmp_path: Path) -> None:
    image = yard.image("FROM {clean}\nHEALTHCHECK NONE")
    ended = drafted(image, tmp_path)
    assert ended.code == 0
    assert '# waive."health/declared" = "..."' in ended.out
    filled = ended.out.replace('# waive."health/declared" = "..."', 'waive."health/declared" = "nobody asks it"')
    (tmp_path / "contract.toml").write_text(filled, encoding="utf-8")
    assert run("seatrial", "smoke", "--image", image, "--contract", "contract.toml", folder=tmp_path).code == 0


NEEDY = "FROM {clean}\n" + python_command("import os, shipapp.web", "os.environ['SHIP_URL']", "shipapp.web.main()")


def test_an_image_that_needs_a_variable_says_which(yard: Yard, tmp_path: Path) -> None:
    image = yard.image(NEEDY)
    ended = drafted(image, tmp_path, "--output", "contract.toml")
    assert ended.code == 1
    assert "did not start" in ended.errors
    assert '# environment = { SHIP_URL = "..." }' in (tmp_path / "contract.toml").read_text(encoding="utf-8")
    ended = drafted(image, tmp_path, "--output", "contract.toml", "--force", "--environment", "SHIP_URL=x")
    assert ended.code == 0, ended.errors
    assert run("seatrial", "smoke", "--image", image, "--contract", "contract.toml", folder=tmp_path).code == 0


def test_an_image_that_writes_gets_a_tmpfs_there(yard: Yard, tmp_path: Path) -> None:
    writes = python_command(
        "import pathlib, shipapp.web", "pathlib.Path('/app/state/now').write_text('1')", "shipapp.web.main()"
    )
    image = yard.image(f"FROM {{clean}}\nUSER 0\nRUN install -d -m 1777 /app/state\nUSER 10001:10001\n{writes}")
    ended = drafted(image, tmp_path, "--output", "contract.toml")
    text = (tmp_path / "contract.toml").read_text(encoding="utf-8")
    assert ended.code == 0, ended.errors
    assert tomllib.loads(text)["tmpfs"] == ["/tmp", "/app/state"]
    assert '"boot/read-only"' not in text


@pytest.mark.parametrize("dockerfile", ['FROM scratch\nCOPY quit /quit\nENTRYPOINT ["/quit"]', "FROM {clean}\nCMD []"])
def test_an_image_that_does_not_work_still_says_what_could_be_seen(yard: Yard, tmp_path: Path, dockerfile: str) -> None:
    files: dict[str, bytes | str] = {"quit": program()} if "quit" in dockerfile else {}
    ended = drafted(yard.image(dockerfile, files), tmp_path)
    assert ended.code == 1, ended.errors
    assert "max-unpacked" in tomllib.loads(ended.out)
    assert yard.left_behind() == []


def test_no_such_image_is_one_line(tmp_path: Path, yard: Yard) -> None:
    ended = drafted("seatrial-test/never:1", tmp_path, "--output", "contract.toml")
    assert (ended.code, len(ended.errors.splitlines())) == (2, 1)
    assert not (tmp_path / "contract.toml").exists()
    assert yard.left_behind() == []
