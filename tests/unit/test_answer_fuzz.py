"""The probe's answer, mutated: no traceback on the way to a report, and no pass that the truth would not give."""

from __future__ import annotations

import json
import os
import random
from io import StringIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rich.console import Console
from tests.unit import environment_cases
from tests.unit.factories import facts, probe, two_starts
from tests.unit.test_checks import FAILING

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.verdict import judge, smoke_of
from seatrial.engine.streams import Output
from seatrial.facts import Probe, Unavailable
from seatrial.observe.running.probe import read_probe
from seatrial.observe.running.questions import proof
from seatrial.reports.console import print_smoke
from seatrial.reports.json import as_json
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.checks.verdict import Smoke

MUTATIONS = int(os.environ.get("SEATRIAL_MUTATED_ANSWERS", "2000"))
"""10,000 of them take some minutes."""
REPORTED = 20
"""Of so many, one is printed and written as JSON too."""
SEED = 20
SECRET = "5f" * 32
CONTRACT = Contract(
    user="app",
    uid=10001,
    gid=10001,
    python="3.13",
    modules=("shop",),
    executables=("sh",),
    bytecode=("dependencies", "standard-library"),
    dependencies=("fastapi", "uvicorn"),
)

Mutate = "Callable[[random.Random, bytes], bytes]"


def truth() -> Probe:
    """Return the answer of an image that has everything wrong of which the probe tells."""
    changed: dict[str, Any] = {}
    for check, seen in FAILING.items():
        if check.startswith("files/") or isinstance(seen.probe, Unavailable):
            continue
        for name in msgspec.structs.fields(Probe):
            value = getattr(seen.probe, name.name)
            if value != getattr(probe(), name.name):
                changed[name.name] = value
    # The uid is the engine's to tell; of an account it may be asked what it is called.
    for check, part in (("native/libraries-resolve", "native"), ("packages/forbidden", "distributions")):
        changed[part] = getattr(FAILING[check].probe, part)
    changed["start"] = two_starts(replaced=("json is /app/json.py",))
    changed["identity"] = msgspec.structs.replace(probe().identity, name="sailor")
    return probe(**changed)


class Watched:
    """A probe's answer that notes what is read of it."""

    def __init__(self, answer: Probe) -> None:
        self._answer = answer
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._answer, name)


TRUTH = truth()
BODY = msgspec.json.encode(TRUTH)
CHECKS = [check for check in registry.CHECKS if not check.stack]


def judged(answer: Probe | Unavailable) -> Smoke:
    return smoke_of(facts(probe=answer), CONTRACT, CHECKS, seconds=0.1)


def statuses(smoke: Smoke) -> dict[str, Status]:
    return {result.id: result.status for result in smoke.checks}


def reads() -> dict[str, set[str]]:
    """Return the parts of the answer that each check reads."""
    found = {}
    for check in CHECKS:
        watched = Watched(TRUTH)
        judge(check, facts(probe=watched), CONTRACT)
        found[check.id] = watched.read
    return found


READS = reads()
OF_THE_TRUTH = statuses(judged(TRUTH))
WITHOUT = statuses(judged(Unavailable(reason="there is no answer")))

# --- mutations: of the bytes ------------------------------------------------------------------------------------------


def flipped(chance: random.Random, body: bytes) -> bytes:
    text = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
    return bytes(text)


def cut(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body))]


def doubled(chance: random.Random, body: bytes) -> bytes:
    at, to = sorted(chance.randrange(len(body)) for _ in range(2))
    return body[:to] + body[at:to] + body[to:]


def with_noise(chance: random.Random, body: bytes) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + chance.choice(NOISE) + body[at:]


NOISE = (
    *(
        b"\x00",
        b"\x1b[2J",
        b"\xff\xfe",
        b"\\ud800",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"\\u0000",
        b'"',
        b"}",
    ),
    *(b"[" * 2000, b'{"a":' * 2000, b"\xe2\x80\xae", b"[/][bold red]", b"x" * 1_000_000),
)

# --- mutations: of the values -----------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in an answer."""
    found = [path] if path else []
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in rows:
        found += places(held, (*path, key))
    return found


PLACES = places(json.loads(BODY))


def at_a_place(chance: random.Random, change: Callable[[Any, Any], None]) -> bytes:
    answer = json.loads(BODY)
    path = chance.choice(PLACES)
    holder = answer
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return json.dumps(answer).encode()


def deep() -> Any:
    value: Any = 0
    for _ in range(200):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 64, 10**400, 1e308, float("nan"), float("inf"), "", "x", [], {}),
    *(
        "\ud800",
        "\x00",
        "\x1b[31m",
        "a\nb\rc",
        "\u202e",
        "[bold]x[/]",
        "x" * 200_000,
        "../../etc/passwd",
        "/",
        "0" * 5000,
    ),
    *([[]], [{}], [None], {"": ""}, {"a": {"b": []}}),
)


def replaced(chance: random.Random, _: bytes) -> bytes:
    def change(holder: Any, key: Any) -> None:
        holder[key] = deep() if chance.random() < 0.05 else chance.choice(VALUES)

    return at_a_place(chance, change)


def removed(chance: random.Random, _: bytes) -> bytes:
    def change(holder: Any, key: Any) -> None:
        del holder[key]

    return at_a_place(chance, change)


def repeated(chance: random.Random, _: bytes) -> bytes:
    """Give a key twice, the second time with another value: JSON's readers differ in which one counts."""
    answer = json.loads(BODY)
    key = chance.choice(sorted(answer))
    again = json.dumps({key: chance.choice(VALUES)}).encode()
    return BODY[:-1] + b"," + again[1:]


def swapped(chance: random.Random, _: bytes) -> bytes:
    answer = json.loads(BODY)
    one, other = chance.sample(sorted(answer), 2)
    answer[one], answer[other] = answer[other], answer[one]
    return json.dumps(answer).encode()


def many(chance: random.Random, _: bytes) -> bytes:
    def change(holder: Any, key: Any) -> None:
        holder[key] = [holder[key]] * 500

    return at_a_place(chance, change)


MUTATE = (flipped, cut, doubled, with_noise, replaced, replaced, removed, repeated, swapped, many)


def answered(body: bytes) -> Probe | Unavailable:
    out = b"noise\n" + proof(SECRET, body) + b" " + body + b"\n"
    return read_probe(
        Output(out=out, errors=b"", code=0, truncated=False, timed_out=False, asked_at=6), SECRET, "/python"
    )


def reported(smoke: Smoke) -> None:
    text = StringIO()
    print_smoke(smoke, Console(file=text, width=120))
    assert "\x1b" not in text.getvalue()
    json.loads(as_json([smoke]))


def test_the_truth_fails_what_the_probe_tells() -> None:
    failing = {check for check, status in OF_THE_TRUTH.items() if status is Status.FAIL}
    assert len(failing) >= 15
    assert failing >= {"app/imports", "packages/forbidden", "probe/agrees", "native/libraries-resolve"}
    assert environment_cases.FAILING.keys() & failing
    assert answered(BODY) == TRUTH


def test_no_mutated_answer_gives_a_pass_that_the_truth_does_not() -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same ones each time
    seen = {"read": 0, "refused": 0}
    for number in range(MUTATIONS):
        mutate = chance.choice(MUTATE)
        body = mutate(chance, BODY)
        answer = answered(body)
        smoke = judged(answer)
        found = statuses(smoke)
        said = f"mutation {number}, {mutate.__name__}: {body[:300]!r}"
        seen["refused" if isinstance(answer, Unavailable) else "read"] += 1
        if isinstance(answer, Unavailable):
            assert found == WITHOUT, said
        else:
            changed = {
                name.name
                for name in msgspec.structs.fields(Probe)
                if getattr(answer, name.name) != getattr(TRUTH, name.name)
            }
            better = {check for check, status in found.items() if status is Status.PASS} - {
                check for check, status in OF_THE_TRUTH.items() if status is Status.PASS
            }
            for check in better:
                # Another answer to the very question; nothing that is left out, or is said of something else.
                assert READS[check] & changed, f"{check} passes; {said}"
                assert mutate is not removed or not changed & lost(body), f"{check} passes without a part; {said}"
        assert not any("Traceback" in result.actual or "the check itself" in result.actual for result in smoke.checks)
        if number % REPORTED == 0:
            reported(smoke)
    assert min(seen.values()) > MUTATIONS / 20


def lost(body: bytes) -> set[str]:
    """Return the parts that an answer lacks."""
    there: set[str] = set(json.loads(body))
    return {name.name for name in msgspec.structs.fields(Probe)} - there


@pytest.mark.parametrize("part", [name.name for name in msgspec.structs.fields(Probe)])
def test_an_answer_without_a_part_passes_no_more_than_the_truth(part: str) -> None:
    answer = json.loads(BODY)
    answer.pop(part, None)
    found = statuses(judged(answered(json.dumps(answer).encode())))
    better = {check for check, status in found.items() if status is Status.PASS and OF_THE_TRUTH[check] is Status.FAIL}
    assert better == set()
