"""What a smoke shows that init changes by itself, and what it leaves to people."""

from __future__ import annotations

import io
import sys
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import invoke
import pytest
from msgspec import structs
from tests.unit.samples import result, smoke

from seatrial.adopt.model import App, Project, Start, Understanding, inferred, stated
from seatrial.adopt.repair import Kind, repaired, repairs
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import Verdict
from seatrial.cli import onboard, output, prove
from seatrial.cli.init import init
from seatrial.errors import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from seatrial.smoke import Target

FAIL = Status.FAIL
NO_LIBRARY = "libusb-1.0.so.0: cannot open shared object file: No such file or directory"
OWN = stated("Dockerfile", "Dockerfile")
MAKES = "    os.mkdir(self, mode)"


def failing(check: str, *evidence: str, **changed: Any) -> Result:
    return result(FAIL, check, evidence=evidence, **changed)


def refused(path: str, *, how: str = MAKES, error: str = "[Errno 30] Read-only file system") -> Result:
    return failing("boot/read-only", f"log: {how}", "log:     ~~~~~~~~^^^^^^", f"log: OSError: {error}: '{path}'")


def imports(tried: str, *broken: str) -> Result:
    return failing("app/imports", expected=f"imports {tried}", items=broken)


def ended(*log: str, code: int = 0) -> Result:
    return failing("boot/stays-up", *log, actual=f"the container exited at start: exit code {code} after 0.5 s")


def understood(*, own: bool = True, kind: str = "command", **app: Any) -> Understanding:
    """Return an app whose Dockerfile init writes, or is a person's own."""
    start = Start(kind=kind, reference="shop.main:app", server="uvicorn", command=("python", "-m", "shop"))
    project = Project(folder="", starts=(inferred(start, "shop/__main__.py"),), libraries=(inferred("libpq5", "a"),))
    name, context = stated("shop", "pyproject.toml"), stated(".", ".")
    made = App(name=name, context=context, python=True, dockerfile=None if own else OWN, **app)
    return Understanding(name=name, files=3, projects=(project,), apps=(made,))


@pytest.mark.parametrize(
    ("failed", "kind", "value"),
    [
        ([imports("shop", f"shop: OSError: {NO_LIBRARY}")], Kind.LIBRARY, "libusb-1.0-0"),
        ([failing("boot/stays-up", f"log: OSError: {NO_LIBRARY}")], Kind.LIBRARY, "libusb-1.0-0"),
        ([failing("native/libraries-resolve", items=("libzbar.so.0: needed by a.so",))], Kind.LIBRARY, "libzbar0"),
        ([refused("/var/lib/shop")], Kind.FOLDER, "/var/lib/shop"),
        ([refused("state", how='  File "<frozen os>", line 229, in makedirs')], Kind.FOLDER, "/app/state"),
        ([refused("state", error="[Errno 13] Permission denied")], Kind.FOLDER, "/app/state"),
        (
            [imports("shop.main:app, shop.web:app", "shop.main:app: ModuleNotFoundError: No module named 'shop.main'")],
            *(Kind.MODULE, "shop.main:app"),
        ),
        ([ended("log: 3 rows copied"), failing("config/labels", severity=Severity.NOTE)], Kind.JOB, "python -m shop"),
    ],
)
def test_what_is_certain_is_changed(failed: list[Result], kind: Kind, value: str) -> None:
    before = understood()
    found = repairs(smoke(*failed, app="shop"), before)
    assert [(repair.kind, repair.value, repair.left) for repair in found] == [(kind, value, "")]
    after = repaired(before, "shop", found)
    assert after != before
    assert repairs(smoke(*failed, app="shop"), after) == [] or kind is Kind.JOB


@pytest.mark.parametrize(
    ("failed", "understanding"),
    [
        ([imports("shop", "shop: OSError: libpq.so.5: cannot open shared object file")], understood()),
        ([imports("shop", "shop: OSError: libcuda.so.1: cannot open shared object file")], understood()),
        ([imports("shop", "shop: OSError: libshop.so: cannot open shared object file")], understood()),
        (
            [failing("native/libraries-resolve", items=("liba.so.1: wanted by b.so",), severity=Severity.NOTE)],
            understood(),
        ),
        ([refused("/app/log.txt", how="    open(path, 'w')")], understood()),
        ([refused("/srv/$STATE")], understood()),
        ([refused("state")], understood(own=False)),
        ([refused("/srv/state", error="[Errno 13] Permission denied")], understood(own=False)),
        ([imports("shop.main:app", "shop.main:app: ModuleNotFoundError: No module named 'shop'")], understood()),
        ([imports("shop.main:app, shop.web", "shop.main:app: ImportError: No module named 'attrs'")], understood()),
        (
            [imports("shop.main:app, web", "shop.main:app: ModuleNotFoundError: No module named 'shop'")],
            understood(module="shop.main:app"),
        ),
        ([ended("log: done", code=1)], understood()),
        ([ended("log: Traceback (most recent call last):")], understood()),
        ([ended("log: usage: shop [-h] FILE")], understood()),
        ([ended("log: done"), failing("process/reaps-children")], understood()),
        ([ended("log: done")], understood(kind="web")),
        ([ended("log: done")], understood(own=False)),
        ([ended("log: done")], understood(command=stated(("shop", "run"), "--command"))),
    ],
)
def test_what_is_not_certain_is_left(failed: list[Result], understanding: Understanding) -> None:
    assert repairs(smoke(*failed, app="shop"), understanding) == []
    assert repairs(smoke(*failed, app="another"), understanding) == []


def test_a_persons_dockerfile_is_left_and_the_package_told() -> None:
    before = understood(own=False)
    (found,) = repairs(smoke(imports("shop", f"shop: OSError: {NO_LIBRARY}"), app="shop"), before)
    assert found.value == "libusb-1.0-0"
    assert "your own" in found.left
    assert repaired(before, "shop", [found]) == before


PROVE = partial(init, prove=True)


def proved(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    rounds: Sequence[Sequence[Result] | None],
    run: Callable[..., object] = PROVE,
    **options: Any,
) -> int:
    """Run init --prove, or another command, in a project whose builds and smokes come to these; None does not build."""
    left = iter(rounds)
    now: list[Sequence[Result]] = []

    def build(_: object, names: Sequence[str], _engine: object, _host: object, failed: Any) -> None:
        outcome = next(left)
        now[:] = [outcome or ()]
        if outcome is None:
            failed(SimpleNamespace(app=names[0]), BuildFailedError("a step failed."))

    def smokes(targets: Sequence[Target], *_: object, **__: object) -> object:
        verdict = Verdict.FAIL if now[0] else Verdict.PASS
        made = tuple(smoke(*now[0], verdict=verdict, app=target.app or "") for target in targets)
        return SimpleNamespace(smokes=made, problems=())

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(output, "engine", lambda: "an engine")
    monkeypatch.setattr(prove, "build_apps", build)
    monkeypatch.setattr("seatrial.smoke.smoke_images", smokes)
    try:
        run(invoke.Context(), **options)
    except invoke.Exit as ended_with:
        assert list(left) == []
        return int(ended_with.code)
    assert list(left) == []
    return 0


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "requirements.txt").write_text("six==1.17.0\n", encoding="utf-8")
    (folder / "main.py").write_text("if __name__ == '__main__':\n    print('ahoy')\n", encoding="utf-8")
    return folder


LACKS = [failing("boot/stays-up", f"log: OSError: {NO_LIBRARY}")]


def test_files_are_changed_until_nothing_is_certain(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proved(shop, monkeypatch, [LACKS, [refused("state")], []], name=["shop"]) == 0
    said = capsys.readouterr().err
    assert "shop: the Debian package libusb-1.0-0 is installed in the image" in said
    assert said.count("round ") == said.count("\nchanged: ") + 1 == 3
    assert "libusb-1.0-0" in (shop / "Dockerfile").read_text(encoding="utf-8")
    assert "- /app/state" in (shop / "compose.yaml").read_text(encoding="utf-8")
    assert 'tmpfs = ["/tmp", "/app/state"]' in (shop / "seatrial.toml").read_text(encoding="utf-8")


def test_what_does_not_build_afterwards_is_put_back(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proved(shop, monkeypatch, [LACKS, None], name=["shop"]) != 0
    assert "put back" in capsys.readouterr().err
    assert "libusb" not in (shop / "Dockerfile").read_text(encoding="utf-8")


def test_rounds_come_to_an_end(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [[refused(f"state{number}")] for number in range(4)]
    assert proved(shop, monkeypatch, rounds, name=["shop"]) == 1
    assert "shop: left, as" in capsys.readouterr().err


def test_what_init_wrote_before_is_still_its_own(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "pyproject.toml").write_text('[project]\nname = "shop"\n', encoding="utf-8")
    assert proved(shop, monkeypatch, [[]]) == 0
    assert proved(shop, monkeypatch, [[*LACKS, refused("state")], []]) == 0
    assert "libusb-1.0-0" in (shop / "Dockerfile").read_text(encoding="utf-8")
    assert "- /app/state" in (shop / "compose.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["Dockerfile", "seatrial.toml"])
def test_what_a_person_has_changed_is_not_changed(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    assert proved(shop, monkeypatch, [[]], name=["shop"]) == 0
    with (shop / file).open("a", encoding="utf-8") as opened:
        opened.write("# mine\n")
    before = {file: file.read_bytes() for file in shop.iterdir() if file.is_file()}
    assert proved(shop, monkeypatch, [[*LACKS, refused("state")]], name=["shop"]) == 1
    assert {file: file.read_bytes() for file in shop.iterdir() if file.is_file()} == before
    said = capsys.readouterr().err
    assert "nothing is changed" in said or "left, as the files were changed by hand" in said


@pytest.mark.parametrize(
    ("answer", "options", "rounds", "code"),
    [
        (None, {}, [LACKS], 1),
        (None, {"repair": True}, [LACKS, []], 0),
        (False, {}, [LACKS], 1),
        (True, {}, [LACKS, []], 0),
        (True, {"repair": True}, [[failing("config/labels", "none")]], 1),
    ],
)
def test_onboard_repairs_what_init_wrote_where_somebody_says_so(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bool | None,
    options: dict[str, Any],
    rounds: list[list[Result]],
    code: int,
) -> None:
    (shop / "pyproject.toml").write_text('[project]\nname = "shop"\n', encoding="utf-8")
    assert proved(shop, monkeypatch, [[]]) == 0
    before = {file: file.read_bytes() for file in shop.iterdir() if file.is_file()}
    asked: list[str] = []

    def terminal(question: str) -> bool:
        asked.append(question)
        return bool(answer)

    monkeypatch.setattr(onboard, "_engine", lambda *_, **__: "an engine")
    monkeypatch.setattr(onboard, "_bring_up", lambda *_: None)
    monkeypatch.setattr("seatrial.reports.console.print_up_line", lambda *_: None)
    monkeypatch.setattr("seatrial.reports.console.print_next_steps", lambda *_: None)
    monkeypatch.setattr(output, "terminal_prompt", lambda: terminal if answer is not None else None)
    assert proved(shop, monkeypatch, rounds, onboard.onboard, **options) == code
    said = capsys.readouterr().err
    changed = {file.name for file, content in before.items() if file.read_bytes() != content}
    assert changed == ({"Dockerfile"} if code == 0 else set())
    assert [question.endswith("Change Dockerfile so, and smoke again?") for question in asked] == (
        [True] if answer is not None and not options else []
    )
    assert ("invoke onboard --repair" in said) == (answer is None and not options)


def test_nothing_is_proved_by_a_dry_run(monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    assert proved(shop, monkeypatch, [], dry_run=True) == 2
    assert not (shop / "Dockerfile").exists()


def test_a_project_of_several_apps_changes_one() -> None:
    before = understood()
    other = structs.replace(before.apps[0], name=stated("bot", "compose.yaml"), project="bot")
    both = structs.replace(before, apps=(*before.apps, other), projects=(*before.projects, Project(folder="bot")))
    after = repaired(both, "bot", repairs(smoke(refused("state"), app="bot"), both))
    assert [app.tmpfs for app in after.apps] == [(), ("/app/state",)]
