"""The reader of saved images: every form gives the same layers; a hostile one is bounded and told."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import tracemalloc
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit import saved
from tests.unit.saved import config, docker_archive, layout, tar, unfold, write

from seatrial.errors import ImageError
from seatrial.observe.archive import Limits
from seatrial.observe.layers import manifests, saved_image
from seatrial.observe.layers.compression import Pieces
from seatrial.observe.layers.layer import places_recorded
from seatrial.observe.layers.saved_image import SavedImage, Source, from_path, read_saved

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = tar(
    {
        "etc/": None,
        "etc/passwd": "root:x:0:0::/:/bin/sh\n",
        "var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib\n/lib/libc.so.6\n",
        "lib/libc.so.6": "=> etc/passwd",
        "srv/old": b"x" * 3000,
        "srv/kept/deep": "1",
    }
)
APP = tar(
    {
        "app/": None,
        "app/.env": "API_TOKEN=9f86d081884c7d65\n",
        "app/six-1.0.dist-info/RECORD": "six.py,,\n__pycache__/six.pyc,,\n../bin/six,,\nsix-1.0.dist-info/RECORD,,\n",
        "srv/.wh.old": "",
        "srv/kept/.wh..wh..opq": "",
        "srv/.wh..wh.plnk": "",
        "srv/.wh.never-there": "",
    },
    {"app/.env": (0o600, 10001, 10001)},
)
LAYERS = (BASE, APP, BASE)
CONFIG = config(LAYERS)
FORMS: dict[str, Callable[[Path], Path]] = {
    "docker before 25": lambda folder: write(folder / "a.tar", docker_archive(LAYERS, CONFIG)),
    "packed by gzip": lambda folder: write(folder / "a.tar.gz", docker_archive(LAYERS, CONFIG), "gzip"),
    "packed by zstd": lambda folder: write(folder / "a.tar.zst", layout((LAYERS, CONFIG)), "zstd"),
    "docker 25": lambda folder: write(folder / "a.tar", layout((LAYERS, CONFIG))),
    "gzip layers": lambda folder: write(folder / "a.tar", layout((LAYERS, CONFIG), way="gzip")),
    "zstd layers": lambda folder: write(folder / "a.tar", layout((LAYERS, CONFIG), way="zstd")),
    "a folder": lambda folder: unfold(folder / "l", layout((LAYERS, CONFIG), way="gzip")),
    "an index in an index": lambda folder: write(folder / "a.tar", layout((LAYERS, CONFIG), nested=True)),
    "several platforms": lambda folder: write(
        folder / "a.tar", layout(((APP,), config((APP,), architecture="arm64")), (LAYERS, CONFIG), nested=True)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_layers(tmp_path: Path, form: str) -> None:
    image = from_path(FORMS[form](tmp_path), "linux/amd64")
    assert image.id == saved.digest(CONFIG)
    assert image.cut == ()
    base, app, again = image.layers
    assert again == base
    assert {path: (entry.mode, entry.uid, entry.size) for path, entry in app.index.paths.items()} == {
        "/app": (0o755, 0, 0),
        "/app/.env": (0o600, 10001, 27),
        "/app/six-1.0.dist-info/RECORD": (0o644, 0, 71),
    }
    assert app.removed == ("/srv/old", "/srv/never-there")
    assert app.emptied == ("/srv/kept",)
    assert app.index.holding["/app/.env"]
    assert app.lists == {"/app/six-1.0.dist-info/RECORD": "six.py\n__pycache__/\n../bin/six\nsix-1.0.dist-info/"}
    assert base.lists["/var/lib/dpkg/info/libc6:amd64.list"].endswith("libc.so.6\n")
    assert base.digests["/lib/libc.so.6"] == base.digests["/etc/passwd"] != base.digests["/srv/old"]
    assert base.index.texts["/etc/passwd"].startswith("root:")


def test_an_engines_stream_is_read_once(tmp_path: Path) -> None:
    raw = FORMS["docker 25"](tmp_path).read_bytes()
    chunks = (raw[at : at + 700] for at in range(0, len(raw), 700))
    source = Source("a", lambda: saved_image._in_tar(Pieces(chunks), 10**9), again=False, most=10**9)  # noqa: SLF001
    assert read_saved(source) == from_path(FORMS["docker 25"](tmp_path))


def test_a_distributions_places_are_its_folders() -> None:
    record = (
        b'google/cloud/x/a.py,,\n"google/cloud/y, z.py",,\nnumpy/__init__.py,,\nnumpy/core/a.so,sha256=x,1\nsix.py,,\n'
    )
    assert places_recorded(record) == ["google/cloud/", "numpy/", "numpy/core/", "six.py"]


def refused(file: Path, wanted: str = "") -> str:
    with pytest.raises(ImageError) as error:
        from_path(file, wanted)
    return str(error.value)


def changed(**parts: Any) -> dict[str, bytes]:
    """Return a docker archive with other members, or other keys of its manifest's entry (in capitals)."""
    members = docker_archive(LAYERS, CONFIG)
    row = {**json.loads(members["manifest.json"])[0], **{key: parts[key] for key in parts if key[0].isupper()}}
    members["manifest.json"] = json.dumps([row]).encode()
    return members


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder / "none.tar", "No such file"),
    "no archive": (lambda folder: unfold(folder, {"a.tar": b"hello" * 400}) / "a.tar", "a number that is"),
    "an empty file": (lambda folder: unfold(folder, {"a.tar": b""}) / "a.tar", "breaks off"),
    "a tar of something else": (lambda folder: write(folder / "a.tar", {"x": b"y"}), "neither an index.json nor"),
    "an empty folder": (lambda folder: folder, "neither an index.json nor"),
    "a device": (lambda _: Path("/dev/zero"), "not a regular file"),
    "no json": (lambda folder: write(folder / "a.tar", {"manifest.json": b"[{"}), "manifest.json is not what"),
    "deep json": (lambda folder: write(folder / "a.tar", {"index.json": b"[" * 100_000}), "index.json is not what"),
    "a size beyond any file": (
        lambda folder: unfold(folder, {"a.tar": of_type(b"0", 2**70)}) / "a.tar",
        "a number that is",
    ),
    "a size that no file here has": (
        lambda folder: unfold(folder, {"a.tar": of_type(b"0", 2**62 - 1)}) / "a.tar",
        "",
    ),
    "another type": (lambda folder: write(folder / "a.tar", changed(Layers="x")), "manifest.json is not what"),
    "a path as a digest": (
        lambda folder: write(folder / "a.tar", {"index.json": b'{"manifests": [{"digest": "../../etc/passwd"}]}'}),
        "is no digest",
    ),
    "a missing layer": (
        lambda folder: write(folder / "a.tar", changed(Layers=["layer-0/layer.tar", "x/y", "z"])),
        "names the layer x/y, and holds none",
    ),
    "a missing configuration": (lambda folder: write(folder / "a.tar", changed(Config="../x")), "names x, and does"),
    "fewer layers than it says": (
        lambda folder: write(folder / "a.tar", changed(Layers=["layer-0/layer.tar"])),
        "tells of 3 layers, and its manifest of 1",
    ),
    "two images": (
        lambda folder: write(
            folder / "a.tar",
            {**changed(), "manifest.json": json.dumps(2 * json.loads(changed()["manifest.json"])).encode()},
        ),
        "it holds 2 images (shop:1, shop:1)",
    ),
    "no image for this platform": (
        lambda folder: write(folder / "a.tar", layout(*((LAYERS, config(LAYERS, architecture=a)) for a in "ab"))),
        "holds none for linux/amd64, of these platforms: linux/a, linux/b",
    ),
    "one image for another platform": (
        lambda folder: write(folder / "a.tar", layout((LAYERS, config(LAYERS, architecture="arm64")))),
        "it holds an image for linux/arm64, and linux/amd64 is asked for",
    ),
    "an engine's image for another platform": (
        lambda folder: write(folder / "a.tar", docker_archive(LAYERS, config(LAYERS, architecture="arm64"))),
        "it holds an image for linux/arm64, and linux/amd64 is asked for",
    ),
    "a layer that links to itself": (
        lambda folder: write(folder / "a.tar", {**changed(), "layer-0/layer.tar": b"-> layer.tar"}),
        "names the layer layer-0/layer.tar",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_image_is_told(tmp_path: Path, case: str) -> None:
    make, says = REFUSED[case]
    assert says in refused(make(tmp_path), "linux/amd64")


def test_indexes_that_name_each_other_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, blob = "application/vnd.oci.image.index.v1+json", f"sha256:{'0' * 64}"
    rows = json.dumps({"manifests": 50 * [{"mediaType": index, "digest": blob}]}).encode()
    read: list[str] = []
    decode = manifests.decoded

    def counted(texts: dict[str, bytes], name: str, kind: type[Any]) -> Any:
        read.append(name)
        return decode(texts, name, kind)

    monkeypatch.setattr(manifests, "decoded", counted)
    members = {"index.json": rows, f"blobs/{blob.replace(':', '/')}": rows}
    assert "names no image that it holds" in refused(write(tmp_path / "a.tar", members))
    assert len(read) == 2


@pytest.mark.parametrize("name", ["[shop].py", "{{name}}/x"])
def test_a_layer_whose_first_path_looks_like_json_is_one(tmp_path: Path, name: str) -> None:
    layers = (tar({name: "1"}),)
    image = from_path(write(tmp_path / "a.tar", docker_archive(layers, config(layers))))
    assert list(image.layers[0].index.paths) == [f"/{name}"]


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    folder = unfold(tmp_path / "l", layout((LAYERS, CONFIG)))
    largest = max(folder.glob("blobs/sha256/*"), key=lambda file: file.stat().st_size)
    largest.rename(tmp_path / "outside")
    largest.symlink_to(tmp_path / "outside")
    assert "holds none of that name" in refused(folder)


def hostile(layer: bytes, folder: Path, way: str = "") -> SavedImage:
    return from_path(write(folder / "a.tar", layout(((layer,), config((layer,))), way=way)))


def pax(name: str, **headers: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made = tarfile.TarInfo(name)
        made.pax_headers = headers
        archive.addfile(made)
    return raw.getvalue()


def of_type(kind: bytes, size: int = 0) -> bytes:
    made = tarfile.TarInfo("x")
    made.type, made.size = kind, size
    return made.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


HOSTILE: dict[str, tuple[bytes, str, int]] = {
    # the layer, what is told, and how many paths are kept
    "paths out of the root": (tar({"../../etc/shadow": "x", "/a/../../b": "y"}), "", 2),
    "links out of the root": (tar({"a": "-> ../../../etc", "a/shadow": "x", "b": "=> ../../etc/shadow"}), "", 3),
    "a path that is packed twice": (tar({"a": "x"})[:1024] + tar({"a": "yz"}), "'/a' is packed twice", 1),
    "whiteouts of nothing": (tar({".wh.a": "", "x/.wh..wh..opq": "", ".wh.": ""}), "", 0),
    "a sparse file of GNU's": (of_type(b"S"), "which an engine does not pack", 0),
    "a sparse file of pax's": (pax("x", **{"GNU.sparse.major": "1"}), "without its holes", 0),
    "a size that is not there": (of_type(b"0", 10**12), "breaks off", 1),
    "a huge pax header": (pax("x", comment="y" * 70_000), "extended header of 70", 0),
    "a negative size": (pax("x", size="-1"), "a number that is '-1'", 0),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_layer_is_bounded_and_told(tmp_path: Path, case: str) -> None:
    layer, says, kept = HOSTILE[case]
    image = hostile(layer, tmp_path)
    assert len(image.layers[0].index.paths) == kept
    assert all(path.startswith("/") and ".." not in path for path in image.layers[0].index.paths)
    assert [says in why for why in image.cut] == ([True] if says else [])


@pytest.mark.parametrize("way", ["gzip", "zstd"])
def test_a_bomb_is_bounded_and_told(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_image, "LEAST", 20_000_000)
    layer = tar({"zeros": bytes(60_000_000)})
    tracemalloc.start()
    try:
        image = hostile(layer, tmp_path, way)
        monkeypatch.setattr(saved_image, "MOST_UNPACKED", 1)
        file = tmp_path / "a.tar"
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        image = from_path(file)
        assert tracemalloc.get_traced_memory()[1] - before < 12_000_000
    finally:
        tracemalloc.stop()
    assert image.cut == ("layer 1: /: 20 MB of it were read",)


def test_very_many_entries_are_bounded_over_all_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_image, "Limits", partial(Limits, entries=1000))
    layers = [tar({f"{number}-{name}": "" for name in range(600)}) for number in range(3)]
    image = from_path(write(tmp_path / "a.tar", docker_archive(layers, config(layers))))
    assert [len(layer.index.paths) for layer in image.layers] == [600, 400, 0]
    assert [why.partition(": ")[2] for why in image.cut] == [
        "/: it holds more than 400 paths",
        "not read: a limit was passed before",
    ]


@pytest.mark.parametrize("form", ["docker before 25", "gzip layers", "packed by gzip", "zstd layers"])
def test_damage_is_never_a_traceback(tmp_path: Path, form: str) -> None:
    raw = FORMS[form](tmp_path).read_bytes()
    dice = random.Random(7)  # noqa: S311 - damage that is the same each time
    file = tmp_path / "damaged"
    for _ in range(60):
        body = bytearray(raw[: dice.randrange(len(raw))] if dice.random() < 0.4 else raw)
        for _ in range(dice.randrange(4)):
            body[dice.randrange(max(len(body), 1)) :][:1] = b""
            if body:
                body[dice.randrange(len(body))] = dice.randrange(256)
        file.write_bytes(body)
        with suppress(ImageError):
            assert len(from_path(file).layers) == 3


def test_layers_packed_by_zstd_want_what_unpacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_image, "zstd", lambda: None)
    assert "needs 'seatrial[zstd]'" in refused(FORMS["zstd layers"](tmp_path))


def test_a_damaged_gzip_layer_is_told(tmp_path: Path) -> None:
    layer = tar({f"file-{number}": random.Random(number).randbytes(999) for number in range(50)})  # noqa: S311
    broken = gzip.compress(layer)[:20_000]
    members = docker_archive((layer,), config((layer,)))
    image = from_path(write(tmp_path / "a.tar", {**members, "layer-0/layer.tar": broken}))
    assert image.cut == ("layer 1: /: what the engine packed could not be read to its end (it breaks off)",)
