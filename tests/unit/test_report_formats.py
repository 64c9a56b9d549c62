"""Reports for programs: each holds to its schema, whatever the image says, and is bounded."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest
import xmlschema
from docs.reference import SCHEMAS
from tests.unit import sarif_schema
from tests.unit.factories import facts
from tests.unit.samples import HOSTILE, NASTY, SHOWN, every_status, judged, matrix, result, smoke

from seatrial.checks import registry
from seatrial.checks.model import Check, Level, Status, failed
from seatrial.checks.verdict import LONGEST, MOST_TEXT, Verdict, judge, smoke_of, worst
from seatrial.reports import json as data
from seatrial.reports.markdown import MOST, fenced, text
from seatrial.reports.write import ENDINGS, FORMATS, Format, render
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Outcome
    from seatrial.checks.verdict import Smoke

OTHERS = Path(__file__).parents[1] / "schemas"
SMOKE_SCHEMA = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "smoke.schema.json").read_text(encoding="utf-8")))
JUNIT_SCHEMA = xmlschema.XMLSchema(str(OTHERS / "junit.xsd"))
CODE_QUALITY = jsonschema.Draft202012Validator(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^[^/]"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                        },
                    },
                },
            },
        },
    }
)
"""GitLab, Code Quality report format: the keys that it asks for."""
VOID = {"meta", "link", "br", "img"}


def many() -> list[Smoke]:
    """Return what every form has to cope with: a real smoke, each status, a matrix, and no check at all."""
    return [judged()[0], every_status(), *matrix(), smoke(verdict=Verdict.ERROR)]


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def assert_valid(shape: Format, made: str) -> None:
    """Hold a report against its schema, or against what its form demands."""
    made.encode("utf-8")
    match shape:
        case "json":
            SMOKE_SCHEMA.validate(json.loads(made))
        case "sarif":
            sarif_schema.validate(made)
        case "junit":
            JUNIT_SCHEMA.validate(ET.fromstring(made.partition("?>")[2]))  # noqa: S314 - our own
        case "html":
            Page(made)
        case "markdown":
            assert len(made.encode()) <= MOST
        case "codequality":
            CODE_QUALITY.validate(json.loads(made))
        case "text":
            assert made.endswith("\n")


@pytest.mark.parametrize("shape", FORMATS)
def test_every_form_holds_to_its_schema(shape: Format) -> None:
    for smokes in (many(), [judged()[0]], [smoke(verdict=Verdict.ERROR)], matrix()):
        assert_valid(shape, render(smokes, shape))


@pytest.mark.parametrize("said", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("shape", FORMATS)
def test_whatever_an_image_says_a_report_is_whole_and_bounded(shape: Format, said: str) -> None:
    made = render([judged(said)[0], judged(said)[0]], shape)
    assert_valid(shape, made)
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\x00", "\uffff"} & set(made)
    assert len(made) < 1_500_000
    if shape == "markdown":
        # What stands in a fence is shown as it is.
        made = re.sub(r"^(`{3,})text\n.*?^\1$", "", made, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in made or shape in {"json", "sarif", "codequality", "text"}, "no element, only text"


@pytest.mark.parametrize("shape", FORMATS)
def test_a_name_of_bytes_that_are_no_utf8_is_shown_by_its_numbers(shape: Format) -> None:
    said = "/srv/\udcff\udcfe.py"
    for smokes in ([judged(said)[0]], [smoke(image=said, notes=(said,)), smoke(image=said)]):
        made = render(smokes, shape).replace("&#92;", "\\").replace("\\\\", "\\")
        assert_valid(shape, render(smokes, shape))
        assert made.encode("utf-8")
        # GitLab's form holds findings alone.
        if shape != "codequality" and (shape != "json" or len(smokes) == 1):
            assert "/srv/\\xff\\xfe.py" in made


def test_a_check_that_says_too_much_is_cut_and_says_so() -> None:
    def endless(*_: object) -> Outcome:
        long = "y" * 1_000_000
        return failed(long, expected=long, fix=long, evidence=(long,) * 1_000, where="Dockerfile:1")

    check = Check(id="a/b", title="t", why="w.", source="s", level=Level.QUICK, function=endless)
    seen = judge(check, facts(), Contract())
    assert max(map(len, (seen.actual, seen.expected, seen.fix))) < LONGEST + 50
    assert sum(map(len, seen.evidence)) < MOST_TEXT + 100
    assert seen.evidence[-1] == f"… and {1_000 - len(seen.evidence) + 1} more lines"
    flood = smoke_of(facts(), Contract(), [check] * 100, seconds=1)
    for shape in FORMATS:
        made = render([flood], shape)
        assert_valid(shape, made)
        assert len(made) < 6_000_000


def test_endings_and_forms_agree() -> None:
    assert set(ENDINGS.values()) == set(FORMATS) == set(get_args(Format))


# --- JSON -------------------------------------------------------------------------------------------------


def test_json_has_the_agreed_keys_first() -> None:
    said, _ = judged()
    made = data.as_json([said])
    assert made.isascii()
    assert made.replace("\n", "").isprintable()
    read = json.loads(made)
    assert list(read)[:7] == ["schema", "image", "id", "verdict", "seconds", "counts", "checks"]
    later = ["app", "python", "level", "timings", "notes", "fail_on", "findings", "undecided"]
    later += ["unpacked", "baseline", "known"]
    assert list(read)[7:] == later
    assert (read["schema"], read["verdict"], read["seconds"], read["level"]) == (1, "fail", 2.5, "deep")
    assert set(read["counts"]) == {status.value for status in Status}
    keys = ["id", "title", "status", "expected", "actual", "why", "fix", "evidence", "seconds", "where"]
    keys += ["severity", "severity_reason", "follows_from", "items", "baseline"]
    assert all(list(entry) == keys for entry in read["checks"])
    assert sum(read["counts"].values()) == len(read["checks"]) == len(registry.CHECKS)


def test_several_smokes_are_one_object_with_the_worst_verdict() -> None:
    read = json.loads(data.as_json(matrix()))
    assert (read["schema"], read["verdict"], len(read["smokes"])) == (1, "fail", 3)
    assert json.loads(data.as_json([]))["verdict"] == "error"


def test_a_failure_counts_most_then_what_is_undecided() -> None:
    verdicts = {verdict: smoke(verdict=verdict) for verdict in Verdict}
    assert worst(list(verdicts.values())) is Verdict.FAIL
    assert worst([verdicts[Verdict.PASS], verdicts[Verdict.ERROR]]) is Verdict.ERROR
    assert worst([verdicts[Verdict.PASS]]) is Verdict.PASS
    assert worst([]) is Verdict.ERROR


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "good"},
        {"schema": 2},
        {"counts": {"pass": 1}},
        {"checks": [{"id": "a/b"}]},
        {"image": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_refuses_what_is_no_report(change: dict[str, Any]) -> None:
    sound = json.loads(data.as_json([every_status()]))
    SMOKE_SCHEMA.validate(sound)
    with pytest.raises(jsonschema.ValidationError):
        SMOKE_SCHEMA.validate(sound | change)


# --- JUnit ------------------------------------------------------------------------------------------------


def junit(*smokes: Smoke) -> ET.Element:
    return ET.fromstring(render(smokes, "junit").partition("?>")[2])  # noqa: S314 - our own


def test_junit_has_a_case_a_check_and_counts_right() -> None:
    every = msgspec.structs.replace(every_status(), image=f"shop:{HOSTILE}")
    root = junit(judged()[0], every)
    first, second = root.iter("testsuite")
    assert int(first.get("tests", "0")) == len(list(first.iter("testcase"))) == len(registry.CHECKS)
    assert root.get("tests") == str(len(registry.CHECKS) + 5)
    assert {name: second.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": f"shop:{SHOWN}",
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
        "time": "2.500",
    }
    children = [[child.tag for child in case] for case in second.iter("testcase")]
    assert children == [["system-out"], ["failure"], ["error"], ["skipped"], ["skipped"]]


def test_junit_tells_a_failure_in_full_and_a_waiver_by_its_reason() -> None:
    case = next(element for element in junit(judged()[0]).iter("testcase") if element.get("name") == "imports")
    assert case.get("classname") == "app"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "app/imports"
    assert SHOWN in failure.get("message", "")
    assert SHOWN in (failure.text or "")
    assert "to do: " in (failure.text or "")
    waived = junit(every_status()).find(".//testcase[@name='declared']/skipped")
    assert waived is not None
    assert waived.get("message") == "Waived: seen"


# --- SARIF ------------------------------------------------------------------------------------------------


def sarif(*smokes: Smoke) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = json.loads(render(smokes, "sarif"))["runs"]
    return runs


def test_sarif_has_every_rule_with_its_help() -> None:
    (run,) = sarif(every_status())
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in registry.CATALOGUE]
    assert all(rule["help"]["text"] and rule["help"]["markdown"] and rule["fullDescription"]["text"] for rule in rules)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", rule["name"]) for rule in rules)


def test_sarif_has_results_only_for_what_did_not_pass() -> None:
    (run,) = sarif(every_status())
    results = {entry["ruleId"]: entry for entry in run["results"]}
    assert {name: (one["kind"], one["level"]) for name, one in results.items()} == {
        "app/imports": ("fail", "error"),
        # The standard's words for what could not be decided.
        "process/graceful-stop": ("open", "none"),
        "health/declared": ("fail", "error"),
    }
    for name, one in results.items():
        assert run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == name
        assert ("suppressions" in one) is (name == "health/declared")
    (suppression,) = results["health/declared"]["suppressions"]
    assert (suppression["kind"], suppression["justification"]) == ("external", "seen")
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]


@pytest.mark.parametrize(
    ("where", "physical"),
    [
        (
            "docker/shop/Dockerfile:12",
            {"artifactLocation": {"uri": "docker/shop/Dockerfile"}, "region": {"startLine": 12}},
        ),
        ("a b#c.yaml", {"artifactLocation": {"uri": "a%20b%23c.yaml"}}),
        ("", None),
    ],
)
def test_sarif_points_at_the_line_to_change_or_else_at_the_image(where: str, physical: dict[str, Any] | None) -> None:
    made = render([smoke(result(Status.FAIL, where=where))], "sarif")
    assert_valid("sarif", made)
    (location,) = json.loads(made)["runs"][0]["results"][0]["locations"]
    assert location.get("physicalLocation") == physical
    assert location["logicalLocations"] == [{"fullyQualifiedName": "shop:latest", "kind": "resource"}]


def test_sarif_knows_a_finding_again_when_the_image_is_built_anew() -> None:
    def prints(image: str, **more: Any) -> str:
        (run,) = sarif(smoke(result(Status.FAIL), image=image, **more))
        return str(run["results"][0]["partialFingerprints"])

    assert prints("host:5000/shop:1.0") == prints("host:5000/shop:1.1") != prints("host:5000/other:1.0")
    assert prints("x", app="shop", python="3.13") == prints("y", app="shop", python="3.13")
    assert prints("x", app="shop", python="3.13") != prints("x", app="shop", python="3.14")


# --- Markdown ---------------------------------------------------------------------------------------------


def test_markdown_keeps_outside_text_in_its_place() -> None:
    made = render(
        [smoke(result(Status.FAIL, text="a | b\n<script>`x` **y** [z](u) @me #1 https://u www.u.x"))], "markdown"
    )
    row = next(line for line in made.splitlines() if line.startswith("| app/imports"))
    assert row.count("|") == 4
    assert not set("<>`*[]@") & set(row)
    assert not re.search(r"https://|www\.|(?<!&)#1", row)
    assert made.startswith("## FAIL: shop:latest\n")
    assert "- **to do**: fix a " in made
    assert text("two\nlines, a.b-c_d") == "two lines, a.b-c&#95;d"


def test_markdown_begins_with_the_matrix_of_several() -> None:
    made = render(matrix(), "markdown").splitlines()
    assert made[2:6] == [
        "| app | Python 3.9 | Python 3.13 |",
        "| --- | --- | --- |",
        "| shop | FAIL 1 error | PASS 1 passed |",
        "| bot | - | PASS 1 passed |",
    ]


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert fenced("a\n````\nb") == ["`````text", "a", "````", "b", "`````"]
    assert fenced("a") == ["```text", "a", "```"]


def test_a_long_page_loses_evidence_before_findings() -> None:
    loud = [result(Status.FAIL, f"app/check-{number}", evidence=("z" * 4_000,) * 5) for number in range(100)]
    made = render([smoke(*loud)], "markdown")
    assert "zzz" not in made
    assert all(f"ERROR app/check-{number}: " in made for number in range(100))
    assert "zzz" in render([smoke(*loud[:10])], "markdown")


# --- HTML -------------------------------------------------------------------------------------------------


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    for smokes in (many(), [judged(said)[0] for said in NASTY]):
        page = Page(render(smokes, "html"))
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"script", "img", "iframe", "object", "embed", "form", "base", "svg", "video"}
        for _, attributes in page.elements:
            assert not any(name.startswith("on") for name in attributes)
            for name in ("href", "src"):
                assert (attributes.get(name) or "#").startswith(("#", "data:,"))
    style = render(matrix(), "html").partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(one for tag, one in page.elements if tag == "meta" and "http-equiv" in one)
    assert "default-src 'none'" in (policy["content"] or "")


def test_the_page_tells_verdict_groups_evidence_and_timings() -> None:
    page = Page(render([judged()[0]], "html"))
    said = " ".join(page.words)
    for wanted in ("FAIL", f"shop:{SHOWN}", "What to look at", "app/imports", "Where the time went", "2.50 s"):
        assert wanted in said, wanted
    assert SHOWN in next(words for words in page.words if words.startswith("shop: "))
    assert sum(tag == "details" for tag, _ in page.elements) == len(
        {check.id.partition("/")[0] for check in registry.CHECKS}
    )


def test_headings_go_down_one_step_at_a_time_and_ids_stand_once() -> None:
    page = Page(render(many(), "html"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    targets = {(one.get("href") or "")[1:] for tag, one in page.elements if tag == "a"}
    assert targets
    assert targets <= set(ids)
    assert next(one for tag, one in page.elements if tag == "html")["lang"] == "en"


def test_several_images_begin_with_the_matrix() -> None:
    page = Page(render(matrix(), "html"))
    tables = [number for number, (tag, _) in enumerate(page.elements) if tag == "table"]
    sections = [number for number, (tag, _) in enumerate(page.elements) if tag == "section"]
    assert tables[0] < sections[0]
    assert len(sections) == 3
    assert "not smoked" in page.words


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read(*, dark: bool) -> None:
    page = render(matrix(), "html")
    light_rules, dark_rules = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in page.split("@media", 1)
    )
    colours = light_rules | (dark_rules if dark else {})
    assert not dark or set(dark_rules) == set(light_rules)
    pairs = [(ink, back) for ink in ("ink", "soft", "accent") for back in ("page", "card", "code")]
    pairs += [(status.value, f"{status.value}-back") for status in Status]
    # WCAG 2.2, 1.4.3: 4.5 to 1.
    assert {
        pair: contrast(colours[pair[0]], colours[pair[1]])
        for pair in pairs
        if contrast(colours[pair[0]], colours[pair[1]]) < 4.5
    } == {}


def test_every_form_tells_what_of_the_projects_own_say_held() -> None:
    noted = msgspec.structs.replace(judged()[0], notes=("hadolint was asked with the project's own\n.hadolint.yaml",))
    said = "hadolint was asked with the project's own .hadolint.yaml"
    for shape in ("sarif", "junit"):
        assert_valid(shape, render([noted], shape))
    found = [item.get("value") for item in junit(noted).iter("property") if item.get("name") == "note"]
    assert found == [said]
    (invocation,) = sarif(noted)[0]["invocations"]
    assert [notification["message"]["text"] for notification in invocation["toolExecutionNotifications"]] == [said]
    assert "toolExecutionNotifications" not in sarif(msgspec.structs.replace(noted, notes=()))[0]["invocations"][0]
