"""The checks of interpreter, environment and packages: what each says, and when it cannot tell or does not apply."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.environment_cases import FAILING
from tests.unit.factories import (
    REAL,
    distribution,
    environment,
    facts,
    file,
    lock,
    probe,
    selftest,
    start,
    trail,
    two_starts,
)

from seatrial.checks import registry
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.python import THREAD
from seatrial.checks.verdict import judge, smoke_of
from seatrial.facts import Account, Facts, Native, Probe, ProjectFacts, Unavailable
from seatrial.facts.probe import (
    OPTIONAL,
    Bytecode,
    Changeable,
    Code,
    Environment,
    Import,
    ImportDifference,
    Locale,
    MissingLibrary,
    PathPython,
    StandardModule,
    StartHook,
    TrustStore,
)
from seatrial.facts.sources import LockedPackage, LockRequirement
from seatrial.settings.model import Contract

CHECKS = {check.id: check for check in registry.CHECKS}
BOTH = ("dependencies", "standard-library")
GONE = Unavailable(reason="the image holds no Python interpreter")


def judged(check: str, seen: Facts, **contract: Any) -> Result:
    return judge(CHECKS[check], seen, Contract(**contract))


def probed(**changed: Any) -> Facts:
    return facts(probe=probe(**changed))


def interpreter(**changed: Any) -> Facts:
    return probed(interpreter=msgspec.structs.replace(probe().interpreter, **changed))


def listing(*rows: Any, **more: Any) -> Facts:
    return facts(probe=probe(distributions=rows), **more)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("python/interpreter-reachable", "/root/uv/bin/python3.13 is under /root (mode 0700, owner 0:0), which uid"),
        ("python/environment-matches", "/app/.venv/pyvenv.cfg records Python 3.12.1.final.0, and /app/.venv/bin/pyt"),
        ("python/environment-first", "`python` is /usr/local/bin/python; the application runs on /app/.venv/bin/py"),
        ("python/stdlib-complete", "_sqlite3: ImportError: libsqlite3.so.0: cannot open"),
        ("runtime/deep-recursion", "the interpreter was killed by SIGSEGV"),
        ("packages/match-lock", "uvicorn 1.0 is missing; fastapi is 0.9, not 1.0; starlette 0.4 is not in it"),
        ("packages/not-editable", "shop 1.0 is a link to file:///src"),
        (
            "packages/requirements-met",
            "fastapi asks for starlette>=0.4, which is not installed; fastapi asks for uvicorn<1, and 1.0 is installed",
        ),
        ("packages/installed-files", "starlette 1.0: its RECORD names starlette, and none of that lies in /v"),
        ("app/code-read-only", "uid 10001 can change /app (mode 0755, owner 10001:10001) and 1 more in it: shop"),
        ("native/platform", "/v/x.cpython-313.so was built for aarch64, and the interpreter for x86_64 with glibc"),
        ("native/no-musl", "/app/.venv/bin/python uses musl: its loader is /lib/ld-musl-x86_64.so.1"),
        ("bytecode/dependencies", "2 of 900 have none: /v/fastapi/app.py, /v/x.py"),
        ("bytecode/standard-library", "1 of 100 have some that is not valid: /usr/local/lib/python3.13/ssl.py: it"),
        ("system/utc-utf8", "its time zone is CET/CEST; the encoding of file names is iso8859-1; the encoding of f"),
        ("system/trust-store", "no certificate authority in /usr/lib/ssl/cert.pem or /usr/lib/ssl/certs"),
    ],
)
def test_a_fault_is_told_with_path_and_value(check: str, words: str) -> None:
    result = judged(check, FAILING[check], bytecode=BOTH)
    assert result.status is Status.FAIL
    assert result.actual.startswith(words)
    assert result.fix
    sound = judged(check, facts(), bytecode=BOTH)
    assert sound.status is Status.PASS, sound


@pytest.mark.parametrize("check", FAILING)
def test_each_says_what_someone_would_write_and_how_it_is_mended(check: str) -> None:
    assert CHECKS[check].example
    assert CHECKS[check].fixed
    assert CHECKS[check].example != CHECKS[check].fixed


@pytest.mark.parametrize("check", FAILING)
def test_without_an_interpreter_none_of_them_passes(check: str) -> None:
    nothing = facts(probe=GONE, command=start(python="", python_resolved=None, python_loader=""))
    result = judged(check, nothing, bytecode=BOTH)
    assert result.status is Status.ERROR
    assert "the image holds no Python interpreter" in result.actual


PARTS = {
    "environment": (
        "python/environment-matches",
        "python/environment-first",
        "packages/not-editable",
        "native/platform",
    ),
    "selftest": ("python/stdlib-complete", "runtime/deep-recursion", "system/trust-store"),
    "code": ("app/code-read-only",),
    "bytecode": ("bytecode/dependencies",),
    "standard_bytecode": ("bytecode/standard-library",),
    "locale": ("system/utc-utf8",),
    "start": ("probe/agrees",),
}


@pytest.mark.parametrize(("part", "check"), [(part, text) for part, checks in PARTS.items() for text in checks])
def test_a_part_that_the_probe_could_not_have_is_no_pass(part: str, check: str) -> None:
    seen = probed(**{part: None, "problems": {part: "OSError: too many open files"}})
    result = judged(check, seen, bytecode=BOTH)
    assert (result.status, result.actual) == (
        Status.ERROR,
        "could not be decided: the probe could not look: OSError: too many open files",
    )


def test_an_answer_without_the_new_parts_is_still_an_answer() -> None:
    rest = {*OPTIONAL, "problems"}
    older = {key: value for key, value in msgspec.to_builtins(probe()).items() if key not in rest}
    decoded = msgspec.convert(older, Probe)
    assert judged("system/utc-utf8", facts(probe=decoded)).status is Status.ERROR


# --- the interpreter and its environment --------------------------------------------------------------------


def test_an_interpreter_that_user_may_not_execute() -> None:
    seen = facts(command=start(python_resolved=trail("/opt/python", entry=file(0o700))))
    result = judged("python/interpreter-reachable", seen)
    assert result.actual == "/opt/python (mode 0700, owner 0:0) is not executable by uid 10001"
    unknown = facts(command=start(account=Account(uid=None)))
    assert judged("python/interpreter-reachable", unknown).status is Status.ERROR
    gone = facts(command=start(python_resolved=trail("/opt/python", missing="/opt")))
    assert "python/interpreter-resolves" in judged("python/interpreter-reachable", gone).actual


def test_no_virtual_environment_has_nothing_to_match() -> None:
    seen = interpreter(prefix="/usr/local", executable="/usr/local/bin/python")
    assert judged("python/environment-matches", seen).status is Status.SKIP


def test_a_home_that_holds_no_interpreter_or_another_one() -> None:
    none = judged("python/environment-matches", probed(environment=environment(home_python="")))
    assert none.actual == "/app/.venv/pyvenv.cfg records the home /usr/local/bin, which holds no interpreter"
    other = judged("python/environment-matches", probed(environment=environment(home_python="/opt/python3.13")))
    assert "leads to /opt/python3.13; /app/.venv/bin/python leads to /usr/local/bin/python3.13" in other.actual
    copy = environment(real="/app/.venv/bin/python", home_python=REAL)
    assert judged("python/environment-matches", probed(environment=copy)).status is Status.PASS
    assert judged("python/environment-matches", interpreter(settings={"version": "3.13.5"})).status is Status.ERROR


def test_another_patch_release_is_the_same_version() -> None:
    seen = interpreter(settings={"home": "/usr/local/bin", "version": "3.13.1"})
    assert judged("python/environment-matches", seen).status is Status.PASS


def on_path(environment_: str, real: str = REAL) -> Environment:
    return environment(pythons=(PathPython(name="python3", path="/x/python3", real=real, environment=environment_),))


def test_whose_python_path_finds() -> None:
    assert judged("python/environment-first", probed(environment=on_path("/app/.venv"))).status is Status.PASS
    assert judged("python/environment-first", probed(environment=on_path("/other"))).status is Status.FAIL
    bare = msgspec.structs.replace(probe().interpreter, prefix="/usr/local")
    for place, real, status in (
        ("", REAL, Status.PASS),
        ("", "/usr/bin/python3.11", Status.FAIL),
        ("/v", REAL, Status.FAIL),
    ):
        seen = probed(interpreter=bare, environment=on_path(place, real))
        assert judged("python/environment-first", seen).status is status
    none = (PathPython(name="python", path=""),)
    assert judged("python/environment-first", probed(environment=environment(pythons=none))).status is Status.SKIP


def tried(**changed: Any) -> Facts:
    return probed(selftest=selftest(**changed))


def test_a_module_that_the_contract_lets_it_lack() -> None:
    absent = tried(modules=(StandardModule(name="zlib", ok=True), StandardModule(name="_lzma", ok=False, absent=True)))
    result = judged("python/stdlib-complete", absent)
    assert result.status is Status.FAIL
    assert "was built without _lzma" in result.fix
    assert judged("python/stdlib-complete", absent, standard_library_absent=("_lzma",)).status is Status.PASS
    assert judged("python/stdlib-complete", tried(modules=())).status is Status.ERROR


def test_what_came_before_the_recursion_is_not_blamed_on_it() -> None:
    seen = tried(recursion=False, at="ssl", ended="it took longer than 20 s", trust=None)
    result = judged("runtime/deep-recursion", seen)
    assert (result.status, "at ssl: it took longer than 20 s" in result.actual) == (Status.ERROR, True)
    assert judged("system/trust-store", seen).status is Status.ERROR


def test_what_took_too_long_is_undecided_and_never_a_failure() -> None:
    late = "it took longer than 40 s and waited 33 s of these for a processor"
    row = Import(name="shop", ok=False, seconds=0.0, error=late, traceback="line", late=True)
    result = judged("app/imports", probed(imports=(row,)))
    assert (result.status, result.evidence) == (Status.ERROR, ("line",))
    assert result.actual.startswith(f"could not be decided: the import of shop: {late}. Run it again")
    # One that is broken is broken.
    broken = Import(name="web", ok=False, seconds=0.1, error="ValueError: no")
    assert judged("app/imports", probed(imports=(row, broken))).status is Status.FAIL
    deep = tried(recursion=False, at=THREAD, ended="it took longer than 20 s", late=True)
    assert judged("runtime/deep-recursion", deep).status is Status.ERROR
    slow = probed(start=two_starts(application=None, ended="it took longer than 20 s", late=True))
    assert judged("probe/agrees", slow).status is Status.ERROR
    missing = (MissingLibrary(library="libx.so.1", needed_by="/a.so", searched=()),)
    native = msgspec.structs.replace(probe().native, missing=missing)
    assert judged("native/libraries-resolve", probed(native=native)).status is Status.FAIL
    assert judged("native/libraries-resolve", probed(native=native, complete=False)).status is Status.ERROR


def test_a_run_that_was_slow_says_so() -> None:
    def notes(waited: float) -> tuple[str, ...]:
        seen = msgspec.structs.replace(probed(waited=waited), seconds={"probe": 44.0})
        return smoke_of(seen, Contract(), (), seconds=45.0).notes

    assert notes(0.0) == notes(4.0) == ()
    (note,) = notes(33.0)
    assert "waited 33 s for a processor in 44 s" in note


# --- packages --------------------------------------------------------------------------------------------------


def locked(**changed: Any) -> ProjectFacts:
    return ProjectFacts(name="shop", dependencies=("fastapi",), lock=lock(**changed))


def test_without_a_lock_there_is_nothing_to_match() -> None:
    assert judged("packages/match-lock", facts(project=ProjectFacts())).status is Status.SKIP
    ranges = ProjectFacts(lock=Unavailable(reason="requirements.txt is not a lock file: `a>1` is not an exact version"))
    result = judged("packages/match-lock", facts(project=ranges))
    assert (result.status, result.actual) == (
        Status.SKIP,
        "requirements.txt is not a lock file: `a>1` is not an exact version",
    )


def test_an_extra_that_the_lock_does_not_know() -> None:
    result = judged("packages/match-lock", facts(), extras=("postgres",))
    assert result.status is Status.ERROR
    assert "knows no extra or group postgres" in result.actual


def test_an_extra_that_the_image_gets() -> None:
    project = locked(
        roots=(*lock().roots, LockRequirement(name="psycopg", only=("postgres",))),
        packages=(*lock().packages, LockedPackage(name="psycopg", version="3.2")),
        names=("postgres",),
    )
    without = facts(project=project)
    assert judged("packages/match-lock", without).status is Status.PASS
    result = judged("packages/match-lock", without, extras=("Postgres",))
    assert result.actual == "psycopg 3.2 is missing"
    assert result.expected.endswith("3.13.5, with postgres")


def test_a_list_of_another_interpreter_is_not_held_against_the_lock() -> None:
    for rows in ((distribution("other"),), ()):
        assert judged("packages/match-lock", listing(*rows)).status is Status.ERROR
    cut = probed(truncated=("distributions",))
    for check in ("packages/match-lock", "packages/not-editable", "packages/requirements-met"):
        assert "was cut" in judged(check, cut).actual


def test_what_is_beyond_the_lock_and_still_right() -> None:
    rows = (
        *probe().distributions,
        distribution("shop"),
        distribution("pip", "25"),
        distribution("base-thing", base=True),
        msgspec.structs.replace(distribution("python-apt"), location="/usr/lib/python3/dist-packages"),
    )
    assert judged("packages/match-lock", listing(*rows)).status is Status.PASS


def test_what_pinned_requirements_bring_in_is_theirs() -> None:
    rows = (distribution("fastapi", requires=("starlette",)), distribution("uvicorn"), distribution("starlette"))
    whole = judged("packages/match-lock", listing(*rows))
    assert whole.actual == "starlette 1.0 is not in it"
    # The project itself, under a name that only its setup.py tells: no requirement names the folder of it.
    own = distribution("shop-server", origin="file:///src")
    direct = listing(*rows, own, project=locked(whole=False, file="requirements.txt"))
    assert judged("packages/match-lock", direct).status is Status.PASS
    assert "shop-server" in judged("packages/match-lock", listing(*rows, own)).actual


@pytest.mark.parametrize(
    ("seen", "wanted", "status"),
    [
        ("1.0.0", "1.0", Status.PASS),
        ("2.5.1+cpu", "2.5.1", Status.PASS),
        ("2.5.1", "2.5.1+cpu", Status.FAIL),
        ("odd version", "1.0", Status.FAIL),
        ("1.0", "", Status.PASS),
    ],
)
def test_when_two_versions_are_one(seen: str, wanted: str, status: Status) -> None:
    project = locked(
        roots=(LockRequirement(name="fastapi"),), packages=(LockedPackage(name="fastapi", version=wanted),)
    )
    assert judged("packages/match-lock", listing(distribution("fastapi", seen), project=project)).status is status


def test_a_link_that_older_installers_make() -> None:
    seen = probed(environment=environment(linked=("/v/shop.egg-link",)))
    assert judged("packages/not-editable", seen).actual == "shop.egg-link links a source folder into the environment"
    rows = (distribution("fastapi"), distribution("uvicorn"), distribution("odd-name"))
    own = probed(distributions=rows, environment=environment(linked=("/v/odd-name.egg-link",)))
    assert judged("packages/match-lock", own).status is Status.PASS


def test_an_environment_that_holds_nothing() -> None:
    empty = listing(project=ProjectFacts(dependencies=()))
    for check in ("packages/not-editable", "packages/requirements-met"):
        assert judged(check, empty).status is Status.SKIP
        assert judged(check, listing()).status is Status.ERROR


def test_requirements_of_extras_and_of_other_platforms() -> None:
    rows = (
        distribution("fastapi", requires=("uvicorn[standard]>=1", "pywin32; sys_platform == 'win32'")),
        distribution(
            "uvicorn", requires=("httptools; extra == 'standard'", "cpython-only; implementation_name=='pypy'")
        ),
    )
    result = judged("packages/requirements-met", listing(*rows))
    assert result.actual == "uvicorn[standard] asks for httptools, which is not installed"
    assert judged("packages/requirements-met", listing(*rows, distribution("httptools"))).status is Status.PASS


def test_requirements_that_cannot_be_read_or_compared() -> None:
    odd = judged(
        "packages/requirements-met",
        listing(distribution("fastapi", requires=("@@", "uvicorn>1")), distribution("uvicorn", "x")),
    )
    assert "fastapi asks for '@@', which is not a requirement" in odd.actual
    assert "fastapi asks for uvicorn>1, and x is installed" in odd.actual


@pytest.mark.parametrize(
    ("requires", "severity"),
    [
        ("uvicorn>=2", "error"),
        ("gone", "error"),
        ("uvicorn==1.1", "error"),
        ("uvicorn<1", "warning"),
        ("uvicorn~=0.9", "warning"),
        ("uvicorn==0.9.*", "warning"),
        ("uvicorn>=2,<3", "error"),
        ("uvicorn[standard]", "warning"),
    ],
)
def test_what_is_older_or_not_there_is_an_error_and_what_is_newer_a_warning(requires: str, severity: str) -> None:
    rows = (
        distribution("fastapi", requires=(requires,)),
        distribution("uvicorn", requires=("h11; extra=='standard'",)),
    )
    result = judged("packages/requirements-met", listing(*rows))
    assert (result.status, str(result.severity)) == (Status.FAIL, severity)


def test_an_extra_that_the_application_asks_for_is_an_error() -> None:
    row = distribution("django", requires=("argon2-cffi; extra == 'argon2'",))
    seen = listing(row, project=ProjectFacts(dependencies=("Django[argon2]",)))
    result = judged("packages/requirements-met", seen)
    assert result.actual == "django[argon2] asks for argon2-cffi, which is not installed"
    assert str(result.severity) == "error"


def test_what_debian_installs_is_debians_to_keep() -> None:
    row = msgspec.structs.replace(distribution("apt", requires=("gone",)), location="/usr/lib/python3/dist-packages")
    assert judged("packages/requirements-met", listing(row)).status is Status.PASS


def test_the_projects_own_ranges_count() -> None:
    seen = listing(distribution("fastapi", "0.1"), project=ProjectFacts(dependencies=("fastapi>=0.2", "gone")))
    assert judged("packages/requirements-met", seen).actual == (
        "the application asks for fastapi>=0.2, and 0.1 is installed"
    )


@pytest.mark.parametrize(
    ("name", "requires", "declared", "severity"),
    [
        ("starlette", "starlette", (), Severity.ERROR),
        ("starlette", "", ("starlette>=1",), Severity.ERROR),
        ("starlette", "", (), Severity.WARNING),
        ("pip", "", (), Severity.NOTE),
        ("pip", "pip", (), Severity.ERROR),
    ],
)
def test_missing_code_is_as_grave_as_what_needs_it(
    name: str, requires: str, declared: tuple[str, ...], severity: Severity
) -> None:
    rows = (
        distribution("fastapi", requires=(requires,) if requires else ()),
        distribution(name, without_code="its RECORD names x.py, and none of that lies in /v"),
    )
    seen = listing(*rows, project=ProjectFacts(dependencies=("fastapi", *declared)))
    result = judged("packages/installed-files", seen)
    assert (result.status, result.severity) == (Status.FAIL, severity)


@pytest.mark.parametrize(
    ("check", "rows", "words"),
    [
        (
            "packages/forbidden",
            ("fastapi", "uvicorn"),
            "one of pytest, ruff, mypy may be in /opt/x.egg: Python imports",
        ),
        ("packages/no-installers", ("fastapi", "uvicorn"), "may be in /opt/x.egg"),
        ("packages/match-lock", ("fastapi", "uvicorn"), "more than the lock says may be in /opt/x.egg"),
        ("packages/match-lock", ("fastapi",), "uvicorn may be in /opt/x.egg"),
        ("packages/evidence", ("uvicorn",), "fastapi may be in /opt/x.egg"),
        ("packages/requirements-met", ("fastapi",), "what is asked for may be in /opt/x.egg"),
    ],
)
def test_what_a_zip_on_the_path_may_hold_is_not_decided(check: str, rows: tuple[str, ...], words: str) -> None:
    listed = [distribution(name, requires=("uvicorn",) if name == "fastapi" else ()) for name in rows]
    there = msgspec.structs.replace(probe().interpreter, archives=("/opt/x.egg",))
    project = msgspec.structs.replace(facts().project, dependencies=("fastapi",))
    result = judged(check, facts(probe=probe(distributions=listed, interpreter=there), project=project))
    assert (result.status, words in result.actual) == (Status.ERROR, True), result
    without = judged(check, facts(probe=probe(distributions=listed), project=project))
    assert without.status in {Status.PASS, Status.FAIL}


def test_what_was_found_fails_whatever_a_zip_holds() -> None:
    there = msgspec.structs.replace(probe().interpreter, archives=("/opt/x.egg",))
    rows = (distribution("fastapi", "0.9", requires=("uvicorn<1",)), distribution("uvicorn"), distribution("pytest"))
    seen = facts(probe=probe(distributions=rows, interpreter=there))
    for check in ("packages/forbidden", "packages/match-lock", "packages/requirements-met"):
        assert judged(check, seen).status is Status.FAIL


# --- code, machine, bytecode, system ---------------------------------------------------------------------------


def test_root_may_change_everything_and_that_is_another_checks() -> None:
    root = msgspec.structs.replace(probe().identity, uid=0)
    assert judged("app/code-read-only", probed(identity=root)).status is Status.SKIP
    assert judged("app/code-read-only", probed(code=())).status is Status.SKIP
    lost = judged("app/code-read-only", probed(code=(Code(name="shop", origin=""),)))
    assert (lost.status, "shop is not found" in lost.actual) == (Status.ERROR, True)


def test_code_without_a_module_of_its_own_is_judged_by_what_it_runs_on() -> None:
    changeable = (Changeable(path="/entry.sh", owner="10001:10001", mode="0755"),)
    entry = Code(name="what its command runs", origin="", own=False, changeable=changeable, count=1)
    packages = Code(name="the packages on its path", origin="", own=False)
    shop = Code(name="shop", origin="/app/shop", files=3)
    alone = judged("app/code-read-only", probed(code=(entry, packages)))
    assert (alone.status, alone.severity) == (Status.FAIL, Severity.WARNING)
    assert alone.actual == "uid 10001 can change /entry.sh (mode 0755, owner 10001:10001): what its command runs"
    assert judged("app/code-read-only", probed(code=(packages,))).status is Status.SKIP
    sound = judged("app/code-read-only", probed(code=(shop, packages)))
    assert (sound.status, sound.actual) == (Status.PASS, "3 files and folders of its own, and what it runs on")


def test_many_paths_of_one_folder_name_it() -> None:
    places = [Changeable(path=f"/app/{name}", owner="5:5", mode="0644") for name in ("main.py", "shop")]
    rows = (Code(name="main.py", origin="/app/main.py", changeable=tuple(places), count=40),)
    told = judged("app/code-read-only", probed(code=rows)).actual
    assert told == "uid 10001 can change /app/main.py (mode 0644, owner 5:5) and 39 more in /app: main.py"
    usr = Code(name="its Python", origin="", own=False, changeable=(Changeable(path="/usr", owner="", mode=""),))
    assert " and 40 more: main.py" in judged("app/code-read-only", probed(code=(*rows, usr))).actual


def test_what_the_c_library_is_told_by() -> None:
    static = start(python_loader="")
    assert judged("native/no-musl", facts(command=static)).status is Status.PASS
    musl = facts(command=static, probe=probe(native=Native(modules=1, libc="musl")))
    assert judged("native/no-musl", musl).status is Status.FAIL
    assert judged("native/no-musl", musl, musl=True).status is Status.SKIP
    unknown = facts(command=static, probe=probe(native=Native(modules=1)))
    assert judged("native/no-musl", unknown).status is Status.ERROR
    assert judged("native/no-musl", facts(probe=GONE)).status is Status.PASS, "the engine read the loader"
    assert judged("native/platform", probed(native=Native(modules=0))).status is Status.ERROR


def test_bytecode_that_the_contract_does_not_want() -> None:
    for check in ("bytecode/dependencies", "bytecode/standard-library"):
        assert judged(check, FAILING[check], bytecode=()).status is Status.SKIP
    assert judged("bytecode/standard-library", FAILING["bytecode/standard-library"]).status is Status.SKIP


def test_bytecode_that_was_not_all_looked_at() -> None:
    part = Bytecode(sources=200_000, complete=False)
    assert judged("bytecode/dependencies", probed(bytecode=part)).status is Status.ERROR
    assert judged("bytecode/standard-library", probed(standard_bytecode=part), bytecode=BOTH).status is Status.ERROR
    none = Bytecode(sources=0)
    assert judged("bytecode/dependencies", probed(bytecode=none)).status is Status.SKIP
    assert judged("bytecode/standard-library", probed(standard_bytecode=none), bytecode=BOTH).status is Status.ERROR
    assert judged("bytecode/standard-library", probed(imports=()), bytecode=BOTH).status is Status.SKIP


def test_certifi_serves_those_that_bring_it() -> None:
    store = TrustStore(certifi="/v/certifi/cacert.pem")
    result = judged("system/trust-store", tried(trust=store))
    assert (result.status, "serves requests and httpx" in result.actual) == (Status.PASS, True)
    lost = TrustStore(certificates=140, lost=("SSL_CERT_FILE names /run/secrets/ca-bundle",))
    result = judged("system/trust-store", tried(trust=lost))
    assert (result.status, result.actual) == (
        Status.FAIL,
        "SSL_CERT_FILE names /run/secrets/ca-bundle, which is not there",
    )
    broken = TrustStore(error="ImportError: libssl.so.3")
    assert judged("system/trust-store", tried(trust=broken)).status is Status.ERROR


def test_every_spelling_of_utf8() -> None:
    seen = Locale(zone="GMT", utc=True, filesystem="utf-8", preferred="UTF8", output="utf_8")
    assert judged("system/utc-utf8", probed(locale=seen)).status is Status.PASS


# --- the two starts of the interpreter ------------------------------------------------------------------------------


HOOK = StartHook(kind="pth", where="/site/a.pth", line="import a")


def test_start_hooks_with_which_it_says_the_same_are_told() -> None:
    assert "start hook" not in judged("probe/agrees", probed()).actual
    result = judged("probe/agrees", probed(start=two_starts(hooks=(HOOK,))))
    assert (result.status, result.evidence) == (Status.PASS, ("pth: /site/a.pth: import a",))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"application": None, "ended": "the interpreter ended with code 1: no"},
            "the interpreter does not start as the application starts it: the interpreter ended with code 1: no",
        ),
        (
            {"application": msgspec.structs.replace(two_starts().isolated, standard_library="/opt/lib")},
            "standard library: /usr/local/lib/python3.13 without start hooks, /opt/lib as the application starts it",
        ),
        ({"replaced": ("json is /app/json.py",)}, "json is /app/json.py, not the standard library's own"),
        (
            {"differences": (ImportDifference(name="shop", isolated="ValueError: no", application=""),)},
            "shop imports with the start hooks alone; without them: ValueError: no",
        ),
        (
            {"differences": (ImportDifference(name="shop", isolated="", application="ValueError: no"),)},
            "shop imports without the start hooks alone; with them: ValueError: no",
        ),
    ],
)
def test_two_starts_that_do_not_agree_are_told(changed: dict[str, Any], said: str) -> None:
    result = judged("probe/agrees", probed(start=two_starts(hooks=(HOOK,), **changed)))
    assert (result.status, result.actual) == (Status.FAIL, said)
    assert "/site/a.pth" in result.fix
    assert "pth: /site/a.pth: import a" in result.evidence


def test_an_interpreter_that_is_a_script_is_not_believed() -> None:
    result = judged("probe/agrees", facts(command=start(python_is="a script")))
    assert result.status is Status.ERROR
    assert "is a script; what it says is its own word" in result.actual


def test_a_write_that_the_probes_root_refuses_is_a_warning_of_an_import() -> None:
    refused = Import(name="shop", ok=False, seconds=0.1, error="OSError: [Errno 30] Read-only file system: '/logs'")
    broken = Import(name="jobs", ok=False, seconds=0.1, error="ValueError: x")
    result = judged("app/imports", probed(imports=(refused,)))
    assert (result.status, result.severity) == (Status.FAIL, Severity.WARNING)
    assert "log to standard output" in result.fix
    assert judged("app/imports", probed(imports=(refused, broken))).severity is Severity.ERROR
