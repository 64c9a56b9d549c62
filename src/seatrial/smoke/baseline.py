"""The file of a baseline: read before the smokes, compared with each, and written after them when it is updated."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.baseline import VERSION, Baseline, Record, is_recordable, recorded, size_text
from seatrial.checks.model import Status
from seatrial.checks.verdict import beside, is_finding
from seatrial.errors import SettingsError
from seatrial.filesystem import locked, read_bytes, replace
from seatrial.smoke.contracts import UNTRUSTED
from seatrial.text import counted
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.checks.verdict import Smoke
    from seatrial.settings.model import Contract

NAME = "seatrial-baseline.json"
"""Its name beside a project's settings."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a baseline."""
AGAIN = "Correct it; or remove it, and write it again with `--update-baseline`."
AN_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")


@dataclass(kw_only=True)
class BaselineFile:
    """A baseline of a command's smokes."""

    file: Path
    update: bool = False
    """Record what is found, in place of comparing with what was."""
    ignored: str = ""
    """Why it does not count."""
    read: Baseline | None = None
    """What it holds; None where there is none."""
    made: dict[tuple[str, str, str, bool], Record] = field(default_factory=dict)
    """The records of this command's smokes."""
    said: list[str] = field(default_factory=list)
    """What was not recorded, and why."""

    def judged(self, smoke: Smoke, contract: Contract) -> Smoke:
        """Return a smoke beside this baseline; where it is updated, what can be recorded is recorded first."""
        if self.ignored:
            return msgspec.structs.replace(smoke, notes=(*smoke.notes, self.ignored))
        if self.read is None and not self.update:
            return smoke
        blank = _blank(smoke, contract)
        record = _find(self.read, blank)
        if self.update:
            record = self._recorded(smoke, blank, record)
        return beside(smoke, record, contract, name=blank.name, file=self.file.name)

    def _recorded(self, smoke: Smoke, blank: Record, known: Record | None) -> Record:
        entries = recorded(smoke.checks, known.findings if known else ())
        unpacked = size_text(smoke.unpacked) if smoke.unpacked else (known.unpacked if known else "")
        record = msgspec.structs.replace(blank, unpacked=unpacked, findings=entries)
        self.made[blank.key] = record
        failed = [result for result in smoke.checks if is_finding(result, Status.FAIL)]
        left = [result.id for result in failed if not is_recordable(result, smoke.checks)]
        if left:
            why = "the image does not run, or other checks could not be decided for it"
            self.said.append(f"{blank.name}: not recorded: {', '.join(left)}: {why}.")
        undecided = sum(is_finding(result, Status.ERROR) for result in smoke.checks)
        if undecided:
            self.said.append(f"{blank.name}: not recorded: {counted(undecided, 'check')} that could not be decided.")
        return record

    def write(self, say: Callable[[str], None]) -> None:
        """Write what was recorded, where it is updated; records of other images stay.

        Raises:
            SettingsError: it cannot be written, or can no longer be read.

        """
        if not self.made:
            return
        try:
            with locked(self.file.parent, waiting=lambda: say(f"Waiting for who else writes beside {self.file}.")):
                # Another command may have written meanwhile.
                before = _read(self.file) or Baseline()
                others = [record for record in before.images if record.key not in self.made]
                images = sorted((*others, *self.made.values()), key=lambda record: record.key)
                replace(self.file, text_of(Baseline(images=tuple(images))).encode())
        except OSError as error:
            raise _unwritable(self.file, error.strerror or str(error)) from error
        for record in self.made.values():
            old = set(known.findings) if (known := _find(self.read, record)) else set()
            now = set(record.findings)
            new, gone = len(now - old), len(old - now)
            say(f"{self.file.name}: {record.name}: {len(now)} known: {new} added or changed, {gone} taken out.")
        for line in self.said:
            say(line)


def open_baseline(
    file: Path, *, trust: Trust, folder: Path, required: bool = False, update: bool = False
) -> BaselineFile:
    """Read a baseline; `folder` is the project's, and a baseline that lies in it is the project's own word.

    Raises:
        SettingsError: it cannot be read, or not be written where it is to be updated; it is missing and `required`;
            it is damaged, a link, or of a newer version; it is to be updated and does not count.

    """
    own = file.parent.resolve().is_relative_to(folder.resolve())
    if trust is Trust.NONE and own:
        if update:
            raise SettingsError(f"is not written, {UNTRUSTED}.", where=str(file), fix="Give --trust project.")
        there = required or os.path.lexists(file)
        return BaselineFile(file=file, ignored=f"{file.name} does not count, {UNTRUSTED}" if there else "")
    read = _read(file)
    if read is None and required and not update:
        raise SettingsError("does not exist.", where=str(file), fix="Write it with `--update-baseline`.")
    if update and not os.access(file if read else file.parent, os.W_OK):
        raise _unwritable(file, "it, or its folder, is not there or read-only")
    return BaselineFile(file=file, update=update, read=read)


def _unwritable(file: Path, reason: str) -> SettingsError:
    return SettingsError(f"cannot be written: {reason}.", where=str(file), fix="Name another one: `--baseline FILE`.")


def _read(file: Path) -> Baseline | None:
    """Return what a baseline holds, None where there is none. Raises SettingsError: it cannot be used."""
    try:
        if file.is_symlink():
            raise SettingsError("is a symbolic link: not followed.", where=str(file), fix="Put the file itself there.")
        text = read_bytes(file, LARGEST).decode("utf-8")
        data = json.loads(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise SettingsError("is not UTF-8 text.", where=str(file), fix=AGAIN) from error
    except json.JSONDecodeError as error:
        where = f"{file}:{error.lineno}:{error.colno}"
        raise SettingsError(f"is not JSON: {error.msg}.", where=where, fix=AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"is not JSON that can be read: {error}.", where=str(file), fix=AGAIN) from error
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise SettingsError(
            f"was written by a newer seatrial: version {version}, and this one reads {VERSION}.",
            where=str(file),
            fix="Update seatrial; or remove the file, and write it again with `--update-baseline`.",
        )
    try:
        return msgspec.convert(data, Baseline)
    except msgspec.ValidationError as error:
        raise SettingsError(f"is no baseline: {error}.", where=str(file), fix=AGAIN) from error


def _find(baseline: Baseline | None, blank: Record) -> Record | None:
    return next((record for record in baseline.images if record.key == blank.key), None) if baseline else None


def _blank(smoke: Smoke, contract: Contract) -> Record:
    """Return an empty record of a smoke's image.

    Each Python version has its own: another one has other paths and wheels, and a fault of its own is not excused by
    that of another. An app that declares none keeps its record when its base goes on to the next version.
    """
    named = smoke.image if AN_ID.fullmatch(smoke.image) else re.sub(r"(@.*|:[^/:]*)$", "", smoke.image)
    return Record(
        app=smoke.app,
        image="" if smoke.app else named,
        python=contract.python or "" if smoke.app else "",
        stack=smoke.level == "stack",
    )


def text_of(baseline: Baseline) -> str:
    """Return the file's text: JSON in ASCII, a line for each finding, so that a diff can be read."""
    return "\n".join(_lines(baseline)) + "\n"


def _lines(baseline: Baseline) -> Iterator[str]:
    yield from ("{", f'  "version": {baseline.version},')
    if not baseline.images:
        yield from ('  "images": []', "}")
        return
    yield '  "images": ['
    for number, record in enumerate(baseline.images, 1):
        head = msgspec.to_builtins(record)
        findings = head.pop("findings", [])
        yield "    {"
        yield from (f"      {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items())
        yield '      "findings": [' if findings else '      "findings": []'
        if findings:
            yield ",\n".join(f"        {json.dumps(entry)}" for entry in findings)
            yield "      ]"
        yield "    }" + "," * (number < len(baseline.images))
    yield from ("  ]", "}")
