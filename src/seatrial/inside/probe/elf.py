"""ELF files: the dynamic section of a program or library, as ld.so(8) reads it."""

import os
import struct
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import opened

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    Values = Dict[int, List[int]]

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29


class Elf:
    """The libraries that a file needs, and where it has them looked for."""

    def __init__(self, path: str) -> None:
        self.needed: "List[str]" = []
        self.runpath: "List[str]" = []
        self.rpath: "List[str]" = []
        self.extension = False
        with opened(path) as file:
            ident = file.read(64)
            if ident[:4] != b"\x7fELF":
                raise ValueError("not ELF")
            self.wide, self.order = ident[4] == 2, "<" if ident[5] == 1 else ">"
            self.machine = struct.unpack_from(self.order + "H", ident, 18)[0]
            loads, dynamic = self._segments(file, ident)
            values = self._entries(file, *dynamic) if dynamic else {}
            if DT_STRTAB not in values:
                return
            strings = _strings(file, loads, values)
            here = os.path.dirname(path)
            self.extension = b"PyInit_" in strings
            self.needed = [_name(strings, at) for at in values.get(DT_NEEDED, [])]
            self.rpath = _folders(strings, values.get(DT_RPATH, []), here)
            self.runpath = _folders(strings, values.get(DT_RUNPATH, []), here)

    def _segments(self, file: "Any", ident: bytes) -> "Tuple[List[Tuple[int, int, int]], Tuple[int, ...]]":
        """Return where loaded segments lie (address, offset, length), and the dynamic one (offset, length)."""
        (offset,) = struct.unpack_from(self.order + ("Q" if self.wide else "I"), ident, 32 if self.wide else 28)
        size, count = struct.unpack_from(self.order + "HH", ident, 54 if self.wide else 42)
        kind = self.order + ("IIQQQQQQ" if self.wide else "IIIIIIII")
        file.seek(offset)
        table = file.read(size * min(count, 128))
        loads = []
        dynamic: "Tuple[int, ...]" = ()
        for index in range(len(table) // size if size else 0):
            row = struct.unpack_from(kind, table, index * size)
            at, address, length = (row[2], row[3], row[5]) if self.wide else (row[1], row[2], row[4])
            if row[0] == PT_LOAD:
                loads.append((address, at, length))
            elif row[0] == PT_DYNAMIC:
                dynamic = (at, length)
        return loads, dynamic

    def _entries(self, file: "Any", at: int, length: int) -> "Values":
        entry = self.order + ("qQ" if self.wide else "iI")
        file.seek(at)
        body = file.read(min(length, 1 << 16))
        size = struct.calcsize(entry)
        values: "Values" = {}
        for start in range(0, len(body) - size + 1, size):
            tag, value = struct.unpack_from(entry, body, start)
            if tag == 0:
                break
            values.setdefault(tag, []).append(value)
        return values


def _strings(file: "Any", loads: "List[Tuple[int, int, int]]", values: "Values") -> bytes:
    address = values[DT_STRTAB][0]
    for start, at, length in loads:
        if start <= address < start + length:
            file.seek(at + address - start)
            found: bytes = file.read(min(values.get(DT_STRSZ, [1 << 20])[0], 1 << 22))
            return found
    return b""


def _name(strings: bytes, at: int) -> str:
    return strings[at : strings.find(b"\0", at)].decode("utf-8", "replace")


def _folders(strings: bytes, offsets: "List[int]", here: str) -> "List[str]":
    joined = ":".join(_name(strings, at) for at in offsets)
    return [folder.replace("${ORIGIN}", here).replace("$ORIGIN", here) for folder in joined.split(":") if folder]
