"""What a finding says to do: true of what was seen, and it works when followed."""

from __future__ import annotations

import json

import pytest
from tests.unit.factories import boot, configuration, contents, facts, probe
from tests.unit.source_factories import DOCKERFILE, context, dockerfile, sources

from seatrial.checks.advice import boot_fix, import_fix, raised_before
from seatrial.checks.boot import evidence_of
from seatrial.checks.model import Level, Status
from seatrial.checks.places import removal_command, removal_fix
from seatrial.checks.registry import CATALOGUE
from seatrial.checks.verdict import judge, smoke_of
from seatrial.facts import (
    NO_SOURCES,
    ContentKind,
    Distribution,
    Exit,
    Facts,
    FoundPath,
    Health,
    HealthAnswer,
    Import,
    Native,
    ServiceStop,
    StackRun,
    Stop,
)
from seatrial.facts.probe import ForeignModule
from seatrial.settings.model import Contract, StackContract

BY_ID = {check.id: check for check in CATALOGUE}
TRACEBACK = "Traceback (most recent call last):"
SITE = "/usr/local/lib/python3.13/site-packages"
OWN = "/app/.venv/lib/python3.13/site-packages"


def fix(error: str, *declared: str) -> str:
    return import_fix("shop.api:app", error, traceback=True, declared=declared)


# An import that failed.


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("ModuleNotFoundError: No module named 'shop'", "Install the project into the environment"),
        ("ModuleNotFoundError: No module named 'shop.extra'", "see that the image gets shop.extra"),
        ("ModuleNotFoundError: No module named 'yaml'", "Add what brings yaml (PyYAML) to the project's dependencies"),
        (
            "ImportError: cannot import name 'Mapping' from 'collections' (/x.py)",
            "The installed collections has no Mapping",
        ),
        ("ImportError: cannot import name 'make' from 'shop.db' (/x.py)", "Correct the import: shop.db has no make"),
        (
            "ImportError: cannot import 'a' from module 'b' (most likely due to a circular import)",
            "Two modules import each other",
        ),
        ("KeyError: 'SECRET_KEY'", "SECRET_KEY has no value"),
        ("RuntimeError: set the TOKEN_FILE variable", "TOKEN_FILE has no value"),
        ("ImproperlyConfigured: Set the API_KEY environment variable", "API_KEY has no value"),
        ("ModuleNotFoundError: No module named 'altair.vegalite.v4'", "install a version of altair that has it, or"),
        ("RuntimeError: no environment variable DB", "A setting that it needs has no value"),
        ("openai.OpenAIError: … or by setting the OPENAI_API_KEY environment variable", "OPENAI_API_KEY has no value"),
        ("ImproperlyConfigured: Set the SECRET_KEY environment variable", "SECRET_KEY has no value"),
        ("UndefinedValueError: KEY not found. Declare it as envvar or define a default value.", "KEY has no value"),
        (
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96",
            "another numpy than",
        ),
        ("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.1", "another numpy than is installed"),
        ("TypeError: unsupported operand", "Correct what the traceback names."),
        ("OSError: [Errno 30] Read-only file system: '/app/log'", "Import without writing"),
    ],
)
def test_each_broken_import_has_its_own_advice(error: str, told: str) -> None:
    assert told in fix(error)
    assert ("`environment`" in fix(error)) is ("has no value" in told)


def test_what_the_project_asks_for_is_not_to_be_added_again() -> None:
    told = fix("ModuleNotFoundError: No module named 'yaml'", "fastapi", "pyyaml")
    assert told.startswith("PyYAML is among the project's dependencies, and not where the application's interpreter")
    assert "Add" not in told


def test_without_a_traceback_none_is_to_be_corrected() -> None:
    ended = import_fix("shop.api:app", "ended by signal 11", traceback=False, declared=())
    assert ended == "Find out why it ends: `python -c 'import shop'`."


# A start that failed.


def ended(*log: str, code: int = 1, services: bool = False) -> str:
    return boot_fix(boot(exit=Exit(code=code, after=1.0), log=log), services_left_out=services)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ((TRACEBACK, "KeyError: 'BOT_TOKEN'"), "BOT_TOKEN has no value"),
        (("1 validation error for Settings", "api_key", "  Field required [type=missing]"), "api_key has no value"),
        (("ImportError: libpq.so.5: cannot open shared object file: No such file",), " libpq5 "),
        (("psycopg.OperationalError: connection failed: Connection refused",), "this start has no network"),
        (
            (TRACEBACK, "telegram.error.NetworkError: httpx.ConnectError: Name or service not known"),
            "bootstrap_retries=-1",
        ),
        ((TRACEBACK, "ModuleNotFoundError: No module named 'cheroot'"), "Add what brings cheroot to the project's"),
        ((TRACEBACK, "ValueError: bad"), "Correct what the traceback names."),
        (
            (TRACEBACK, "ValueError: numpy.dtype size changed, may indicate binary incompatibility."),
            "another numpy than",
        ),
        ((TRACEBACK, "KeyError: \"Config 'DB_URL' is missing, and has no default.\""), "DB_URL has no value"),
        ((TRACEBACK, "telegram.error.InvalidToken: You must pass the token"), "It gets no token"),
        (("WARNING: LOG_LEVEL is not set, using INFO", "panic"), "Correct what its last lines name."),
        ((), "It says nothing"),
    ],
)
def test_each_failed_start_has_its_own_advice(log: tuple[str, ...], told: str) -> None:
    assert told in ended(*log)
    assert ("`environment`" in ended(*log)) is ("has no value" in told or "no token" in told)


def test_a_start_beside_its_services_is_named_where_the_log_asks_for_one() -> None:
    refused = 'sqlalchemy.exc.OperationalError: could not translate host name "db" to address'
    assert ended(refused, services=True).startswith("It asks for another service: `invoke smoke --stack`")
    assert "`invoke smoke --stack`" in ended("panic", services=True)
    assert "Let CMD start what keeps running" in ended("done", code=0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("curl: (7) Failed to connect to localhost port 8000: Connection refused", "Nothing takes the connection"),
        ("<urlopen error [Errno 111] Connection refused>", "Nothing takes the connection"),
        ("Health check exceeded timeout (5s)", "gets no answer in its time"),
        ("curl: (22) The requested URL returned error: 503", "answers the health check with an error"),
        (
            "    response = opener.open(req, data, timeout)\nurllib.error.HTTPError: HTTP Error 500: Server Error",
            "answers the health check with an error",
        ),
        ("    response = opener.open(req, data, timeout)\nValueError: no JSON", "or fails by itself"),
    ],
)
def test_a_health_check_that_was_refused_has_not_been_answered(said: str, told: str) -> None:
    seen = boot(
        health=Health.STARTING, healthy_after=None, answers=(HealthAnswer(exit_code=1, output=said, seconds=0.1),)
    )
    assert told in boot_fix(seen, services_left_out=False)


def test_a_crash_loop_of_workers_needs_no_more_time() -> None:
    seen = boot(health=Health.STARTING, healthy_after=None, log=(TRACEBACK, "ValueError: bad", "Worker exiting"))
    assert boot_fix(seen, services_left_out=False) == "Correct what the traceback names."


# One cause, one finding.


def causes(seen: Facts, *names: str, contract: Contract | None = None) -> dict[str, str]:
    smoke = smoke_of(seen, contract or Contract(), [BY_ID[name] for name in names], seconds=1)
    return {result.id: result.follows_from for result in smoke.checks if result.status is not Status.PASS}


def test_a_setting_that_import_and_start_lack_is_told_once() -> None:
    error = "KeyError: 'SECRET_KEY'"
    broken = Import(name="app:app", ok=False, seconds=0.1, error=error, traceback=f"{TRACEBACK}\n{error}")
    log = (
        TRACEBACK,
        '  File "/app/app.py", line 7, in <module>',
        error,
        "[INFO] Worker exiting",
        "[INFO] Shutting down",
    )
    seen = facts(
        configuration=configuration(health_check=None),
        probe=probe(imports=(broken,)),
        boot=boot(health=Health.NONE, healthy_after=None, exit=Exit(code=3, after=1.0), log=log),
    )
    told = causes(seen, "app/imports", "boot/stays-up", "boot/first-log", "network/exposed-ports")
    assert {name for name, cause in told.items() if not cause} == {"app/imports"}
    assert told["boot/stays-up"] == "app/imports"


def test_a_stop_that_the_image_alone_fails_is_told_once() -> None:
    killed = ServiceStop(service="api", seconds=10.0, grace=10, code=137, killed=True, out_of_memory=False)
    stop = Stop(signal="SIGTERM", seconds=10.0, code=137, killed=True)
    contract = Contract(stack=StackContract(ready="/ready"))
    names = ("process/graceful-stop", "stack/graceful-stop")

    def told(*stops: ServiceStop) -> dict[str, str]:
        run = StackRun(app="api", up_after=1.0, services=(), stops=stops)
        return causes(facts(boot=boot(stop=stop), stack=run), *names, contract=contract)

    assert told(killed) == {"process/graceful-stop": "", "stack/graceful-stop": "process/graceful-stop"}
    database = ServiceStop(service="db", seconds=10.0, grace=10, code=137, killed=True, out_of_memory=False)
    assert told(killed, database)["stack/graceful-stop"] == ""
    assert told(database)["stack/graceful-stop"] == ""


# Installers.


def at(name: str, location: str) -> Distribution:
    return Distribution(name=name, version="25.0", location=location)


def removed(location: str, *names: str, text: str = DOCKERFILE, programs: tuple[str, ...] = ()) -> str:
    return removal_fix([at(name, location) for name in names], programs, dockerfile(text))


def test_pip_is_removed_by_the_interpreter_that_has_it() -> None:
    told = removed(SITE, "pip")
    assert told.startswith(
        "They come with `FROM python:${PYTHON_VERSION}-slim`: add `RUN /usr/local/bin/python -m pip uninstall --yes "
        "pip` above line 13 (`USER 10001:10001`)"
    )
    inside = removed(OWN, "pip", "setuptools")
    assert inside.startswith(
        "Line 10 copies them from builder: end that stage with `RUN /app/.venv/bin/python -m pip uninstall --yes pip "
        "setuptools`"
    )


def test_where_there_is_no_pip_none_is_asked() -> None:
    told = removal_command(OWN, ["setuptools"])
    assert told.startswith(f"rm -rf {OWN}/setuptools {OWN}/_distutils_hack {OWN}/pkg_resources {OWN}/distutils-prec")
    managed = "/opt/python/cpython-3.13.1-linux-x86_64-gnu/lib/python3.13/site-packages"
    assert removal_command(managed, ["pip"]) == f"rm -rf {managed}/pip {managed}/pip-*.dist-info"
    assert removal_command("/usr/lib/python3/dist-packages", ["pip"]) == "apt-get purge --yes python3-pip"


def test_pip_goes_after_its_last_use_and_as_root() -> None:
    base = "FROM python:3.13-slim\nUSER app\nRUN pip install --user shop\nCMD shop\n"
    assert "below line 3, between `USER root` and `USER app`" in removed(SITE, "pip", text=base)
    used = "FROM python:3.13-slim\nRUN pip install shop\nUSER app\n"
    assert "below line 2, above line 3 (`USER app`)" in removed(SITE, "pip", text=used)
    venv = "FROM python:3.13-slim\nRUN python -m venv /app/.venv\n"
    assert "Line 2 was the last to write there: end it with ` && /app/.venv" in removed(OWN, "pip", text=venv)


def test_uv_is_mounted_where_it_is_used() -> None:
    text = "FROM python:3.13-slim\nCOPY --from=ghcr.io/astral-sh/uv:0.9.5 /uv /bin/uv\nRUN uv sync\n"
    told = removed(SITE, text=text, programs=("/bin/uv",))
    assert "Line 2 brings /bin/uv: take that line away" in told
    assert "`RUN --mount=from=ghcr.io/astral-sh/uv:0.9.5,source=/uv,target=/bin/uv …`" in told
    into = text.replace(" /bin/uv", " /bin/")
    assert "Line 2 brings /bin/uv" in removed(SITE, text=into, programs=("/bin/uv",))


def test_without_a_dockerfile_the_command_is_told_alone() -> None:
    told = removal_fix([at("pip", SITE)], ["/usr/local/bin/pip"], NO_SOURCES)
    assert told.startswith("In the final stage, as root: `RUN /usr/local/bin/python -m pip uninstall --yes pip`;")
    assert "/usr/local/bin/pip;" not in told
    seen = facts(probe=probe(distributions=(at("pip", SITE),)), sources=sources())
    assert "above line 13" in judge(BY_ID["packages/no-installers"], seen, Contract(dependencies=())).fix
    assert BY_ID["packages/no-installers"].level is Level.QUICK


# Files that a finding names.


def fix_of(check: str, seen: Facts, **contract: object) -> str:
    result = judge(BY_ID[check], seen, Contract(**contract))  # type: ignore[arg-type]
    assert result.status is Status.FAIL, result
    return result.fix


def test_a_line_for_the_ignore_file_holds_at_every_depth_and_names_the_file_that_is_read() -> None:
    left = contents(found=(FoundPath(kind=ContentKind.LEFTOVER, path="/app/sub/.env", about="its settings"),))
    assert fix_of("files/leftovers", facts(contents=left, sources=NO_SOURCES)).startswith(
        "Write `**/.env` into .dockerignore"
    )
    beside = sources(context=context("main.py", ignore_file="docker/Dockerfile.dockerignore"))
    assert "`**/.env` into docker/Dockerfile.dockerignore" in fix_of(
        "files/leftovers", facts(contents=left, sources=beside)
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/app/venv/lib/python3.13/site-packages/x.so", "`**/venv`"),
        ("/app/.venv/lib64/python3.13/site-packages/x.so", "`**/.venv`"),
        ("/usr/local/lib/python3.13/site-packages/x.so", ""),
    ],
)
def test_the_environment_to_keep_out_is_named_as_it_is_called(path: str, told: str) -> None:
    foreign = Native(modules=9, foreign=(ForeignModule(path=path, built_for="aarch64"),))
    fix = fix_of("native/platform", facts(probe=probe(native=foreign), sources=NO_SOURCES))
    assert (told in fix) if told else "**/" not in fix


def test_a_health_check_that_is_proposed_needs_no_file_that_is_not_there() -> None:
    bare = configuration(health_check=None, exposed_ports=("8080/tcp",))
    fix = fix_of("health/declared", facts(configuration=bare))
    assert "healthcheck.py" not in fix
    words = json.loads(fix.partition("HEALTHCHECK CMD ")[2].partition("`")[0])
    assert words[:2] == ["python", "-c"]
    assert "http://127.0.0.1:8080/" in words[2]
    assert "age of a file" in fix_of(
        "health/declared", facts(configuration=configuration(health_check=None, exposed_ports=()))
    )


# The line of the Dockerfile.


@pytest.mark.parametrize(
    ("kind", "path", "check", "line"),
    [
        (ContentKind.INSTALLER_CACHE, "/root/.cache/pip", "files/installer-caches", 3),
        (ContentKind.PACKAGE_LISTS, "/var/lib/apt/lists", "files/package-lists", 2),
    ],
)
def test_what_a_program_leaves_is_of_the_run_that_starts_it(
    kind: ContentKind, path: str, check: str, line: int
) -> None:
    text = "FROM python:3.13-slim\nRUN apt-get update\nRUN pip install shop\nCOPY . /app\nRUN true\n"
    left = contents(found=(FoundPath(kind=kind, path=path, files=1, size=9),))
    result = judge(BY_ID[check], facts(contents=left, sources=sources(text)), Contract())
    assert (result.status, result.where) == (Status.FAIL, f"Dockerfile:{line}")


def test_all_labels_that_are_missing_are_told_together_with_the_lines_that_give_them() -> None:
    seen = facts(configuration=configuration(labels={"org.opencontainers.image.created": "yesterday"}))
    result = judge(BY_ID["config/labels"], seen, Contract(labels=("title", "version", "created")))
    assert result.actual == (
        "org.opencontainers.image.title, version are not there; org.opencontainers.image.created is 'yesterday', not "
        "an RFC 3339 date-time"
    )
    assert result.fix.startswith(
        'Write `ARG VERSION CREATED` and `LABEL org.opencontainers.image.title="…" '
        'org.opencontainers.image.version="${VERSION}" org.opencontainers.image.created="${CREATED}"` at the end'
    )


def test_what_was_raised_before_the_last_lines_is_shown_and_advised_on() -> None:
    worker = ("Traceback (most recent call last):", '  File "/app/shop.py", line 3, in <module>', "KeyError: 'TOKEN'")
    server = ("Traceback (most recent call last):", *("  File ...",) * 20, "HaltServer: Worker failed to boot")
    ended_so = boot(health=Health.NONE, healthy_after=None, exit=Exit(code=3, after=1.0), log=(*worker, *server))
    assert raised_before(ended_so.log) == ("KeyError: 'TOKEN'",)
    assert evidence_of(ended_so)[:3] == ("… 10 lines before, among them", "log: KeyError: 'TOKEN'", "…")
    assert "TOKEN has no value" in boot_fix(ended_so, services_left_out=False)
