"""How much a finding matters, what it follows from, and which findings make the verdict."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit import boot_cases
from tests.unit.factories import boot, configuration, facts, probe
from tests.unit.samples import result, smoke
from tests.unit.source_cases import with_sources
from tests.unit.source_factories import API, compose, dockerfile, service
from tests.unit.test_checks import FAILING

from seatrial.checks import check, failed
from seatrial.checks.declaration import DeclarationError
from seatrial.checks.model import Cause, Check, Level, Outcome, Severity, Status, UndecidedError
from seatrial.checks.registry import CATALOGUE, CHECKS, require_known
from seatrial.checks.verdict import Verdict, judge, linked, smoke_of, verdict_of
from seatrial.errors import SettingsError
from seatrial.facts import (
    Account,
    ComposeValue,
    ContentKind,
    Exit,
    FoundPath,
    Health,
    Import,
    Lint,
    LintFinding,
    MissingLibrary,
    Mount,
    MountKind,
    Native,
    ProcessList,
    Stop,
    Unavailable,
)
from seatrial.reports.groups import findings, made_of
from seatrial.settings.model import Contract, SeverityChange

if TYPE_CHECKING:
    from seatrial.checks.verdict import Smoke
    from seatrial.facts import Facts

KNOWN = {check.id: check for check in CATALOGUE}


def demanding(severity: Severity | None = None, *, undecided: bool = False) -> Check:
    """Return a check that the contract's `forbidden` makes an error, and that fails or is undecided."""

    @check(
        "shop/tidy",
        title="Is tidy",
        severity=Severity.NOTE,
        demanded_by=("forbidden",),
        why="Because.",
        source="https://example.org",
    )
    def tidy() -> Outcome:
        if undecided:
            raise UndecidedError("nobody knows")
        return failed("untidy", expected="tidy", fix="Tidy up.", severity=severity)

    return tidy


def test_the_gravest_comes_first_and_counts_wherever_lighter_ones_do() -> None:
    assert [severity.value for severity in Severity] == ["error", "warning", "note"]
    assert [Severity.WARNING.counts(fail_on) for fail_on in Severity] == [False, True, True]


@pytest.mark.parametrize("undecided", [False, True])
def test_what_the_contract_asks_for_is_an_error(*, undecided: bool) -> None:
    asked = demanding(undecided=undecided)
    assert judge(asked, {}, Contract()).severity is Severity.NOTE
    assert judge(asked, {}, Contract(forbidden=("pytest",))).severity is Severity.ERROR


def test_a_finding_says_its_own_severity() -> None:
    assert judge(demanding(Severity.WARNING), {}, Contract(forbidden=("pytest",))).severity is Severity.WARNING


def test_a_check_of_a_users_own_is_an_error_unless_it_says_so() -> None:
    @check("shop/plain", title="Plain", why="Because.", source="https://example.org")
    def plain() -> Outcome:
        return failed("not", expected="plain", fix="Do.")

    assert plain.severity is Severity.ERROR


def test_a_demand_is_a_key_of_the_contract() -> None:
    declare = check("shop/x", title="X", demanded_by=("forbid",), why="Because.", source="https://example.org")
    with pytest.raises(DeclarationError, match="no key 'forbid'"):
        declare(lambda: failed("", expected="", fix=""))


@pytest.mark.parametrize(
    ("severity", "checks"),
    [
        (Severity.ERROR, ("process/command-resolves", "boot/healthy", "app/imports", "secrets/files", "stack/healthy")),
        (Severity.WARNING, ("identity/non-root", "health/declared", "process/exec-form", "app/code-read-only")),
        (Severity.WARNING, ("dockerfile/locked-install", "compose/hardening", "boot/read-only")),
        (Severity.NOTE, ("config/labels", "identity/numeric-user", "network/exposed-ports", "bytecode/dependencies")),
        (Severity.NOTE, ("packages/no-installers", "dockerfile/lint")),
    ],
)
def test_the_catalogue_keeps_to_the_definitions(severity: Severity, checks: tuple[str, ...]) -> None:
    assert {KNOWN[name].severity for name in checks} == {severity}


def lint(level: str, rule: str = "DL3025") -> Facts:
    return with_sources(lint=Lint(findings=(LintFinding(rule=rule, level=level, line=15, message="Use JSON"),)))


def found(kind: ContentKind, size: int = 1, about: str = "", path: str = "/x") -> Facts:
    contents = msgspec.structs.replace(
        facts().contents, found=(FoundPath(kind=kind, path=path, about=about, size=size, files=1),)
    )
    return facts(contents=contents)


def compose_value(text: str) -> Facts:
    return with_sources(compose=compose(values=(ComposeValue(key="DB_PASSWORD", where="x", text=text, line=9),)))


@pytest.mark.parametrize(
    ("check", "seen", "contract", "severity"),
    [
        ("process/graceful-stop", FAILING["process/graceful-stop"], {}, Severity.ERROR),
        (
            "process/graceful-stop",
            facts(boot=boot(stop=Stop(signal="SIGTERM", seconds=0.2, code=1, killed=False))),
            {},
            Severity.WARNING,
        ),
        ("network/exposed-ports", boot_cases.listening("0.0.0.0 8000 tcp"), {}, Severity.NOTE),
        (
            "network/exposed-ports",
            boot_cases.listening("127.0.0.1 8000 tcp", exposed=("8000/tcp",)),
            {},
            Severity.ERROR,
        ),
        ("packages/forbidden", FAILING["packages/forbidden"], {}, Severity.WARNING),
        ("packages/forbidden", FAILING["packages/forbidden"], {"forbidden": ("pytest",)}, Severity.ERROR),
        ("config/labels", facts(configuration=configuration(labels={})), {}, Severity.NOTE),
        ("config/labels", facts(configuration=configuration(labels={})), {"labels": ("title",)}, Severity.ERROR),
        ("app/writable-paths", FAILING["app/writable-paths"], {}, Severity.WARNING),
        ("app/writable-paths", FAILING["app/writable-paths"], {"writable_paths": ("/app/.cache",)}, Severity.ERROR),
        ("dockerfile/lint", lint("warning"), {}, Severity.NOTE),
        ("dockerfile/lint", lint("error"), {}, Severity.WARNING),
        ("files/installer-caches", found(ContentKind.INSTALLER_CACHE, 900_000), {}, Severity.NOTE),
        ("files/installer-caches", found(ContentKind.INSTALLER_CACHE, 2_000_000), {}, Severity.WARNING),
        ("files/leftovers", found(ContentKind.LEFTOVER, about="an editor's"), {}, Severity.NOTE),
        ("files/leftovers", found(ContentKind.LEFTOVER, about="version control"), {}, Severity.WARNING),
        ("files/expected", found(ContentKind.TESTS), {}, Severity.NOTE),
        ("files/expected", found(ContentKind.TESTS), {"files": {"/app": (".venv",)}}, Severity.ERROR),
        ("compose/secrets", compose_value("postgres"), {}, Severity.WARNING),
        ("compose/secrets", compose_value("k7Hq9-Lw2_pXz4RtVb8N"), {}, Severity.ERROR),
        (
            "compose/secrets",
            compose_value("redis://:p@ssw0rd@host.docker.internal:6379/queue_of_jobs"),
            {},
            Severity.WARNING,
        ),
        ("compose/secrets", compose_value("suitable-for-development-only"), {}, Severity.WARNING),
        ("compose/secrets", compose_value("redis://:k7Hq9-Lw2_pXz4RtVb8N@db"), {}, Severity.ERROR),
        ("compose/secrets", compose_value("http://a:b@api?key=k7Hq9-Lw2_pXz4RtVb8N"), {}, Severity.ERROR),
        ("compose/hardening", with_sources(compose=compose(service(read_only=False))), {}, Severity.NOTE),
        (
            "compose/hardening",
            with_sources(compose=compose(service(read_only=False, built=True, own=True))),
            {},
            Severity.WARNING,
        ),
        (
            "compose/hardening",
            with_sources(compose=compose(service(read_only=False, image="shop:1.2", own=True))),
            {},
            Severity.WARNING,
        ),
        (
            "compose/hardening",
            with_sources(compose=compose(API, service(name="db", privileged=True))),
            {},
            Severity.WARNING,
        ),
        (
            "compose/engine-socket",
            with_sources(
                compose=compose(
                    service(volumes=(Mount(kind=MountKind.BIND, source="/var/run/docker.sock", target="/s", line=9),))
                )
            ),
            {},
            Severity.WARNING,
        ),
        (
            "dockerfile/secret-mounts",
            with_sources(dockerfile=dockerfile("FROM x:1 AS builder\nARG API_TOKEN\nFROM x:1\n")),
            {},
            Severity.WARNING,
        ),
        (
            "dockerfile/secret-mounts",
            with_sources(dockerfile=dockerfile("FROM x:1\nARG API_TOKEN\n")),
            {},
            Severity.ERROR,
        ),
        (
            "secrets/environment",
            facts(configuration=configuration(environment={"BUILD": "dG9wIHNlY3JldCBidWlsZCBpZGVudGlmaWVyIQ"})),
            {},
            Severity.WARNING,
        ),
    ],
)
def test_a_finding_matters_as_much_as_what_was_seen(
    check: str, seen: Facts, contract: dict[str, Any], severity: Severity
) -> None:
    judged = judge(KNOWN[check], seen, Contract(**contract))
    assert (judged.status, judged.severity) == (Status.FAIL, severity), judged


# --- the verdict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "fail_on", "status"), [*product(Severity, Severity, (Status.FAIL, Status.ERROR))])
def test_what_counts_makes_the_verdict(severity: Severity, fail_on: Severity, status: Status) -> None:
    results = (result(Status.PASS, "a/b"), result(status, "a/c", severity=severity))
    order = list(Severity)
    counts = order.index(severity) <= order.index(fail_on)
    bad = Verdict.FAIL if status is Status.FAIL else Verdict.ERROR
    assert verdict_of(results, fail_on) is (bad if counts else Verdict.PASS)


def test_nothing_passes_where_no_check_passes() -> None:
    note = result(Status.FAIL, severity=Severity.NOTE)
    assert verdict_of([note], Severity.ERROR) is Verdict.ERROR
    assert made_of(smoke(note)).startswith("no check passed; ")


@pytest.mark.parametrize(
    ("fail_on", "said"),
    [
        (Severity.ERROR, "2 errors and 1 undecided error (fail-on = error); 1 warning and 2 notes do not count"),
        (Severity.WARNING, "2 errors, 1 warning and 1 undecided error (fail-on = warning); 2 notes do not count"),
        (Severity.NOTE, "2 errors, 1 warning, 2 notes and 1 undecided error (fail-on = note)"),
    ],
)
def test_a_report_says_what_the_verdict_is_made_of(fail_on: Severity, said: str) -> None:
    given = ["error", "error", "warning", "note", "note"]
    results = [result(Status.FAIL, f"a/x{at}", severity=Severity(name)) for at, name in enumerate(given)]
    told = smoke(result(Status.PASS, "a/b"), *results, result(Status.ERROR, "a/c"))
    assert made_of(msgspec.structs.replace(told, fail_on=fail_on)) == said


def test_a_verdict_without_findings_says_so() -> None:
    assert made_of(smoke(result(Status.PASS))) == "no error (fail-on = error)"
    warned = smoke(result(Status.PASS), result(Status.FAIL, "a/b", severity=Severity.WARNING))
    assert made_of(warned) == "no error (fail-on = error); 1 warning does not count"


def test_the_contract_says_what_fails_an_image() -> None:
    root = facts(configuration=configuration(user=""), command=FAILING["identity/non-root"].command)
    checks = (KNOWN["identity/non-root"], KNOWN["size/unpacked"], KNOWN["config/volumes"])
    lenient, strict = (smoke_of(root, Contract(fail_on=bar), checks, seconds=1) for bar in ("error", "warning"))
    assert (lenient.verdict, lenient.findings[Severity.WARNING], lenient.fail_on) == (Verdict.PASS, 1, Severity.ERROR)
    assert (strict.verdict, strict.fail_on) == (Verdict.FAIL, Severity.WARNING)


# --- the contract's own severities, and its waivers ------------------------------------------------------------


def change(severity: Any, reason: str = "our platform wants it") -> SeverityChange:
    return SeverityChange(severity=severity, reason=reason)


def test_the_contract_changes_a_family_or_a_check_and_the_check_counts() -> None:
    seen = facts(configuration=configuration(labels={}, volumes=("/etc",)))
    contract = Contract(severity={"config": change("note"), "config/labels": change("error", "we search by them")})
    labels, volumes = (judge(KNOWN[name], seen, contract) for name in ("config/labels", "config/volumes"))
    assert (labels.severity, labels.severity_reason) == (Severity.ERROR, "we search by them")
    assert (volumes.severity, volumes.severity_reason) == (Severity.NOTE, "our platform wants it")
    asked = msgspec.structs.replace(contract, labels=("title",))
    assert judge(KNOWN["config/volumes"], seen, asked).severity is Severity.NOTE


@pytest.mark.parametrize(
    ("name", "near"), [("config/label", "'config/labels'"), ("confg", "'config'"), ("shop/own", "Known: ")]
)
def test_a_severity_is_for_a_check_or_a_family_that_exists(name: str, near: str) -> None:
    require_known(Contract(severity={"config": change("note"), "config/labels": change("note")}), "here ")
    with pytest.raises(SettingsError, match=rf"here severity: the severity '{name}' .*") as refused:
        require_known(Contract(severity={name: change("note")}), "here ")
    assert near in refused.value.fix


def test_a_waiver_that_nothing_needs_is_told() -> None:
    contract = Contract(waive={"config/volumes": "until May", "health/declared": "a job"})
    checks = (KNOWN["config/volumes"], KNOWN["health/declared"])
    told = smoke_of(facts(configuration=configuration(health_check=None)), contract, checks, seconds=1)
    assert told.notes == (
        "the waiver of config/volumes is not needed any more: it passes. Remove it from the contract's `waive`.",
    )


# --- one cause, one finding -------------------------------------------------------------------------------------


def test_every_cause_is_a_check_and_none_follows_from_itself() -> None:
    for known in CATALOGUE:
        assert {cause.check for cause in known.follows} <= KNOWN.keys(), known.id

    def reaches(name: str, passed: tuple[str, ...]) -> bool:
        causes = [cause.check for cause in KNOWN[name].follows if not cause.undecided]
        return any(cause in passed or reaches(cause, (*passed, cause)) for cause in causes)

    assert [name for name in KNOWN if reaches(name, (name,))] == []


def of(smoked: Smoke) -> dict[str, list[str]]:
    """Return the findings of a smoke, each with what follows from it."""
    return {entry.names: [effect.id for effect in entry.also] for entry in findings(smoked)}


def judged(seen: Facts, *names: str, **contract: Any) -> Smoke:
    checks = tuple(known for known in CHECKS if known.id in names or not names)
    return smoke_of(seen, Contract(**contract), checks, seconds=1)


SHELL = facts(
    configuration=configuration(command=("/bin/sh", "-c", "alembic upgrade head && uvicorn shop:app")),
    boot=boot(
        stop=Stop(signal="SIGTERM", seconds=10.0, code=137, killed=True),
        process_list=ProcessList(first="/bin/sh -c alembic", commands=("/bin/sh -c alembic",)),
    ),
)
SHELL_CHECKS = ("process/graceful-stop", "process/exec-form", "process/pid1-is-app", "config/volumes")


def test_a_shell_as_pid_1_is_one_finding_as_grave_as_what_follows_from_it() -> None:
    told = judged(SHELL, *SHELL_CHECKS)
    assert of(told) == {"process/exec-form": ["process/graceful-stop", "process/pid1-is-app"]}
    assert told.findings == {Severity.ERROR: 1, Severity.WARNING: 0, Severity.NOTE: 0}
    assert made_of(told) == "1 error (fail-on = error)"
    (finding,) = findings(told)
    assert [line.partition(": ")[0] for line in finding.effects] == ["process/graceful-stop", "process/pid1-is-app"]


def test_a_cause_that_the_contract_makes_light_hides_nothing_grave() -> None:
    light = judged(SHELL, *SHELL_CHECKS, severity={"process/exec-form": change("note")})
    assert of(light) == {"process/graceful-stop": [], "process/exec-form": []} | {"process/pid1-is-app": []}
    assert light.verdict is Verdict.FAIL
    waived = judged(SHELL, *SHELL_CHECKS, waive={"process/exec-form": "the platform stops it"})
    assert of(waived) == {"process/pid1-is-app": ["process/graceful-stop"], "process/exec-form": []}


def test_an_application_that_ignores_its_signal_is_not_blamed_on_the_shell() -> None:
    replaced = msgspec.structs.replace(SHELL.boot, process_list=ProcessList(first="uvicorn", commands=("uvicorn",)))
    told = judged(msgspec.structs.replace(SHELL, boot=replaced), *SHELL_CHECKS)
    assert of(told) == {"process/graceful-stop": [], "process/exec-form": []}


CRASHED = boot(
    health=Health.STARTING,
    healthy_after=None,
    exit=Exit(code=1, after=0.2),
    stop=None,
    log=("ModuleNotFoundError: No module named 'dateutil'",),
    answers=(),
)


def test_a_crash_at_start_is_the_finding() -> None:
    told = judged(facts(boot=CRASHED))
    assert list(of(told)) == ["boot/healthy"]
    assert {"process/graceful-stop", "boot/read-only", "network/exposed-ports", "health/cheap"} <= set(
        of(told)["boot/healthy"]
    )
    assert (told.verdict, told.undecided[Severity.ERROR]) == (Verdict.FAIL, 0)
    (finding,) = findings(told)
    assert finding.effects[0].startswith("not decided for it: ")


@pytest.mark.parametrize(("module", "one"), [("dateutil", True), ("numpy", False)])
def test_a_missing_module_is_told_once_where_the_log_names_the_same(module: str, *, one: bool) -> None:
    missing = Import(name="shop", ok=False, seconds=0.1, error=f"ModuleNotFoundError: No module named '{module}'")
    told = of(judged(facts(boot=CRASHED, probe=probe(imports=(missing,)))))
    assert ("boot/healthy" in told["app/imports"]) is one
    assert ("boot/healthy" in told) is not one


def test_a_missing_library_explains_the_import_that_names_it() -> None:
    native = Native(modules=9, missing=(MissingLibrary(library="libpq.so.5", needed_by="/v/x.so", searched=()),))
    lacks = Import(name="shop", ok=False, seconds=0.1, error="ImportError: libpq.so.5: cannot open shared object file")
    other = msgspec.structs.replace(lacks, error="KeyError: 'TOKEN'")
    names = ("app/imports", "native/libraries-resolve")
    assert list(of(judged(facts(probe=probe(native=native, imports=(lacks,))), *names))) == ["native/libraries-resolve"]
    assert len(of(judged(facts(probe=probe(native=native, imports=(other,))), *names))) == 2


def test_root_does_not_explain_a_crash_and_an_account_that_is_not_there_does() -> None:
    root = facts(boot=CRASHED, command=FAILING["identity/non-root"].command)
    names = ("identity/non-root", "boot/healthy")
    assert list(of(judged(root, *names))) == ["boot/healthy", "identity/non-root"]
    nobody = msgspec.structs.replace(root, command=msgspec.structs.replace(root.command, account=Account(uid=None)))
    assert list(of(judged(nobody, *names))) == ["identity/non-root"]


def test_a_linter_that_says_the_same_adds_nothing() -> None:
    shell = configuration(command=("/bin/sh", "-c", "uvicorn shop:app"))
    names = ("process/exec-form", "dockerfile/lint")
    same, more = lint("warning"), lint("warning", "DL3008")
    assert list(of(judged(msgspec.structs.replace(same, configuration=shell), *names))) == ["process/exec-form"]
    assert len(of(judged(msgspec.structs.replace(more, configuration=shell), *names))) == 2


def test_what_is_missing_for_want_of_a_probe_follows_from_what_keeps_it_away() -> None:
    gone = facts(
        probe=Unavailable(reason="the interpreter cannot be executed"),
        command=FAILING["python/interpreter-resolves"].command,
    )
    told = judged(gone, "python/interpreter-resolves", "packages/evidence", "app/imports", "system/trust-store")
    assert list(of(told)) == ["python/interpreter-resolves"]
    alone = judged(facts(probe=Unavailable(reason="no engine")), "packages/evidence", "app/imports")
    assert alone.verdict is Verdict.ERROR
    assert list(of(alone)) == ["packages/evidence, app/imports"]


def test_a_circle_of_causes_hides_nothing() -> None:
    def follows(name: str, cause: str) -> Check:
        named: dict[str, Any] = {"id": name, "title": "t", "why": "w.", "source": "s", "level": Level.QUICK}
        return Check(**named, function=lambda: failed("", expected="", fix=""), follows=(Cause(check=cause),))

    results = [result(Status.FAIL, "a/b"), result(Status.FAIL, "a/c")]
    checks = (follows("a/b", "a/c"), follows("a/c", "a/b"))
    assert [entry.follows_from for entry in linked(results, checks)] == ["", ""]


def test_an_undecided_check_does_not_hide_behind_a_lighter_cause() -> None:
    @check("shop/light", title="L", severity=Severity.NOTE, why="Because.", source="https://example.org")
    def light() -> Outcome:
        return failed("x", expected="y", fix="z")

    @check("shop/grave", title="G", follows=("shop/light",), why="Because.", source="https://example.org")
    def grave() -> Outcome:
        raise UndecidedError("nobody knows")

    told = smoke_of(facts(), Contract(), (light, grave, KNOWN["config/volumes"]), seconds=1)
    assert told.verdict is Verdict.ERROR
    assert set(of(told)) == {"shop/light", "shop/grave"}
