"""`smoke --archive`: every check that needs no process of the image, on a machine without an engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import invoke
import pytest
from tests.unit.saved import config, docker_archive, layout, tar, unfold, write

from seatrial.checks.model import Status
from seatrial.checks.registry import CHECKS
from seatrial.cli.smoke import smoke
from seatrial.engine import find
from seatrial.errors import ImageError
from seatrial.facts import Probe, Unavailable
from seatrial.observe.archived import NOT_RUN, gather_archive
from seatrial.observe.layers.files import ArchiveFiles
from seatrial.observe.layers.saved_image import SavedImage, from_path
from seatrial.observe.layers.stacked import layers_of
from seatrial.observe.path_rules import rules
from seatrial.requirements import image_environment
from seatrial.settings.model import Contract
from seatrial.smoke.archives import smoke_archive
from seatrial.smoke.images import image_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from seatrial.checks.verdict import Smoke

ELF = b"\x7fELF" + bytes(5000)
NETRC = "machine example.org login a password b\n"
BASE = tar(
    {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:10001:10001::/app:/bin/sh\n",
        "etc/shadow": "root:*:1:0:99999:7:::\napp::1:0:99999:7:::\n",
        "etc/group": "root:x:0:\napp:x:10001:\n",
        "bin/sh": ELF,
        "bin/dash": "=> bin/sh",
    },
    {"bin/sh": (0o755, 0, 0), "bin/dash": (0o755, 0, 0)},
)
APP = tar(
    {
        "app/": None,
        "app/start": "#!/bin/sh\nexec serve\n",
        "app/shop/__init__.py": "",
        "app/shop/api.py": "import json\n",
        "app/old.py": "1\n",
        "root/.netrc": NETRC,
        "usr/bin/find": ELF,
    },
    {"app/start": (0o755, 0, 0), "usr/bin/find": (0o4755, 0, 0)},
)
LAST = tar({"root/.wh..netrc": "", "app/.wh.old.py": "", "app/shop/api.py": "import os\n"})
LAYERS = (BASE, APP, LAST)
STEPS = ("ADD rootfs /", '!CMD ["sh"]', "COPY . /", "RUN rm /root/.netrc")
RUN: dict[str, Any] = {"User": "app", "Entrypoint": ["/app/start"], "WorkingDir": "/app", "Labels": {"a": "b"}}


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(find, "find_engine", lambda _: pytest.fail("an engine was looked for"))
    monkeypatch.setattr(find, "connect", lambda *_: pytest.fail("an engine was asked"))


@pytest.fixture(params=["a tar", "a folder"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    configuration = config(LAYERS, STEPS, **RUN)
    if request.param == "a tar":
        return write(tmp_path / "a.tar", docker_archive(LAYERS, configuration))
    return unfold(tmp_path / "l", layout((LAYERS, configuration), way="gzip"))


def smoked(archive: Path) -> Smoke:
    return smoke_archive(image_target(str(archive), None), archive)[0]


def test_what_needs_no_process_is_judged_and_the_rest_is_told(archive: Path) -> None:
    results = {result.id: result for result in smoked(archive).checks}
    assert set(results) == {check.id for check in CHECKS}
    failed = {name for name, result in results.items() if result.status is Status.FAIL}
    assert {"accounts/no-empty-passwords", "files/setuid", "secrets/deleted", "config/labels"} <= failed
    for name in ("process/command-resolves", "identity/non-root", "secrets/files", "layers/waste", "process/exec-form"):
        assert results[name].status is Status.PASS, (name, results[name].actual)
    for name in ("boot/stays-up", "app/imports", "probe/agrees", "native/libraries-resolve", "boot/recreate"):
        assert (results[name].status, results[name].actual) == (Status.SKIP, NOT_RUN.reason), name
    undecided = {name for name, result in results.items() if result.status is Status.ERROR}
    assert undecided < {name for name in results if name.startswith(("python/", "packages/", "app/", "identity/"))}
    assert results["packages/evidence"].actual.endswith("the image holds no Python interpreter")


def test_its_configuration_and_size_are_its_own(archive: Path) -> None:
    configuration = gather_archive(archive, Contract()).configuration
    assert (configuration.user, configuration.words, configuration.platform) == ("app", ("/app/start",), "linux/amd64")
    layers = ArchiveFiles(archive).image.layers
    assert configuration.unpacked == sum(size for layer in layers for size in layer.sizes.values())
    assert configuration.unpacked > 2 * len(ELF)
    assert configuration.history[-1] == "RUN rm /root/.netrc"


@pytest.mark.parametrize(
    ("more", "check"), [((), "secrets/files"), (({"app/.wh..env": ""},), "secrets/deleted")], ids=["there", "removed"]
)
def test_a_secret_under_a_second_name_is_found(more: Sequence[dict[str, str]], check: str, tmp_path: Path) -> None:
    linked = {"app/notes": "API_TOKEN=9f86d081884c7d65\n", "app/.env": "=> app/notes"}
    layers = [*LAYERS, tar(linked), *map(tar, more)]
    file = write(tmp_path / "a.tar", docker_archive(layers, config(layers, **RUN)))
    told = {result.id: result for result in smoked(file).checks}[check]
    assert told.status is Status.FAIL
    assert "/app/.env" in told.actual
    # The engine's stream is read once.
    assert "'/app/.env' is one more name" in layers_of(from_path(file), rules()).cut[0]


def test_sources_are_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = "usr/lib/python3.11/site-packages"
    tree: dict[str, str | bytes | None] = {
        **{f"app/own{number}/a.py": f"x = {number}" for number in range(5)},
        **{f"{site}/other{number}/{name}.py": f"y = {number}" for number in range(5) for name in ("__init__", "b")},
        "app/first.py": "z = 1",
        "app/again/second.py": "=> app/first.py",
        f"{site}/six.py": "s = 1",
    }
    layers = [tar(tree)]
    files = ArchiveFiles(write(tmp_path / "a.tar", docker_archive(layers, config(layers))))
    passes: list[Path] = []

    def counted(path: Path, *more: Any) -> SavedImage:
        passes.append(path)
        return from_path(path, *more)

    monkeypatch.setattr("seatrial.observe.layers.files.from_path", counted)
    for number in range(5):
        assert files.python_files(f"/app/own{number}") == {f"/app/own{number}/a.py": f"x = {number}"}
        init = f"/{site}/other{number}/__init__.py"
        assert files.python_files(init) == {init: f"y = {number}"}
    assert files.python_files("/app/again") == {"/app/again/second.py": "z = 1"}
    assert len(passes) == 1
    for _ in range(2):
        assert files.python_files(f"/{site}/six.py") == {f"/{site}/six.py": "s = 1"}
        assert files.python_files("/nothing") == {}
    assert len(passes) == 2


SITE = "app/.venv/lib/python3.11/site-packages"
DEBIAN = "Package: python3.11\nStatus: install ok installed\nVersion: 3.11.2-6+deb12u6\n"


@pytest.mark.parametrize(
    ("where", "more", "variables", "version"),
    [
        ("usr/local", {}, ["PYTHON_VERSION=3.11.9"], "3.11.9"),
        ("usr/local", {}, ["PYTHON_VERSION=3.12.1"], "3.11"),
        ("usr/local", {}, [], "3.11"),
        ("opt/python", {"app/.venv/pyvenv.cfg": "home = /opt/python/bin\nversion_info = 3.11.4\n"}, [], "3.11.4"),
        ("opt/cpython-3.11.7-linux-x86_64-gnu", {}, ["PYTHON_VERSION=3.11.9"], "3.11.7"),
        ("usr", {"var/lib/dpkg/status": DEBIAN}, ["PYTHON_VERSION=3.11.9"], "3.11.2"),
        ("usr", {}, ["PYTHON_VERSION=3.11.9"], "3.11"),
    ],
)
def test_markers_are_judged_by_the_images_processor_and_python(
    where: str, more: dict[str, str], variables: list[str], version: str, tmp_path: Path
) -> None:
    files: dict[str, str | bytes | None] = {
        f"{where}/bin/python3.11": ELF,
        f"{where}/lib/python3.11/site.py": "",
        f"{where}/lib/python3.11/os.py": "",
        "app/.venv/bin/python": f"-> /{where}/bin/python3.11",
        "app/.venv/pyvenv.cfg": f"home = /{where}/bin\n",
        f"{SITE}/six-1.16.0.dist-info/METADATA": "Name: six\nVersion: 1.16.0\n",
        **more,
    }
    layers = [BASE, tar(files, {f"{where}/bin/python3.11": (0o755, 0, 0)})]
    run = {"Entrypoint": ["/app/.venv/bin/python", "-m", "shop"], "Env": ["PATH=/bin", *variables]}
    made = config(layers, architecture="arm64", **run)
    seen = gather_archive(write(tmp_path / "a.tar", docker_archive(layers, made)), Contract()).by_files
    assert isinstance(seen, Probe), seen
    found = image_environment(seen)
    assert (found["platform_machine"], found["implementation_name"]) == ("aarch64", "cpython")
    assert found["platform_python_implementation"] == "CPython"
    assert (found["python_version"], found["python_full_version"]) == ("3.11", version)


def test_files_are_those_that_a_container_sees(archive: Path) -> None:
    files = ArchiveFiles(archive)
    assert files.text("/etc/shadow").startswith("root:*:")
    assert files.beginning("/bin/dash") == ELF[:4096]
    assert files.text("/app/start").endswith("serve\n")
    assert files.text("/app/old.py") == files.text("/nothing") == files.text("/app") == ""
    assert files.python_files("/app") == {"/app/shop/__init__.py": "", "/app/shop/api.py": "import os\n"}
    assert files.python_files("/app/shop/api.py") == {"/app/shop/api.py": "import os\n"}
    assert files.entry("/root/.netrc") is None


def test_the_command_smokes_an_archive(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(invoke.Exit) as ended:
        smoke(invoke.Context(), archive=str(archive), format="json", no_baseline=True)
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert (told["image"], told["level"], told["verdict"]) == (str(archive), "archive", "fail")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"level": "deep"}, "--level does not go with --archive"),
        ({"stack": True}, "--stack does not go with --archive"),
        ({"image": "shop:1"}, "--image does not go with --archive"),
        ({"archive": None, "image": "shop:1", "platform": "linux/arm64"}, "--platform goes with --archive"),
        ({"archive": "/nonexistent"}, "/nonexistent: it cannot be read: No such file"),
    ],
)
def test_what_does_not_go_with_an_archive_is_told(
    options: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(invoke.Exit) as ended:
        smoke(invoke.Context(), **{"archive": "a.tar", "no_baseline": True, **options})
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        *({"User": 5}, {"Env": 5}, {"Env": [1]}, {"Labels": ["a"]}, {"Healthcheck": "x"}, {"Cmd": {"a": 1}}),
        *({"Healthcheck": {"Test": ["CMD", "x"], key: 10**400}} for key in ("Interval", "StartPeriod", "Retries")),
        {"Healthcheck": {"Test": ["CMD", "x"], "Timeout": -1}},
    ],
)
def test_a_configuration_that_is_none_is_no_traceback(tmp_path: Path, wrong: dict[str, Any]) -> None:
    file = write(tmp_path / "a.tar", docker_archive(LAYERS, config(LAYERS, **{**RUN, **wrong})))
    with pytest.raises(ImageError, match=r"c\.json is not what it should be"):
        gather_archive(file, Contract())


def test_an_archive_that_is_cut_is_never_a_pass(tmp_path: Path) -> None:
    members = docker_archive(LAYERS, config(LAYERS, STEPS, **RUN))
    cut = write(tmp_path / "a.tar", {**members, "layer-1/layer.tar": APP[:2048]})
    results = {result.id: result.status for result in smoked(cut).checks}
    assert {results[name] for name in ("files/setuid", "secrets/files", "layers/waste")} == {Status.ERROR}
    assert isinstance(gather_archive(cut, Contract()).probe, Unavailable)
