"""Layers on top of each other: what a container sees, what is hidden or stored twice, and whose line made it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from tests.unit.factories import configuration, contents, facts, layers
from tests.unit.layer_cases import FAILING
from tests.unit.saved import config, docker_archive, layout, tar, write
from tests.unit.source_factories import sources
from tests.unit.test_checks import judged

from seatrial.checks.model import Status
from seatrial.checks.places import place
from seatrial.dockerfile import parse
from seatrial.errors import EngineError, ImageError
from seatrial.facts import ContentKind, FoundPath, Hidden, HiddenPath, StoredTwice, Unavailable
from seatrial.observe import image_files
from seatrial.observe.index import Entry, Index
from seatrial.observe.index_cache import load_layers, store_layers
from seatrial.observe.layers.layer import Layer
from seatrial.observe.layers.manifests import Step
from seatrial.observe.layers.saved_image import SavedImage, from_path
from seatrial.observe.layers.stacked import keyword, layers_of, lines_of, main_folder, merged, shown_step, stacked
from seatrial.observe.path_rules import rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.errors import SeatrialError
    from seatrial.facts import Layers

Tree = dict[str, str | bytes | None]
NETRC = "machine example.org login a password b\n"
TREE: Tree = {"app/": None, "app/a.py": b"a" * 3000, "app/b/c.py": b"c" * 2000}


def image(folder: Path, *made: Mapping[str, Any] | bytes, steps: Sequence[str] = ()) -> SavedImage:
    packed = [layer if isinstance(layer, bytes) else tar(layer) for layer in made]
    return from_path(write(folder / "a.tar", docker_archive(packed, config(packed, steps))))


def told(saved: SavedImage, dockerfile: str = "") -> Layers:
    return layers_of(saved, rules(), parse(dockerfile).final_instructions if dockerfile else ())


def test_what_a_container_sees_is_what_the_layers_leave(tmp_path: Path) -> None:
    base: Tree = {
        "etc/": None,
        "etc/passwd": "root:x:0:0::/:/bin/sh\n",
        "opt/x/y": "1",
        "opt/x/z": "2",
        "bin": "-> usr/bin",
    }
    more: Tree = {"opt/.wh.x": "", "opt/x/new": "3", "etc/.wh..wh..opq": "", "etc/group": "a:x:1:\n", "bin/": None}
    saved = image(tmp_path, base, more, {"opt/.wh.x": "", ".wh.gone": "", "etc": "now a file"})
    seen = merged(stacked(saved.layers))
    assert {path: entry.letter for path, entry in seen.paths.items() if path not in {"/", "/opt"}} == {
        "/bin": "d",
        "/etc": "f",
    }
    assert seen.texts == {}
    assert seen.paths["/etc"].size == len("now a file")


def test_folders_that_no_layer_packs_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = image(tmp_path, {"usr/bin/sh": "x", "app/a/b.py": "1", "app": None, "srv/": None})
    seen = merged(stacked(saved.layers))
    assert list(seen.paths) == ["/", "/app", "/app/a", "/app/a/b.py", "/srv", "/usr", "/usr/bin", "/usr/bin/sh"]
    assert {(entry.mode, entry.uid) for entry in seen.paths.values() if entry.letter == "d"} == {(0o755, 0)}
    assert seen.cut == ()
    monkeypatch.setattr("seatrial.observe.layers.stacked.MOST_IMPLIED", 5)
    assert "more folders that no layer packs" in merged(stacked(saved.layers)).cut[0]


def test_many_folders_that_become_files_take_no_longer_than_one(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(4000)]
    saved = image(tmp_path, {f"{name}/{part}": None for name in names for part in ("", "a/")}, dict.fromkeys(names, ""))
    began = time.monotonic()
    assert len(stacked(saved.layers).visible) == 4000
    assert time.monotonic() - began < 1


def test_deep_paths_take_no_longer_than_others() -> None:
    file = Entry("f", 0o644, 0, 0)
    deep = Layer(index=Index(paths={f"/{number}{'/d' * 2000}": file for number in range(1000)}))
    emptied = Layer(index=Index(paths={}), emptied=("/0/d",))
    began = time.monotonic()
    assert len(stacked([deep, *20 * [emptied]]).visible) == 999
    assert time.monotonic() - began < 1


def test_bytes_that_a_later_layer_hides_are_told_with_both_layers(tmp_path: Path) -> None:
    first = {
        "var/lib/lists/a": b"x" * 9000,
        "var/lib/lists/b": b"y" * 500,
        "srv/w": b"1" * 70,
        "srv/v": "=> srv/w",
    }
    later: Tree = {"var/lib/.wh.lists": "", "srv/w": b"2" * 70, "srv/v": "=> srv/w"}
    found = told(image(tmp_path, first, later))
    assert found.hidden[0] == Hidden(layer=1, by=2, removed=True, folder="/var/lib/lists", files=2, size=9500)
    assert found.hidden[1] == Hidden(layer=1, by=2, removed=False, folder="/srv/w", files=1, size=70)
    assert (found.layers[0].files, found.layers[0].size) == (3, 9570)
    assert found.twice == ()


@pytest.mark.parametrize(
    ("modes", "owner", "mode"),
    [
        ({"app/a.py": (0o644, 10001, 0), "app/b/c.py": (0o644, 10001, 0)}, True, False),
        ({"app/a.py": (0o755, 0, 0), "app/b/c.py": (0o755, 0, 0)}, False, True),
        ({"app/a.py": (0o755, 1, 1), "app/b/c.py": (0o755, 1, 1)}, True, True),
    ],
)
def test_a_tree_with_another_owner_or_mode_is_stored_twice(
    tmp_path: Path, modes: dict[str, tuple[int, int, int]], *, owner: bool, mode: bool
) -> None:
    steps = ("COPY . /app", "RUN chown")
    found = told(image(tmp_path, TREE, tar(TREE, modes), steps=steps))
    row = StoredTwice(layer=2, before=(1,), folder="/app", files=2, size=5000, owner=owner, mode=mode)
    assert (found.twice, found.hidden) == ((row,), ())


def test_another_content_or_the_same_owner_is_no_copy(tmp_path: Path) -> None:
    changed: Tree = {**TREE, "app/a.py": b"b" * 3000}
    found = told(image(tmp_path, TREE, tar(changed, {"app/a.py": (0o644, 7, 7)})))
    assert found.twice == ()
    assert found.hidden[0].size == 5000


def test_the_bases_own_copies_are_not_the_authors(tmp_path: Path) -> None:
    steps = ("ADD rootfs /", "RUN chown", '!CMD ["python3"]', "COPY . /srv")
    found = told(image(tmp_path, TREE, tar(TREE, {"app/a.py": (0o600, 7, 7)}), {"srv/x": "1"}, steps=steps))
    assert [layer.base for layer in found.layers] == [True, True, False]
    assert found.twice == ()


@pytest.mark.parametrize("hider", [{"root/.wh..netrc": ""}, {".wh.root": ""}, {"root/.netrc": "# none\n"}])
def test_a_secret_below_the_layer_that_hides_it_is_found(tmp_path: Path, hider: Mapping[str, str]) -> None:
    found = told(image(tmp_path, {"root/.netrc": NETRC}, {"x": "1"}, hider)).secrets
    assert [(row.found.path, row.layer, row.by, row.removed) for row in found] == [
        ("/root/.netrc", 1, 3, "root/.netrc" not in hider)
    ]


@pytest.mark.parametrize(
    "made",
    [
        ({"root/.netrc": NETRC}, tar({"root/.netrc": NETRC}, {"root/.netrc": (0o600, 0, 0)})),
        ({"root/.netrc": "# none\n"}, {"root/.wh..netrc": ""}),
        ({"usr/lib/python3/test/key.pem": "-----BEGIN PRIVATE KEY-----\n"}, {"usr/lib/.wh.python3": ""}),
    ],
    ids=["it still stands there", "it is none", "the standard library's"],
)
def test_what_is_no_hidden_secret_is_none(tmp_path: Path, made: Sequence[Mapping[str, str] | bytes]) -> None:
    assert told(image(tmp_path, *made)).secrets == ()


LINE = "RUN x\n"
DOCKERFILE = """\
FROM python:3.13-slim AS base
ENV A=1
RUN useradd app

FROM base
ARG B
WORKDIR /app
COPY . .
RUN rm -rf /app/x && \\
    true
CMD ["shop"]
"""
STEPS = (
    *("RUN debootstrap", '!CMD ["python3"]'),
    *("!ENV A=1", "RUN /bin/sh -c useradd app # buildkit", "!ARG B", "WORKDIR /app"),
    *("COPY . . # buildkit", "RUN |1 B= /bin/sh -c rm -rf /app/x &&     true # buildkit", '!CMD ["shop"]'),
)


def test_each_layer_has_the_line_of_its_instruction(tmp_path: Path) -> None:
    found = told(
        image(tmp_path, {"bin/sh": "1"}, {"etc/p": "1"}, {"app/": None}, {"app/x": "2"}, {}, steps=STEPS), DOCKERFILE
    )
    assert [(layer.line, layer.base) for layer in found.layers] == [
        (0, True),
        (3, False),
        (7, False),
        (8, False),
        (9, False),
    ]
    assert found.layers[4].instruction == "RUN rm -rf /app/x && true"
    assert found.maker("/app") == found.layers[3]
    assert found.maker("/nothing") is None


@pytest.mark.parametrize(
    "dockerfile",
    [
        DOCKERFILE.replace("COPY . .", "RUN cp"),
        DOCKERFILE.replace("ARG B\n", ""),
        "FROM a\n" + "RUN x\n" * 20,
        "FROM a\n",
    ],
    ids=["another instruction", "one less", "more than the history has", "none"],
)
def test_a_dockerfile_that_made_another_image_gives_no_lines(dockerfile: str) -> None:
    steps = [Step(step.removeprefix("!"), step.startswith("!")) for step in STEPS]
    assert lines_of(steps, parse(dockerfile).final_instructions) == {}


@pytest.mark.parametrize(
    ("created_by", "instruction", "shown"),
    [
        ('/bin/sh -c #(nop)  CMD ["sh"]', "CMD", 'CMD ["sh"]'),
        ("/bin/sh -c apt-get update", "RUN", "RUN apt-get update"),
        ("|1 A=b c /bin/sh -c make", "RUN", "RUN make"),
        ("RUN |1 A=b /bin/sh -c set -eu\nmake # buildkit", "RUN", "RUN set -eu make"),
        ("RUN /bin/sh -c . /dev/seatrial/env; make # buildkit", "RUN", "RUN make"),
        ("COPY /uv /bin/ # buildkit", "COPY", "COPY /uv /bin/"),
        ("", "RUN", ""),
        ("bazel build", "RUN", "bazel build"),
    ],
)
def test_a_line_of_history_is_its_instruction(created_by: str, instruction: str, shown: str) -> None:
    assert (keyword(created_by), shown_step(created_by)) == (instruction, shown)


@pytest.mark.parametrize(
    ("sizes", "folder"),
    [
        ({"/a/b/c": 1}, "/a/b/c"),
        ({"/a/b/c": 5, "/a/b/d/e": 5}, "/a/b"),
        ({"/a/b/c": 95, "/x": 5}, "/a/b"),
        ({"/a/b": 5, "/x/y": 5}, "/"),
        ({"/a/b": 0, "/a/c": 0}, "/"),
    ],
)
def test_the_folder_that_holds_nearly_all(sizes: dict[str, int], folder: str) -> None:
    assert main_folder(sizes) == folder


@pytest.mark.parametrize(
    ("check", "says", "fix", "line"),
    [
        (
            "layers/waste",
            "18.0 MB: line 5 (RUN chown -R app /app) removes /var/lib/apt/lists (9 files, 18.0 MB)",
            "Leave",
            4,
        ),
        (
            "layers/ownership-copy",
            "line 5 (RUN chown -R app /app) stores /app (30 files, 20.0 MB) again",
            "--chown=",
            5,
        ),
        ("secrets/deleted", "/root/.netrc (credentials): line 4 (COPY . /app) holds it, line 5", "type=secret", 4),
    ],
)
def test_a_finding_says_both_lines(check: str, says: str, fix: str, line: int) -> None:
    result = judged(check, FAILING[check])
    assert result.actual.startswith(says)
    assert fix in result.fix
    assert result.where == f"Dockerfile:{line}"
    # What is hidden of the base is not the author's.
    assert "/usr/share/doc" not in "\n".join(result.evidence)


@pytest.mark.parametrize("check", FAILING)
def test_the_floor_is_a_setting_and_a_secret_has_none(check: str) -> None:
    lenient = judged(check, FAILING[check], max_waste="20 MB")
    assert lenient.status is (Status.FAIL if check == "secrets/deleted" else Status.PASS)


@pytest.mark.parametrize("check", FAILING)
def test_layers_that_were_not_read_whole_are_no_pass(check: str) -> None:
    result = judged(check, facts(layers=layers(cut=("layer 2: /: it breaks off",))))
    assert result.status is Status.ERROR
    assert "not read whole: layer 2: /: it breaks off" in result.actual
    assert judged(check, facts(layers=layers())).status is Status.PASS


@pytest.mark.parametrize("check", ["secrets/files", "secrets/deleted"])
def test_the_key_that_debians_ssl_cert_makes_is_none(check: str) -> None:
    key = FoundPath(kind=ContentKind.SECRET, path="/etc/ssl/private/ssl-cert-snakeoil.key", about="a private key")
    hidden = layers(secrets=(HiddenPath(found=key, layer=1, by=2, removed=True),))
    seen = facts(layers=hidden, contents=contents(found=(key,), counts={key.kind: 1}))
    assert judged(check, seen).status is Status.PASS


def test_a_declared_secret_is_none() -> None:
    assert (
        judged("secrets/deleted", FAILING["secrets/deleted"], declared_secrets=("/root/.netrc",)).status is Status.PASS
    )


def test_a_finding_of_a_file_says_the_line_that_brought_it() -> None:
    known = facts(layers=layers(), sources=sources())
    for path, line in {"/app/id_rsa": 5, "/app/shop.py": 4, "/app": 4}.items():
        assert place("secrets/files", f"{path} (a private key)", known) == f"Dockerfile:{line}", path
    last = sources().dockerfile.parsed.final
    assert last is not None
    assert place("files/setuid", "/etc/passwd has mode 4755", known) == f"Dockerfile:{last.line}"


def test_layers_are_kept_by_image_id(tmp_path: Path) -> None:
    saved = image(tmp_path, TREE, {"app/.wh.b": ""})
    assert load_layers(tmp_path, saved.id) is None
    store_layers(tmp_path, saved.id, saved)
    assert load_layers(tmp_path, saved.id) == saved
    odd = from_path(write(tmp_path / "b.tar", layout(((tar({"\udcff": "1"}),), config((tar({"\udcff": "1"}),))))))
    cut = msgspec.structs.replace(saved, id=f"sha256:{'c' * 64}", layers=())
    for other in (odd, msgspec.structs.replace(cut, layers=(cut_layer(saved),))):
        store_layers(tmp_path, other.id, other)
        assert load_layers(tmp_path, other.id) is None


def cut_layer(saved: SavedImage) -> object:
    layer = saved.layers[0]
    return msgspec.structs.replace(layer, index=msgspec.structs.replace(layer.index, cut=("x",)))


@pytest.mark.parametrize("problem", [EngineError("no space left on device."), ImageError("it breaks off.")])
def test_layers_that_cannot_be_read_leave_the_rest_of_a_smoke_alone(
    problem: SeatrialError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise problem

    monkeypatch.setattr(image_files, "image_layers", refuse)
    found = image_files.read_layers(cast("Engine", None), configuration(), sources(), ())
    assert found == Unavailable(reason=problem.what)
    assert judged("layers/waste", facts(layers=found)).status is Status.ERROR
