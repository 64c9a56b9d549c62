"""Each check: what passes, what fails, and what cannot be decided or does not apply."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit import boot_cases, code_cases, contents_cases, environment_cases, layer_cases, source_cases
from tests.unit.factories import boot, configuration, distribution, facts, file, lock, probe, start, trail

from seatrial.checks import registry
from seatrial.checks.advice import debian_package
from seatrial.checks.model import Check, Level, Outcome, Severity, Status, UndecidedError, failed, passed, skipped
from seatrial.checks.secrets import secret
from seatrial.checks.verdict import Verdict, judge, smoke_of, verdict_of
from seatrial.errors import ExitCode, SettingsError
from seatrial.facts import (
    Account,
    Agreement,
    BrokenDistribution,
    Difference,
    Executable,
    Exit,
    FileKind,
    Health,
    HealthAnswer,
    Identity,
    Import,
    InstalledScript,
    Inventory,
    MissingLibrary,
    Native,
    PathAccess,
    ProjectFacts,
    Restriction,
    Shebang,
    Stop,
    Unavailable,
)
from seatrial.facts.sources import LockedPackage, LockRequirement
from seatrial.settings.model import Answer, Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.facts import Facts

CHECKS = {check.id: check for check in registry.CHECKS}
GONE = Unavailable(reason="the image holds no Python interpreter", detail="evidence")


def judged(check: str, seen: Facts, **contract: Any) -> Result:
    return judge(CHECKS[check], seen, Contract(**contract))


def probed(**changed: Any) -> Facts:
    return facts(probe=probe(**changed))


def started(**changed: Any) -> Facts:
    return facts(command=start(**changed))


def booted(**changed: Any) -> Facts:
    return facts(boot=boot(**changed))


def configured(**changed: Any) -> Facts:
    return facts(configuration=configuration(**changed))


# --- the catalogue ----------------------------------------------------------------------------------------


def test_every_id_is_a_family_and_a_slug_and_stands_once() -> None:
    assert len(CHECKS) == len(registry.CHECKS) >= 20
    for check in registry.CHECKS:
        assert re.fullmatch(r"[a-z]+[a-z0-9]*/[a-z0-9]+(-[a-z0-9]+)*", check.id), check.id


def test_every_check_says_what_why_and_whence() -> None:
    for check in registry.CHECKS:
        assert check.title, check.id
        assert check.why.endswith("."), check.id
        assert check.source, check.id


def test_levels_hold_the_ones_below_them() -> None:
    quick, standard, deep = (set(registry.up_to(level)) for level in Level)
    assert quick < standard <= deep == set(registry.CHECKS)
    assert CHECKS["boot/healthy"] in standard - quick


def test_a_waiver_is_for_a_check_that_exists() -> None:
    registry.require_known(Contract(waive={"health/declared": "a job"}), "here")
    with pytest.raises(SettingsError, match=r"here waive: .*'health/declare'.*Did you mean 'health/declared'\?"):
        registry.require_known(Contract(waive={"health/declare": "a job"}), "here ")


# --- what holds for all of them ---------------------------------------------------------------------------


def test_a_sound_image_passes_everything_that_applies() -> None:
    contract = Contract(
        user="app",
        uid=10001,
        gid=10001,
        python="3.13",
        max_unpacked="500 MB",
        executables=("sh",),
        bytecode=("dependencies", "standard-library"),
        files={"/app": (".venv", "src")},
    )
    seen = probed(
        executables=(Executable(name="sh", path="/bin/sh"),),
        scripts=(InstalledScript(path="/app/.venv/bin/uvicorn", interpreter="/app/.venv/bin/python", found=True),),
        places=(PathAccess(path="/tmp", exists=True, writable=True, nearest="/tmp", owner="0:0", mode="1777"),),
    )
    smoke = smoke_of(seen, contract, registry.CHECKS, seconds=1.23456)
    assert {check.id: (check.status, check.actual) for check in smoke.checks if check.status is not Status.PASS} == {
        "boot/stays-up": (Status.SKIP, "the image has a HEALTHCHECK; boot/healthy decides"),
        "boot/answers": (Status.SKIP, "the contract names no `answers`"),
        "boot/missing-environment": (Status.SKIP, "the contract names no `required-environment`"),
        "boot/arbitrary-uid": (Status.SKIP, "the contract does not ask for it: `arbitrary-uid = true` does"),
        "compose/command": (Status.SKIP, "no service of compose.yaml has a command of its own"),
        "runtime/worker-heartbeat": (Status.SKIP, "gunicorn does not run in it"),
    }
    assert (smoke.verdict, smoke.seconds, smoke.image) == (Verdict.PASS, 1.235, "shop:latest")
    assert smoke.counts[Status.PASS] == len(registry.CHECKS) - smoke.counts[Status.SKIP]
    assert all(check.actual for check in smoke.checks), "no pass without evidence"


@pytest.mark.parametrize("check", registry.CHECKS, ids=lambda entry: entry.id)
def test_without_any_fact_nothing_passes_but_what_the_configuration_tells(check: Check) -> None:
    seen_by_the_engine = (
        "command",
        "health_command",
        "contents",
        "accounts",
        "agreement",
        "working_directory",
        "own_code",
        "inventory",
        "layers",
    )
    gone = dict.fromkeys(("probe", "boot", "sources", *seen_by_the_engine), GONE)
    seen = facts(**gone, configuration=configuration(environment={}))
    contract = Contract(
        user="app",
        python="3.13",
        max_unpacked="1 GB",
        executables=("sh",),
        answers=(Answer(path="/"),),
        bytecode=("dependencies", "standard-library"),
    )
    result = judge(check, seen, contract)
    told = {
        *("health/declared", "secrets/environment", "size/unpacked", "identity/numeric-user", "process/exec-form"),
        *("config/volumes", "config/labels", "secrets/history"),
    }
    if check.id in told:
        assert result.status is Status.PASS
    elif check.id == "boot/stays-up":
        assert result.status is Status.SKIP
    else:
        assert result.status is Status.ERROR
        assert result.actual == f"could not be decided: {GONE.reason}"
        assert result.evidence == ("evidence",)


FAILING: dict[str, Facts] = {
    "identity/non-root": started(account=Account(uid=0)),
    "size/cuda": facts(inventory=Inventory(cuda=2_000_000_000)),
    "supply/end-of-life": facts(today=date(2040, 1, 1)),
    "identity/expected-user": probed(
        identity=Identity(uid=0, gid=0, groups=(), name="root", home="/root", directory="/")
    ),
    "process/command-resolves": started(program=None),
    "process/graceful-stop": booted(stop=Stop(signal="SIGTERM", seconds=10.0, code=137, killed=True)),
    "probe/agrees": facts(
        agreement=Agreement(
            differences=(Difference(what="pytest", files="9.1 in /app", said="not installed"),),
            start_code=("/app/hide.pth",),
        )
    ),
    "python/interpreter-resolves": started(python="", python_resolved=None),
    "python/version": probed(interpreter=msgspec.structs.replace(probe().interpreter, version="3.1.0")),
    "python/script-interpreters": probed(
        scripts=(InstalledScript(path="/v/bin/alembic", interpreter="/build/python", found=False),)
    ),
    "packages/evidence": probed(distributions=(distribution("pip"),)),
    "packages/forbidden": probed(distributions=(*probe().distributions, distribution("PyTest", "8.4"))),
    "packages/no-installers": probed(distributions=(*probe().distributions, distribution("pip", "25.0", base=True))),
    "app/imports": probed(imports=(Import(name="shop", ok=False, seconds=0.1, error="ModuleNotFoundError: No"),)),
    "app/executables": probed(executables=(Executable(name="ffmpeg", path=""),)),
    "app/writable-paths": probed(
        places=(PathAccess(path="/app/.cache", exists=False, writable=False, nearest="/app", owner="0:0", mode="0755"),)
    ),
    "native/libraries-resolve": probed(
        native=Native(modules=9, missing=(MissingLibrary(library="libpq.so.5", needed_by="/v/x.so", searched=()),))
    ),
    "health/declared": configured(health_check=None),
    "secrets/environment": configured(environment={"DB_PASSWORD": "hunter2"}),
    "size/unpacked": configured(unpacked=700_000_000),
    "boot/healthy": booted(
        health=Health.UNHEALTHY,
        healthy_after=None,
        answers=(HealthAnswer(exit_code=1, output="refused\n", seconds=0.1),),
        stop=None,
    ),
    "boot/stays-up": facts(
        configuration=configuration(health_check=None),
        boot=boot(health=Health.NONE, healthy_after=None, exit=Exit(code=3, after=0.2), stop=None, log=("boom",)),
    ),
    "boot/read-only": facts(
        boot=boot(health=Health.STARTING, healthy_after=None, exit=Exit(code=1, after=0.2), stop=None),
        relaxed=(boot(lifted=(Restriction.READ_ONLY,), written=("/app/cache",)),),
    ),
    **boot_cases.FAILING,
    **code_cases.FAILING,
    **contents_cases.FAILING,
    **environment_cases.FAILING,
    **layer_cases.FAILING,
    **source_cases.FAILING,
}
CONTRACT = Contract(
    user="app",
    uid=10001,
    python="3.13",
    executables=("ffmpeg",),
    max_unpacked="500 MB",
    required_environment=("DATABASE_URL",),
    arbitrary_uid=True,
    answers=(Answer(path="/"),),
    bytecode=("dependencies", "standard-library"),
)


def test_every_check_is_shown_to_fail() -> None:
    assert set(CHECKS) <= set(FAILING)


@pytest.mark.parametrize("check", FAILING)
def test_a_fault_is_found_told_and_waivable(check: str) -> None:
    result = judge(CHECKS[check], FAILING[check], CONTRACT)
    assert result.status is Status.FAIL, result
    assert result.expected
    assert result.actual
    assert result.fix
    assert result.why
    waived = judge(CHECKS[check], FAILING[check], msgspec.structs.replace(CONTRACT, waive={check: "known, until May"}))
    assert (waived.status, waived.fix, waived.actual) == (
        Status.WAIVED,
        "Waived: known, until May",
        result.actual,
    )


# --- identity, process --------------------------------------------------------------------------------------


def test_an_account_that_the_image_lacks_is_no_pass() -> None:
    assert judged("identity/non-root", started(account=Account(uid=None))).status is Status.FAIL


def test_an_image_without_a_command_cannot_start() -> None:
    result = judged("process/command-resolves", started(words=()))
    assert (result.status, result.actual) == (Status.FAIL, "the image has no ENTRYPOINT and no CMD")


def test_a_moved_script_is_told_with_both_paths() -> None:
    script = Shebang(
        line="#!/build/.venv/bin/python",
        interpreter="/build/.venv/bin/python",
        resolved=trail("/build/.venv/bin/python", missing="/build"),
    )
    result = judged("process/command-resolves", started(scripts=(script,)))
    assert result.status is Status.FAIL
    assert "/app/.venv/bin/uvicorn starts with `#!/build/.venv/bin/python`, and /build is not there" in result.actual
    assert "Make it at /app/.venv" in result.fix


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"program": trail("/a", "/b", missing="/b")}, "/a -> /b: /b is not there"),
        ({"program": trail("/a", entry=file(0o644))}, "mode 0644"),
        ({"program": trail("/a", entry=file(0o700, uid=5))}, "owner 5:0"),
        (
            {"program": trail("/a", entry=msgspec.structs.replace(file(), kind=FileKind.FOLDER))},
            "is not executable by uid 10001",
        ),
        (
            {"scripts": (Shebang(line="#!/p", interpreter="/p", resolved=trail("/p", entry=file(0o600))),)},
            "/p (mode 0600, owner 0:0)",
        ),
    ],
)
def test_a_command_that_cannot_run(changed: dict[str, Any], what: str) -> None:
    result = judged("process/command-resolves", started(**changed))
    assert result.status is Status.FAIL
    assert what in result.actual


def test_an_application_that_is_not_up_cannot_be_asked_to_stop() -> None:
    for changed in ({"stop": None}, {"exit": Exit(code=0, after=1)}, {"start_error": "no"}):
        assert judged("process/graceful-stop", booted(**changed)).status is Status.ERROR


# --- python, packages ---------------------------------------------------------------------------------------


def test_no_version_in_the_contract_is_skipped() -> None:
    assert judged("python/version", facts()).status is Status.SKIP


def test_another_minor_version_is_not_the_same() -> None:
    other = probed(interpreter=msgspec.structs.replace(probe().interpreter, version="3.1.3"))
    assert judged("python/version", other, python="3.13").status is Status.FAIL


def test_a_dangling_interpreter_is_told_step_by_step() -> None:
    seen = started(python_resolved=trail("/v/bin/python", "/build/python", missing="/build"))
    result = judged("python/interpreter-resolves", seen)
    assert result.actual == "/v/bin/python -> /build/python: /build is not there"
    assert result.evidence == ("the first line of uvicorn names it",)


def test_an_empty_list_proves_nothing() -> None:
    empty = probed(
        distributions=(distribution("pip", base=True),),
        broken_distributions=(BrokenDistribution(location="/v/x.dist-info", problem="gone"),),
    )
    assert judged("packages/evidence", empty).status is Status.FAIL
    assert judged("packages/forbidden", empty).status is Status.ERROR
    assert "x.dist-info" in " ".join(judged("packages/evidence", empty).evidence)


@pytest.mark.parametrize(
    ("folder", "check"),
    [
        ("pytest-8.4.0.dist-info", "packages/forbidden"),
        ("PyTest.egg-info", "packages/forbidden"),
        ("pip-25.0.dist-info", "packages/no-installers"),
    ],
)
def test_a_package_whose_metadata_cannot_be_read_is_known_by_its_folder(folder: str, check: str) -> None:
    broken = BrokenDistribution(location=f"/v/{folder}", problem="it has no name or no version")
    result = judged(check, probed(broken_distributions=(broken,)))
    assert (result.status, folder in str(result.actual)) == (Status.FAIL, True)
    other = BrokenDistribution(location="/v/another-1.0.dist-info", problem="it has no name or no version")
    assert judged(check, probed(broken_distributions=(other,))).status is Status.PASS


def test_nothing_to_hold_the_list_against_is_skipped() -> None:
    unknown = msgspec.structs.replace(facts(), project=ProjectFacts())
    assert judged("packages/evidence", unknown).status is Status.SKIP
    assert judged("packages/evidence", unknown, dependencies=("fastapi",)).status is Status.PASS
    # One that declares none may need none.
    for declared, status in ((None, Status.SKIP), ((), Status.PASS)):
        bare = facts(probe=probe(distributions=()), project=ProjectFacts(dependencies=declared))
        assert judged("packages/evidence", bare).status is status


def test_a_dependency_of_another_python_is_not_missed() -> None:
    seen = facts(project=ProjectFacts(dependencies=("fastapi", "tomli; python_version < '3.13'")))
    assert judged("packages/evidence", seen).status is Status.PASS


def test_a_list_of_another_interpreter_is_not_trusted_to_lack_anything() -> None:
    assert judged("packages/forbidden", probed(distributions=(distribution("other"),))).status is Status.ERROR


def test_the_dev_group_is_forbidden_but_not_what_the_application_brings_in() -> None:
    seen = facts(
        probe=probe(distributions=(*probe().distributions, distribution("httpx"), distribution("black"))),
        project=ProjectFacts(dependencies=("fastapi",), dev_group=("black", "httpx")),
    )
    assert judged("packages/forbidden", seen).actual == "black 1.0, httpx 1.0"
    brings = probe(distributions=(distribution("fastapi", requires=("httpx",)), distribution("httpx")))
    assert judged("packages/forbidden", msgspec.structs.replace(seen, probe=brings)).status is Status.PASS


def test_the_contracts_own_list_of_forbidden_ones() -> None:
    assert judged("packages/forbidden", facts(), forbidden=()).status is Status.SKIP
    assert judged("packages/forbidden", facts(), forbidden=("UviCorn",)).status is Status.FAIL
    tool = facts(probe=probe(distributions=(distribution("pytest"),)), project=ProjectFacts(dependencies=("pytest",)))
    assert judged("packages/forbidden", tool).status is Status.FAIL, "a direct dependency too, unless the contract says"
    assert judged("packages/forbidden", tool, forbidden=("ruff",)).status is Status.PASS


def test_installers_as_programs_and_as_declared() -> None:
    program = probed(executables=(Executable(name="uv", path="/bin/uv"), Executable(name="pip", path="")))
    assert judged("packages/no-installers", program).actual == "/bin/uv"
    assert judged("packages/no-installers", program, installers=("uv",)).status is Status.PASS
    every = ("pip", "setuptools", "wheel", "uv")
    assert judged("packages/no-installers", program, installers=every).status is Status.SKIP


def test_what_another_distribution_or_the_lock_requires_is_left_alone() -> None:
    site = probe().distributions
    torch = distribution("torch", requires=("setuptools; python_version >= '3.12'", "wheel; extra == 'dev'"))
    brought = probed(distributions=(*site, torch, distribution("setuptools"), distribution("wheel")))
    assert judged("packages/no-installers", brought).actual == "wheel 1.0 in /app/.venv/lib/python3.13/site-packages"
    plugin = distribution("pytest-cov", requires=("pytest",))
    tools = probed(distributions=(*site, plugin, distribution("pytest")))
    assert judged("packages/forbidden", tools).actual == "pytest 1.0", "a test tool's requirement is a test tool"
    product = distribution("allure", requires=("pytest",))
    assert (
        judged("packages/forbidden", probed(distributions=(*site, product, distribution("pytest")))).status
        is Status.PASS
    )
    held = lock(
        roots=(LockRequirement(name="fastapi"), LockRequirement(name="black", only=("dev",))),
        packages=(
            LockedPackage(name="fastapi", version="1.0", wants=(LockRequirement(name="setuptools"),)),
            LockedPackage(name="setuptools", version="1.0"),
            LockedPackage(name="black", version="1.0", wants=(LockRequirement(name="wheel"),)),
            LockedPackage(name="wheel", version="1.0"),
        ),
        names=("dev",),
        chosen=("dev",),
    )
    seen = facts(
        probe=probe(distributions=(*site, distribution("setuptools"), distribution("wheel"))),
        project=msgspec.structs.replace(facts().project, lock=held),
    )
    assert judged("packages/no-installers", seen).actual.startswith("wheel 1.0 in ")


def test_the_command_may_run_uv() -> None:
    seen = probed(executables=(Executable(name="uv", path="/bin/uv"),))
    runs = msgspec.structs.replace(seen, command=start(words=("/bin/uv", "run", "main.py")))
    assert judged("packages/no-installers", seen).status is Status.FAIL
    assert judged("packages/no-installers", runs).status is Status.PASS


# --- application ----------------------------------------------------------------------------------------------


def test_what_nobody_asked_for_is_skipped() -> None:
    assert judged("app/imports", probed(imports=())).status is Status.SKIP
    assert judged("app/executables", facts()).status is Status.SKIP
    assert judged("app/writable-paths", facts()).status is Status.SKIP
    assert judged("identity/expected-user", facts()).status is Status.SKIP
    assert judged("size/unpacked", facts()).actual == "the contract sets no `max-unpacked`; it is 494 MB"


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("ModuleNotFoundError: No module named 'shop'", "Install the project"),
        ("ModuleNotFoundError: No module named 'httpx'", "Add what brings httpx to the project's dependencies, lock"),
        ("KeyError: 'TOKEN'", "environment"),
        ("ImportError: libpq.so.5: cannot open shared object file: No such file or directory", " libpq5 "),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", " libgl1 "),
        ("ImportError: libcuda.so.1: cannot open shared object file: No such file", "comes from the host"),
    ],
)
def test_a_broken_import_says_what_to_do(error: str, fix: str) -> None:
    row = Import(name="shop.api:app", ok=False, seconds=0, error=error, traceback="line 1\nline 2")
    result = judged("app/imports", probed(imports=(row,)))
    assert fix in result.fix
    assert result.evidence[1:] == ("line 1", "line 2")


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libpq.so.5", "libpq5"),
        ("libpng16.so.16", "libpng16-16"),
        ("libpangocairo-1.0.so.0", "libpangocairo-1.0-0"),
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libX11.so.6", "libx11-6"),
        ("libstdc++.so.6", "libstdc++6"),
        ("libtk8.6.so", "libtk8.6"),
        ("libnss3.so", "libnss3"),
        ("libbz2.so.1.0", "libbz2-1.0"),
        ("libgeos_c.so.1", "libgeos-c1v5"),
        ("libcuda.so.1", ""),
        ("odd", ""),
    ],
)
def test_a_librarys_debian_package_has_the_name_of_its_soname(library: str, package: str) -> None:
    assert debian_package(library) == package


def test_a_library_that_its_package_does_without_is_a_note() -> None:
    row = MissingLibrary(library="libtbb.so.12", needed_by="/site/numba/tbbpool.so", searched=(), optional=True)
    told = judged("native/libraries-resolve", probed(native=Native(modules=70, missing=(row,))))
    assert (told.status, told.severity) == (Status.FAIL, Severity.NOTE)
    assert "its package imports without it" in told.actual
    needed = msgspec.structs.replace(row, library="libpq.so.5", needed_by="/site/psycopg2/_psycopg.so", optional=False)
    told = judged("native/libraries-resolve", probed(native=Native(modules=70, missing=(row, needed))))
    assert told.actual.startswith("libpq.so.5, which ")
    assert told.severity is Severity.ERROR
    assert " libpq5 " in told.fix


def test_no_extension_module_at_all_is_no_pass() -> None:
    assert judged("native/libraries-resolve", probed(native=Native(modules=0))).status is Status.FAIL


# --- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "x"),
        ("DJANGO_SECRET_KEY", "abc"),
        ("GITHUB_TOKEN", "abc"),
        ("my_password", "1234"),
        ("X", "AKIA" + "A" * 16),
        ("X", "sk-" + "a" * 30),
        ("DATABASE_URL", "postgresql://app:hunter2@db/shop"),
        ("X", "-----BEGIN RSA PRIVATE KEY-----"),
        ("X", "eyJhbGciOiJI.eyJzdWIiOiIx.x" + "A" * 8),
        ("X", "kP9xQ2mZ7vL4nB8wR1tY6uJ3hG5fD0sA"),
        ("X", "--with=kP9xQ2mZ7vL4nB8wR1tY6uJ3hG5fD0sA"),
        ("X", "kPxQmZvLnBwR-tYuJhGfDsAeWcVbN_qOiU"),
        ("X", "qmzvlnbwrtyujhgfdsaewcvbnoikpx-qmzvlnbwrtyujhgfdsa"),
        ("X", "--db-password=hunter2"),
    ],
)
def test_a_secret_is_known_by_name_form_or_entropy_and_not_shown(name: str, value: str) -> None:
    value = value.replace("eyJhbGciOiJI", "eyJhbGciOiJIUzI1").replace("eyJzdWIiOiIx", "eyJzdWIiOiIxMjM0")
    result = judged("secrets/environment", configured(environment={name: value}))
    assert result.status is Status.FAIL
    assert name in result.actual
    assert len(value) < 5 or value not in repr(result)
    assert judged("secrets/environment", configured(environment={name: value}), declared_secrets=(name,)).status is (
        Status.PASS
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/app/.venv/bin:/usr/local/bin"),
        ("PYTHON_SHA256", "a" * 64),
        ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305"),
        ("PYTHON_VERSION", "3.13.5"),
        ("API_TOKEN", ""),
        ("PASSWORD", "changeme"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HOME", "/home/app/.cache/huggingface/hub-models_v2"),
        ("PYTHONPATH", "/usr/local/lib/python3.13/site-packages"),
        ("DATABASE_URL", "postgresql://db:5432/shop"),
        ("command", "--default-authentication-plugin=mysql_native_password"),
        ("command", "--certificatesResolvers.main-resolver.acme.httpChallenge.entrypoint=web"),
        ("COMMIT", "0123456789abcdef0123456789abcdef01234567"),
        ("name", "azure-samples-msdocs-python-flask-webapp-quickstart"),
        ("image", "Public.Registry_mirror/Backoffice-worker-queue_v12"),
    ],
)
def test_what_is_no_secret(name: str, value: str) -> None:
    assert name == "GPG_KEY" or secret(name, value) == ""
    assert judged("secrets/environment", configured(environment={name: value})).status is Status.PASS


# --- boot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "end"),
    [(True, ", out of memory"), (False, ": it was killed, as a process is that reaches the memory limit")],
    ids=["the-engine-tells", "the-engine-lost-it"],
)
def test_an_exit_at_start_is_told_with_its_code_and_log(*, known: bool, end: str) -> None:
    seen = booted(
        health=Health.STARTING,
        healthy_after=None,
        stop=None,
        exit=Exit(code=137, after=0.5, out_of_memory=known),
        log=("last",),
        log_cut=True,
    )
    result = judged("boot/healthy", seen)
    assert result.actual == f"the container exited at start: exit code 137 after 0.5 s{end}"
    assert "`memory`" in result.fix
    assert result.evidence == ("log: last", "its log is longer than what is kept")


def test_a_command_that_the_engine_cannot_start() -> None:
    seen = booted(start_error="exec: not found", health=Health.NONE, healthy_after=None, stop=None, log=())
    result = judged("boot/healthy", seen)
    assert result.actual == "the engine could not start it: exec: not found"
    assert result.evidence == ("it logged nothing",)


def test_without_a_health_check_staying_up_decides() -> None:
    plain = configuration(health_check=None)
    up = boot(health=Health.NONE, healthy_after=None, watched=3.0)
    assert judged("boot/healthy", facts(configuration=plain, boot=up)).status is Status.SKIP
    assert judged("boot/stays-up", facts(configuration=plain, boot=up)).status is Status.PASS
    ended = ("Traceback (most recent call last):", '  File "/app/main.py", line 7', "KeyboardInterrupt")
    interrupted = msgspec.structs.replace(up, log=ended)
    assert judged("boot/stays-up", facts(configuration=plain, boot=interrupted)).status is Status.PASS
    for log in ((ended[0], "ValueError"), (*ended, ended[0], "ValueError: no"), (ended[0], "  File")):
        traceback = msgspec.structs.replace(up, log=log)
        result = judged("boot/stays-up", facts(configuration=plain, boot=traceback))
        assert (result.status, result.actual) == (Status.FAIL, "it runs, but its log holds a traceback")


def test_only_a_read_only_root_in_the_way_is_told_once_where_it_belongs() -> None:
    seen = FAILING["boot/read-only"]
    assert judged("boot/healthy", seen).status is Status.PASS
    result = judged("boot/read-only", seen)
    assert result.actual.endswith("with a writable root it starts")
    assert result.evidence[0] == "wrote /app/cache"


def test_what_starts_in_no_way_is_not_blamed_on_the_root() -> None:
    down = boot(health=Health.STARTING, healthy_after=None, exit=Exit(code=1, after=0.2), stop=None)
    for relaxed in ((), (msgspec.structs.replace(down, lifted=(Restriction.READ_ONLY,)),)):
        assert judged("boot/read-only", facts(boot=down, relaxed=relaxed)).status is Status.ERROR


# --- the verdict --------------------------------------------------------------------------------------------------


def given(*statuses: Status) -> list[Result]:
    sound = judged("app/imports", facts())
    return [msgspec.structs.replace(sound, status=status) for status in statuses]


@pytest.mark.parametrize(
    ("statuses", "verdict", "code"),
    [
        ((Status.PASS, Status.SKIP, Status.WAIVED), Verdict.PASS, ExitCode.OK),
        ((Status.PASS, Status.ERROR, Status.FAIL), Verdict.FAIL, ExitCode.FAILED),
        ((Status.PASS, Status.ERROR), Verdict.ERROR, ExitCode.UNDECIDED),
        ((Status.SKIP, Status.WAIVED), Verdict.ERROR, ExitCode.UNDECIDED),
        ((), Verdict.ERROR, ExitCode.UNDECIDED),
    ],
)
def test_one_reducer_makes_the_verdict(statuses: tuple[Status, ...], verdict: Verdict, code: ExitCode) -> None:
    assert verdict_of(given(*statuses)) is verdict
    assert verdict.exit_code is code


def test_what_cannot_be_decided_may_be_waived_and_what_passes_needs_no_waiver() -> None:
    waive = {"app/imports": "later", "size/unpacked": "later"}
    undecided = judged("app/imports", facts(probe=GONE), waive=waive)
    assert (undecided.status, undecided.fix) == (Status.WAIVED, "Waived: later")
    assert judged("size/unpacked", facts(), max_unpacked="1 GB", waive=waive).status is Status.PASS
    assert judged("size/unpacked", facts(), waive=waive).status is Status.SKIP


def test_the_answers_of_a_check() -> None:
    assert passed("seen", evidence=("a",)) == Outcome(status=Status.PASS, actual="seen", evidence=("a",))
    assert failed("seen", expected="e", fix="f").status is Status.FAIL
    assert skipped("why").actual == "why"
    assert UndecidedError("why", "", "line").evidence == ("line",)
