"""Judges what was seen by what a test says: pure, and to container-structure-test's own verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from seatrial.checks.model import Outcome, Status, failed, passed
from seatrial.structure.expressions import matches
from seatrial.structure.modes import shown_mode
from seatrial.structure.seen import Contents, Cut, Licences, Ran, Refused, Seen, Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.structure.model import CommandTest, FileContentTest, FileExistenceTest, MetadataTest, Variable
    from seatrial.structure.plan import ImageConfig

EXECUTABLE = {"any": 0o111, "owner": 0o100, "group": 0o010, "other": 0o001}
REFUSED_LICENCES = (b"AGPL", b"WTFPL")
SHOWN_LINES = 20
"""Lines of a command's output that a failure shows, the last ones."""
FIX = "Change the image, or this test."


def judge_command(test: CommandTest, seen: Seen) -> Outcome:
    """Judge what a command said."""
    expected = "; ".join(
        (
            f"exit code {test.exit_code}",
            *(f"stdout matches {one!r}" for one in test.expected_output),
            *(f"stdout does not match {one!r}" for one in test.excluded_output),
            *(f"stderr matches {one!r}" for one in test.expected_error),
            *(f"stderr does not match {one!r}" for one in test.excluded_error),
        )
    )
    if not isinstance(seen, Ran):
        return _not_seen(seen, expected)
    problems = [
        *([] if seen.code == test.exit_code else [f"exit code {seen.code}"]),
        *_unmatched("stdout", seen.out, test.expected_output, test.excluded_output),
        *_unmatched("stderr", seen.errors, test.expected_error, test.excluded_error),
    ]
    if problems:
        evidence = (*_tail("stdout", seen.out), *_tail("stderr", seen.errors))
        return failed("; ".join(problems), expected=expected, fix=FIX, evidence=evidence)
    return passed(
        f"exit code {seen.code}, {len(seen.out)} bytes on stdout, {len(seen.errors)} on stderr", expected=expected
    )


def judge_existence(test: FileExistenceTest, path: str, seen: Seen) -> Outcome:
    """Judge whether a file is there, and as it should be."""
    wanted = {
        "permissions": test.permissions,
        "uid": "" if test.uid == -1 else str(test.uid),
        "gid": "" if test.gid == -1 else str(test.gid),
        "executable by": test.is_executable_by,
    }
    if not test.should_exist:
        if isinstance(seen, Refused):
            return passed(f"{path} is not there", expected=f"no {path}")
        if isinstance(seen, Stat):
            return failed(f"{path} is there: {_described(seen)}", expected=f"no {path}", fix=FIX)
        return _not_seen(seen, f"no {path}")
    expected = ", ".join((path, *(f"{name} {value}" for name, value in wanted.items() if value)))
    if not isinstance(seen, Stat):
        return _not_seen(seen, expected)
    shown = shown_mode(seen.mode, seen.kind)
    bits = EXECUTABLE.get(test.is_executable_by, 0)
    held = (
        not test.permissions or shown == test.permissions,
        test.uid in {-1, seen.uid},
        test.gid in {-1, seen.gid},
        not bits or seen.mode & bits != 0,
    )
    said = f"{path} is {_described(seen)}"
    return passed(said, expected=expected) if all(held) else failed(said, expected=expected, fix=FIX)


def judge_contents(test: FileContentTest, path: str, seen: Seen) -> Outcome:
    """Judge what a file holds."""
    expected = "; ".join(
        (
            *(f"{path} matches {one!r}" for one in test.expected_contents),
            *(f"{path} does not match {one!r}" for one in test.excluded_contents),
        )
    )
    expected = expected or f"{path} can be read"
    if not isinstance(seen, Contents):
        return _not_seen(seen, expected)
    problems = list(_unmatched(path, seen.body, test.expected_contents, test.excluded_contents))
    if problems:
        return failed("; ".join(problems), expected=expected, fix=FIX, evidence=tuple(_tail(path, seen.body)))
    return passed(f"{path} has {len(seen.body)} bytes", expected=expected)


def judge_metadata(test: MetadataTest, config: ImageConfig) -> Outcome:
    """Judge an image's configuration."""
    problems = [
        *_variables("variable", test.env_vars, config.environment),
        *(f"variable {one.key} is set" for one in test.unbound_env_vars if one.key in config.environment),
        *_variables("label", test.labels, config.labels),
        *_words("cmd", test.cmd, config.cmd),
        *_words("entrypoint", test.entrypoint, config.entrypoint),
        *_word("workdir", test.workdir, config.workdir),
        *_word("user", test.user, config.user),
        *(f"port {one} is not exposed" for one in test.exposed_ports if one not in config.exposed_ports),
        *(f"port {one} is exposed" for one in test.unexposed_ports if one in config.exposed_ports),
        *(f"{one} is no volume" for one in test.volumes if one not in config.volumes),
        *(f"{one} is a volume" for one in test.unmounted_volumes if one in config.volumes),
    ]
    expected = "the configuration that the test describes"
    if problems:
        return failed("; ".join(problems), expected=expected, fix=FIX)
    return passed("all that is asked for holds", expected=expected)


def judge_licences(seen: Seen) -> Outcome:
    """Judge licence texts."""
    expected = "no licence text that names AGPL or WTFPL"
    if not isinstance(seen, Licences):
        return _not_seen(seen, expected)
    cut = [f"{path}: {one.reason}" for path, one in seen.texts if isinstance(one, Cut)]
    problems = [problem for path, one in seen.texts for problem in _licence(path, one)]
    if problems:
        return failed(f"{len(problems)} of {len(seen.texts)}", expected=expected, fix=FIX, evidence=tuple(problems))
    if cut:
        return _undecided(cut[0], expected)
    return passed(f"{len(seen.texts)} texts", expected=expected)


def _licence(path: str, seen: Contents | Refused | Cut) -> list[str]:
    match seen:
        case Contents():
            upper = seen.body.decode("utf-8", "replace").upper().encode()
            return [f"{path} names {one.decode()}" for one in REFUSED_LICENCES if one in upper]
        case Refused():
            return [seen.reason]
        case Cut():
            return []
        case _:
            assert_never(seen)


def _not_seen(seen: Seen, expected: str) -> Outcome:
    if isinstance(seen, Refused):
        return failed(seen.reason, expected=expected, fix=FIX)
    reason = seen.reason if isinstance(seen, Cut) else f"something else was seen: {type(seen).__name__}"
    return _undecided(reason, expected)


def _undecided(reason: str, expected: str) -> Outcome:
    return Outcome(status=Status.ERROR, actual=f"could not be decided: {reason}", expected=expected)


def _unmatched(what: str, text: bytes, expected: Iterable[str], excluded: Iterable[str]) -> list[str]:
    return [
        *(f"{what} does not match {one!r}" for one in expected if not matches(one, text)),
        *(f"{what} matches {one!r}" for one in excluded if matches(one, text)),
    ]


def _tail(what: str, text: bytes) -> list[str]:
    lines = text.decode("utf-8", "replace").splitlines()
    return [f"{what}: {line}" for line in lines[-SHOWN_LINES:]]


def _described(seen: Stat) -> str:
    return f"{shown_mode(seen.mode, seen.kind)}, uid {seen.uid}, gid {seen.gid}"


def _variables(what: str, wanted: Iterable[Variable], there: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for one in wanted:
        if one.key not in there:
            problems.append(f"{what} {one.key} is not set")
            continue
        value = there[one.key]
        if one.is_regex and not matches(one.value, value.encode("utf-8", "replace")):
            problems.append(f"{what} {one.key} is {value!r}, and does not match {one.value!r}")
        elif not one.is_regex and value != one.value:
            problems.append(f"{what} {one.key} is {value!r}, not {one.value!r}")
    return problems


def _words(what: str, wanted: tuple[str, ...] | None, there: tuple[str, ...]) -> list[str]:
    return [] if wanted is None or wanted == there else [f"{what} is {list(there)}, not {list(wanted)}"]


def _word(what: str, wanted: str, there: str) -> list[str]:
    return [] if not wanted or wanted == there else [f"{what} is {there!r}, not {wanted!r}"]
