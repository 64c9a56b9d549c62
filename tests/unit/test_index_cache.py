"""What is kept of images between two smokes: it is used only where it is ours, whole, and of this version."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.unit.trees import index

from seatrial.observe import index_cache
from seatrial.observe.index_cache import Kept, load, store

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "sha256:" + "a1" * 32
TREE = index(
    {"/app/.env": "TOKEN=1", "/bin/x": "#!/bin/sh\n", "/root/id_rsa": "-----BEGIN PRIVATE KEY-----", "/l": "-> app"}
)


def file_of(cache: Path) -> Path:
    return cache / "images" / f"{'a1' * 32}.index"


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert load(cache, IMAGE) is None
    store(cache, IMAGE, TREE)
    assert load(cache, IMAGE) == TREE
    assert load(cache, "sha256:" + "b2" * 32) is None
    assert (file_of(cache).stat().st_mode & 0o777, (cache / "images").stat().st_mode & 0o777) == (0o600, 0o700)
    assert [file.name for file in (cache / "images").iterdir()] == [file_of(cache).name]


def test_nothing_is_kept_without_a_folder_an_id_or_the_whole(tmp_path: Path) -> None:
    store(None, IMAGE, TREE)
    store(tmp_path, "../../etc/passwd", TREE)
    store(tmp_path, IMAGE, msgspec.structs.replace(TREE, cut=("/: it was read for 60 s",)))
    assert not list((tmp_path / "images").glob("*"))
    assert load(None, IMAGE) is None
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    store(blocked, IMAGE, TREE)
    assert load(blocked, IMAGE) is None


def test_names_that_are_no_utf8_are_kept_as_they_are(tmp_path: Path) -> None:
    odd = index(
        {
            "/\udcff\udcfe/bin/x": "#!/bin/sh\n",
            "/\udcff\udcfe/id_rsa": "-----BEGIN PRIVATE KEY-----",
            "/l": "-> \udcff\udcfe",
            "/größe": "",
            "/\xff\xfe": "",
        }
    )
    assert odd.texts
    assert odd.holding
    store(tmp_path, IMAGE, odd)
    assert load(tmp_path, IMAGE) == odd


def test_what_was_made_by_other_rules_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, IMAGE, TREE)
    before = index_cache.rules_format()
    read = Path.read_bytes
    for name in index_cache.DECIDING:
        index_cache.rules_format.cache_clear()
        monkeypatch.setattr(
            Path, "read_bytes", lambda file, name=name: read(file) + b"#" * str(file).endswith(f"/{name}.py")
        )
        assert index_cache.rules_format() != before
        assert load(tmp_path, IMAGE) is None
    monkeypatch.undo()
    index_cache.rules_format.cache_clear()
    assert load(tmp_path, IMAGE) == TREE


def test_every_module_that_decides_what_is_kept_counts() -> None:
    package = Path(index_cache.__file__).parents[1]
    found, left = {"observe/index_cache"}, ["observe/index", "observe/layers/saved_image"]
    while left:
        name = left.pop()
        found.add(name)
        for node in ast.parse((package / f"{name}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seatrial"):
                names = (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))
                paths = {name.removeprefix("seatrial.").replace(".", "/") for name in names}
                counting = {path for path in paths if path.startswith(("observe/", "inside/", "capabilities"))}
                left += {path for path in counting if (package / f"{path}.py").is_file()} - found
    assert found == set(index_cache.DECIDING)


def in_its_place(file: Path, make: Callable[[], object]) -> None:
    file.rename(file.parent / "elsewhere")
    make()


def encoded(**changed: object) -> bytes:
    kept = Kept(format=index_cache.rules_format(), id=IMAGE, index=TREE)
    return msgspec.msgpack.encode(msgspec.structs.replace(kept, **changed))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "damaged": lambda file: file.write_bytes(encoded()[:-3]),
    "empty": lambda file: file.write_bytes(b""),
    "no index": lambda file: file.write_bytes(b"\xff" * 100),
    "nested deep": lambda file: file.write_bytes(b"\x91" * 100_000),
    "another format": lambda file: file.write_bytes(encoded(format="0")),
    "another image's": lambda file: file.write_bytes(encoded(id="sha256:" + "b2" * 32)),
    "paths that are no bytes": lambda file: file.write_bytes(encoded(index=index({"/\u0444": "x"}), in_bytes=True)),
    "not whole": lambda file: file.write_bytes(encoded(index=msgspec.structs.replace(TREE, cut=("x",)))),
    "not UTF-8": lambda file: file.write_bytes(
        encoded().replace(b"TOKEN", b"\xff\xff\xff\xff\xff").replace(b"/app", b"\xff\xff\xff\xff")
    ),
    "writable to others": lambda file: file.chmod(0o666),
    "in a folder that others write to": lambda file: file.parent.chmod(0o777),
    "a link": lambda file: in_its_place(file, lambda: file.symlink_to(file.parent / "elsewhere")),
    "a link to nothing": lambda file: in_its_place(file, lambda: file.symlink_to("/nothing")),
    "a pipe": lambda file: in_its_place(file, lambda: os.mkfifo(file)),
    "a folder": lambda file: in_its_place(file, file.mkdir),
    "too large": lambda file: os.truncate(file, index_cache.LARGEST + 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_not_ours_and_whole_is_left_aside(damage: Callable[[Path], object], tmp_path: Path) -> None:
    store(tmp_path, IMAGE, TREE)
    damage(file_of(tmp_path))
    assert load(tmp_path, IMAGE) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_what_belongs_to_another_account_is_left_aside(tmp_path: Path) -> None:
    store(tmp_path, IMAGE, TREE)
    os.chown(file_of(tmp_path), 12345, 12345)
    assert load(tmp_path, IMAGE) is None
    os.chown(file_of(tmp_path), 0, 0)
    os.chown(tmp_path / "images", 12345, 12345)
    assert load(tmp_path, IMAGE) is None
    # Nor is anything written there.
    file_of(tmp_path).unlink()
    store(tmp_path, IMAGE, TREE)
    assert not list((tmp_path / "images").iterdir())


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images").symlink_to(tmp_path / "elsewhere")
    store(tmp_path, IMAGE, TREE)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_lies_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("stays", encoding="utf-8")
    (tmp_path / "images").mkdir(mode=0o700)
    (tmp_path / "images" / f".{file_of(tmp_path).name}.{os.getpid()}").symlink_to(target)
    file_of(tmp_path).symlink_to(target)
    store(tmp_path, IMAGE, TREE)
    assert load(tmp_path, IMAGE) == TREE
    assert target.read_text(encoding="utf-8") == "stays"


def test_the_oldest_are_removed_past_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "MOST_FILES", 3)
    images = [f"sha256:{number:064x}" for number in range(5)]
    for number, image in enumerate(images):
        store(tmp_path, image, TREE)
        os.utime(tmp_path / "images" / f"{number:064x}.index", (number, number))
        if number == 2:
            # Used again, it is not the oldest any more.
            load(tmp_path, images[0])
    assert [load(tmp_path, image) is not None for image in images] == [True, False, False, True, True]
    monkeypatch.setattr(index_cache, "MOST_BYTES", 1)
    (tmp_path / "images" / "a-file-of-somebody").write_text("stays", encoding="utf-8")
    store(tmp_path, images[0], TREE)
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["a-file-of-somebody"]
