"""What the project's own files say: each finding with its file and line."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.factories import configuration, facts
from tests.unit.source_factories import DOCKERFILE, compose, context, dockerfile, service, sources

from seatrial.checks import registry
from seatrial.checks.model import Severity, Status
from seatrial.checks.places import place
from seatrial.checks.verdict import judge
from seatrial.dockerfile import parse
from seatrial.facts import (
    NO_SOURCES,
    ComposeValue,
    ComposeVariable,
    ContextFile,
    EnvironmentFile,
    Lint,
    LintFinding,
    NotInstalled,
    Unavailable,
)
from seatrial.installs import fixed, installs, open_lines
from seatrial.observe.project.ignore_file import IgnoreFile
from seatrial.settings.model import Contract

CHECKS = {check.id: check for check in registry.CHECKS}
OF_SOURCES = [check for check in registry.CHECKS if check.id.startswith(("dockerfile/", "context/", "compose/"))]
SLIM = "FROM python:3.13-slim\n"


def judged(check: str, contract: Contract | None = None, **changed: Any) -> Any:
    return judge(CHECKS[check], facts(sources=sources(**changed)), contract or Contract())


def written(check: str, text: str, contract: Contract | None = None, **changed: Any) -> Any:
    return judged(check, contract, dockerfile=dockerfile(text), **changed)


@pytest.mark.parametrize("check", OF_SOURCES, ids=lambda entry: entry.id)
def test_an_image_by_itself_has_no_sources(check: Any) -> None:
    result = judge(check, facts(sources=NO_SOURCES), Contract())
    assert (result.status, result.actual) == (Status.SKIP, NO_SOURCES.reason)


@pytest.mark.parametrize("check", OF_SOURCES, ids=lambda entry: entry.id)
def test_sources_that_cannot_be_read_are_no_pass(check: Any) -> None:
    result = judge(check, facts(sources=Unavailable(reason="Dockerfile cannot be read", detail="why")), Contract())
    assert (result.status, result.evidence) == (Status.ERROR, ("why",))


# --- dockerfile/lint ----------------------------------------------------------------------------------------


def found(rule: str, level: str = "warning", line: int = 2) -> Lint:
    return Lint(findings=(LintFinding(rule=rule, level=level, line=line, message="so it is"),))


def test_a_finding_is_told_with_its_line() -> None:
    result = judged("dockerfile/lint", lint=found("DL3025", line=15))
    assert (result.status, result.where, result.actual) == (Status.FAIL, "Dockerfile:15", "line 15: DL3025 so it is")


def test_the_contract_says_which_levels_count() -> None:
    advice = found("DL3059", "info")
    assert judged("dockerfile/lint", lint=advice).status is Status.PASS
    assert judged("dockerfile/lint", Contract(lint_level="info"), lint=advice).status is Status.FAIL


def test_a_rule_is_left_out_with_a_reason_that_shows() -> None:
    contract = Contract(lint_ignore={"DL3008": "Debian keeps no old versions"})
    result = judged("dockerfile/lint", contract, lint=found("DL3008"))
    assert (result.status, result.evidence) == (
        Status.PASS,
        ("Dockerfile:2 DL3008 set aside: Debian keeps no old versions",),
    )


@pytest.mark.parametrize("kind", ["cache", "tmpfs"])
def test_a_rule_on_caches_is_no_finding_where_the_cache_is_a_mount(kind: str) -> None:
    text = f"{SLIM}RUN --mount=type={kind},target=/root/.cache \\\n  pip install -r requirements.txt\n"
    assert written("dockerfile/lint", text, lint=found("DL3042", line=2)).status is Status.PASS
    plain = f"{SLIM}RUN pip install -r requirements.txt\n"
    assert written("dockerfile/lint", plain, lint=found("DL3042", line=2)).status is Status.FAIL
    assert written("dockerfile/lint", text, lint=found("DL3013", line=2)).status is Status.FAIL


def test_without_hadolint_it_says_what_to_install() -> None:
    result = judged("dockerfile/lint", lint=NotInstalled(reason="hadolint is not installed; install it"))
    assert result.status is Status.SKIP
    assert judged("dockerfile/lint", lint=Unavailable(reason="hadolint gave no answer")).status is Status.ERROR


# --- dockerfile/base-pinned ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("python", "has no tag"),
        ("python:latest", "has the tag latest"),
        ("python:slim", "has the tag slim"),
        ("registry:5000/team/python", "has no tag"),
    ],
)
def test_a_base_that_says_no_version_fails(reference: str, problem: str) -> None:
    result = written("dockerfile/base-pinned", f"ARG A=1\nFROM {reference}\n")
    assert (result.status, result.where) == (Status.FAIL, "Dockerfile:2")
    assert problem in result.actual


@pytest.mark.parametrize(
    "reference", ["python:3.13-slim", "debian:bookworm-slim", "registry:5000/a/b:1", f"python@sha256:{'a' * 64}"]
)
def test_a_base_that_says_one_passes(reference: str) -> None:
    assert written("dockerfile/base-pinned", f"FROM {reference}\n").status is Status.PASS


def test_a_digest_may_be_wanted() -> None:
    contract = Contract(pin_digests=True)
    result = written("dockerfile/base-pinned", SLIM, contract)
    assert (result.status, result.fix) == (Status.FAIL, "Write `python:3.13-slim@sha256:…`.")
    assert written("dockerfile/base-pinned", f"FROM python:3@sha256:{'a' * 64}\n", contract).status is Status.PASS


def test_arguments_are_resolved_first() -> None:
    text = "ARG TAG=3.13-slim\nFROM python:${TAG}\n"
    assert written("dockerfile/base-pinned", text).actual == "python:3.13-slim"
    told = judged("dockerfile/base-pinned", dockerfile=dockerfile(text, TAG="latest"))
    assert told.status is Status.FAIL


def test_scratch_needs_no_pin() -> None:
    assert written("dockerfile/base-pinned", "FROM scratch\n").actual == "it takes no image from outside"


# --- dockerfile/dependencies-first --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ("COPY . .\nRUN uv sync --frozen\n", 2),
        ("COPY requirements.txt src ./\nRUN pip install -r requirements.txt\n", 2),
        ("RUN pip install uv==0.9\nCOPY . .\nRUN uv sync --frozen\n", 3),
        ("RUN --mount=type=bind,target=. uv sync --frozen\n", 2),
        ('COPY ["src", "/app/src"]\nRUN pip install fastapi==0.1\n', 2),
        ("COPY src/*/api.py .\nRUN poetry install\n", 2),
    ],
)
def test_the_source_before_the_dependencies_fails(lines: str, line: int) -> None:
    result = written("dockerfile/dependencies-first", SLIM + lines)
    assert (result.status, result.where) == (Status.FAIL, f"Dockerfile:{line}"), result


@pytest.mark.parametrize(
    "lines",
    [
        "COPY pyproject.toml uv.lock ./\nRUN uv sync --frozen --no-install-project\nCOPY . .\nRUN uv sync --frozen\n",
        "RUN --mount=type=bind,source=uv.lock,target=uv.lock uv sync --frozen\nCOPY src src\n",
        "COPY --from=other . .\nRUN pip install -r requirements.txt\n",
        "COPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\nRUN pip install --no-deps .\n",
    ],
)
def test_the_dependencies_before_the_source_pass(lines: str) -> None:
    assert written("dockerfile/dependencies-first", SLIM + lines).status is Status.PASS


def test_a_stage_goes_on_where_its_base_stopped() -> None:
    text = "FROM python:3.13 AS base\nCOPY . .\nFROM base\nRUN uv sync --frozen\n"
    assert written("dockerfile/dependencies-first", text).where == "Dockerfile:2"


def test_without_an_installation_there_is_no_order() -> None:
    assert written("dockerfile/dependencies-first", f"{SLIM}COPY . .\n").status is Status.SKIP


def test_without_the_context_its_usual_names_count() -> None:
    lost = Unavailable(reason="no context")
    assert written("dockerfile/dependencies-first", f"{SLIM}COPY src .\nRUN poetry install\n", context=lost).where
    text = f"{SLIM}COPY poetry.lock .\nRUN poetry install\n"
    assert written("dockerfile/dependencies-first", text, context=lost).status is Status.PASS


# --- dockerfile/locked-install ------------------------------------------------------------------------------

TEXTS = {
    "requirements.txt": "--index-url https://x\nfastapi==0.115 \\\n    --hash=sha256:00\nuvicorn[standard]==0.30 ; x\n",
    "loose.txt": "# why\nfastapi>=0.1\n",
    "nested.txt": "-r loose.txt\n",
    "round.txt": "-r round.txt\na==1\n",
}


def installed(lines: str, **changed: Any) -> Any:
    return written("dockerfile/locked-install", SLIM + lines, context=context(texts=TEXTS), **changed)


@pytest.mark.parametrize(
    "command",
    [
        "uv sync --frozen",
        "uv sync --locked --no-dev",
        "UV_FROZEN=1 uv sync",
        "pip install -r requirements.txt",
        "pip install --no-cache-dir -r /tmp/requirements.txt",
        "pip install --require-hashes -r unseen.txt",
        "pip install -r round.txt",
        "python3 -m pip install fastapi==0.115.0 'uvicorn[standard]==0.30.1'",
        "pip install fastapi -c requirements.txt",
        "pip install /wheels/shop-1.0-py3-none-any.whl",
        "pip install --no-deps .",
        "pip install git+https://example.org/shop.git@v1.0",
        "pip install shop@https://example.org/shop.zip",
        "pip install --no-index --find-links /wheels shop",
        "pip install poetry==${POETRY_VERSION}",
        "uv pip install --system -r requirements.txt",
        "uv pip sync requirements.txt",
        "uv pip sync --python /venv pylock.toml",
        "pip install -r pylock.web.toml",
        "poetry install --only main",
        "pipenv install --deploy",
        "pipenv sync",
        "set -eu; if [ -s x ]; then export A=x; fi; uv sync --frozen",
    ],
)
def test_what_is_fixed_passes(command: str) -> None:
    result = installed(f"RUN {command}\n")
    assert result.status is Status.PASS, result
    assert "line 2" in result.actual


@pytest.mark.parametrize(
    ("command", "what", "where"),
    [
        ("pip install fastapi", "fastapi", "Dockerfile:2"),
        ("pip install --upgrade pip", "pip", "Dockerfile:2"),
        ("pip install 'fastapi>=0.1'", "fastapi>=0.1", "Dockerfile:2"),
        ("pip install fastapi==0.*", "fastapi==0.*", "Dockerfile:2"),
        ("pip install .", ".", "Dockerfile:2"),
        ("pip install -e .", ".", "Dockerfile:2"),
        ("pip install git+https://example.org/shop.git", "shop.git", "Dockerfile:2"),
        ("pip install -r loose.txt", "loose.txt:2: fastapi>=0.1", "loose.txt:2"),
        ("pip install -rnested.txt", "loose.txt:2: fastapi>=0.1", "loose.txt:2"),
        ("pip install --requirement=loose.txt", "loose.txt:2", "loose.txt:2"),
        ("uv sync", "uv sync", "Dockerfile:2"),
        ("uv pip install -r pyproject.toml", "pyproject.toml", "Dockerfile:2"),
        ("uv pip install fastapi", "fastapi", "Dockerfile:2"),
        ("pipenv install", "pipenv install", "Dockerfile:2"),
        ("true && pip3 install fastapi && true", "fastapi", "Dockerfile:2"),
        ("pip install 'fastapi", "fastapi", "Dockerfile:2"),
    ],
)
def test_what_is_left_open_is_told_where_it_stands(command: str, what: str, where: str) -> None:
    result = installed(f"RUN {command}\n")
    assert (result.status, result.where) == (Status.FAIL, where), result
    assert what in result.actual
    assert result.fix


def test_the_exec_form_and_heredocs_are_read_too() -> None:
    assert installed('RUN ["pip", "install", "fastapi"]\n').status is Status.FAIL
    assert installed("RUN <<EOF\npip install \\\n  fastapi\nEOF\n").status is Status.FAIL


def test_an_environment_that_freezes_counts() -> None:
    assert installed("ENV UV_FROZEN=1\nRUN uv sync\n").status is Status.PASS


def test_the_project_itself_after_its_lock_is_fixed() -> None:
    assert installed("RUN pip install -r requirements.txt\nRUN pip install .\n").status is Status.PASS


def test_a_list_that_nobody_sees_is_no_pass() -> None:
    result = installed("RUN pip install -r elsewhere.txt\n")
    assert result.status is Status.ERROR
    assert "the build context holds no elsewhere.txt" in result.actual
    made = "RUN uv export --frozen -o elsewhere.txt && pip install -r elsewhere.txt\n"
    assert installed(made).status is Status.PASS


def test_without_an_installation_nothing_is_open() -> None:
    assert installed("RUN echo pip install fastapi\n").status is Status.SKIP


def test_tools_are_no_dependencies() -> None:
    commands = ("pip install uv==1", "pip install -r a.txt", "pip install shop==1")
    runs = [next(installs(parse(f"FROM a\nRUN {command}\n").stages[0].instructions[1])) for command in commands]
    assert [run.of_the_project for run in runs] == [False, True, True]


def test_comments_and_continuations_of_a_requirement_file() -> None:
    text = "a==1  # why\n\n# b\nc \\\n  >=2\n-e ./d\nhttps://example.org/e-1.0.whl\n"
    assert [(line.what, line.line) for line in open_lines("r.txt", {"r.txt": text})] == [("c >=2", 4)]
    assert fixed("./d", local=True)
    assert not fixed("./d", local=False)


# --- dockerfile/secret-mounts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ARG INDEX_TOKEN", "ARG INDEX_TOKEN is for a secret"),
        ("ARG A=1 DB_PASSWORD=x", "ARG DB_PASSWORD is for a secret"),
        ("ENV API_KEY=sesame", "ENV API_KEY (secret-like name; 6 characters)"),
        ("ENV API_KEY sesame street", "ENV API_KEY"),
        ("ENV API_KEY=$KEY", "ENV API_KEY keeps a build argument's secret"),
        ("COPY .netrc /root/", "COPY .netrc puts it into a layer"),
        ("COPY keys/id_rsa pip.conf /root/", "COPY keys/id_rsa puts it"),
        ("ADD deploy/.env.production /app/.env", "ADD deploy/.env.production"),
        ("RUN pip install -i https://ci:hunter2@x.example.org/ a==1", "RUN holds a text"),
    ],
)
def test_a_secret_that_comes_otherwise_than_by_mount_fails(line: str, words: str) -> None:
    result = written("dockerfile/secret-mounts", f"{SLIM}{line}\n")
    assert (result.status, result.where) == (Status.FAIL, "Dockerfile:2"), result
    assert words in result.actual
    assert "hunter2" not in result.actual


@pytest.mark.parametrize(
    "line",
    [
        "ARG ACCESS_TOKEN_EXPIRE_MINUTES=30",
        "ARG PYTHON_VERSION=3.13",
        "ENV API_KEY=",
        "ENV POSTGRES_PASSWORD_FILE=/run/secrets/db",
        "COPY .env.example certs/corporate-ca.pem /app/",
        "COPY --from=builder /root/.netrc /tmp/",
        "RUN --mount=type=secret,id=token true",
    ],
)
def test_what_is_no_secret_passes(line: str) -> None:
    assert written("dockerfile/secret-mounts", f"{SLIM}{line}\n").status is Status.PASS


def test_a_declared_name_is_none() -> None:
    contract = Contract(declared_secrets=("PUBLIC_TOKEN",))
    assert written("dockerfile/secret-mounts", f"{SLIM}ARG PUBLIC_TOKEN\n", contract).status is Status.PASS


def test_a_pass_names_the_lines_that_mount_a_secret() -> None:
    text = f"{SLIM}RUN --mount=type=cache,target=/x true\nRUN --mount=type=secret,id=a true\nCOPY --chown=0 a b\n"
    result = written("dockerfile/secret-mounts", text)
    lines = text.splitlines()
    line = next(number for number, line in enumerate(lines, 1) if "type=secret" in line)
    assert result.status is Status.PASS
    assert result.actual.endswith(f"instructions checked; secrets are mounted in line {line}")
    assert "mounted" not in written("dockerfile/secret-mounts", SLIM).actual


# --- context ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [".git/config", "lib/venv/pyvenv.cfg", "api/.env", ".env.local", "a/__pycache__/b.pyc", "tests/test_a.py"]
)
def test_what_is_there_and_should_not_be_is_named(path: str) -> None:
    result = judged("context/ignored", context=context("main.py", path))
    assert (result.status, result.where) == (Status.FAIL, ".dockerignore:1")
    assert f"the build sees {path}" in result.actual


def test_what_will_be_there_counts_too() -> None:
    result = judged(
        "context/ignored", context=context(ignore_file="", admitted=(".env", ".git/HEAD", "tests/test_it.py"))
    )
    assert (result.actual, result.severity) == ("there is no .dockerignore", Severity.NOTE)
    assert result.fix == "Write into .dockerignore: `**/.env*`."
    written = judged("context/ignored", context=context(admitted=("venv/pyvenv.cfg",)))
    assert written.actual == "no line of .dockerignore keeps out venv"
    assert written.fix == "Write into .dockerignore: `**/venv`."


def test_a_pattern_that_matches_at_the_top_only_is_named() -> None:
    result = judged("context/ignored", context=context("src/shop/.env", kept_out=(".env", "venv/pyvenv.cfg")))
    assert result.actual == "the build sees src/shop/.env; .dockerignore keeps .env out at the top of the context only"
    assert result.fix == "Write into .dockerignore: `**/.env*`."
    assert "at the top" not in judged("context/ignored", context=context(".env.local", kept_out=(".env",))).actual
    nested = ("src/package/__pycache__/module.pyc",)
    later = judged("context/ignored", context=context(admitted=nested, kept_out=("__pycache__/module.pyc",)))
    assert later.actual == ".dockerignore keeps __pycache__ out at the top of the context only"
    assert later.fix == "Write into .dockerignore: `**/__pycache__`."


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("lib/venv/pyvenv.cfg", "**/venv"),
        ("py312/pyvenv.cfg", "**/py312"),
        (".tox/x", "**/.tox"),
        ("test/a.py", "test"),
    ],
)
def test_the_line_keeps_out_what_was_found(path: str, line: str) -> None:
    result = judged("context/ignored", context=context(path))
    assert result.fix == f"Write into .dockerignore: `{line}`."
    assert IgnoreFile([line]).ignores(path)


def test_an_example_of_an_environment_is_none() -> None:
    assert judged("context/ignored", context=context("main.py", ".env.example")).status is Status.PASS


def test_a_list_that_was_cut_is_no_pass() -> None:
    for check in ("context/ignored", "context/size"):
        assert judged(check, context=context(truncated=True)).status is Status.ERROR


def test_the_largest_files_are_named() -> None:
    files = tuple(ContextFile(path=f"{n}.bin", size=n * 10_000_000) for n in range(7))
    result = judged("context/size", context=context(files=files, truncated=True))
    assert result.status is Status.FAIL
    assert result.actual == "210 MB in 7 files; the largest is 6.bin, 60.0 MB"
    assert result.evidence[0] == "60.0 MB 6.bin"
    assert judged("context/size", Contract(max_context="1 GB"), context=context(files=files)).status is Status.PASS


# --- compose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words", "line"),
    [
        ({"privileged": True}, "it is privileged", 10),
        ({"host_namespaces": ("pid",)}, "`pid: host` gives it a namespace of the host", 3),
        ({"dropped": ("NET_RAW",)}, "it does not drop all capabilities", 3),
        ({"read_only": False}, "its root can be written", 3),
        ({"security": ()}, "it may gain new privileges", 3),
        ({"security": ("no-new-privileges:false",)}, "it may gain new privileges", 3),
        ({"memory": False}, "it has no memory limit", 3),
        ({"processes": False}, "it has no limit of processes", 3),
    ],
)
def test_what_a_service_may_do_too_much(changed: dict[str, Any], words: str, line: int) -> None:
    result = judged("compose/hardening", compose=compose(service(**changed)))
    assert (result.status, result.where) == (Status.FAIL, f"compose.yaml:{line}")
    assert f"api: {words}" in result.actual
    key = next(iter(changed))
    names = {"dropped": "cap_drop", "security": "security_opt", "memory": "mem_limit", "processes": "pids_limit"}
    names |= {"host_namespaces": "pid"}
    for exception in (f"api.{names.get(key, key)}", "api"):
        excepted = Contract(compose_exceptions={exception: "it must"})
        told = judged("compose/hardening", excepted, compose=compose(service(**changed)))
        assert (told.status, told.evidence) == (Status.PASS, (f"{exception}: it must",))


def test_an_app_without_a_compose_file_has_no_stack() -> None:
    result = judged("compose/ports", compose=None)
    assert (result.status, "no compose file" in result.actual) == (Status.SKIP, True)


@pytest.mark.parametrize("check", ["compose/hardening", "compose/ports", "compose/dependencies"])
def test_a_file_that_compose_refuses_is_no_pass(check: str) -> None:
    refused = Unavailable(reason="docker compose refuses it: no such thing")
    result = judged(check, compose=compose(model=refused))
    assert (result.status, result.actual) == (Status.ERROR, f"could not be decided: {refused.reason}")


@pytest.mark.parametrize("check", ["compose/hardening", "compose/ports", "compose/dependencies"])
def test_a_stack_without_its_subject_is_skipped(check: str) -> None:
    from seatrial.facts import ComposeModel

    assert judged(check, compose=compose(model=ComposeModel(services=()))).status is Status.SKIP


def test_a_secret_of_the_file_is_named_by_its_way() -> None:
    value = ComposeValue(key="TOKEN", where="services.api.environment.TOKEN", text="abc123", line=12)
    result = judged("compose/secrets", compose=compose(values=(value,)))
    assert (result.status, result.where) == (Status.FAIL, "compose.yaml:12")
    assert "services.api.environment.TOKEN" in result.actual
    assert "abc123" not in result.actual + result.fix
    assert judged(
        "compose/secrets", Contract(declared_secrets=("TOKEN",)), compose=compose(values=(value,))
    ).status is (Status.PASS)
    assert judged("compose/secrets", compose=compose(values=())).status is Status.SKIP


def test_env_files_and_variables_are_there_or_explained() -> None:
    lost = EnvironmentFile(path="web.env", line=5, there=False)
    result = judged("compose/environment", compose=compose(files=(lost,)))
    assert (result.status, result.where) == (Status.FAIL, "compose.yaml:5")
    for fine in (
        EnvironmentFile(path="web.env", line=5, there=True),
        EnvironmentFile(path="web.env", line=5, there=False, optional=True),
        EnvironmentFile(path="web.env", line=5, there=False, example="web.env.example"),
    ):
        assert judged("compose/environment", compose=compose(files=(fine,))).status is Status.PASS


def test_a_fresh_checkout_is_told_what_explains_its_env_file() -> None:
    result = judged("compose/environment")
    assert (result.status, result.evidence) == (Status.PASS, (".env is not there; .env.example explains it",))
    nothing = judged("compose/environment", compose=compose(explained=frozenset(), explained_by=()))
    assert (nothing.status, "Write `API_TOKEN=` into .env.example" in nothing.fix) == (Status.FAIL, True)
    none = judged("compose/environment", compose=compose(variables=()))
    assert none.actual == "compose.yaml needs no env file and no variable"
    some = compose(variables=(ComposeVariable(name="API_TOKEN", line=7),), explained_by=(".env", ".env.example"))
    assert judged("compose/environment", compose=some).evidence == ()


# --- which line of the Dockerfile ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "seen", "line"),
    [
        ("identity/non-root", "USER 0 is uid 0", 13),
        ("process/command-resolves", "no program 'uvicorn'", 16),
        ("health/command-exists", "python", 15),
        ("secrets/environment", "PATH (secret-like name)", 11),
        ("config/workdir", "/app", 12),
        ("config/labels", "org.opencontainers.image.version is not there", 17),
        ("config/volumes", "/etc is a volume", 9),
        ("packages/forbidden", "pytest", 9),
        ("dockerfile/lint", "x", 0),
    ],
)
def test_a_finding_about_the_image_names_its_instruction(check: str, seen: str, line: int) -> None:
    assert place(check, seen, facts()) == (f"Dockerfile:{line}" if line else "")


MADE = """FROM python:3.13-slim AS builder
COPY . /src
FROM python:3.13-slim
RUN apt-get update && apt-get install -y gcc-12
WORKDIR /app
COPY --from=builder /src .
COPY ["settings.toml", "keys/id_ed25519", "/etc/shop/"]
COPY pyproject.toml README.md ./
RUN chown -R app:app /app/src
RUN SECRET_KEY=hunter2 ./manage.py collectstatic
RUN <<END
install -d -m 0777 /var/spool/shop
END
USER app
"""


@pytest.mark.parametrize(
    ("check", "seen", "line"),
    [
        ("app/code-read-only", "uid 10001 can change /app/src (mode 0755, owner 10001:10001)", 9),
        ("files/leftovers", "/app/tests: 12 files, 3.1 kB", 6),
        ("files/leftovers", "/app/README.md is there", 8),
        ("secrets/files", "/etc/shop/id_ed25519 (private key)", 7),
        ("secrets/files", "/usr/lib/ssl/private/key.pem (private key)", 3),
        ("files/world-writable", "/var/spool/shop has mode 0777 and owner 0:0", 11),
        ("files/setuid", "/application/x has mode 4755", 3),
        ("secrets/history", "SECRET_KEY (secret-like name; 7 characters) in history line 4", 10),
        ("tools/build", "gcc-12", 4),
        ("tools/build", "gcc", 3),
    ],
)
def test_a_files_finding_names_the_instruction_that_wrote_it(check: str, seen: str, line: int) -> None:
    assert place(check, seen, facts(sources=sources(MADE))) == f"Dockerfile:{line}"


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("FROM a\nWORKDIR /app\nCOPY . .\nUSER app\nRUN uv sync\n", "/app/.venv", 5),
        ("FROM a\nRUN python -m venv /app/.venv\nRUN chown -R app /app\nUSER app\n", "/app/.venv/bin", 3),
        ("FROM a\nCOPY --from=b --chown=app /app/.venv /app/.venv\nCOPY run.sh /app/.venv/run.sh\n", "/app/.venv", 2),
        ("FROM a\nWORKDIR /app\nCOPY --chown=app . .\nUSER app\nRUN true\n", "/app", 3),
        ("FROM a\nUSER app\nRUN pip install --user x\nUSER root\nRUN apt-get install y\nUSER app\n", "/home/app", 3),
        ("FROM a\nCOPY run.sh /run.sh\n", "/run.sh", 2),
        ("FROM a\nUSER app\n", "/usr/local/lib", 1),
    ],
)
def test_what_user_can_change_is_told_with_the_instruction_that_gave_it_to_him(text: str, path: str, line: int) -> None:
    seen = f"uid 10001 can change {path} (mode 0755, owner 10001:10001) and 5 more in it: shop"
    assert place("app/code-read-only", seen, facts(sources=sources(text))) == f"Dockerfile:{line}"


def test_a_path_that_only_the_evidence_names_has_its_line_too() -> None:
    assert place("files/leftovers", "12 files", facts(sources=sources(MADE)), ["/app/x: a cache"]) == "Dockerfile:6"


def test_a_stages_own_instruction_comes_before_its_bases() -> None:
    text = "FROM python:3.13 AS base\nUSER app\nENV A=1\nENV B=2\nFROM base\nRUN true\n"
    inherited = facts(sources=sources(text))
    assert place("identity/non-root", "USER app", inherited) == "Dockerfile:2"
    assert place("secrets/environment", "A_SECRET; A", inherited) == "Dockerfile:4"
    assert place("health/declared", "no HEALTHCHECK", inherited) == "Dockerfile:5"


def test_without_a_dockerfile_no_line_is_named() -> None:
    assert place("identity/non-root", "x", facts(sources=NO_SOURCES)) == ""
    assert place("identity/non-root", "x", facts(sources=sources("# nothing\n"))) == ""


def test_a_result_holds_the_line_only_where_it_fails() -> None:
    root = facts(configuration=configuration(health_check=None))
    failing = judge(CHECKS["health/declared"], root, Contract())
    assert failing.where == "Dockerfile:15"
    assert judge(CHECKS["health/declared"], facts(), Contract()).where == ""
    waived = judge(CHECKS["health/declared"], root, Contract(waive={"health/declared": "a job"}))
    assert (waived.status, waived.where) == (Status.WAIVED, "Dockerfile:15")


def test_the_sound_dockerfile_is_sound() -> None:
    assert all(judge(source, facts(), Contract()).status in {Status.PASS, Status.SKIP} for source in OF_SOURCES)
    assert DOCKERFILE.count("\n") == 17
