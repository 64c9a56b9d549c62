"""The reader of what the engine packs: every form that is known, and nothing else; no input is a traceback."""

from __future__ import annotations

import io
import random
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits, Member, rooted
from seatrial.observe.index import IndexReader

if TYPE_CHECKING:
    from collections.abc import Iterable

PLENTY = Limits(seconds=60.0, most=1_000_000_000)
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


def member(name: str, body: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(body)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, body


def packed(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, errors="surrogateescape") as archive:
        for made, body in members:
            archive.addfile(made, io.BytesIO(body))
    return stream.getvalue()


def read(raw: bytes, limits: Limits = PLENTY) -> list[Member]:
    return list(Archive(io.BytesIO(raw), limits))


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_every_kind_of_member_is_told(form: int) -> None:
    long = "/".join(["folder" * 3] * 9) + "/" + "n" * 60
    raw = packed(
        (
            member("/", type=tarfile.DIRTYPE, mode=0o755),
            member("etc/", type=tarfile.DIRTYPE, mode=0o1777),
            member("etc/passwd", b"x" * 1000, mode=0o4640, uid=7, gid=8),
            member("bin", type=tarfile.SYMTYPE, linkname="../usr/./bin", mode=0o777),
            member("etc/second", type=tarfile.LNKTYPE, linkname="etc/passwd", mode=0o4640),
            member("dev/tty", type=tarfile.CHRTYPE, mode=0o620),
            member("run/pipe", type=tarfile.FIFOTYPE, mode=0o600),
            member(long, b"y", mode=0o644),
        ),
        form,
    )
    assert read(raw) == [
        Member("/", "d", 0o755, 0, 0, 0, ""),
        Member("/etc", "d", 0o1777, 0, 0, 0, ""),
        Member("/etc/passwd", "f", 0o4640, 7, 8, 1000, ""),
        Member("/bin", "l", 0o777, 0, 0, 0, "../usr/./bin"),
        Member("/etc/second", "h", 0o4640, 0, 0, 0, "/etc/passwd"),
        Member("/dev/tty", "o", 0o620, 0, 0, 0, ""),
        Member("/run/pipe", "o", 0o600, 0, 0, 0, ""),
        Member(f"/{long}", "f", 0o644, 0, 0, 1, ""),
    ]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_large_numbers_and_long_links_are_read(form: int) -> None:
    target = "t" * 3000
    large = member("a", uid=4_000_000_000, gid=3_000_000)
    raw = packed((large, member("b", type=tarfile.SYMTYPE, linkname=target)), form)
    first, second = read(raw)
    assert (first.uid, first.gid) == (4_000_000_000, 3_000_000)
    assert second.target == target


def test_a_name_that_is_no_utf8_stays_what_it_is() -> None:
    name = b"caf\xe9\n\x1b[31m".decode("utf-8", "surrogateescape")
    assert read(packed([member(name)], tarfile.GNU_FORMAT))[0].path == f"/{name}"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "/etc/passwd"),
        ("/etc//passwd/", "/etc/passwd"),
        ("./a/./b", "/a/b"),
        ("a/../../b", "/b"),
        ("", "/"),
        ("..", "/"),
        ("größe/..", "/"),
        ("...", "/..."),
    ],
)
def test_no_path_leads_out_of_the_root(name: str, path: str) -> None:
    assert rooted(name) == path


def test_the_beginning_of_a_file_is_read_and_the_rest_left() -> None:
    archive = Archive(io.BytesIO(packed((member("a", b"abcdef" * 500), member("b", b"second")))), PLENTY)
    found = {made.path: archive.beginning(4) for made in archive}
    assert found == {"/a": b"abcd", "/b": b"seco"}


def damaged(raw: bytes, at: int, new: bytes) -> bytes:
    """Return a header with other bytes, and the checksum that fits them."""
    header = bytearray(raw[:512])
    header[at : at + len(new)] = new
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + raw[512:]


PLAIN = packed([member("a", b"x")], tarfile.USTAR_FORMAT)
PAX = packed([member("ö" * 80)])
MALFORMED = {
    "nothing": b"",
    "no tar": b"no tar at all" * 100,
    "half a header": PLAIN[:300],
    "half a file": packed([member("a", b"x" * 5000)])[:2000],
    "no end": PLAIN[:1024],
    "a wrong checksum": b"b" + PLAIN[1:],
    "a sparse file": damaged(PLAIN, 156, b"S"),
    "an unknown type": damaged(PLAIN, 156, b"V"),
    "a number that is none": damaged(PLAIN, 108, b"12x4567\0"),
    "a negative number": damaged(PLAIN, 124, b"\xff" * 12),
    "an eight": damaged(PLAIN, 124, b"00000000008\0"),
    "a long extended header": damaged(PAX, 124, b"%011o\0" % 10**6),
    "a long name": packed([member("a/" * 2100)]),
    "a long name of GNU's": packed([member("a/" * 2100)], tarfile.GNU_FORMAT),
    "a long link": packed([member("a", type=tarfile.SYMTYPE, linkname="b" * 4097)]),
    "a record of no length": PAX.replace(b"170 path", b"0   path"),
    "a record that is too long": PAX.replace(b"170 path", b"999 path"),
    "a record without a value": PAX.replace(b" path=", b" path "),
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_tar_of_an_engines_ends_the_reading(raw: bytes) -> None:
    with pytest.raises(ArchiveError):
        read(raw)


def test_a_record_of_pax_that_is_a_number_has_to_be_one() -> None:
    for value in ("-1", "1_0", "9" * 19, "9" * 30, "x"):
        made, body = member("a")
        made.pax_headers = {"uid": value}
        with pytest.raises(ArchiveError, match="a number that is"):
            read(packed([(made, body)]))
    made, body = member("a")
    made.pax_headers = {"GNU.sparse.major": "1"}
    with pytest.raises(ArchiveError, match="does not pack"):
        read(packed([(made, body)]))


def test_a_size_that_is_claimed_does_not_have_to_be_held_in_memory() -> None:
    with pytest.raises(ArchiveError, match="breaks off"):
        read(damaged(PLAIN, 124, b"\x80" + b"\0" * 3 + b"\x3f" + b"\xff" * 7))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(seconds=60.0, most=10**9, entries=2), "more than 2 paths"),
        (Limits(seconds=60.0, most=10**9, names=2), "0 MB of names"),
        (Limits(seconds=60.0, most=100), "0 MB of it were read"),
        (Limits(seconds=-1.0, most=10**9), "read for -1 s"),
    ],
)
def test_every_limit_is_told(limits: Limits, says: str) -> None:
    with pytest.raises(LimitExceededError, match=says):
        read(packed([member(name) for name in "abc"]), limits)


def test_damage_anywhere_is_told_or_harmless() -> None:
    whole = packed(
        (
            member("app", type=tarfile.DIRTYPE),
            member("ö" * 80, b"#!/bin/sh\n"),
            member("usr/lib/python3.13/site-packages/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n"),
            member("usr/lib/python3.13/site-packages/a-1.dist-info/direct_url.json", b"[" * 500),
            member("root/.netrc", b"password x", mode=0o600),
            member("x", type=tarfile.LNKTYPE, linkname="root/.netrc"),
        )
    )
    dice = random.Random(11)  # noqa: S311 - the same damage at each run
    for _ in range(2000):
        raw = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        if dice.random() < 0.3:
            del raw[dice.randrange(len(raw)) :]
        reader = IndexReader()
        reader.read(io.BytesIO(bytes(raw)), PLENTY)
        assert len(reader.index().paths) <= 7
