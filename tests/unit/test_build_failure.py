"""Why a build failed: which step, which cause, what to do next."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.dockerfile import parse
from seatrial.errors import BuildError, BuildFailedError, EngineError
from seatrial.images.failure import BuildEnvironment, explain, failing_step
from seatrial.images.network import network_fix
from seatrial.images.progress import Progress

if TYPE_CHECKING:
    from seatrial.errors import SeatrialError

DOCKERFILE = "FROM a:1\nCOPY a /a\nRUN <<EOF\nset -e\nmake it\nEOF\nRUN --network=none true\n"
ENVIRONMENT = BuildEnvironment(
    dockerfile="docker/Dockerfile", engine="Docker 1", data_folder=lambda: "/var/lib/docker", answers=lambda: True,
    syntax_left_out=None,
)  # fmt: skip
FULL = "write /x: No space left on device"
FAILED = "did not complete successfully: exit code: 1"


def vertex(name: str, error: str = "") -> dict[str, Any]:
    return {"digest": name, "name": name, "started": "2026-01-01T00:00:00Z", "error": error}


def progressed(*vertices: dict[str, Any], said: str = "", log: str = "") -> Progress:
    progress = Progress(parse(DOCKERFILE))
    report: dict[str, Any] = {"vertexes": vertices}
    if log:
        report["logs"] = [{"vertex": vertices[-1]["digest"], "data": base64.b64encode(log.encode()).decode()}]
    for line in (json.dumps(report), *said.splitlines()):
        progress.feed(f"{line}\n")
    return progress


def explained(
    *vertices: dict[str, Any], said: str = "", log: str = "", environment: BuildEnvironment = ENVIRONMENT
) -> SeatrialError:
    return explain(progressed(*vertices, said=said, log=log), environment)


def test_the_dockerfiles_own_step_goes_before_buildkits_work() -> None:
    progress = progressed(vertex("[internal] load build context", "gone"), vertex("[4/4] RUN true", "broken"))
    step = failing_step(progress)
    assert step is not None
    assert step.name == "[4/4] RUN true"
    assert failing_step(progressed(vertex("[4/4] RUN true"))) is None
    alone = failing_step(progressed(vertex("[internal] load build context", "gone")))
    assert alone is not None
    assert alone.error == "gone"


@pytest.mark.parametrize(
    ("name", "error", "helped"),
    [
        (
            "[2/4] COPY a /a",
            'failed to compute cache key: failed to calculate checksum of ref x::y: "/a": not found',
            True,
        ),
        ("[2/4] COPY a /a", "something else", False),
        ("[4/4] RUN true", "/bin/x: not found", False),
    ],
)
def test_what_a_copy_does_not_find_is_looked_for_in_the_context(name: str, error: str, helped: bool) -> None:
    failed = explained(vertex(name, error))
    assert isinstance(failed, BuildFailedError)
    assert ("in the build context" in failed.fix) is helped
    assert "cache key" not in failed.what
    assert "checksum" not in failed.what


def test_a_certificate_that_the_build_does_not_trust_names_the_secret() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log="x\nurllib3: CERTIFICATE_VERIFY_FAILED\ny\n")
    assert "secret ca-bundle" in failed.fix
    assert failed.detail.splitlines() == ["x", "urllib3: CERTIFICATE_VERIFY_FAILED", "y"]
    assert explained(vertex("[4/4] RUN true", FAILED), log="x\n").fix == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # pip, uv, poetry, apt, curl, wget, git and npm: a name that does not resolve.
        (
            "Retrying: HTTPSConnection(host='pypi.org', port=443): Temporary failure in name resolution\nx",
            "finds no address for pypi.org",
        ),
        (
            "error: Failed to fetch: `https://index.example/uv/`\n  Caused by: dns error: failed to lookup address",
            "finds no address for index.example",
        ),
        ("E: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'", "deb.debian.org:"),
        ("curl: (6) Could not resolve host: files.example", "finds no address for files.example"),
        ("wget: unable to resolve host address `files.example'", "finds no address for files.example"),
        ("fatal: unable to access 'https://git.example/a/': Could not resolve host: git.example", "git.example"),
        ("npm error request to https://r.example/a failed, reason: getaddrinfo EAI_AGAIN r.example", "for r.example"),
        # Refused, no way, too slow.
        ("curl: (7) Failed to connect to files.example port 80 after 1 ms: Connection refused", "Nothing listens"),
        ("psycopg.OperationalError: connection to 127.0.0.1, port 5432 failed: Connection refused", "the step itself"),
        ("connect ENETUNREACH 2606::1:443", "has no way to"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='p.example')", "p.example did not"),
        ("npm error code ETIMEDOUT", "The server did not answer in time"),
        ("All attempts to connect to pypi.org failed.", "did not answer in time"),
        # Credentials, rights, a proxy's.
        ("ERROR: HTTP error 401 while getting https://i.example/a.whl", "i.example wants credentials"),
        ("User for i.example: Traceback (most recent call last):\nEOFError: EOF", "i.example wants credentials"),
        ("  Caused by: HTTP status client error (401 Unauthorized) for url (https://i.example/s)", "build-secrets"),
        ("401 Client Error: Unauthorized for url: https://me:x@i.example/simple", "i.example wants credentials"),
        ("E: Failed to fetch https://apt.example/a  401  Unauthorized [IP: 1.2.3.4 443]", "apt.example wants"),
        ("curl: (22) The requested URL returned error: 403", "refuses (403)"),
        ("ERROR: HTTP error 403 while getting https://i.example/a.whl", "i.example refuses (403)"),
        ("OSError('Tunnel connection failed: 407 Proxy Authentication Required')", "The proxy wants a name"),
        ("curl: (56) CONNECT tunnel failed, response 403", "The proxy lets nobody through"),
        # A certificate: not trusted, out of date, of another server.
        ("curl: (60) SSL certificate problem: unable to get local issuer certificate", "secret ca-bundle"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "secret ca-bundle"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "secret ca-bundle"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "out of date"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'a.example'", "Another server"),
        # The last of them decides.
        ("certificate verify failed\ncurl: (6) Could not resolve host: files.example", "finds no address"),
    ],
)  # fmt: skip
def test_what_kept_a_step_from_a_server_has_its_own_advice(said: str, told: str) -> None:
    fix = network_fix(said.splitlines())
    assert told in fix
    assert ("ca-bundle" in fix) is (told == "secret ca-bundle")
    assert "{host}" not in fix
    assert ":x@" not in fix


def test_a_step_without_a_network_and_an_add_are_told_apart() -> None:
    offline = explained(vertex("[4/4] RUN true", FAILED), log="curl: (6) Could not resolve host: a.example\n")
    assert offline.fix.startswith("This RUN has no network (`--network=none`)")
    added = "[2/4] ADD https://files.example/a /a"
    failed = explained(vertex(added, 'Get "https://files.example/a": x509: certificate signed by unknown authority'))
    assert failed.fix.startswith("The engine itself fetches what ADD names")
    assert "certificate of files.example" in failed.fix
    assert "ca-bundle" not in failed.fix
    assert network_fix(["AssertionError: 401 != 200", "1 test timed out"]) == ""


def test_a_step_that_wants_a_variable_is_told_how_to_give_it_one() -> None:
    said = "File \"/app/settings.py\", line 3\nKeyError: 'SECRET_KEY'\n"
    assert "`RUN SECRET_KEY=unused …`" in explained(vertex("[4/4] RUN true", FAILED), log=said).fix
    assert explained(vertex("[4/4] RUN true", FAILED), log="KeyError: 'name'\n").fix == ""


def test_only_the_last_lines_of_a_step_are_shown() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log="".join(f"{number}\n" for number in range(50)))
    assert failed.detail.splitlines() == [str(number) for number in range(30, 50)]


def test_a_step_whose_program_found_no_space_is_no_failure_of_the_step() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log=f"{FULL}\n")
    assert type(failed) is BuildError
    assert failed.what == "this step found no space left: RUN --network=none true."
    assert failed.where == "docker/Dockerfile:7"
    assert failed.fix.endswith("The engine keeps its data in /var/lib/docker.")
    unknown = replace(ENVIRONMENT, data_folder=lambda: "")
    assert explained(vertex("[4/4] RUN true", FAILED), log=FULL, environment=unknown).fix.endswith("in its data root.")
    elsewhere = explained(
        vertex("[4/4] RUN true", FAILED), log=FULL, environment=replace(ENVIRONMENT, builder="'far' (remote)")
    )
    assert elsewhere.fix.endswith("unused images.")


def test_a_full_disk_without_a_known_folder_names_the_engine() -> None:
    error = explained(said=f"ERROR: {FULL}", environment=replace(ENVIRONMENT, data_folder=lambda: ""))
    assert error.where == "Docker 1"


def test_a_command_that_quotes_the_words_is_no_full_disk() -> None:
    failed = explained(vertex("[4/4] RUN true", f'process "echo {FULL}" {FAILED}'))
    assert isinstance(failed, BuildFailedError)


def test_a_syntax_that_was_replaced_may_be_the_cause() -> None:
    environment = replace(ENVIRONMENT, syntax_left_out="docker/dockerfile:1-labs")
    assert explained(said="ERROR: unknown flag", environment=ENVIRONMENT).fix == ""
    assert "the engine's own Dockerfile syntax" in explained(said="ERROR: unknown flag", environment=environment).fix
    elsewhere = replace(environment, builder="'far' (remote)")
    assert "the builder's own Dockerfile syntax" in explained(said="ERROR: unknown flag", environment=elsewhere).fix


def test_a_builder_that_answers_and_says_something_else_is_not_lost() -> None:
    environment = replace(ENVIRONMENT, builder="'far' (remote)")
    assert explained(said="ERROR: unknown flag", environment=environment).what == "unknown flag."
    assert isinstance(explained(said="ERROR: context deadline exceeded", environment=environment), EngineError)
    # In the middle of a message it is another's deadline.
    assert (
        explained(said="ERROR: context deadline exceeded by far", environment=environment).where == "docker/Dockerfile"
    )


def test_the_line_is_the_one_above_a_rule() -> None:
    rule = "-" * 20
    error = explained(said=f"near:7\nDockerfile:9\n{rule}\n   9 | >>> RUNN x\n  10 |\n{rule}\nERROR: no such thing\n")
    assert (error.where, error.detail) == ("docker/Dockerfile:9", "   9 | >>> RUNN x")
    assert explained(said="near:7\nERROR: no such thing\n").where == "docker/Dockerfile"


def test_a_step_is_shown_as_the_dockerfile_has_it_but_for_a_heredoc() -> None:
    assert "RUN --network=none true (" in explained(vertex("[4/4] RUN true", FAILED)).what
    heredoc = explained(vertex("[4/4] RUN true"), vertex("[3/4] RUN set -e", FAILED))
    assert heredoc.what == "this step failed: RUN set -e (exit code 1)."


def test_a_long_step_is_cut() -> None:
    name = f"[other 4/4] RUN {'x' * 200}"
    shown = explained(vertex(name, FAILED)).what.removeprefix("this step failed: ").removesuffix(" (exit code 1).")
    assert shown == f"RUN {'x' * 115}…"
    exact = explained(vertex(f"[other 4/4] RUN {'x' * 116}", FAILED)).what
    assert "…" not in exact


def test_a_builder_that_cannot_quote_the_line_is_told_with_what_to_look_for() -> None:
    error = explained(said="ERROR: Internal: stream terminated by RST_STREAM with error code: INTERNAL_ERROR\n")
    assert error.where == "docker/Dockerfile"
    assert "Save the Dockerfile as UTF-8" in error.fix


NO_COMPILER = """\
Collecting netifaces==0.11.0
  Building wheel for netifaces (pyproject.toml): finished with status 'error'
      gcc -c netifaces.c
      error: [Errno 2] No such file or directory: 'gcc'
  ERROR: Failed building wheel for netifaces
"""
TAIL = "".join(f"line {number}\n" for number in range(40))


NOT_THERE = "No such file or directory"
NO_MATCH = """\
ERROR: Could not find a version that satisfies the requirement a==1 (from versions: {})
ERROR: No matching distribution found for a==1
"""


@pytest.mark.parametrize(
    ("log", "what", "fix"),
    [
        (NO_COMPILER, "netifaces has no wheel for this Python here, and gcc is missing", "gcc libc6-dev`"),
        ("Collecting pg\n  Error: pg_config executable not found.", "pg has no wheel", "gcc libc6-dev libpq-dev`"),
        (
            f"Failed to build `ldap==3`\n x.c:1: fatal error: a/sasl.h: {NOT_THERE}",
            "a/sasl.h is missing",
            "libsasl2-dev`",
        ),
        (f"Failed to build x\nfatal error: odd/thing.h: {NOT_THERE}", "odd/thing.h is", "`apt-file search thing.h`"),
        ("  - Installing db (2): Failed\nvalid pkg-config name. Specify MYSQLCLIENT_CFLAGS", "MySQL's client", "mysql"),
        (
            "Failed building wheel for uwsgi\nld: cannot find -lcrypt: No such",
            "libcrypt is missing",
            "libc6-dev libcrypt-dev`",
        ),
        ("can't find Rust compiler\nERROR: Failed building wheel for rpds", "and a Rust compiler is missing", "cargo`"),
        (f"command 'make' failed: {NOT_THERE}", "(exit code 1): make is missing.", "recommends make`"),
        (NO_MATCH.format("2.0, 3.0"), "the index has no a==1 for this Python", "a version of a that it has: 2.0, 3.0."),
        (
            f"versions that require a different python version: 1\n{NO_MATCH.format('2, 3, 4, 5, 6')}",
            "no a==1",
            "2 to 6.",
        ),
        (NO_MATCH.format("none"), "the index has no a==1", "Correct the name a,"),
        ("cause: Because there is no version of a==1, it is unsatisfiable.", "fit together: Because there", "Change"),
        (
            "Distribution `a==1 @ x` can't be installed because it doesn't have a source distribution or wheel",
            "a==1 has",
            "Lock",
        ),
        (
            'Your Pipfile requires "python_version" 3.9, but you are using 3.13.0',
            "wants Python 3.9, and the base has 3.13.0",
            "FROM",
        ),
        (
            "Package 'a' requires a different Python: 3.9.1 not in '>=3.10'",
            "wants Python >=3.10, and the base has 3.9.1",
            "FROM",
        ),
        ("error: The lockfile at `uv.lock` needs to be updated, but", "the lock does not agree", "by `uv lock`"),
        (
            "pyproject.toml changed significantly since poetry.lock was last generated.",
            "does not agree",
            "`poetry lock`",
        ),
        ("E: Unable to locate package python-dev", "the base's Debian has no package python-dev", "apt-get update"),
        ("Get:1 http://a x InRelease\nE: Package 'netcat' has no installation candidate", "netcat", "Look the name up"),
        ("/bin/sh: 1: curl: not found", "(exit code 127): the program curl is not there", "recommends curl`"),
        ("ERROR: Failed building wheel for a", "a has no wheel for this Python here, and its source does not", "Take"),
    ],
)
def test_what_could_not_be_installed_is_named_with_what_to_do(log: str, what: str, fix: str) -> None:
    error = FAILED.replace("1", "127") if log.startswith("/bin/sh") else FAILED
    failed = explained(vertex("[4/4] RUN true", error), log=f"before\n{log}\n")
    assert what in failed.what
    assert fix in failed.fix
    assert failed.where == "docker/Dockerfile:7"


def test_a_cause_before_the_last_lines_is_shown_and_others_are_no_cause() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log=NO_COMPILER + TAIL)
    lines = failed.detail.splitlines()
    assert "      error: [Errno 2] No such file or directory: 'gcc'" in lines
    assert lines[-21:-19] == ["…", "line 20"]
    stands = replace(ENVIRONMENT, differences="a:1: Debian buster is not made here any more")
    assert (
        "The local substitute may be why: a:1: Debian buster"
        in explained(vertex("[4/4] RUN true", FAILED), log=NO_COMPILER, environment=stands).fix
    )
    # A shell that goes on past a missing program did not end for that.
    other = explained(vertex("[4/4] RUN true", FAILED), log="/bin/sh: 1: curl: not found\nTests failed\n")
    assert (other.fix, other.what.endswith("(exit code 1).")) == ("", True)
