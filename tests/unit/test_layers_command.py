"""`layers`: where the bytes are, from an archive and with no engine; tables for a person, JSON for a program."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import invoke
import pytest
from rich.console import Console
from tests.unit.saved import config, docker_archive, tar, write

from seatrial.cli import output
from seatrial.cli.layers import layers
from seatrial.observe.layers.saved_image import from_path
from seatrial.observe.layers.stacked import layers_of
from seatrial.observe.layers.usage import Row, Usage, _folders, usage_of
from seatrial.observe.path_rules import rules
from seatrial.reports.layers import print_layers

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.facts import Layers

SITE = "app/lib/python3.13/site-packages"
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n\n"
BASE = tar(
    {
        "bin": "-> usr/bin",
        "usr/bin/sh": b"s" * 1000,
        "usr/lib/libz.so": b"z" * 500,
        "usr/lib/libz.so.1": "=> usr/lib/libz.so",
        "var/lib/dpkg/info/dash.list": "/.\n/bin\n/bin/sh\n",
        "var/lib/dpkg/info/zlib1g:amd64.list": "/usr/lib/libz.so\n/usr/share/doc/none\n",
        "var/lib/dpkg/status.d/tzdata.md5sums": "00  usr/share/zone\n",
        "usr/share/zone": b"t" * 40,
        "lib/apk/db/installed": "P:musl\nF:usr/musl\nR:ld.so\n\n",
        "usr/musl/ld.so": b"m" * 30,
        "usr/lib/apk/db/installed": "P:wolfi\nF:usr/wolfi\nR:ld.so\n\n",
        "usr/wolfi/ld.so": b"w" * 20,
        "usr/lib/python3/six.py": b"old",
        "usr/lib/python3/six-1.dist-info/RECORD": "six.py,,\n",
    }
)
APP = tar(
    {
        f"{SITE}/nvidia/__init__.py": b"1",
        f"{SITE}/nvidia/cublas/lib/a.so": b"c" * 300_000,
        f"{SITE}/nvidia/cudnn/b.so": b"d" * 200_000,
        f"{SITE}/nvidia_cublas-1.0.dist-info/METADATA": METADATA.format("nvidia-cublas"),
        f"{SITE}/nvidia_cublas-1.0.dist-info/RECORD": "nvidia/__init__.py,,\nnvidia/cublas/lib/a.so,,\n",
        f"{SITE}/nvidia_cudnn-1.0.dist-info/METADATA": METADATA.format("nvidia-cudnn"),
        f"{SITE}/nvidia_cudnn-1.0.dist-info/RECORD": "nvidia/__init__.py,,\nnvidia/cudnn/b.so,,\n",
        f"{SITE}/six.py": b"6" * 90,
        f"{SITE}/__pycache__/six.pyc": b"7" * 9,
        f"{SITE}/six-1.dist-info/RECORD": "six.py,,\n__pycache__/six.pyc,,\n../../../bin/six,,\n",
        "app/bin/six": b"x" * 50,
    }
)
TWICE = f"{SITE}/nvidia/cudnn/b.so"
CHOWN = tar({TWICE: b"d" * 200_000, "srv/data": b"y" * 100}, {TWICE: (0o644, 7, 7)})
STEPS = ("ADD rootfs /", '!CMD ["sh"]', "COPY . /app", "RUN /bin/sh -c chown -R 7:7 /app # buildkit")
LAYERS = (BASE, APP, CHOWN)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write(tmp_path / "a.tar", docker_archive(LAYERS, config(LAYERS, STEPS)))


@pytest.fixture
def facts(archive: Path) -> Layers:
    return layers_of(from_path(archive), ())


@pytest.fixture
def usage(archive: Path, facts: Layers) -> Usage:
    return usage_of(from_path(archive), facts)


def named(rows: tuple[Row, ...]) -> dict[str, tuple[int, int, int]]:
    return {row.name: (row.files, row.size, row.saves) for row in rows}


def test_bytes_are_told_by_instruction(usage: Usage) -> None:
    rows = [(row.instruction, row.base, row.hidden) for row in usage.instructions]
    assert rows == [
        ("ADD rootfs /", True, 0),
        ("COPY . /app", False, 200_000),
        ("RUN chown -R 7:7 /app", False, 0),
    ]
    assert usage.wasted == 200_000
    assert usage.size == sum(row.size for row in usage.instructions)
    assert usage.base == usage.instructions[0].size


def test_bytes_are_told_by_distribution_also_within_a_namespace(usage: Usage) -> None:
    found = named(usage.distributions)
    names = ["nvidia-cublas 1.0", "nvidia-cudnn 1.0", f"six-1 in /{SITE}", "six-1 in /usr/lib/python3"]
    assert list(found) == names
    assert found[names[3]] == (1, 3, 0)
    assert found["nvidia-cublas 1.0"][1] > 300_000
    _, size, saves = found["nvidia-cudnn 1.0"]
    assert saves == size + 200_000, "it is stored twice"
    assert found[names[2]] == (3, 90 + 9 + 50, 90 + 9 + 50)


def test_bytes_are_told_by_system_package_of_each_kind(usage: Usage) -> None:
    assert named(usage.packages) == {
        "dash": (1, 1000, 0),
        "zlib1g": (1, 500, 0),
        "tzdata": (1, 40, 0),
        "musl": (1, 30, 0),
        "wolfi": (1, 20, 0),
    }


def test_very_deep_folders_take_little_memory() -> None:
    paths = {f"/{number}{'/d' * 2000}": 1 for number in range(10)}
    tracemalloc.start()
    try:
        rows = list(_folders(paths))
        rules((), (f"{path}-1.dist-info" for path in paths))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert {len(folder) for folder, _ in rows} == {2 + 2 * 63}


def test_bytes_are_told_by_the_deepest_folder_with_a_share(usage: Usage) -> None:
    found = named(usage.folders)
    assert found[f"/{SITE}/nvidia/cublas/lib"] == (1, 300_000, 300_000)
    assert sum(size for _, size, _ in found.values()) == usage.size - usage.wasted


def test_no_engine_is_asked_and_json_holds_all(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "engine", lambda: pytest.fail("an engine was asked"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    layers(invoke.Context(), archive=str(archive), format="json")
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["image"], told["usage"]["wasted"]) == (1, str(archive), 200_000)
    layers(invoke.Context(), archive=str(archive))
    text = capsys.readouterr().out
    assert text.startswith(f"{archive}: ")
    assert "RUN chown -R 7:7 /app" in text
    assert "nvidia-cudnn 1.0" in text
    assert "layer 3 (RUN chown -R 7:7 /app) stores /" in text
    assert told["usage"]["twice"][0]["size"] == 200_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"archive": "a.tar", "image": "shop:1"}, "each name an image"),
        ({"image": "shop:1", "platform": "linux/arm64"}, "--platform goes with --archive"),
        ({"archive": "/nonexistent.tar"}, "/nonexistent.tar: it cannot be read: No such file or directory"),
        ({"archive": "x", "format": "yaml"}, "--format 'yaml' is not known"),
    ],
)
def test_what_does_not_go_is_told(options: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(invoke.Exit) as ended:
        layers(invoke.Context(), **options)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_terminal_gets_no_row_that_is_wider(usage: Usage, facts: Layers) -> None:
    screen = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    print_layers("shop:1\x1b[2J", usage, facts, screen)
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert "\x1b[2J" not in screen.file.getvalue()
    assert max(len(line) for line in lines[2:-1] if "stores" not in line) <= 60
    assert any(line.endswith("…") for line in lines)
