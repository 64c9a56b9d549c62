"""What the engine alone reads of the interpreter: who may reach it, and the C library that it stands on."""

from __future__ import annotations

import struct

import pytest
from tests.unit.factories import Tree, configuration

from seatrial.facts import Account
from seatrial.observe.command.resolve import resolve_command

WHO = Account(name="app", uid=10001, gids=(10001,), home="/app")
COMMAND = configuration(command=("/v/bin/python", "-m", "shop"))


def binary(loader: bytes) -> bytes:
    """Return an ELF file that names a loader and holds nothing else (elf(5))."""
    at = 64 + 56
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    return header + struct.pack("<IIQQQQQQ", 3, 4, at, at, at, len(loader) + 1, len(loader) + 1, 1) + loader + b"\0"


def test_the_folders_on_the_interpreters_way_are_looked_at() -> None:
    table: dict[str, str | bytes | int | None] = {
        "/root": 0o700,
        "/root/uv/python3.13": binary(b"/lib64/ld-linux-x86-64.so.2"),
        "/v/bin/python": "/root/uv/python3.13",
    }
    barrier = resolve_command(COMMAND, Tree(table), WHO).python_blocked_by
    assert barrier is not None
    assert (barrier.path, barrier.on_the_way_to, barrier.entry.mode) == ("/root", "/root/uv/python3.13", 0o700)
    assert resolve_command(COMMAND, Tree({**table, "/root": 0o711}), WHO).python_blocked_by is None


def test_the_interpreters_own_loader_is_read() -> None:
    tree = Tree({"/v/bin/python": "/usr/bin/python3", "/usr/bin/python3": binary(b"/lib/ld-musl-x86_64.so.1")})
    assert resolve_command(COMMAND, tree, WHO).python_loader == "/lib/ld-musl-x86_64.so.1"


@pytest.mark.parametrize("what", [b"#!/bin/sh\n", None, "/nowhere", 0o755])
def test_what_is_no_binary_names_no_loader(what: str | bytes | int | None) -> None:
    assert resolve_command(COMMAND, Tree({"/v/bin/python": what}), WHO).python_loader == ""
