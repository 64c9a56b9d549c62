"""Makes small wheels and shared objects, so that no package index and no compiler is needed."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EPOCH = (2024, 1, 1, 0, 0, 0)
"""One time for every file: the same wheel has the same bytes, and so the same cached layer."""

PAGE = 0x1000
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ = 0, 1, 5, 10
MACHINES = {"x86_64": 62, "aarch64": 183}


def wheel(
    name: str,
    version: str,
    files: Mapping[str, bytes],
    scripts: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> tuple[str, bytes]:
    """Return a wheel's file name and its bytes (binary distribution format, PyPA specifications)."""
    folder = f"{name}-{version}.dist-info"
    entries = "".join(f"{key} = {target}\n" for key, target in (scripts or {}).items())
    wanted = "".join(f"Requires-Dist: {require}\n" for require in requires)
    described = {
        **files,
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}".encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{folder}/entry_points.txt": f"[console_scripts]\n{entries}".encode(),
    }
    record = "".join(f"{path},,\n" for path in (*described, f"{folder}/RECORD"))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path, body in {**described, f"{folder}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), body)
    return f"{name}-{version}-py3-none-any.whl", sink.getvalue()


def another_machine() -> str:
    """Return a machine that is not this one."""
    import platform

    return next(machine for machine in MACHINES if machine != platform.machine())


def extension(needed: str, machine: str = "", symbol: str = "PyInit_tide") -> bytes:
    """Return a shared object that looks like an extension module of Python: by the name of its one symbol."""
    return elf(needed, machine, symbol)


def elf(needed: str, machine: str = "", symbol: str = "") -> bytes:
    """Return a 64-bit shared object that needs one library and holds nothing else (elf(5))."""
    import platform

    strings = b"\0" + needed.encode() + b"\0" + symbol.encode() + b"\0"
    dynamic_at = 64 + 2 * 56
    strings_at = dynamic_at + 4 * 16
    dynamic = b"".join(
        struct.pack("<qQ", tag, value)
        for tag, value in ((DT_NEEDED, 1), (DT_STRTAB, strings_at), (DT_STRSZ, len(strings)), (DT_NULL, 0))
    )
    size = strings_at + len(strings)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    code = MACHINES[machine or platform.machine()]
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, code, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", PT_LOAD, 4, 0, 0, 0, size, size, PAGE)
    table = struct.pack("<IIQQQQQQ", PT_DYNAMIC, 4, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8)
    return header + load + table + dynamic + strings


def program() -> bytes:
    """Return a static program of this machine that ends with exit code 0: it needs nothing around it."""
    import platform

    code = {
        "x86_64": b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05",  # exit is system call 60
        "aarch64": b"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4",  # and 93 here
    }[platform.machine()]
    address, start = 0x400000, 64 + 56
    size = start + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    machine = MACHINES[platform.machine()]
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, address + start, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return header + struct.pack("<IIQQQQQQ", PT_LOAD, 5, 0, address, address, size, size, PAGE) + code
