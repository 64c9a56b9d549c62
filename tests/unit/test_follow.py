from __future__ import annotations

import struct

import pytest
from tests.unit.factories import Tree, configuration, file, start, trail

from seatrial.errors import ImageError
from seatrial.facts import Account, FileEntry, FileKind
from seatrial.facts.command import may_execute
from seatrial.inside.probe.base import shebang
from seatrial.observe.files import account_of, read_account
from seatrial.observe.paths import blocking_folder, first_missing, follow, is_runnable, loader, search, shebangs

ELF = b"\x7fELF"
PASSWD = """root:x:0:0:root:/root:/bin/sh
app:x:10001:10002::/app:/usr/sbin/nologin
4000:x:5000:5000::/n:/bin/sh
huge:x:{huge}:1::/h:/bin/sh
broken:x:7
""".format(huge="9" * 5000)
GROUP = """root:x:0:
app:x:10002:
docker:x:999:app,other
video:x:44:other
nobodys
"""


def test_a_path_is_followed_link_by_link() -> None:
    tree = Tree(
        {
            "/app/.venv/bin/python": "python3",
            "/app/.venv/bin/python3": "/usr/local/bin/python3.13",
            "/usr/local/bin/python3.13": ELF,
        }
    )
    trail = follow("/app/./.venv//bin/python", tree)
    assert str(trail) == "/app/.venv/bin/python -> /app/.venv/bin/python3 -> /usr/local/bin/python3.13"
    assert trail.entry is not None
    assert trail.entry.kind is FileKind.FILE


def test_a_link_that_ends_nowhere_names_the_first_part_that_is_missing() -> None:
    trail = follow("/app/.venv/bin/python", Tree({"/app/.venv/bin/python": "/root/.local/uv/python3.13"}))
    assert (trail.entry, trail.missing) == (None, "/root")
    assert trail.end == "/root/.local/uv/python3.13"


def test_links_in_a_circle_come_to_an_end() -> None:
    trail = follow("/a", Tree({"/a": "b", "/b": "/a"}))
    assert (trail.entry, trail.missing) == (None, "the links go round in a circle")
    assert len(trail.steps) < 10


def test_dots_count_from_where_a_folder_really_is() -> None:
    tree = Tree({"/bin": "usr/bin", "/bin/tool": "../lib/tool", "/usr/bin/tool": "../lib/tool", "/usr/lib/tool": ELF})
    assert follow("/bin/tool", tree).end == "/usr/lib/tool"
    circle = Tree({"/a": "/b", "/b": "/a", "/a/x": "../y"})
    assert follow("/a/x", circle).entry is None


def test_the_first_missing_part() -> None:
    assert first_missing("/usr/lib/x/y", Tree({"/usr/lib/z": None})) == "/usr/lib/x"
    assert first_missing("/usr/lib", Tree({"/usr/lib": 0o755})) == "/usr/lib"


def test_path_is_searched_in_order() -> None:
    tree = Tree({"/a/uvicorn": None, "/b/uvicorn": ELF, "/c/uvicorn": ELF})
    found = search("uvicorn", "/a:/b:/c", "/", tree)
    assert found is not None
    assert found.end == "/b/uvicorn", "what may not be executed is passed over"
    assert search("gunicorn", "/a:/b:/c", "/", tree) is None


def test_a_folder_of_that_name_is_no_program() -> None:
    tree = Tree({"/app/alembic": 0o755, "/venv/bin/alembic": ELF})
    found = search("alembic", "/app:/venv/bin", "/", tree)
    assert found is not None
    assert found.end == "/venv/bin/alembic"


def test_a_dangling_link_is_passed_over_but_told_when_there_is_no_other() -> None:
    tree = Tree({"/a/python": "/gone", "/b/python": ELF})
    found, alone = search("python", "/a:/b", "/", tree), search("python", "/a", "/", tree)
    assert found is not None
    assert alone is not None
    assert found.end == "/b/python"
    assert (alone.entry, alone.missing) == (None, "/gone")


def test_a_word_with_a_slash_counts_from_the_working_directory() -> None:
    tree = Tree({"/app/run": ELF, "/app/bin/x": ELF})
    for word, path in (("./run", ""), ("run", ""), ("x", "bin")):
        found = search(word, path, "/app", tree)
        assert found is not None, word
        assert found.entry is not None, word


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (b"\x7fELF", None),
        (b"", None),
        (b"#!", ("#!", "")),
        (b"#! /bin/sh -e\n", ("#! /bin/sh -e", "/bin/sh")),
        (b"#!/venv/bin/python\r\nimport x", ("#!/venv/bin/python\r", "/venv/bin/python\r")),
        (b"#!/usr/bin/env -S python3 -u\n", ("#!/usr/bin/env -S python3 -u", "/usr/bin/env")),
        (
            b"#!/bin/sh\n'''exec' /a/long/bin/python \"$0\" \"$@\"\n' '''\n",
            ("'''exec' /a/long/bin/python \"$0\" \"$@\"", "/a/long/bin/python"),
        ),
        (
            b'#!/bin/sh\n\'\'\'exec\' "/a b/python" "$0" "$@"\n',
            ('\'\'\'exec\' "/a b/python" "$0" "$@"', "/a b/python"),
        ),
        (b"#!/bin/sh\nexec python main.py\n", ("#!/bin/sh", "/bin/sh")),
        (
            b"#!\xff\xfe\n",
            ("#!\N{REPLACEMENT CHARACTER}" * 1 + "\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}" * 2),
        ),
    ],
)
def test_a_first_line_names_its_interpreter(beginning: bytes, expected: tuple[str, str] | None) -> None:
    assert shebang(beginning) == expected


def test_first_lines_are_followed_to_a_binary() -> None:
    tree = Tree(
        {
            "/venv/bin/uvicorn": b"#!/venv/bin/wrapper\n",
            "/venv/bin/wrapper": b"#!/usr/bin/env python3\n",
            "/usr/bin/python3": "python3.13",
            "/usr/bin/python3.13": ELF,
        }
    )
    scripts = list(shebangs(follow("/venv/bin/uvicorn", tree), "/usr/bin", tree))
    assert [(script.interpreter, script.resolved.end) for script in scripts] == [
        ("/venv/bin/wrapper", "/venv/bin/wrapper"),
        ("python3", "/usr/bin/python3.13"),
    ]


def test_env_looks_on_path_past_options_and_variables() -> None:
    tree = Tree({"/x": b"#!/usr/bin/env -S A=1 python3 -u\n", "/y": b"#!/usr/bin/env\n", "/usr/bin/env": ELF})
    (one,) = shebangs(follow("/x", tree), "/usr/bin", tree)
    assert (one.interpreter, one.resolved.steps, one.resolved.entry) == ("python3", ("python3",), None)
    assert one.resolved.missing == "python3 is not on PATH"
    (two,) = shebangs(follow("/y", tree), "/usr/bin", tree)
    assert two.interpreter == "/usr/bin/env"


def test_scripts_that_name_one_another_come_to_an_end() -> None:
    tree = Tree({"/a": b"#!/b\n", "/b": b"#!/a\n"})
    assert len(list(shebangs(follow("/a", tree), "", tree))) == 5


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Account(name="root", uid=0, gids=(0,), home="/root")),
        ("app", Account(name="app", uid=10001, gids=(10002, 999), home="/app")),
        ("10001", Account(name="app", uid=10001, gids=(10002, 999), home="/app")),
        ("app:video", Account(name="app", uid=10001, gids=(44,), home="/app")),
        ("app:77", Account(name="app", uid=10001, gids=(77,), home="/app")),
        ("4000", Account(name="", uid=4000, gids=(0,), home="/")),
        ("1234", Account(name="", uid=1234, gids=(0,), home="/")),
        ("1234:5678", Account(name="", uid=1234, gids=(5678,), home="/")),
        ("nobody-knows", Account(name="", uid=None, gids=(), home="/")),
        ("broken", Account(name="broken", uid=7, gids=(0,), home="/")),
        ("huge", Account(name="huge", uid=None, gids=(1,), home="/h")),
        ("8" * 5000, Account(name="", uid=None, gids=(), home="/")),
        ("\u0660", Account(name="", uid=None, gids=(), home="/")),
    ],
)
def test_an_account_is_found_by_name_number_and_group(user: str, expected: Account) -> None:
    assert account_of(user, PASSWD, GROUP) == expected


@pytest.mark.parametrize(("field", "uid"), [("4294967296", 0), ("4294967297", 1), ("+5", 5), ("+0", 0), ("x", 0)])
def test_a_number_of_an_account_has_32_bits(field: str, uid: int) -> None:
    account = account_of("boss", f"boss:x:{field}:{field}::/:/bin/sh\n", "")
    assert (account.uid, account.gids) == (uid, (uid,))


@pytest.mark.parametrize(
    ("user", "passwd"),
    [
        ("", "0:x:1000:1000::/:/bin/sh"),
        ("0", "0:x:1000:1000::/:/bin/sh"),
        ("app", "app:x:0:0\napp:x:1000:1000::/:/bin/sh"),
        ("app", "  app:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh"),
        ("app", "one:x:1:1::/:/x\x0capp:x:1000:1000::/:/bin/sh\napp:x:0:0::/:/bin/sh"),
    ],
)
def test_no_account_file_makes_root_another(user: str, passwd: str) -> None:
    assert account_of(user, passwd, "").uid == 0


def test_an_image_without_account_files_has_numbers_only() -> None:
    assert account_of("app", "", "").uid is None
    assert account_of("", "", "").uid == 0


@pytest.mark.parametrize(
    ("entry", "may"),
    [
        (file(0o755), True),
        (file(0o700), False),
        (file(0o700, uid=5), True),
        (file(0o077, uid=5), False),
        (file(0o710, gid=6), True),
        (file(0o701, gid=6), False),
        (FileEntry(kind=FileKind.FILE, mode=0o644, uid=5, gid=6), False),
    ],
)
def test_who_may_execute(entry: FileEntry, *, may: bool) -> None:
    assert may_execute(entry, Account(name="x", uid=5, gids=(6,))) is may


def test_root_needs_one_bit() -> None:
    assert may_execute(file(0o001), Account(uid=0))
    assert not may_execute(file(0o644), Account(uid=0))


def test_dots_in_a_link_among_the_folders_count_from_where_that_lies() -> None:
    tree = Tree({"/usr/bin": "../opt/./bin", "/opt/bin/tool": "../lib/tool", "/usr/bin/tool": "../lib/tool"})
    tree.table |= {"/opt/lib/tool": ELF, "/usr/lib/tool": None}
    assert follow("/usr/bin/tool", tree).end == "/opt/lib/tool"
    # A target without dots is taken as it is written, below the link's own folder.
    beside = Tree({"/bin": "usr/bin", "/bin/tool": "other", "/bin/other": ELF})
    assert follow("/bin/tool", beside).steps == ("/bin/tool", "/bin/other")


@pytest.mark.parametrize(
    ("folder", "mode", "blocks"), [("/app/private", 0o700, True), ("/app/private", 0o755, False), ("/app", 0o644, True)]
)
def test_the_first_folder_that_an_account_may_not_enter(folder: str, mode: int, blocks: bool) -> None:
    who = Account(uid=5, gids=(5,))
    tree = Tree({"/app/private/bin/tool": ELF, folder: mode, "/later": 0o700, "/later/tool": ELF})
    found = blocking_folder(["/app/private/bin/tool"], who, tree)
    assert (found.path if found else "") == (folder if blocks else "")
    if found:
        assert (found.on_the_way_to, found.entry.mode) == ("/app/private/bin/tool", mode)
    assert blocking_folder(["/app/private/bin/tool"], Account(uid=None), tree) is None
    second = blocking_folder(["/gone/tool", "/later/tool"], who, tree)
    assert second is not None
    assert second.path == "/later"


def test_a_link_to_a_folder_blocks_where_it_leads() -> None:
    tree = Tree({"/bin": "/secret", "/secret": 0o700, "/secret/tool": ELF})
    found = blocking_folder(["/bin/tool"], Account(uid=5), tree)
    assert found is not None
    assert found.path == "/bin"
    # A program, or what is no folder, in the place of one is another fault.
    assert blocking_folder(["/tool/x"], Account(uid=5), Tree({"/tool": None})) is None


def binary(
    *, wide: bool, little: bool, at: int = 64, kinds: tuple[int, ...] = (1, 3), path: bytes = b"/lib/ld.so"
) -> bytes:
    """Return the beginning of an ELF file with these program headers; the path stands at 400."""
    order, path = "<" if little else ">", b"/lib/ld.so"
    size = 56 if wide else 32
    head = bytearray(600)
    head[:6] = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2])
    struct.pack_into(order + ("Q" if wide else "I"), head, 32 if wide else 28, at)
    struct.pack_into(order + "HH", head, 54 if wide else 42, size, len(kinds))
    for number, kind in enumerate(kinds):
        row = (kind, 0, 400, 0, 0, len(path) + 1) if wide else (kind, 400, 0, 0, len(path) + 1)
        if at + number * size + 48 < len(head):
            struct.pack_into(order + ("IIQQQQ" if wide else "IIIII"), head, at + number * size, *row)
    head[400 : 400 + len(path)] = path
    return bytes(head)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_a_binary_names_its_loader(wide: bool, little: bool) -> None:
    assert loader(binary(wide=wide, little=little)) == "/lib/ld.so"
    assert loader(binary(wide=wide, little=little, kinds=(3, 1))) == "/lib/ld.so"
    assert loader(binary(wide=wide, little=little, kinds=(1, 2))) == ""
    assert loader(binary(wide=wide, little=little, kinds=())) == ""
    # Its program headers lie beyond what was read.
    assert loader(binary(wide=wide, little=little, at=5000)) == ""


def test_what_is_no_binary_names_no_loader() -> None:
    assert loader(b"#!/bin/sh") == ""
    assert loader(b"\x7fELF" + bytes(59)) == ""
    assert loader(b"XELF" + binary(wide=True, little=True)[4:]) == ""


def test_what_the_kernel_can_run() -> None:
    assert (is_runnable(ELF), is_runnable(b"#!/bin/sh"), is_runnable(b"echo"), is_runnable(b"")) == (
        True,
        True,
        False,
        False,
    )


def test_the_account_is_read_from_files_that_may_be_links() -> None:
    tree = Tree({"/etc/passwd": "/nix/passwd", "/nix/passwd": PASSWD.encode(), "/etc/group": GROUP.encode()})
    found = read_account(configuration(user="app"), tree)
    assert (found.uid, found.gids) == (10001, (10002, 999))
    assert read_account(configuration(user="app"), Tree({})).uid is None


def test_an_account_file_that_is_a_pipe_is_not_waited_for() -> None:
    tree = Tree({"/etc/passwd": None, "/etc/group": None})
    pipe = FileEntry(kind=FileKind.OTHER, mode=0o644, uid=0, gid=0)
    tree.entry = lambda path: pipe if path == "/etc/group" else None  # type: ignore[method-assign]
    with pytest.raises(ImageError, match="/etc/group is not a regular file"):
        read_account(configuration(user="app"), tree)


def test_what_a_command_runs_is_every_path_on_the_way() -> None:
    command = start(sourced=("/start.sh",), starters={"sh": trail("/bin/sh", "/bin/dash"), "tini": None})
    assert command.files == (
        *("/start.sh", "/bin/sh", "/bin/dash", "/app/.venv/bin/uvicorn"),
        *(command.python_resolved.steps if command.python_resolved else ()),
    )
    assert start(program=None, python_resolved=None).files == ()
