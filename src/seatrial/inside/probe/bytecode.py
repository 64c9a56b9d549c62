"""Bytecode of source files, judged as the import system does."""

import os
import struct
import sys
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import INSTALLER_PACKAGES, MAX_FILES, fact, listing, opened, scan, search_path, text
from seatrial.inside.probe.imports import cut_short, standard_names

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    from seatrial.inside.probe.base import Row


PROVEN = 5
"""So many sources without bytecode are tried whether they compile at all; of more, one need not know."""


class Compiled:
    """The bytecode of source files, judged as importlib does: magic number, then time and size, or hash, or neither."""

    def __init__(self) -> None:
        import importlib.util

        self.util = importlib.util
        self.ending = os.path.basename(importlib.util.cache_from_source("/x/m.py"))[1:]
        self.answer: "Row" = {
            "sources": 0,
            "missing": [],
            "missing_count": 0,
            "stale": [],
            "stale_count": 0,
            "complete": True,
        }
        self.tried = 0

    def check_folder(self, folder: str, names: "List[str]") -> None:
        """Check the sources of one folder; its __pycache__ is opened once, as paths are slow to walk on layers."""
        caches = os.path.join(folder, "__pycache__")
        if getattr(sys, "pycache_prefix", None):
            caches = os.path.dirname(self.util.cache_from_source(os.path.join(folder, "m.py")))
        try:
            cache: "Optional[int]" = os.open(caches, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            cache = None
        try:
            for name in names:
                self.check_source(folder, name, cache)
        finally:
            if cache is not None:
                os.close(cache)

    def check_source(self, folder: str, name: str, caches: "Optional[int]") -> None:
        source, answer = folder + "/" + name, self.answer
        answer["sources"] += 1
        try:
            if caches is None:
                raise FileNotFoundError
            # O_NONBLOCK: a pipe in a file's place must not be waited for.
            descriptor = os.open(name[:-3] + self.ending, os.O_RDONLY | os.O_NONBLOCK, dir_fd=caches)
        except OSError:
            if answer["missing_count"] < PROVEN and not self.compiles(source):
                answer["sources"] -= 1
                return
            answer["missing_count"] += 1
            if len(answer["missing"]) < 20:
                answer["missing"].append(text(source))
            return
        try:
            head = os.read(descriptor, 16)
        except OSError:
            head = b""
        finally:
            os.close(descriptor)
        problem = self.problem(head, source)
        if problem:
            answer["stale_count"] += 1
            if len(answer["stale"]) < 20:
                answer["stale"].append({"source": text(source), "problem": problem})

    def problem(self, head: bytes, source: str) -> str:
        if len(head) < 16 or head[:4] != self.util.MAGIC_NUMBER:
            return "its magic number is that of another Python"
        flags = struct.unpack_from("<I", head, 4)[0]
        try:
            if flags == 0:
                state = os.stat(source)
                recorded = struct.unpack_from("<II", head, 8)
                if recorded != (int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF):
                    return "it records another time or size of its source"
            elif flags & 0b10:
                with opened(source) as file:
                    if self.util.source_hash(file.read(8 << 20)) != head[8:16]:
                        return "it records another hash of its source"
        except OSError as error:
            return f"its source cannot be read: {error.strerror}"
        return ""

    def compiles(self, source: str) -> bool:
        """A file that is no Python (a template, a test of the grammar) has no bytecode, and needs none."""
        import warnings

        self.tried += 1
        if self.tried > 100:
            return True
        try:
            with opened(source) as file:
                body = file.read(200001)
            if len(body) <= 200000:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(body, source, "exec", dont_inherit=True)
        except Exception:
            return False
        return True


@fact
def bytecode(_request: "Row") -> "Row":
    """Return that of the dependencies."""
    judged, count = Compiled(), 0
    seen: "Set[str]" = set()
    tops = [top for top in search_path if any(name.endswith(".dist-info") for name in listing(top or "/nothing"))]
    # An installer is not a dependency: whether it may be there is another check's question.
    left, aside = list(tops), {os.path.join(top, name) for top in tops for name in INSTALLER_PACKAGES}
    while left:
        folder = left.pop().rstrip("/")
        if folder in seen:
            continue
        seen.add(folder)
        names = []
        for entry in scan(folder):
            count += 1
            name = entry.name
            if name.endswith(".py") and entry.is_file():
                # What no import statement can name (some-script.py, a template) needs none.
                if name[:-3].isidentifier():
                    names.append(name)
            elif name != "__pycache__" and entry.path not in aside and entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
        if names:
            judged.check_folder(folder, names)
        if count > MAX_FILES:
            judged.answer["complete"] = False
            break
    return judged.answer


@fact
def standard_bytecode(_request: "Row") -> "Row":
    """Return that of the standard library's modules that the application's imports loaded."""
    judged, top = Compiled(), os.path.dirname(os.__file__)
    folders: "Dict[str, List[str]]" = {}
    for name in sorted(standard_names)[:5000]:
        path = os.path.normpath(os.path.join(top, name))
        if path.startswith(top + "/") and path.endswith(".py") and os.path.isfile(path):
            folders.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    for folder, names in folders.items():
        judged.check_folder(folder, names)
    judged.answer["complete"] = not cut_short
    return judged.answer
